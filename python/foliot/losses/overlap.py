"""Losses from the overlap of targets and predictions, with sums over a whole batch or along some of its axes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_integer, check_number, value_error
from foliot._rows import as_numbers, row_weights, to_rows
from foliot.losses.base import Loss


class WholeLoss(Loss):
    """What the losses have in common that are not one number for each row of features."""

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
        """The losses, before any reduction."""
        raise NotImplementedError

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float | NDArray[np.float32]:
        """The reduced loss: see `Loss`. One loss of a whole batch counts once with each of the weights, as in Keras."""
        losses = self.call(y_true, y_pred)
        weights = np.ones(losses.shape, np.float32)
        if sample_weight is not None:
            given = as_numbers("sample_weight", sample_weight).astype(np.float32)
            if losses.ndim == 0:
                weights = given
            else:
                rows = row_weights(given, losses.shape)
                weights = weights if rows is None else rows.reshape(losses.shape)
        weighted = losses * weights
        if self.reduction in (None, "none"):
            return weighted
        total = float(weighted.sum(dtype=np.float64))
        if self.reduction == "sum":
            return total
        divisor = float(weights.sum()) if self.reduction == "mean_with_sample_weight" else float(weights.size)
        return total / divisor if divisor else 0.0


class _Overlap(WholeLoss):
    axis: Any

    def _axes(self) -> list[int] | None:
        return None if self.axis is None else list(self.axis) if isinstance(self.axis, (list, tuple)) else [self.axis]

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
        """The loss of what is left of the axes: an array without axes if the sums are over all of them.

        Args:
            y_true: The targets, shaped like the predictions.
            y_pred: The predictions.

        Returns:
            float32 of the predictions' shape without the axes that are summed along.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or there is no such axis.
        """
        from foliot import _core

        targets, predictions, leading = to_rows(y_true, y_pred, sparse=False)
        shape = (*leading, predictions.shape[1])
        given, rank = self._axes(), len(shape)
        if given is not None and not all(-rank <= axis < rank for axis in given):
            raise value_error("axis", f"axes of predictions with {rank} axes", self.axis)
        summed = range(rank) if given is None else sorted({axis % rank for axis in given})
        kept = [axis for axis in range(rank) if axis not in summed]
        size = math.prod(shape[axis] for axis in summed)
        rows = [
            np.ascontiguousarray(array.reshape(shape).transpose(*kept, *summed).reshape(-1, size))
            for array in (targets, predictions)
        ]
        losses = _core.evaluate_loss(json.dumps(self.to_spec()), rows[0], rows[1])
        return losses.reshape([shape[axis] for axis in kept])

    def _numbers(self) -> dict[str, Any]:
        return {"axis": self._axes()}


def _check_axis(axis: Any) -> Any:
    if isinstance(axis, Sequence) and not isinstance(axis, str):
        return type(axis)(check_integer("axis", item) for item in axis)  # type: ignore[call-arg]
    return None if axis is None else check_integer("axis", axis)


class Dice(_Overlap):
    """`1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred))`: how little two masks overlap.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        axis: The axis or axes of the sums; None for all, which gives one loss for a whole batch. A model can train with
            None, the last axis, or all axes but the first. A mask changes nothing in a loss of a whole batch.
        dtype: None or "float32".

    Example:

    >>> round(Dice()([[1.0, 1.0, 0.0]], [[0.5, 1.0, 0.5]]), 4)
    0.25
    """

    _kind = "dice"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: int | Sequence[int] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.axis = _check_axis(axis)


class Tversky(_Overlap):
    """`1 - s / (s + alpha * sum((1 - y_pred) * y_true) + beta * sum(y_pred * (1 - y_true)))`, `s` the overlap.

    `s` is `sum(y_true * y_pred)`; with `alpha` and `beta` of 0.5 the loss is that of `Dice` (Salehi et al., 2017).

    Args:
        alpha: What counts that is missing in the predictions.
        beta: What counts that is too much in them.
        reduction: See `Loss`.
        name: The loss's name.
        axis: See `Dice`.
        dtype: None or "float32".

    Example:

    >>> round(Tversky(alpha=0.0, beta=1.0)([[1.0, 1.0, 0.0]], [[0.5, 1.0, 0.5]]), 4)
    0.25
    """

    _kind = "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: int | Sequence[int] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = check_number("alpha", alpha)
        self.beta = check_number("beta", beta)
        self.axis = _check_axis(axis)

    def _numbers(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "beta": self.beta, **super()._numbers()}


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: int | Sequence[int] | None = None) -> NDArray[np.float32]:
    """The Dice loss along the axes: see `Dice`.

    Example:

    >>> dice([[1.0, 1.0, 0.0]], [[0.5, 1.0, 0.5]], axis=-1).round(4)
    array([0.25], dtype=float32)
    """
    return Dice(axis=axis).call(y_true, y_pred)


def tversky(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | Sequence[int] | None = None,
) -> NDArray[np.float32]:
    """The Tversky loss along the axes: see `Tversky`.

    Example:

    >>> tversky([[1.0, 1.0, 0.0]], [[0.5, 1.0, 0.5]], axis=-1).round(4)
    array([0.25], dtype=float32)
    """
    return Tversky(alpha, beta, axis=axis).call(y_true, y_pred)
