"""Losses and metrics on an adapter: with kernels against the float64 oracle, and all of them against the CPU."""

from typing import Any

import numpy as np
import pytest

from parity.graphs import (
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SOFTMAX,
    Graph,
    Spec,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    recurrent,
    sparse_categorical_crossentropy,
    training,
)
from parity.native import GRADIENT, Native, assert_gradients_close, compare
from parity.problems import Array, Problem, random_weights

from .adapter import ADAPTER

LINEAR: Spec = {"kind": "linear"}

LOSSES: dict[str, tuple[Spec, Spec]] = {
    "mean_squared_error": (MEAN_SQUARED_ERROR, LINEAR),
    "half_mean_squared_error": ({"kind": "half_mean_squared_error"}, LINEAR),
    "mean_absolute_error": ({"kind": "mean_absolute_error"}, LINEAR),
    "binary_crossentropy": (binary_crossentropy(label_smoothing=0.1), SIGMOID),
    "binary_crossentropy_of_logits": (binary_crossentropy(from_logits=True, label_smoothing=0.1), LINEAR),
    "categorical_crossentropy": (categorical_crossentropy(label_smoothing=0.1), SIGMOID),
    "categorical_crossentropy_of_logits": (categorical_crossentropy(from_logits=True, label_smoothing=0.1), LINEAR),
    "sparse_categorical_crossentropy": (sparse_categorical_crossentropy(), SOFTMAX),
    "sparse_categorical_crossentropy_of_logits": (sparse_categorical_crossentropy(from_logits=True), LINEAR),
    # Formed on the host.
    "log_cosh": ({"kind": "log_cosh"}, LINEAR),
}


def targets_of(name: str, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    if "categorical" not in name:
        return random.uniform(size=shape).astype(np.float32)
    classes = random.integers(0, shape[-1], size=shape[:-1])
    return classes.astype(np.int32) if name.startswith("sparse") else np.eye(shape[-1], dtype=np.float32)[classes]


def sequences(name: str, units: int, weighted: bool, metrics: list[Spec] | None = None) -> Problem:
    """Outputs of every step, some of them masked, some with a weight of their own."""
    loss, activation = LOSSES[name]
    random = np.random.default_rng(4)
    graph = Graph()
    x = graph.input("x", (None, 3), masked=True)
    (x,) = graph.add(recurrent("gru", 6, return_sequences=True), x)
    graph.outputs = graph.add(dense(units, activation), x)
    return Problem(
        graph=graph,
        training=training([loss], metrics=[metrics or []], weighted_metrics=[metrics or []]),
        weights=random_weights(graph, random),
        inputs=[random.normal(size=(7, 9, 3)).astype(np.float32)],
        targets=[targets_of(name, random, (7, 9, units))],
        masks=[np.arange(9) < random.integers(1, 10, size=(7, 1))],
        sample_weights=[random.choice([0.0, 0.5, 2.0], size=(7, 9)).astype(np.float32)] if weighted else None,
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("units", "weighted"), [(2, False), (5, True), (150, True)])
def test_losses_of_steps(name: str, units: int, weighted: bool) -> None:
    compare(sequences(name, units, weighted), device=ADAPTER)


def rows(name: str, predictions: Array, targets: Array) -> Problem:
    """Predictions as they are given."""
    graph = Graph()
    x = graph.input("x", predictions.shape[1:])
    graph.outputs = graph.add({"kind": "activation", "activation": LINEAR}, x)
    loss = training([LOSSES[name][0]])
    return Problem(graph=graph, training=loss, weights=[], inputs=[predictions], targets=[targets])


@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_probabilities_at_the_bounds_of_the_clip(name: str) -> None:
    chances = np.array([0, 1e-8, 1e-7, 0.25, 0.5, 1 - 2**-23, 1 - 2**-24, 1], np.float32)
    if name != "binary_crossentropy":
        # Whether a share of a sum is on the bound hangs on its rounding.
        chances = np.delete(chances, 2)
    predictions = np.stack([chances, 1 - chances], axis=-1)
    for label in (0, 1):
        classes = np.full(len(chances), label, np.int32)
        problem = rows(
            name, predictions, classes if name.startswith("sparse") else np.eye(2, dtype=np.float32)[classes]
        )
        loss, _, (expected,) = Native(problem).all_gradients()
        same, _, (actual,) = Native(problem, ADAPTER).all_gradients()
        assert expected is not None
        assert actual is not None
        assert same == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(actual, expected, rtol=GRADIENT, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in LOSSES if name.endswith("of_logits")])
