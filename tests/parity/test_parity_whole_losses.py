"""Losses of whole samples and batches: values against the definitions, gradients against their finite differences,
reductions, weights, masks and refusals."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import losses
from foliot.layers import GRU, Dense, Embedding, Input
from foliot.models import Model, Sequential
from oracle.whole_losses import values

from .graphs import LINEAR, Graph, Spec, training
from .native import Native, assert_gradients_close
from .problems import Problem

STEP = 1e-5
OVERLAPS: list[Spec] = [
    {"kind": kind, **own, "axis": axis}
    for kind, own in (("dice", {}), ("tversky", {"alpha": 0.3, "beta": 1.2}))
    for axis in (None, [-1], "samples", [0, 1, 2])
]


def problem(spec: Spec, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None, reduction: str) -> Problem:
    """A model that returns its input."""
    graph = Graph()
    x = graph.input("x", p.shape[1:])
    graph.outputs = graph.add({"kind": "activation", "activation": LINEAR}, x)
    plan = training([spec], reduction)
    return Problem(graph=graph, training=plan, weights=[], inputs=[p], targets=[y], sample_weights=[weights])


def reduced(spec: Spec, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None, reduction: str) -> float:
    """Keras's reductions; a loss of the batch counts once with each weight."""
    each = values(spec, y, p)
    given = np.ones(each.shape)
    if weights is not None:
        given = weights.astype(np.float64).reshape(-1, *(1,) * (each.ndim - 1))
    given = given if each.ndim == 0 else np.broadcast_to(given, each.shape)
    if spec["kind"] == "circle":
        # Rows with nothing to compare count as masked.
        each, given = each[each > 0], given[each > 0]
        if not each.size:
            return 0.0
    total = float((each * given).sum())
    return total / {"sum": 1, "sum_over_batch_size": given.size, "mean_with_sample_weight": given.sum()}[reduction]


def compare(spec: Spec, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None, reduction: str) -> None:
    loss, _, (gradient,) = Native(problem(spec, y, p, weights, reduction)).all_gradients()
    exact, targets = p.astype(np.float64), y.astype(np.float64)
    assert loss == pytest.approx(reduced(spec, targets, exact, weights, reduction), rel=1e-6, abs=1e-7)
    slopes = np.zeros(p.shape)
    for place in np.ndindex(p.shape):
        ends = []
        for way in (STEP, -STEP):
            moved = exact.copy()
            moved[place] += way
            ends.append(reduced(spec, targets, moved, weights, reduction))
        slopes[place] = (ends[0] - ends[1]) / (2 * STEP)
    assert gradient is not None
    assert_gradients_close(gradient, slopes, "output")


REDUCTIONS = st.sampled_from(["sum", "sum_over_batch_size", "mean_with_sample_weight"])
SIZES = st.integers(1, 4)


@given(
    spec=st.sampled_from(OVERLAPS),
    sizes=st.lists(SIZES, min_size=2, max_size=4),
    weighted=st.booleans(),
    reduction=REDUCTIONS,
    seed=st.integers(0, 2**32 - 1),
)
def test_overlaps(spec: Spec, sizes: list[int], weighted: bool, reduction: str, seed: int) -> None:
    if spec["axis"] is not None and len(spec["axis"]) > 1:
        axis = list(range(1, len(sizes))) if spec["axis"] == "samples" else list(range(len(sizes)))
        spec = spec | {"axis": axis}
    random = np.random.default_rng(seed)
    y = (random.random(sizes) < 0.5).astype(np.float32)
    y[0] = 1
    p = random.uniform(0.1, 0.9, sizes).astype(np.float32)
    weights = random.uniform(0.5, 2, sizes[0]).astype(np.float32) if weighted else None
    compare(spec, y, p, weights, reduction)


@given(
    gamma=st.sampled_from([1.0, 3.0]),
    margin=st.sampled_from([0.4, 0.1]),
    remove_diagonal=st.booleans(),
    rows=st.integers(1, 6),
    weighted=st.booleans(),
    reduction=REDUCTIONS,
    seed=st.integers(0, 2**32 - 1),
)
def test_circle(
    gamma: float, margin: float, remove_diagonal: bool, rows: int, weighted: bool, reduction: str, seed: int
) -> None:
    spec = {"kind": "circle", "gamma": gamma, "margin": margin, "remove_diagonal": remove_diagonal}
    random = np.random.default_rng(seed)
    p = random.normal(size=(rows, 3))
    # Not of length 1 quite, for a row's distance to itself would be on the edge of the maximum.
    p *= 0.9 / np.linalg.norm(p, axis=1, keepdims=True)
    weights = random.uniform(0.5, 2, rows).astype(np.float32) if weighted else None
    compare(spec, random.integers(0, 3, rows).astype(np.int32), p.astype(np.float32), weights, reduction)


def test_circle_takes_matrices_only() -> None:
    model = Sequential([Input((None, 2)), GRU(3, return_sequences=True)])
    model.compile("sgd", "circle")
    with pytest.raises(ValueError, match=r"`circle`: expected an output \(batch, features\)"):
        model.fit(np.ones((2, 3, 2)), np.ones((2, 3), int), verbose=0)
    for call in (losses.Circle(), losses.circle):
        with pytest.raises(ValueError, match=r"`y_pred`: expected an array \(batch, features\)"):
            call(np.ones((2, 3), int), np.ones((2, 3, 2)))


