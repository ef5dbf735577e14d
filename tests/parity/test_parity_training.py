"""Optimizers, metrics and what a training step leaves behind, against the oracle."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.network import Network
from oracle.optimizers import Optimizer

from .graphs import (
    LINEAR,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SOFTMAX,
    Graph,
    Spec,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    optimizer,
    recurrent,
    sparse_categorical_crossentropy,
    training,
)
from .native import Native, assert_close, make_optimizer
from .problems import Problem, random_weights

ROWS, TIME = 20, 6


def text_problem(
    loss: Spec, output: Spec, sequences: bool = False, weighted: bool = False, **treatment: Spec
) -> Problem:
    """Embedding with padding, GRU, Dense."""
    random = np.random.default_rng(11)
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(13, 9, mask_zero=True), x, name="embedding")
    (x,) = graph.add(recurrent("gru", 17, return_sequences=sequences), x, name="gru", **treatment)
    graph.outputs = graph.add(output, x, name="dense")
    rows = (ROWS, TIME) if sequences else (ROWS,)
    classes = output["units"]
    targets: dict[str, Any] = {
        "sparse_categorical_crossentropy": random.integers(0, classes, size=rows).astype(np.int32),
        "categorical_crossentropy": np.eye(classes, dtype=np.float32)[random.integers(0, classes, size=rows)],
        "binary_crossentropy": random.integers(0, 2, size=(*rows, classes)).astype(np.float32),
        "mean_squared_error": random.normal(size=(*rows, classes)).astype(np.float32),
    }
    return Problem(
        graph=graph,
        training=training([loss]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 13, size=(ROWS, TIME)).astype(np.int32)],
        targets=[targets[loss["kind"]]],
        sample_weights=[random.uniform(0.5, 2, size=rows).astype(np.float32) if weighted else None],
    )


TAIL: dict[str, st.SearchStrategy[Any]] = {
    "weight_decay": st.sampled_from([None, 0.05]),
    "ema_momentum": st.sampled_from([None, 0.5]),
    "ema_overwrite_frequency": st.sampled_from([None, 2]),
    "gradient_accumulation_steps": st.sampled_from([None, None, 2]),
    "decay": st.sampled_from([0.0, 0.2]),
    "clip": st.sampled_from(
        [
            {},
            *(
                {kind: limit}
                for kind in ("clipnorm", "clipvalue", "global_clipnorm")
                for limit in (0.002, 0.02, 0.5, 5.0)
            ),
        ]
    ),
}


def with_tail(kind: str, learning_rate: float, clip: Spec, **options: Any) -> Spec:
    """Keras allows one kind of clipping at a time."""
    return optimizer(kind, learning_rate, **clip, **options)


SOME_EPSILON = st.sampled_from([1e-4, 1e-2])
OTHERS: list[tuple[str, float, dict[str, st.SearchStrategy[Any]]]] = [
    ("adagrad", 0.05, {"initial_accumulator_value": st.sampled_from([0.1, 0.001]), "epsilon": SOME_EPSILON}),
    ("adadelta", 1.0, {"rho": st.sampled_from([0.95, 0.5]), "epsilon": SOME_EPSILON}),
    ("adamax", 0.01, {"beta_1": st.sampled_from([0.9, 0.3]), "epsilon": SOME_EPSILON}),
    ("nadam", 0.01, {"beta_1": st.sampled_from([0.9, 0.3]), "epsilon": SOME_EPSILON}),
    (
        "schedule_free_adamw",
        0.01,
        {"beta_1": st.sampled_from([0.9, 0.3]), "warmup_steps": st.sampled_from([0, 3]), "epsilon": SOME_EPSILON},
    ),
    ("lamb", 0.01, {"beta_2": st.sampled_from([0.999, 0.7]), "epsilon": SOME_EPSILON}),
    ("adafactor", 0.01, {"clip_threshold": st.sampled_from([1.0, 0.3]), "epsilon_1": st.sampled_from([1e-4, 1e-6])}),
    (
        "muon",
        0.02,
        {
            "momentum": st.sampled_from([0.95, 0.3]),
            "nesterov": st.booleans(),
            "rms_rate": st.sampled_from([0.2, None]),
            "ns_steps": st.sampled_from([5, 2]),
            "adam_lr_ratio": st.sampled_from([1.0, 0.3]),
            "adam_weight_decay": st.sampled_from([None, 0.1]),
            "epsilon": SOME_EPSILON,
        },
    ),
    (
        "ftrl",
        0.05,
        {
            "learning_rate_power": st.sampled_from([-0.5, -0.3, -1.0]),
            "l1_regularization_strength": st.sampled_from([0.0, 0.001]),
            "l2_regularization_strength": st.sampled_from([0.0, 0.1]),
            "l2_shrinkage_regularization_strength": st.sampled_from([0.0, 0.02]),
            "beta": st.sampled_from([0.0, 0.01]),
        },
    ),
]

# An epsilon well above the rounding of gradients keeps quotients such as g / sqrt(g^2 + epsilon) from hanging on that
# rounding.
OPTIMIZERS = st.one_of(
    st.fixed_dictionaries({"momentum": st.sampled_from([0.0, 0.6]), "nesterov": st.booleans(), **TAIL}).map(
        lambda options: with_tail("sgd", 0.1, **options)
    ),
    st.fixed_dictionaries(
        {
            "rho": st.sampled_from([0.9, 0.5]),
            "momentum": st.sampled_from([0.0, 0.4]),
            "centered": st.booleans(),
            "epsilon": st.sampled_from([1e-4, 1e-2]),
            **TAIL,
        }
    ).map(lambda options: with_tail("rmsprop", 0.01, **options)),
    st.fixed_dictionaries(
        {
            "beta_1": st.sampled_from([0.9, 0.3]),
            "beta_2": st.sampled_from([0.999, 0.7]),
            "amsgrad": st.booleans(),
            "epsilon": st.sampled_from([1e-4, 1e-2]),
            **TAIL,
        }
    ).map(lambda options: with_tail("adam", 0.01, **options)),
    *(
        st.fixed_dictionaries({**own, **TAIL}).map(
            lambda options, kind=kind, rate=rate: with_tail(kind, rate, **options)
        )
        for kind, rate, own in OTHERS
    ),
)


@given(spec=OPTIMIZERS, frozen=st.booleans())
def test_four_steps(spec: Spec, frozen: bool) -> None:
    """Losses and weights; a weight that is not trained stays as it is, bit by bit."""
    treatment: dict[str, Any] = {"recurrent_kernel": {"trainable": False}} if frozen else {}
    problem = text_problem(binary_crossentropy(), dense(1, SIGMOID), **treatment)
    native, oracle = Native(problem), Network(problem.graph.to_dict(), problem.weights)
    native_optimizer, oracle_optimizer = make_optimizer(spec, native), Optimizer(spec)
    for step in range(4):
        rows = (np.arange(9) * (step + 1)) % ROWS
        native.program.reset_metrics()
        loss = native.train(native_optimizer, rows.astype(np.int64))[0]
        expected = oracle.train(
            problem.training, oracle_optimizer, [problem.inputs[0][rows]], [problem.targets[0][rows]]
        )
        assert loss == pytest.approx(expected, rel=1e-5)
    for name, actual, wanted, start in zip(
        problem.graph.names, native.weights(), oracle.weights, problem.weights, strict=True
    ):
        assert_close(actual, wanted, 1e-5, name)
        assert np.array_equal(actual, start) == (frozen and name == "gru/recurrent_kernel"), name


METRICS: dict[str, tuple[Spec, Spec, list[Spec]]] = {
    "binary": (
        binary_crossentropy(),
        dense(1, SIGMOID),
        [
            {"kind": "binary_accuracy", "threshold": 0.5},
            {"kind": "binary_accuracy", "threshold": 0.45},
            {"kind": "mean_squared_error"},
            {"kind": "mean_absolute_error"},
            {"kind": "accuracy"},
            {"kind": "loss", "loss": binary_crossentropy(label_smoothing=0.1)},
        ],
    ),
    "categorical": (
        categorical_crossentropy(),
        dense(3, SOFTMAX),
        [{"kind": "categorical_accuracy"}, {"kind": "loss", "loss": categorical_crossentropy()}],
    ),
    "sparse": (
        sparse_categorical_crossentropy(from_logits=True),
        dense(3, LINEAR),
        [
            {"kind": "sparse_categorical_accuracy"},
            {"kind": "loss", "loss": sparse_categorical_crossentropy(from_logits=True)},
        ],
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_running_means(name: str, sequences: bool, weighted: bool) -> None:
    """Over unequal batches; plain metrics ignore sample weights, weighted ones use them, both leave masked steps
    out."""
    loss, output, specs = METRICS[name]
    problem = text_problem(loss, output, sequences, weighted)
    problem.training["metrics"] = [specs]
    problem.training["weighted_metrics"] = [specs]
    native, oracle = Native(problem), Network(problem.graph.to_dict(), problem.weights)
    totals = np.zeros((1 + 2 * len(specs), 2))
    reported: list[float] = []
    for rows in (np.arange(9), np.arange(9, 12), np.arange(12, ROWS)):
        reported = native.evaluate(rows.astype(np.int64))
        inputs, targets = [problem.inputs[0][rows]], [problem.targets[0][rows]]
        sample_weight = None if problem.all_sample_weights[0] is None else problem.all_sample_weights[0][rows]
        value = oracle.loss(problem.training, inputs, targets, None, [sample_weight])
        # Keras weighs the loss of a batch by its number of rows.
        totals[0] += value * len(rows), len(rows)
        for index, spec in enumerate(specs):
            totals[1 + index] += oracle.measure(spec, 0, targets[0])
            totals[1 + len(specs) + index] += oracle.measure(spec, 0, targets[0], sample_weight)
    np.testing.assert_allclose(reported, totals[:, 0] / totals[:, 1], rtol=1e-5, atol=1e-7)
    native.program.reset_metrics()
    again = native.evaluate(np.arange(12, ROWS))
    assert again[0] == pytest.approx(value, rel=1e-5)


def test_evaluation_changes_no_weight() -> None:
    native = Native(text_problem(MEAN_SQUARED_ERROR, dense(2)))
    native.evaluate()
    for before, after in zip(native.problem.weights, native.weights(), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize(
    "spec",
    [
        optimizer("sgd", 0.1, momentum=0.5),
        optimizer("rmsprop", 0.01, momentum=0.5, centered=True),
        optimizer("adam", 0.01, amsgrad=True),
        optimizer("adam", 0.01, ema_momentum=0.5, ema_overwrite_frequency=2, gradient_accumulation_steps=2),
        *(
            optimizer(kind, 0.01)
            for kind in (
                "adagrad",
                "adadelta",
                "adamax",
                "nadam",
                "ftrl",
                "lion",
                "lamb",
                "adafactor",
                "muon",
                "schedule_free_adamw",
            )
        ),
        optimizer(
            "sgd",
            0.0,
            schedule={
                "kind": "exponential_decay",
                "initial_learning_rate": 0.1,
                "decay_steps": 2.0,
                "decay_rate": 0.5,
                "staircase": False,
            },
        ),
    ],
    ids=lambda spec: spec["kind"],
)
def test_resuming_equals_not_stopping(spec: Spec) -> None:
    """Weights, slots and the count of steps carried into a new program continue bit by bit."""
    problem = text_problem(binary_crossentropy(), dense(1, SIGMOID))
    whole = Native(problem)
    whole_optimizer = make_optimizer(spec, whole)
    for _ in range(3):
        whole.train(whole_optimizer)
    problem.weights = whole.weights()
    resumed = Native(problem)
    resumed_optimizer = make_optimizer(spec, resumed)
    resumed_optimizer.set_slots(whole_optimizer.get_slots())
    resumed_optimizer.iterations = whole_optimizer.iterations
    assert resumed_optimizer.slot_names() == whole_optimizer.slot_names()
    for _ in range(3):
        whole.train(whole_optimizer)
        resumed.train(resumed_optimizer)
    for a, b in zip(whole.weights(), resumed.weights(), strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(whole_optimizer.get_slots(), resumed_optimizer.get_slots(), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_changed_learning_rate_counts_at_once() -> None:
    native = Native(text_problem(MEAN_SQUARED_ERROR, dense(2)))
    optimizer_ = make_optimizer(optimizer("sgd", 0.1), native)
    optimizer_.learning_rate = 0.0
    native.train(optimizer_)
    assert all(np.array_equal(a, b) for a, b in zip(native.problem.weights, native.weights(), strict=True))
    optimizer_.learning_rate = 0.25
    assert optimizer_.learning_rate == 0.25
    native.train(optimizer_)
    assert not any(np.array_equal(a, b) for a, b in zip(native.problem.weights, native.weights(), strict=True))
