"""Metrics as weighted means over rows: each call gives the sum of weight times value, and the sum of weights.

Those that are no means are functions of all rows, `(rows, features)` with a weight for each row.
"""

import itertools

import numpy as np

from . import losses
from .activations import Array, Spec


def values(spec: Spec, targets: Array, prediction: Array) -> Array:
    """The metric of every row, of the shape of the prediction without its last axis."""
    kind = spec["kind"]
    if kind == "loss":
        return losses.values(spec["loss"], targets, prediction)
    if kind in ("mean_squared_error", "mean_absolute_error"):
        return losses.values(spec, targets, prediction)
    if kind == "sparse_categorical_accuracy":
        return (prediction.argmax(axis=-1) == targets.reshape(prediction.shape[:-1])).astype(np.float64)
    y = targets.reshape(prediction.shape)
    if kind == "binary_accuracy":
        return np.mean((prediction > spec["threshold"]) == y, axis=-1)
    if kind == "categorical_accuracy":
        return (prediction.argmax(axis=-1) == y.argmax(axis=-1)).astype(np.float64)
    if kind == "accuracy":
        return np.mean(prediction == y, axis=-1)
    raise ValueError(f"unknown metric {kind!r}")


def update(
    spec: Spec, targets: Array, prediction: Array, sample_weight: Array | None = None, mask: Array | None = None
) -> tuple[float, float]:
    """(sum of weight * value, sum of weight); a masked row weighs nothing."""
    rows = losses.row_weights(prediction.shape[:-1], "sum", sample_weight, mask)
    return float(np.sum(rows * values(spec, targets, prediction))), float(np.sum(rows))


def area(curve: str, summation: str, thresholds: list[float], y: Array, p: Array, weight: Array) -> float:
    """The area under a curve through the points at rising thresholds, of vectors."""
    points = []
    for threshold in thresholds:
        tp, fp = weight @ ((p > threshold) & (y != 0)), weight @ ((p > threshold) & (y == 0))
        fn, tn = weight @ ((p <= threshold) & (y != 0)), weight @ ((p <= threshold) & (y == 0))
        points.append((tp, fp, fn, tn))
    total = 0.0
    for left, right in itertools.pairwise(points):
        if (curve, summation) == ("PR", "interpolation"):
            total += _interpolated_precision(left, right)
            continue
        (x, height), (next_x, next_height) = _point(curve, *left), _point(curve, *right)
        heights = {"interpolation": (height + next_height) / 2}
        heights |= {"minoring": min(height, next_height), "majoring": max(height, next_height)}
        total += (x - next_x) * heights[summation]
    return float(total)


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0


def _point(curve: str, tp: float, fp: float, fn: float, tn: float) -> tuple[float, float]:
    if curve == "ROC":
        return _ratio(fp, fp + tn), _ratio(tp, tp + fn)
    if curve == "PR":
        return _ratio(tp, tp + fn), _ratio(tp, tp + fp)
    odds = _ratio(tp + fn, tn + fp)
    return (max(1 - odds * fn / tp, 0), 1 - odds * fp / tp) if tp else (0.0, 1.0)


def _interpolated_precision(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    """The integral of precision over recall with tp and fp linear between two points (Davis and Goadrich, 2006)."""
    tp, fp = left[:2]
    next_tp, next_fp, next_fn, _ = right
    if tp + fp <= next_tp + next_fp or next_tp + next_fn == 0:
        return 0.0
    slope = (tp - next_tp) / (tp + fp - next_tp - next_fp)
    intercept = next_tp - slope * (next_tp + next_fp)
    growth = np.log((tp + fp) / (next_tp + next_fp)) if next_tp + next_fp > 0 else 0.0
    return float(slope * (tp - next_tp + intercept * growth) / (next_tp + next_fn))
