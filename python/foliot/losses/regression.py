"""Losses of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_last_axis, check_number
from foliot.losses.base import Loss


class MeanSquaredError(Loss):
    """The mean over features of `(y_true - y_pred)**2`.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> MeanSquaredError()([[0.0, 1.0]], [[3.0, 2.0]])
    5.0
    """

    _kind = "mean_squared_error"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class HalfMeanSquaredError(Loss):
    """The mean over features of `(y_true - y_pred)**2 / 2`, whose gradient has no factor 2.

    Textbooks derive backpropagation with this form; Keras does not have it.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> HalfMeanSquaredError()([[0.0]], [[3.0]])
    4.5
    """

    _kind = "half_mean_squared_error"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "half_mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanAbsoluteError(Loss):
    """The mean over features of `abs(y_true - y_pred)`.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> MeanAbsoluteError()([[0.0, 1.0]], [[3.0, 2.0]])
    2.0
    """

    _kind = "mean_absolute_error"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanAbsolutePercentageError(Loss):
    """`100 * mean(abs(y_true - y_pred) / abs(y_true))` over features, where the divisor is at least 1e-7.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]]), 4)
    37.5
    """

    _kind = "mean_absolute_percentage_error"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanSquaredLogarithmicError(Loss):
    """The mean over features of `(log(1 + y_true) - log(1 + y_pred))**2`, both at least 1e-7.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.2402
    """

    _kind = "mean_squared_logarithmic_error"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class Huber(Loss):
    """The mean over features of half the squared error, which goes on linearly where the error is above `delta`.

    There it is `delta * abs(y_true - y_pred) - delta**2 / 2`.

    Args:
        delta: At least 0: from there on the loss grows linearly.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(Huber()([[0.0, 0.0]], [[0.5, 3.0]]), 4)
    1.3125
    """

    _kind = "huber"

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.delta = check_number("delta", delta, minimum=0)

    def _numbers(self) -> dict[str, Any]:
        return {"delta": self.delta}


class LogCosh(Loss):
    """The mean over features of `log(cosh(y_pred - y_true))`: nearly the squared error at first, then the absolute one.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(LogCosh()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    _kind = "log_cosh"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class CosineSimilarity(Loss):
    """The negative cosine of the angle between targets and predictions: -1 where they point the same way.

    Lengths count as at least 1e-7.

    Args:
        axis: -1: the features are the last axis.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(CosineSimilarity()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    -0.7071
    """

    _kind = "cosine_similarity"

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.axis = check_last_axis("axis", axis)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The squared error of each sample: see `MeanSquaredError` and `Loss.call`.

    Example:

    >>> mean_squared_error([[0.0, 0.0], [1.0, 1.0]], [[1.0, 3.0], [1.0, 1.0]])
    array([5., 0.], dtype=float32)
    """
    return MeanSquaredError().call(y_true, y_pred)


def half_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """Half the squared error of each sample: see `HalfMeanSquaredError` and `Loss.call`.

    Example:

    >>> half_mean_squared_error([[0.0]], [[3.0]])
    array([4.5], dtype=float32)
    """
    return HalfMeanSquaredError().call(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The absolute error of each sample: see `MeanAbsoluteError` and `Loss.call`.

    Example:

    >>> mean_absolute_error([[0.0, 0.0]], [[1.0, -3.0]])
    array([2.], dtype=float32)
    """
    return MeanAbsoluteError().call(y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The error in percent of each sample: see `MeanAbsolutePercentageError` and `Loss.call`.

    Example:

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]]).round(4)
    array([37.5], dtype=float32)
    """
    return MeanAbsolutePercentageError().call(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The squared error of logarithms of each sample: see `MeanSquaredLogarithmicError` and `Loss.call`.

    Example:

    >>> mean_squared_logarithmic_error([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([0.2402], dtype=float32)
    """
    return MeanSquaredLogarithmicError().call(y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> NDArray[np.float32]:
    """Huber's loss of each sample: see `Huber` and `Loss.call`.

    Example:

    >>> huber([[0.0, 0.0]], [[0.5, 3.0]]).round(4)
    array([1.3125], dtype=float32)
    """
    return Huber(delta=delta).call(y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The logarithm of the error's hyperbolic cosine of each sample: see `LogCosh` and `Loss.call`.

    Example:

    >>> log_cosh([[0.0]], [[1.0]]).round(4)
    array([0.4338], dtype=float32)
    """
    return LogCosh().call(y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float32]:
    """The negative cosine of each sample: see `CosineSimilarity` and `Loss.call`.

    Example:

    >>> cosine_similarity([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([-0.7071], dtype=float32)
    """
    return CosineSimilarity(axis=axis).call(y_true, y_pred)