@given(q=st.sampled_from([0.1, 0.5, 0.9]), weighted=st.booleans(), reduction=REDUCTIONS, seed=st.integers(0, 2**32 - 1))
def test_generalized_crossentropy(q: float, weighted: bool, reduction: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    p, weights = random.uniform(0.1, 0.9, (4, 3)).astype(np.float32), random.uniform(0.5, 2, 4).astype(np.float32)
    spec = {"kind": "categorical_generalized_cross_entropy", "q": q}
    compare(spec, random.integers(0, 3, 4).astype(np.int32), p, weights if weighted else None, reduction)


@given(
    batch=SIZES,
    steps=st.integers(1, 5),
    length=st.integers(1, 4),
    weighted=st.booleans(),
    reduction=REDUCTIONS,
    seed=st.integers(0, 2**32 - 1),
)
def test_ctc(batch: int, steps: int, length: int, weighted: bool, reduction: str, seed: int) -> None:
    """All labels that can come in the time, repeated ones with a blank between them included."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(batch, steps, 3)).astype(np.float32)
    labels = np.zeros((batch, length), np.int32)
    for row in labels:
        drawn = random.integers(1, 3, random.integers(0, length + 1))
        while len(drawn) + (drawn[1:] == drawn[:-1]).sum() > steps:
            drawn = drawn[:-1]
        row[: len(drawn)] = drawn
    weights = random.uniform(0.5, 2, batch).astype(np.float32) if weighted else None
    compare({"kind": "ctc"}, labels, logits, weights, reduction)
    expected = values({"kind": "ctc"}, labels, logits.astype(np.float64))
    np.testing.assert_allclose(losses.ctc(labels, logits), expected, rtol=1e-5, atol=1e-6)


def test_labels_that_cannot_come() -> None:
    """Keras's logarithm of 0 is -1e5, and stays finite."""
    loss = losses.ctc([[1, 1], [1, 2]], np.zeros((2, 2, 3)))
    assert 9e4 < loss[0] < 3e5
    assert loss[1] == pytest.approx(np.log(9), rel=1e-6)


def test_a_recognizer_learns() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(1, 4, (24, 2))
    x = np.repeat(labels, 3, axis=1)
    model = Sequential([Embedding(4, 8), GRU(16, return_sequences=True), Dense(4)])
    model.compile("adam", losses.CTC())
    before = model.evaluate(x, labels, verbose=0)
    model.optimizer.learning_rate = 0.05
    model.fit(x, labels, epochs=30, verbose=0)
    assert model.evaluate(x, labels, verbose=0) < 0.3 * before


@pytest.mark.parametrize("axis", [None, (1, 2), -1])
def test_models_train_with_what_the_loss_says(axis: Any) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 4, 3)), (random.random((6, 4, 2)) < 0.5).astype(float)
    weights = random.uniform(0.5, 2, 6)
    model = Sequential([Input((4, 3)), Dense(2, activation="sigmoid")])
    for loss in (losses.Dice(axis=axis), losses.Tversky(0.3, 0.6, axis=axis)):
        model.compile("sgd", loss)
        for sample_weight in (None, weights):
            expected = loss(y, model.predict(x, verbose=0), sample_weight)
            assert model.evaluate(x, y, sample_weight=sample_weight, verbose=0) == pytest.approx(expected, rel=1e-5)
        assert json.loads(json.dumps(loss.get_config())) == json.loads(
            json.dumps(type(loss).from_config(loss.get_config()).get_config())
        )


def test_refusals() -> None:
    ids = Input((4,))
    masked = Model(ids, Dense(3)(Embedding(5, 2, mask_zero=True)(ids)))
    masked.compile("sgd", "ctc")
    with pytest.raises(ValueError, match="without a mask"):
        masked.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)
    flat = Sequential([Input((4,)), Dense(3)])
    flat.compile("sgd", "ctc")
    with pytest.raises(ValueError, match=r"\(batch, time, classes\)"):
        flat.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)
    model = Sequential([Input((4, 3)), Dense(3)])
    model.compile("sgd", losses.Dice(axis=1))
    with pytest.raises(ValueError, match="axis"):
        model.fit(np.ones((2, 4, 3)), np.ones((2, 4, 3)), verbose=0)
    model.compile("sgd", losses.Dice())
    with pytest.raises(ValueError, match="one weight for each sample"):
        model.fit(np.ones((2, 4, 3)), np.ones((2, 4, 3)), sample_weight=np.ones((2, 4)), verbose=0)
    for labels in ([[3, 0]], [[1, -1]]):
        with pytest.raises(ValueError, match=r"labels in \[0, 3\)"):
            losses.ctc(labels, np.zeros((1, 4, 3)))
    for labels in ([1, 2], [[0.5, 1]], [[1], [2]]):
        with pytest.raises(ValueError, match="labels"):
            losses.ctc(labels, np.zeros((1, 4, 3)))
    with pytest.raises(ValueError, match="y_pred"):
        losses.ctc([[1]], np.zeros((4, 3)))
    with pytest.raises(ValueError, match="axis"):
        losses.dice([[1.0]], [[1.0]], axis=2)
    with pytest.raises(TypeError, match="axis"):
        losses.Dice(axis=1.5)  # type: ignore[arg-type]
