"""Means and sums of values that a script has computed itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._rows import as_numbers
from foliot.metrics.base import Metric


class _OfValues(Metric):
    """What Mean and Sum have in common: they take values, not targets and predictions."""

    direction = None

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Gathers values.

        Args:
            values: Numbers of any shape.
            sample_weight: Weights for the first axes of `values`, or None.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The weights do not fit the values.
        """
        self._gather(values, sample_weight)

    def _gather(self, values: ArrayLike, sample_weight: ArrayLike | None) -> None:
        raise NotImplementedError

    def __call__(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:  # type: ignore[override]
        """Gathers values and returns the result so far."""
        self.update_state(values, sample_weight)
        return self.result()


class Mean(_OfValues):
    """The mean of values, for loops of your own; `compile` takes metrics of targets and predictions.

    Each entry of the first axis counts once, or by the mean of its weights.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> metric = Mean()
    >>> metric.update_state([1, 3, 5, 7])
    >>> metric.result()
    4.0
    >>> Mean()([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    2.0
    """

    def __init__(self, name: str = "mean", dtype: str | None = None) -> None:
        super().__init__(dtype, name)

    def _gather(self, values: ArrayLike, sample_weight: ArrayLike | None) -> None:
        total, weights = _by_sample(values, sample_weight, np.mean)
        count = float(total.shape[0] if total.ndim else 1) if weights is None else float(weights.sum())
        before = self._state or [0.0, 0.0]
        self._state = [before[0] + float(total.sum()), before[1] + count]

    def result(self) -> float:
        """The mean of all that was gathered, 0 if there was nothing."""
        total, count = self._state or [0.0, 0.0]
        return total / count if count else 0.0


class Sum(_OfValues):
    """The sum of values, for loops of your own; `compile` takes metrics of targets and predictions.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> metric = Sum()
    >>> metric.update_state([1, 3, 5, 7])
    >>> metric.update_state([1, 3], sample_weight=[1, 0])
    >>> metric.result()
    17.0
    """

    def __init__(self, name: str = "sum", dtype: str | None = None) -> None:
        super().__init__(dtype, name)

    def _gather(self, values: ArrayLike, sample_weight: ArrayLike | None) -> None:
        total, _ = _by_sample(values, sample_weight, np.sum)
        self._state = [(self._state or [0.0])[0] + float(total.sum())]

    def result(self) -> float:
        """The sum of all that was gathered."""
        return (self._state or [0.0])[0]


def _by_sample(
    values: ArrayLike, sample_weight: ArrayLike | None, reduce: Callable[..., Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """A number for each sample, weighted, and the samples' weights, in the order in which Keras reduces and weights."""
    found = as_numbers("values", values).astype(np.float64)
    weights: NDArray[Any] | None = None
    if sample_weight is not None:
        weights = as_numbers("sample_weight", sample_weight).astype(np.float64)
        if weights.ndim == found.ndim + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if weights.ndim > found.ndim:
            raise ValueError(f"`sample_weight`: expected weights for {found.shape}; received shape {weights.shape}")
        axes = weights.ndim
        found = reduce(found, axis=tuple(range(axes, found.ndim))) if found.ndim > axes else found
        try:
            weights = np.broadcast_to(weights, found.shape)
        except ValueError as error:
            raise ValueError(
                f"`sample_weight`: expected weights for {found.shape}; received shape {weights.shape}"
            ) from error
        found = found * weights
        weights = reduce(weights, axis=tuple(range(1, axes))) if axes > 1 else weights
    found = reduce(found, axis=tuple(range(1, found.ndim))) if found.ndim > 1 else found
    return np.asarray(found), weights
