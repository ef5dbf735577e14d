"""Layers other than the recurrent ones, losses, penalties and graphs of several layers against the oracle."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle import losses
from oracle.network import Network

from .graphs import (
    ALL_ACTIVATIONS,
    MEAN_SQUARED_ERROR,
    MORE_LOSSES,
    SIGMOID,
    SOFTMAX,
    TANH,
    Graph,
    Spec,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    focal,
    recurrent,
    sparse_categorical_crossentropy,
    training,
)
from .native import Native, compare
from .problems import Problem, random_mask, random_weights

SIZES = st.sampled_from([1, 7, 8, 9, 15, 16, 17, 31, 32, 33])
SEEDS = st.integers(0, 2**32 - 1)


def finish(
    graph: Graph, inputs: list[np.ndarray], seed: int, loss: Spec | None = None, time: int = 1, **options: Any
) -> Problem:
    """A problem with random weights and normal targets for every output."""
    random = np.random.default_rng(seed)
    targets = []
    for output in graph.outputs:
        shape = (len(inputs[0]), *(time if axis is None else axis for axis in output.shape))
        targets.append(random.normal(size=shape).astype(np.float32))
    return Problem(
        graph=graph,
        training=training([loss or MEAN_SQUARED_ERROR] * len(targets)),
        weights=random_weights(graph, random),
        inputs=inputs,
        targets=targets,
        **options,
    )


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(batch=SIZES, features=SIZES, units=SIZES, use_bias=st.booleans(), seed=SEEDS)
def test_dense(batch: int, features: int, units: int, use_bias: bool, seed: int) -> None:
    graph = Graph()
    x = graph.input("x", (features,))
    graph.outputs = graph.add(dense(units, TANH, use_bias), x)
    compare(finish(graph, [normal(seed, batch, features)], seed))


@given(batch=SIZES, time=st.sampled_from([1, 2, 5]), hidden=SIZES, units=SIZES, seed=SEEDS)
def test_dense_on_sequences(batch: int, time: int, hidden: int, units: int, seed: int) -> None:
    graph = Graph()
    x = graph.input("x", (None, 3))
    (x,) = graph.add(dense(hidden, SIGMOID), x)
    graph.outputs = graph.add(dense(units, SOFTMAX), x)
    compare(finish(graph, [normal(seed, batch, time, 3)], seed, time=time))


def test_dense_with_many_rows() -> None:
    """The gradient of the kernel is a sum over 14000 rows."""
    graph = Graph()
    x = graph.input("x", (None, 19))
    (x,) = graph.add(dense(37, TANH), x)
    graph.outputs = graph.add(dense(11), x)
    compare(finish(graph, [normal(1, 70, 200, 19)], 1, time=200))


@pytest.mark.parametrize("units", [1, 8, 17])
@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])
def test_activations(activation: Spec, units: int) -> None:
    """In a Dense layer, and as a layer of its own."""
    graph = Graph()
    x = graph.input("x", (5,))
    (z,) = graph.add(dense(units), x)
    graph.outputs = [
        *graph.add(dense(units, activation), x),
        *graph.add({"kind": "activation", "activation": activation}, z),
    ]
    compare(finish(graph, [3 * normal(2, 9, 5)], 2))


@given(batch=SIZES, time=SIZES, features=SIZES, vocabulary=st.sampled_from([1, 2, 30, 1000]), seed=SEEDS)
def test_embedding(batch: int, time: int, features: int, vocabulary: int, seed: int) -> None:
    """Few ids, so that most rows of the table collect gradients from many places."""
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    graph.outputs = graph.add(embedding(vocabulary, features), x)
    ids = np.random.default_rng(seed).integers(0, vocabulary, size=(batch, time)).astype(np.int32)
    compare(finish(graph, [ids], seed, time=time))


@given(batch=SIZES, time=st.sampled_from([1, 3, 8]), features=SIZES, seed=SEEDS)
def test_flatten_ends_the_mask(batch: int, time: int, features: int, seed: int) -> None:
    graph = Graph()
    x = graph.input("x", (time,), dtype="int32")
    (x,) = graph.add(embedding(5, features, mask_zero=True), x)
    (x,) = graph.add({"kind": "flatten"}, x)
    graph.outputs = graph.add(dense(3), x)
    compare(finish(graph, [np.random.default_rng(seed).integers(0, 5, size=(batch, time)).astype(np.int32)], seed))


def test_activity_regularization() -> None:
    graph = Graph()
    x = graph.input("x", (None, 3))
    (x,) = graph.add(dense(9, TANH), x)
    (x,) = graph.add({"kind": "activity_regularization", "l1": 0.1, "l2": 0.3}, x)
    graph.outputs = graph.add(dense(2), x)
    compare(finish(graph, [normal(3, 7, 4, 3)], 3, time=4))


def test_dropout_outside_training_changes_nothing() -> None:
    graph = Graph()
    x = graph.input("x", (None, 3))
    (x,) = graph.add({"kind": "dropout", "rate": 0.5, "seed": 3, "noise_shape": None}, x)
    (x,) = graph.add(recurrent("lstm", 9, dropout=0.4, recurrent_dropout=0.3), x)
    graph.outputs = graph.add(dense(2), x)
    compare(finish(graph, [normal(4, 7, 4, 3)], 4))


def test_regularizers() -> None:
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(20, 7), x, embeddings={"regularizer": {"l1": 0.01, "l2": 0.02}})
    (x,) = graph.add(
        recurrent("gru", 9),
        x,
        kernel={"regularizer": {"l1": 0.03, "l2": 0.0}},
        recurrent_kernel={"regularizer": {"l1": 0.0, "l2": 0.04}},
        bias={"regularizer": {"l1": 0.05, "l2": 0.06}},
    )
    graph.outputs = graph.add(dense(2), x, kernel={"regularizer": {"l1": 0.0, "l2": 0.01}})
    compare(finish(graph, [np.arange(40, dtype=np.int32).reshape(8, 5) % 20], 5))


@pytest.mark.parametrize("cells", [("simple_rnn", "lstm"), ("lstm", "gru"), ("gru", "gru_reset_before")])
def test_stacked_layers_with_a_mask(cells: tuple[str, str]) -> None:
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(11, 5, mask_zero=True), x)
    (x,) = graph.add(recurrent(cells[0], 9, return_sequences=True), x)
    (x,) = graph.add(dense(6, TANH), x)
    (x,) = graph.add(recurrent(cells[1], 7, return_sequences=True), x)
    graph.outputs = graph.add(dense(2), x)
    ids = np.random.default_rng(6).integers(0, 11, size=(9, 6)).astype(np.int32)
    compare(finish(graph, [ids], 6, time=6))


def test_shared_tensors_and_states() -> None:
    """One sequence read by two layers, the states of one handed to the other, several outputs with their own
    weights."""
    graph = Graph()
    x = graph.input("x", (None, 4))
    (hidden,) = graph.add(dense(6, TANH), x)
    _, h, c = graph.add(recurrent("lstm", 5, return_state=True), hidden)
    decoded, last, _ = graph.add(recurrent("lstm", 5, return_sequences=True, return_state=True), hidden, h, c)
    (backwards,) = graph.add(recurrent("gru", 3, go_backwards=True), decoded)
    graph.outputs = [*graph.add(dense(2), decoded), *graph.add(dense(3), last), backwards]
    problem = finish(graph, [normal(7, 9, 5, 4)], 7, time=5)
    problem.training["loss_weights"] = [0.5, 2.0, 1.5]
    compare(problem)


def test_each_output_has_a_loss_of_its_own() -> None:
    """The means over unequal batches of the whole loss, then of each output's without its weight."""
    graph = Graph()
    ids = np.random.default_rng(3).integers(0, 5, size=(9, 6)).astype(np.int32)
    (hidden,) = graph.add(embedding(5, 4, mask_zero=True), graph.input("ids", (None,), dtype="int32"))
    steps, last, _ = graph.add(recurrent("lstm", 5, return_sequences=True, return_state=True), hidden)
    kernel = {"regularizer": {"l1": 0.0, "l2": 0.1}}
    graph.outputs = [*graph.add(dense(2), steps, kernel=kernel), *graph.add(dense(3), last)]
    weights = [np.random.default_rng(4).uniform(0.5, 2, size=9).astype(np.float32) for _ in range(2)]
    problem = finish(graph, [ids], 7, time=6, sample_weights=weights)
    problem.training |= {"loss_weights": [0.5, 2.0], "metrics": [[], [{"kind": "mean_absolute_error"}]]}
    native, oracle = Native(problem), Network(graph.to_dict(), problem.weights)
    total = 0.0
    expected = np.zeros(2)
    for rows in (np.arange(5), np.arange(5, 9)):
        reported = native.evaluate(rows)
        outputs = oracle.forward([ids[rows]])
        for index, output in enumerate(outputs):
            spec, target = problem.training["losses"][index], problem.targets[index][rows]
            mask = oracle.output_mask(index)
            expected[index] += len(rows) / 9 * losses.evaluate(spec, target, output, weights[index][rows], mask)[0]
        total += (
            len(rows)
            / 9
            * oracle.loss(
                problem.training,
                [ids[rows]],
                [target[rows] for target in problem.targets],
                None,
                [w[rows] for w in weights],
            )
        )
    assert len(reported) == 4
    np.testing.assert_allclose(reported[:3], [total, *expected], rtol=1e-5)


