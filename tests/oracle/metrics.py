"""Metrics as weighted means over rows: each call gives the sum of weight times value, and the sum of weights."""

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
