"""Random layers and models against Keras (JAX backend): outputs, gradients by name, weights after 1 and 10 steps of
training.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parity.graphs import (
    ACTIVATIONS,
    CELL_KINDS,
    LINEAR,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SOFTMAX,
    TANH,
    Graph,
    Spec,
    Tensor,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    optimizer,
    recurrent,
    sparse_categorical_crossentropy,
    training,
)
from parity.native import Native, assert_close, assert_gradients_close, assert_outputs_close, make_optimizer
from parity.problems import Problem, cell_problem, random_weights

keras_models: Any = pytest.importorskip(
    "golden.keras_models", reason="Keras with JAX is not installed", exc_type=ImportError
)

# Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

# Each example traces and compiles a model, which takes a second or more, and shrinking one takes minutes.
few = settings(
    max_examples=max(5, settings.default.max_examples // 3 if settings.default else 10),
    phases=[Phase.explicit, Phase.generate],
)
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([1, 2, 7, 8, 9, 16, 17])

# Ten steps in float32 on both sides, with learning rates of 0.1 (SGD) and 0.01.
WEIGHTS = 2e-5


def check_outputs_and_gradients(problem: Problem) -> None:
    """Native against Keras, both in float32."""
    graph = problem.graph.to_dict()
    model = keras_models.model(graph, problem.weights)
    arguments = keras_models.with_masks(graph, problem.inputs, problem.all_masks)
    expected_outputs, expected_loss, expected_gradients = keras_models.loss_and_gradients(
        graph, model, problem.training, arguments, problem.targets, problem.sample_weights
    )
    native = Native(problem)
    for index, (actual, expected) in enumerate(zip(native.forward(), expected_outputs, strict=True)):
        assert_outputs_close(actual, expected, f"output {index}")
    loss, gradients = native.gradients()
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
    for name, actual, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        assert_gradients_close(actual, expected, name)


OPTIONS = st.fixed_dictionaries(
    {
        "mask": st.sampled_from([None, "right", "left", "interior"]),
        "initial_state": st.booleans(),
        "use_bias": st.booleans(),
        "go_backwards": st.booleans(),
        "return_sequences": st.booleans(),
        "zero_output_for_mask": st.booleans(),
        "activation": st.sampled_from(
            [TANH, {"kind": "softsign"}, {"kind": "elu", "alpha": 1.0}, {"kind": "hard_tanh"}]
        ),
    }
)


@few
@pytest.mark.parametrize("cell", CELL_KINDS)
@given(
    batch=SIZES,
    time=st.integers(1, 6),
    features=SIZES,
    units=SIZES,
    seed=SEEDS,
    options=OPTIONS,
    gate=st.sampled_from([SIGMOID, {"kind": "hard_sigmoid"}]),
)
def test_recurrent_layers(
    cell: str, batch: int, time: int, features: int, units: int, seed: int, options: dict[str, Any], gate: Spec
) -> None:
    options = options if cell == "simple_rnn" else options | {"recurrent_activation": gate}
    check_outputs_and_gradients(cell_problem(cell, batch, time, features, units, seed=seed, learned=False, **options))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda spec: spec["kind"])
def test_every_activation_in_every_cell(activation: Spec) -> None:
    """Two steps, for gates without bounds multiply up; one for those that go fastest."""
    random = np.random.default_rng(4)
    graph = Graph()
    x = graph.input("x", (None, 5))
    for cell in ("simple_rnn", "lstm", "gru"):
        spec = recurrent(cell, 7, activation=activation, return_sequences=True)
        if cell != "simple_rnn":
            spec["recurrent_activation"] = activation
        graph.outputs += graph.add(spec, x, name=cell)
    count = len(graph.outputs)
    time = 1 if activation["kind"] in ("exponential", "log_softmax") else 2
    problem = Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * count),
        weights=random_weights(graph, random),
        inputs=[random.normal(size=(6, time, 5)).astype(np.float32)],
        targets=[random.normal(size=(6, time, 7)).astype(np.float32) for _ in range(count)],
    )
    check_outputs_and_gradients(problem)


LOSSES: list[tuple[Spec, Spec, Spec]] = [
    (binary_crossentropy(), dense(1, SIGMOID), {"kind": "binary_accuracy", "threshold": 0.5}),
    (binary_crossentropy(from_logits=True, label_smoothing=0.1), dense(1, LINEAR), {"kind": "mean_absolute_error"}),
    (categorical_crossentropy(label_smoothing=0.1), dense(3, SOFTMAX), {"kind": "categorical_accuracy"}),
    (sparse_categorical_crossentropy(), dense(3, SOFTMAX), {"kind": "sparse_categorical_accuracy"}),
    (sparse_categorical_crossentropy(from_logits=True), dense(3, LINEAR), {"kind": "sparse_categorical_accuracy"}),
    (MEAN_SQUARED_ERROR, dense(2, TANH), {"kind": "mean_squared_error"}),
]

# An epsilon well above the rounding of gradients, so that no quotient g / sqrt(v) hangs on that rounding.
OPTIMIZERS = [
    optimizer("sgd", 0.1),
    optimizer("sgd", 0.1, momentum=0.6, nesterov=True, clipnorm=0.1),
    optimizer("sgd", 0.1, decay=0.1, global_clipnorm=0.05),
    optimizer("rmsprop", 0.01, epsilon=1e-3),
    optimizer("rmsprop", 0.01, epsilon=1e-3, centered=True, momentum=0.4, weight_decay=0.01),
    optimizer("adam", 0.01, epsilon=1e-3, clipvalue=0.05),
    optimizer("adam", 0.01, epsilon=1e-3, amsgrad=True, weight_decay=0.02),
    optimizer("adagrad", 0.05, epsilon=1e-3, clipnorm=0.1),
    optimizer("adagrad", 0.05, initial_accumulator_value=0.01, weight_decay=0.02),
    optimizer("adadelta", 1.0, epsilon=1e-3, rho=0.8),
    optimizer("adamax", 0.01, epsilon=1e-3, weight_decay=0.02),
    optimizer("nadam", 0.01, epsilon=1e-3, global_clipnorm=0.5),
    optimizer("nadam", 0.01, epsilon=1e-3, beta_1=0.5, gradient_accumulation_steps=3),
    optimizer("ftrl", 0.05, l1_regularization_strength=0.001, weight_decay=0.02),
    optimizer(
        "ftrl",
        0.05,
        learning_rate_power=-0.3,
        l2_regularization_strength=0.1,
        l2_shrinkage_regularization_strength=0.02,
        beta=0.01,
    ),
    optimizer("lamb", 0.01, epsilon=1e-3, weight_decay=0.02),
    optimizer("adafactor", 0.01, epsilon_1=1e-6),
    optimizer("adafactor", 0.01, epsilon_1=1e-6, clip_threshold=0.5, weight_decay=0.02),
    optimizer("adam", 0.01, epsilon=1e-3, ema_momentum=0.6, ema_overwrite_frequency=4, gradient_accumulation_steps=2),
    optimizer("sgd", 0.1, momentum=0.5, ema_momentum=0.9, ema_overwrite_frequency=3, weight_decay=0.1, clipnorm=0.1),
]


@st.composite
def models(draw: st.DrawFn) -> Problem:
    """One or two recurrent layers on tokens or vectors, then Dense, on every step or the last."""
    random = np.random.default_rng(draw(SEEDS))
    rows, time = 12, draw(st.integers(1, 6))
    loss, output, metric = draw(st.sampled_from(LOSSES))
    treatment: Spec = draw(
        st.sampled_from([{}, {"regularizer": {"l1": 0.01, "l2": 0.02}}, {"constraint": {"kind": "non_neg"}}])
    )
    graph = Graph()
    x: Tensor
    if draw(st.booleans()):
        inputs = random.integers(0, 9, size=(rows, time)).astype(np.int32)
        x = graph.input("x", (None,), dtype="int32")
        (x,) = graph.add(embedding(9, draw(SIZES), draw(st.booleans())), x)
    else:
        features = draw(SIZES)
        inputs = random.normal(size=(rows, time, features)).astype(np.float32)
        x = graph.input("x", (None, features))
    if draw(st.booleans()):
        (x,) = graph.add(recurrent(draw(st.sampled_from(sorted(CELL_KINDS))), draw(SIZES), return_sequences=True), x)
    sequences = draw(st.booleans())
    cell, backwards = draw(st.sampled_from(sorted(CELL_KINDS))), draw(st.booleans())
    (x,) = graph.add(
        recurrent(cell, draw(SIZES), return_sequences=sequences, go_backwards=backwards), x, kernel=treatment
    )
    graph.outputs = graph.add(output, x)
    shape = (rows, time) if sequences else (rows,)
    classes = output["units"]
    labels = random.integers(0, max(classes, 2), size=shape)
    target: np.ndarray = random.normal(size=(*shape, classes)).astype(np.float32)
    if loss["kind"] == "sparse_categorical_crossentropy":
        target = labels.astype(np.int32)
    elif loss["kind"] == "categorical_crossentropy":
        target = np.eye(classes, dtype=np.float32)[labels]
    elif loss["kind"] == "binary_crossentropy":
        target = labels[..., None].astype(np.float32)
    weights = random.uniform(0.5, 2, size=shape).astype(np.float32) if draw(st.booleans()) else None
    return Problem(
        graph=graph,
        training=training([loss], metrics=[[metric]]),
        weights=random_weights(graph, random),
        inputs=[inputs],
        targets=[target],
        sample_weights=[weights],
    )


@few
@given(problem=models())
def test_models(problem: Problem) -> None:
    check_outputs_and_gradients(problem)


@few
@given(problem=models(), spec=st.sampled_from(OPTIMIZERS))
def test_training(problem: Problem, spec: Spec) -> None:
    check_training(problem, spec)


def check_training(problem: Problem, spec: Spec) -> None:
    """Losses of ten steps on batches in turn; weights after the first and the last."""
    graph = problem.graph.to_dict()
    native = Native(problem)
    native_optimizer = make_optimizer(spec, native)
    model = keras_models.model(graph, problem.weights)
    all_rows = [(np.arange(5) + 5 * step) % 12 for step in range(10)]
    weight = problem.all_sample_weights[0]
    data = [
        ([problem.inputs[0][rows]], [problem.targets[0][rows]], None if weight is None else [weight[rows]])
        for rows in all_rows
    ]
    kept: list[list[np.ndarray]] = []
    expected_losses = keras_models.train(
        model, problem.training, spec, data, lambda: kept.append(keras_models.weights_in_order(graph, model))
    )

    losses = []
    for step, rows in enumerate(all_rows):
        native.program.reset_metrics()
        losses.append(native.train(native_optimizer, rows.astype(np.int64))[0])
        if step in (0, 9):
            for name, actual, wanted in zip(problem.graph.names, native.weights(), kept[step], strict=True):
                assert_close(actual, wanted, WEIGHTS, f"{name} after step {step + 1} of {spec['kind']}")
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-5, atol=1e-6, err_msg=json.dumps(spec))


def test_evaluation_of_metrics() -> None:
    """Loss and metrics as running means over unequal batches of a padded sequence model."""
    import keras

    problem = cell_problem("gru", 12, 5, 3, 4, seed=3, learned=False, initial_state=False)
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(9, 4, mask_zero=True), x)
    (x,) = graph.add(recurrent("gru", 5, return_sequences=True), x)
    graph.outputs = graph.add(dense(3, SOFTMAX), x)
    random = np.random.default_rng(4)
    problem = replace(
        problem,
        graph=graph,
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 9, size=(12, 5)).astype(np.int32)],
        masks=None,
        targets=[random.integers(0, 3, size=(12, 5)).astype(np.int32)],
        training=training([sparse_categorical_crossentropy()], metrics=[[{"kind": "sparse_categorical_accuracy"}]]),
    )
    model = keras_models.model(graph.to_dict(), problem.weights)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    expected = model.evaluate(problem.inputs[0], problem.targets[0], batch_size=5, verbose=0)
    native = Native(problem)
    reported: list[float] = []
    for start in (0, 5, 10):
        reported = native.evaluate(np.arange(start, min(start + 5, 12), dtype=np.int64))
    np.testing.assert_allclose(reported, expected, rtol=1e-5)
