"""Metrics as functions, which say what each sample scores. `compile` takes them, too, as the classes that they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot import _core, losses
from foliot._checks import check_last_axis
from foliot._rows import as_numbers, of_one_rank, to_rows
from foliot.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from foliot.metrics.base import Metric
from foliot.metrics.regression import ConcordanceCorrelation, PearsonCorrelation


def _rows(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    targets, predictions, leading = to_rows(y_true, y_pred, sparse=metric.sparse)
    return _core.metric_rows(json.dumps(metric.to_spec()), targets, predictions).reshape(leading)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> NDArray[np.float32]:
    """Whether each `y_pred > threshold` says the same as `y_true`, which is 0 or 1.

    Args:
        y_true: The targets.
        y_pred: The predictions, of the same shape; one of the two may lack a last axis of size 1.
        threshold: Predictions above it mean 1.

    Returns:
        float32, 1 or 0 for each prediction; `(rows, 1)` where one of the two is `(rows,)`.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit.

    Example:

    >>> binary_accuracy([[1], [1], [0]], [[0.9], [0.2], [0.1]])[:, 0]
    array([1., 0., 1.], dtype=float32)
    """
    targets, predictions = of_one_rank(as_numbers("y_true", y_true), as_numbers("y_pred", y_pred))
    if targets.shape != predictions.shape:
        raise ValueError(f"`y_true`: expected shape {predictions.shape}, as `y_pred`; received shape {targets.shape}")
    found = _rows(BinaryAccuracy(threshold=threshold), targets.reshape(-1, 1), predictions.reshape(-1, 1))
    return found.reshape(predictions.shape)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """Whether the largest prediction of each row is where the largest target is.

    Args:
        y_true: The targets, `(..., classes)`.
        y_pred: The predictions, of the same shape.

    Returns:
        float32 without the last axis: 1 or 0 for each row.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit.

    Example:

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.4, 0.6], [0.2, 0.8]])
    array([1., 0.], dtype=float32)
    """
    return _rows(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """Whether the largest prediction of each row is at the index that the target names.

    Args:
        y_true: Whole numbers below the number of classes, `(...)` or `(..., 1)`.
        y_pred: The predictions, `(..., classes)`.

    Returns:
        float32 of the shape `(...)`: 1 or 0 for each row.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit, or a target is not among the classes.

    Example:

    >>> sparse_categorical_accuracy([1, 0], [[0.4, 0.6], [0.2, 0.8]])
    array([1., 0.], dtype=float32)
    """
    return _rows(SparseCategoricalAccuracy(), y_true, y_pred)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> NDArray[np.float32]:
    """Whether the largest target of each row is among the `k` largest predictions.

    Args:
        y_true: The targets, `(..., classes)`.
        y_pred: The predictions, of the same shape.
        k: How many predictions count.

    Returns:
        float32 without the last axis: 1 or 0 for each row.

    Raises:
        TypeError: An argument holds no numbers, or `k` is no integer.
        ValueError: The shapes do not fit, or `k` is out of its range.

    Example:

    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2)
    array([1.], dtype=float32)
    """
    return _rows(TopKCategoricalAccuracy(k), y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> NDArray[np.float32]:
    """Whether the index that the target names is among the `k` largest predictions of its row.

    Args:
        y_true: Whole numbers below the number of classes, `(...)` or `(..., 1)`.
        y_pred: The predictions, `(..., classes)`.
        k: How many predictions count.

    Returns:
        float32 of the shape of `y_true`: 1 or 0 for each row.

    Raises:
        TypeError: An argument holds no numbers, or `k` is no integer.
        ValueError: The shapes do not fit, `k` is out of its range, or a target is not among the classes.

    Example:

    >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.2, 0.3]], k=2)
    array([1.], dtype=float32)
    """
    return _rows(SparseTopKCategoricalAccuracy(k), y_true, y_pred).reshape(np.shape(y_true))


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float32]:
    """The correlation of each row's targets and predictions; see `PearsonCorrelation`.

    Args:
        y_true: The targets, `(..., features)`.
        y_pred: The predictions, of the same shape.
        axis: The last axis, along which they are compared.

    Returns:
        float32 without the last axis: a number from -1 to 1 for each row.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit, or `axis` is another one.

    Example:

    >>> pearson_correlation([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])
    array([1.        , 0.9933993], dtype=float32)
    """
    check_last_axis("axis", axis)
    return _rows(PearsonCorrelation(), y_true, y_pred)


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float32]:
    """The concordance of each row's targets and predictions; see `ConcordanceCorrelation`.

    Args:
        y_true: The targets, `(..., features)`.
        y_pred: The predictions, of the same shape.
        axis: The last axis, along which they are compared.

    Returns:
        float32 without the last axis: a number from -1 to 1 for each row.

    Raises:
        TypeError: An argument holds no numbers.
        ValueError: The shapes do not fit, or `axis` is another one.

    Example:

    >>> concordance_correlation([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]])
    array([0.9756..., 0.9876...], dtype=float32)
    """
    check_last_axis("axis", axis)
    return _rows(ConcordanceCorrelation(), y_true, y_pred)


#: The functions that name a metric or a loss of foliot's, with their names.
FUNCTIONS: dict[Callable[..., Any], str] = losses.FUNCTIONS | {
    function: function.__name__
    for function in (
        binary_accuracy,
        categorical_accuracy,
        sparse_categorical_accuracy,
        top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
        pearson_correlation,
        concordance_correlation,
    )
}