LOSSES: list[Spec] = [
    MEAN_SQUARED_ERROR,
    {"kind": "half_mean_squared_error"},
    {"kind": "mean_absolute_error"},
    *(binary_crossentropy(logits, smoothing) for logits in (False, True) for smoothing in (0.0, 0.2)),
    *(categorical_crossentropy(logits, smoothing) for logits in (False, True) for smoothing in (0.0, 0.2)),
    *(sparse_categorical_crossentropy(logits) for logits in (False, True)),
    *MORE_LOSSES,
]


def loss_problem(loss: Spec, features: int, seed: int, time: int | None, masked: bool, weighted: bool) -> Problem:
    """A loss behind Dense: probabilities, or logits where the loss wants them. With `time`, on every step."""
    random = np.random.default_rng(seed)
    batch = 9
    rows = (batch,) if time is None else (batch, time)
    graph = Graph()
    x = graph.input("x", (3,) if time is None else (None, 3), masked=masked)
    positive = ("poisson", "kl_divergence", "mean_squared_logarithmic_error")
    probabilities = not loss["from_logits"] if "crossentropy" in loss["kind"] else loss["kind"] in positive
    graph.outputs = graph.add(dense(features, SIGMOID if probabilities else TANH), x)
    target = random.random((*rows, features)).astype(np.float32)
    if loss["kind"] == "sparse_categorical_crossentropy":
        target = random.integers(0, features, size=rows).astype(np.int32)
    elif loss["kind"].startswith("categorical"):
        target = np.eye(features, dtype=np.float32)[random.integers(0, features, size=rows)]
    return Problem(
        graph=graph,
        training=training([loss]),
        weights=random_weights(graph, random),
        inputs=[random.normal(size=(*rows, 3)).astype(np.float32)],
        targets=[target],
        masks=[random_mask("interior", batch, time, random) if masked and time else None],
        sample_weights=[random.uniform(0.2, 2, size=rows).astype(np.float32) if weighted else None],
    )


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda spec: "-".join(str(value) for value in spec.values()))
@pytest.mark.parametrize("features", [1, 2, 8, 19])
def test_losses(loss: Spec, reduction: str, features: int) -> None:
    for time, masked, weighted in ((None, False, False), (None, False, True), (5, True, False), (5, True, True)):
        problem = loss_problem(loss, features, 8, time, masked, weighted)
        problem.training["losses"][0]["reduction"] = reduction
        compare(problem)


@pytest.mark.parametrize("options", [{}, {"from_logits": True, "label_smoothing": 0.2, "gamma": 1.5}])
@pytest.mark.parametrize("features", [1, 2, 8])
def test_focal_loss_with_a_weight_for_each_class(options: Spec, features: int) -> None:
    alpha = np.random.default_rng(4).uniform(0.1, 2, features).tolist()
    for time, masked, weighted in ((None, False, True), (5, True, False), (5, True, True)):
        compare(loss_problem(focal("categorical", alpha=alpha, **options), features, 8, time, masked, weighted))


def test_a_batch_that_is_masked_altogether_has_no_loss() -> None:
    problem = loss_problem(MEAN_SQUARED_ERROR, 3, 9, 5, masked=True, weighted=False)
    problem.masks = [np.zeros((9, 5), bool)]
    compare(problem)
