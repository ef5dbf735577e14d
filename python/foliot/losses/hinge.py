"""Losses of margins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot.losses.base import Loss


class Hinge(Loss):
    """`mean(max(1 - y_true * y_pred, 0))` over features.

    Targets are -1 or 1; where all of a batch are 0 or 1, they stand for these.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(Hinge()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    1.0
    """

    _kind = "hinge"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class SquaredHinge(Loss):
    """`mean(max(1 - y_true * y_pred, 0)**2)` over features.

    Targets are -1 or 1; where all of a batch are 0 or 1, they stand for these.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(SquaredHinge()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    1.25
    """

    _kind = "squared_hinge"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class CategoricalHinge(Loss):
    """`max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)`, for one-hot targets.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.75]]), 4)
    0.75
    """

    _kind = "categorical_hinge"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The hinge loss of each sample: see `Hinge` and `Loss.call`.

    Example:

    >>> hinge([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([1.0], dtype=float32)
    """
    return Hinge().call(y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The squared hinge loss of each sample: see `SquaredHinge` and `Loss.call`.

    Example:

    >>> squared_hinge([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([1.25], dtype=float32)
    """
    return SquaredHinge().call(y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The categorical hinge loss of each sample: see `CategoricalHinge` and `Loss.call`.

    Example:

    >>> categorical_hinge([[0.0, 1.0]], [[0.5, 0.75]]).round(4)
    array([0.75], dtype=float32)
    """
    return CategoricalHinge().call(y_true, y_pred)