def test_large_logits(name: str) -> None:
    logits = np.array([[-200, 150], [90, 95], [-1e30, 1e30], [0, 0]], np.float32)
    targets = (
        np.array([1, 0, 1, 1], np.int32) if name.startswith("sparse") else np.eye(2, dtype=np.float32)[[1, 0, 1, 1]]
    )
    loss, _, (expected,) = Native(rows(name, logits, targets)).all_gradients()
    same, _, (actual,) = Native(rows(name, logits, targets), ADAPTER).all_gradients()
    assert same == pytest.approx(loss, rel=1e-5)
    assert expected is not None
    assert actual is not None
    assert_gradients_close(actual, expected.astype(np.float64), "logits")


@pytest.mark.parametrize("name", LOSSES)
def test_a_prediction_that_is_no_number_shows(name: str) -> None:
    predictions = np.full((3, 4), 0.25, np.float32)
    predictions[1, 2] = np.nan
    problem = rows(name, predictions, targets_of(name, np.random.default_rng(1), (3, 4)))
    assert np.isnan(Native(problem, ADAPTER).evaluate()[0])


def test_many_rows_and_many_jobs() -> None:
    """More rows than places for their sums, and more sums than the memory for them."""
    random = np.random.default_rng(5)
    predictions = random.uniform(size=(3000, 3)).astype(np.float32)
    problem = rows("categorical_crossentropy", predictions, targets_of("categorical", random, (3000, 3)))
    compare(problem, device=ADAPTER)
    problem.training["metrics"] = [[{"kind": "categorical_accuracy"}] * 70]
    expected, actual = (Native(problem, device).evaluate() for device in (None, ADAPTER))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


METRICS: dict[str, list[Spec]] = {
    "binary_crossentropy": [
        {"kind": "binary_accuracy", "threshold": 0.5},
        {"kind": "mean_squared_error"},
        {"kind": "mean_absolute_error"},
        {"kind": "root_mean_squared_error"},
        {"kind": "accuracy"},
        {"kind": "loss", "loss": {"kind": "log_cosh"}},
        {"kind": "negative", "loss": binary_crossentropy()},
    ],
    "categorical_crossentropy": [
        {"kind": "categorical_accuracy"},
        {"kind": "top_k_categorical_accuracy", "k": 2},
        {"kind": "loss", "loss": categorical_crossentropy()},
    ],
    "sparse_categorical_crossentropy": [
        {"kind": "sparse_categorical_accuracy"},
        {"kind": "loss", "loss": sparse_categorical_crossentropy() | {"ignore_class": 1}},
    ],
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("units", "weighted"), [(1, True), (3, False), (70, True)])
def test_metrics(name: str, units: int, weighted: bool) -> None:
    problem = sequences(name, max(units, 2) if name.startswith("sparse") else units, weighted, METRICS[name])
    if name == "binary_crossentropy":
        problem.targets[0] = np.round(problem.targets[0])
    expected, actual = (Native(problem, device).program for device in (None, ADAPTER))
    batch = problem.inputs, problem.targets, problem.all_sample_weights, None, problem.all_masks
    for _ in range(2):
        np.testing.assert_allclose(actual.test_batch(*batch), expected.test_batch(*batch), rtol=1e-5, atol=1e-6)


def test_the_largest_is_the_first_and_a_nan_before_all() -> None:
    problem = rows("categorical_crossentropy", np.zeros((5, 130), np.float32), np.zeros((5, 130), np.float32))
    (predictions,), (targets,) = problem.inputs, problem.targets
    predictions[0, [3, 70]] = 1
    predictions[1, [3, 129]] = 5, np.nan
    predictions[2, [1, 65]] = np.nan
    predictions[4] = -np.arange(130)
    for row, place in enumerate([3, 129, 1, 0, 0]):
        targets[row, place] = 1
    problem.training["metrics"] = [[{"kind": "categorical_accuracy"}]]
    for device in (None, ADAPTER):
        assert Native(problem, device).evaluate()[1] == 1


def test_targets_that_cannot_be_are_refused_on_the_device_too() -> None:
    problem = rows("sparse_categorical_crossentropy", np.full((3, 4), 0.25, np.float32), np.array([0, 4, 1], np.int32))
    messages: list[Any] = []
    for device in (None, ADAPTER):
        native = Native(problem, device)
        with pytest.raises(ValueError, match=r"class indices in \[0, 4\).*4 in row 1") as error:
            native.evaluate()
        messages.append(str(error.value))
        problem.targets[0][1] = 3
        assert np.isfinite(native.evaluate()[0])
        problem.targets[0][1] = 4
    assert messages[0] == messages[1]
