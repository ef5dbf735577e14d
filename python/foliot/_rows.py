"""Targets, predictions and weights as the core takes them: rows of features, float32 or int32, C-contiguous."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import type_error, value_error


def check_unmasked(argument: str, values: object) -> None:
    """Refuses a NumPy array, or a list of arrays, with masked elements: `numpy.asarray` would show what is beneath."""
    rows = values if isinstance(values, (list, tuple)) else ()
    found = next(
        (row for row, item in enumerate(rows) if isinstance(item, np.ma.MaskedArray) and item.mask.any()), None
    )
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        found = int(np.argwhere(np.atleast_1d(values.mask))[0][0])
    if found is not None:
        raise ValueError(
            f"`{argument}`: expected an array without masked elements, for foliot would not know them from others; "
            f"received some in row {found}. Give them a value first, such as with .filled(0)"
        )


def as_numbers(argument: str, values: ArrayLike) -> NDArray[Any]:
    """An array of real numbers; `argument` is what an error calls it."""
    check_unmasked(argument, values)
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise type_error(argument, "an array of numbers", values) from error
    if array.dtype.kind not in "biuf":
        raise type_error(argument, "an array of numbers", values)
    return array


def _class_indices(y_true: NDArray[Any]) -> NDArray[np.int32]:
    with np.errstate(invalid="ignore"):  # NaN is caught below
        indices = y_true.astype(np.int32)
    changed = indices != y_true
    if changed.any():
        raise value_error("y_true", "whole numbers within int32, the indices of classes", y_true[changed][0].item())
    return indices


def _matrix(array: NDArray[Any], leading: tuple[int, ...]) -> NDArray[np.float32]:
    """`array` as rows, of which `leading` is the shape, of features, which are the rest."""
    features = math.prod(array.shape[len(leading) :])
    return np.ascontiguousarray(array.astype(np.float32).reshape(math.prod(leading), features))


def of_one_rank(targets: NDArray[Any], predictions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Targets and predictions of which one has a last axis of size 1 more, with as many axes each.

    As in Keras, `(N,)` and `(N, 1)` are one thing: the side with one axis is expanded, else the last axis dropped.
    """
    if targets.ndim == predictions.ndim + 1 and targets.shape[-1] == 1:
        if predictions.ndim == 1:
            return targets, predictions[:, None]
        return targets[..., 0], predictions
    if predictions.ndim == targets.ndim + 1 and predictions.shape[-1] == 1:
        if targets.ndim == 1:
            return targets[:, None], predictions
        return targets, predictions[..., 0]
    return targets, predictions


def to_rows(
    y_true: ArrayLike, y_pred: ArrayLike, *, sparse: bool, elementwise: bool = False
) -> tuple[NDArray[Any], NDArray[np.float32], tuple[int, ...]]:
    """Brings targets and predictions into rows.

    Args:
        y_true: The targets.
        y_pred: The predictions; their last axis holds the features.
        sparse: Whether the targets are indices of classes, one for each row.
        elementwise: Whether each element is a row of its own.

    Returns:
        The targets (int32 of shape `(rows,)` when sparse, else float32 like the predictions), the predictions
        `(rows, features)`, and the shape in which the rows were: `y_pred.shape` without the features.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit.
    """
    targets, predictions = as_numbers("y_true", y_true), as_numbers("y_pred", y_pred)
    if predictions.ndim == 0:
        raise ValueError("`y_pred`: expected at least one axis; received a single number")
    leading = predictions.shape[:-1]
    if sparse:
        if targets.shape not in (leading, (*leading, 1)):
            hint = "; for one-hot targets use the categorical form" if targets.shape == predictions.shape else ""
            raise ValueError(
                f"`y_true`: expected class indices of shape {leading}, for predictions of shape {predictions.shape}; "
                f"received shape {targets.shape}{hint}"
            )
        return _class_indices(targets).reshape(-1), _matrix(predictions, leading), leading
    targets, predictions = of_one_rank(targets, predictions)
    if targets.shape != predictions.shape:
        sparse_shape = targets.shape in (leading, (*leading, 1))
        hint = "; for class indices use the sparse categorical form" if sparse_shape else ""
        raise ValueError(
            f"`y_true`: expected shape {predictions.shape}, as the predictions; received shape {targets.shape}{hint}"
        )
    leading = predictions.shape if elementwise else predictions.shape[:-1]
    return _matrix(targets, leading), _matrix(predictions, leading), leading


def row_weights(sample_weight: ArrayLike | None, leading: tuple[int, ...]) -> NDArray[np.float32] | None:
    """One weight for each row, from weights whose shape is that of the rows or a beginning of it.

    Args:
        sample_weight: The weights, or None.
        leading: The shape of the rows, from `to_rows`.

    Returns:
        float32 of shape `(rows,)`, or None.

    Raises:
        TypeError: `sample_weight` holds no numbers.
        ValueError: Its shape does not fit.
    """
    if sample_weight is None:
        return None
    weights = as_numbers("sample_weight", sample_weight).astype(np.float32)
    given = weights.shape
    if weights.ndim == len(leading) + 1 and given[-1] == 1:
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (len(leading) - weights.ndim))
    try:
        return np.ascontiguousarray(np.broadcast_to(weights, leading).reshape(-1))
    except ValueError as error:
        raise ValueError(
            f"`sample_weight`: expected shape {leading} or a beginning of it; received shape {given}"
        ) from error
