"""Metrics: names by shape, values from the definitions, accumulation and weights."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import losses, metrics


@pytest.mark.parametrize(
    ("output", "target", "task"),
    [
        ((None, 1), (8,), "Binary"),
        ((None, 1), (8, 1), "Binary"),
        ((None, 4), (8,), "SparseCategorical"),
        ((None, 4), (8, 1), "SparseCategorical"),
        ((None, 4), (8, 4), "Categorical"),
        ((None, None, 4), (8, 7), "SparseCategorical"),
        ((None, 7, 4), (8, 7, 4), "Categorical"),
    ],
)
def test_accuracy_and_crossentropy_fit_the_shapes(output: Any, target: Any, task: str) -> None:
    for name in ("acc", "accuracy", "Accuracy", "ACC"):
        metric = metrics.resolve(name, output, target)
        assert type(metric).__name__ == f"{task}Accuracy"
        assert metric.name == name
    for name in ("ce", "crossentropy"):
        metric = metrics.resolve(name, output, target)
        assert type(metric).__name__ == f"{task}Crossentropy"
        assert metric.name == name


def test_crossentropy_follows_the_loss_about_logits() -> None:
    for from_logits in (True, False):
        loss = losses.BinaryCrossentropy(from_logits=from_logits)
        metric = metrics.resolve("ce", (None, 1), (8,), loss)
        assert metric.to_spec() == {"kind": "loss", "loss": losses.BinaryCrossentropy(from_logits).to_spec()}
    assert not metrics.resolve("ce", (None, 1), (8,), losses.MeanSquaredError()).get_config()["from_logits"]


def test_a_metric_given_by_name_has_that_name() -> None:
    assert metrics.resolve("mse", (None, 1), (8,)).name == "mse"
    assert metrics.resolve("MeanSquaredError", (None, 1), (8,)).name == "MeanSquaredError"
    assert metrics.resolve(losses.mean_squared_error, (None, 1), (8,)).name == "mean_squared_error"
    assert metrics.resolve(metrics.BinaryAccuracy, (None, 1), (8,)).name == "binary_accuracy"
    mine = metrics.BinaryAccuracy(name="mine", threshold=0.7)
    assert metrics.resolve(mine, (None, 4), (8,)) is mine
    assert metrics.resolve({"class_name": "BinaryAccuracy", "config": {"name": "x"}}, (None, 1), (8,)).name == "x"


def test_functions_and_losses_have_their_names_and_signs() -> None:
    for function in (losses.huber, losses.log_cosh, losses.cosine_similarity, losses.kl_divergence):
        metric = metrics.get(function)
        assert metric is not None
        assert metric.name == function.__name__
        y, p = [[0.25, 0.5], [0.5, 0.125]], [[0.75, 0.5], [0.125, 1.0]]
        assert metric(y, p) == pytest.approx(float(np.mean(function(y, p))))
    for loss in (losses.Huber, losses.Huber(), metrics.get(losses.Huber())):
        metric = metrics.get(loss)
        assert metric is not None
        assert metric.name == "huber_loss"
        again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
        assert again.get_config() == metric.get_config()
        assert again.to_spec() == metric.to_spec()


@pytest.mark.parametrize(("identifier", "error"), [("acuracy", ValueError), (None, TypeError), (3, TypeError)])
def test_bad_metrics(identifier: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^`metrics`: expected"):
        metrics.resolve(identifier, (None, 1), (8,))


def test_specs() -> None:
    assert metrics.Accuracy().to_spec() == {"kind": "accuracy"}
    assert metrics.BinaryAccuracy(threshold=0.25).to_spec() == {"kind": "binary_accuracy", "threshold": 0.25}
    assert metrics.CategoricalAccuracy().to_spec() == {"kind": "categorical_accuracy"}
    assert metrics.SparseCategoricalAccuracy().to_spec() == {"kind": "sparse_categorical_accuracy"}
    assert metrics.MeanSquaredError().to_spec() == {"kind": "mean_squared_error"}
    assert metrics.MeanAbsoluteError().to_spec() == {"kind": "mean_absolute_error"}
    for name in ("half_mean_squared_error", "binary_crossentropy", "sparse_categorical_crossentropy"):
        metric, loss = metrics.get(name), losses.get(name)
        assert metric is not None
        assert loss is not None
        assert metric.to_spec() == {"kind": "loss", "loss": loss.to_spec()}
        assert metric.sparse == loss.sparse


PREDICTIONS = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1]])
CLASSES = np.array([1, 2, 2, 0])
WEIGHTS = np.array([1.0, 2.0, 3.0, 0.0])


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "per_sample"),
    [
        (metrics.SparseCategoricalAccuracy(), CLASSES, PREDICTIONS, [1, 0, 1, 0]),
        (metrics.SparseCategoricalAccuracy(), CLASSES[:, None], PREDICTIONS, [1, 0, 1, 0]),
        (metrics.CategoricalAccuracy(), np.eye(3)[CLASSES], PREDICTIONS, [1, 0, 1, 0]),
        (metrics.BinaryAccuracy(), [1, 0, 1, 1], [0.9, 0.1, 0.2, 0.5], [1, 1, 0, 0]),
        (metrics.BinaryAccuracy(), [[1], [0], [1], [1]], [0.9, 0.1, 0.2, 0.5], [1, 1, 0, 0]),
        (metrics.BinaryAccuracy(threshold=0.15), [1, 0, 1, 1], [[0.9], [0.1], [0.2], [0.5]], [1, 1, 1, 1]),
        (metrics.BinaryAccuracy(), [[1, 0], [0, 0], [1, 1], [1, 0]], [[0.9, 0.9]] * 4, [0.5, 0, 1, 0.5]),
        (metrics.Accuracy(), [1, 2, 3, 4], [1, 2, 4, 3], [1, 1, 0, 0]),
        (metrics.MeanSquaredError(), np.zeros((4, 2)), [[1, 1], [2, 2], [0, 0], [1, 3]], [1, 4, 0, 5]),
        (metrics.MeanAbsoluteError(), np.zeros((4, 2)), [[1, 1], [2, 2], [0, 0], [1, 3]], [1, 2, 0, 2]),
        (metrics.HalfMeanSquaredError(), np.zeros((4, 2)), [[1, 1], [2, 2], [0, 0], [1, 3]], [0.5, 2, 0, 2.5]),
        (
            metrics.SparseCategoricalCrossentropy(),
            CLASSES,
            PREDICTIONS,
            -np.log(PREDICTIONS[np.arange(4), CLASSES]),
        ),
    ],
)
def test_values_weights_and_accumulation(metric: metrics.Metric, y_true: Any, y_pred: Any, per_sample: Any) -> None:
    y_true, y_pred, per_sample = np.asarray(y_true), np.asarray(y_pred), np.asarray(per_sample, float)
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric(y_true, y_pred) == pytest.approx(per_sample.mean(), rel=1e-6)
    metric.reset_states()
    metric.update_state(y_true[:1], y_pred[:1], WEIGHTS[:1])
    metric.update_state(y_true[1:], y_pred[1:], WEIGHTS[1:, None])
    assert metric.result() == pytest.approx((per_sample * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-6)
    metric.reset_state()


def test_elements_may_have_weights_of_their_own() -> None:
    weights = [[1.0, 0.0], [0.0, 2.0]]
    assert metrics.BinaryAccuracy()([[1, 1], [1, 0]], [[0.9, 0.1], [0.1, 0.6]], weights) == pytest.approx(1 / 3)


def test_weights_of_zero_give_zero() -> None:
    assert metrics.MeanSquaredError()([[1.0]], [[2.0]], [0.0]) == 0.0


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 12))
def test_batches_do_not_matter(hits: list[bool], cut: int) -> None:
    y_pred = np.where(hits, 0.9, 0.1)
    whole, parts = metrics.BinaryAccuracy(), metrics.BinaryAccuracy()
    whole.update_state(np.ones(len(hits)), y_pred)
    for part in (y_pred[:cut], y_pred[cut:]):
        parts.update_state(np.ones(len(part)), part)
    assert whole.result() == parts.result() == np.mean(hits)


def test_a_sample_counts_once_however_many_steps_it_has() -> None:
    metric = metrics.MeanAbsoluteError()
    metric.update_state(np.zeros((2, 3, 1)), np.full((2, 3, 1), 1.0))
    metric.update_state(np.zeros((1, 1, 1)), np.full((1, 1, 1), 4.0))
    assert metric.result() == pytest.approx((1.0 + 1.0 + 4.0) / 3)
    metric.reset_state()
    # Weights of steps: a sample counts by their mean.
    metric.update_state(np.zeros((1, 2, 1)), [[[1.0], [3.0]]], [[1.0, 0.0]])
    metric.update_state(np.zeros((1, 1, 1)), [[[4.0]]], [[1.0]])
    assert metric.result() == pytest.approx((0.5 * 1.0 + 4.0) / 1.5)


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((3,), (3, 1)), ((3, 1), (3,)), ((3, 1), (3, 1))])
def test_binary_accuracy_of_a_column_is_a_column(true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> None:
    found = metrics.binary_accuracy(np.reshape([1, 0, 1], true_shape), np.reshape([0.9, 0.7, 0.2], pred_shape))
    np.testing.assert_array_equal(found, [[1], [0], [0]])
    with pytest.raises(ValueError, match=r"`y_true`: expected shape \(3, 2\)"):
        metrics.binary_accuracy(np.zeros((3, 1)), np.zeros((3, 2)))
