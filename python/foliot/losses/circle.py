"""Circle loss, for embeddings whose distances say what belongs together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_flag, check_number, check_off
from foliot.losses.base import Loss


class Circle(Loss):
    """Circle loss (Sun et al., 2020): rows of one class are to be near one another, and far from all others.

    The targets are classes as integers, the predictions rows of length 1, as `UnitNormalization` gives them: `(batch,
    features)`. Each row of the batch is compared with all others. With the distances `d = max(1 - p · q, 0)` its loss
    is `log(1 + sum(exp(a)) * sum(exp(b)))` over `a = -gamma * (margin + d) * (margin - d)` of the rows of its class and
    `b = gamma * max(1 + margin - d, 0) * (1 - margin - d)` of all others. A row without another one of its class, or
    with none of another class, counts as masked.

    Args:
        gamma: What scores are multiplied with.
        margin: The distance up to which rows of one class are near enough.
        remove_diagonal: Whether a row is not compared with itself.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, or the predictions are no matrix.

    Example:

    >>> round(Circle(gamma=2.0)([0, 0, 1], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), 4)
    0.6141
    """

    sparse = True
    _kind = "circle"

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma = check_number("gamma", gamma)
        self.margin = check_number("margin", margin)
        self.remove_diagonal = check_flag("remove_diagonal", remove_diagonal)

    def _numbers(self) -> dict[str, Any]:
        return {"gamma": self.gamma, "margin": self.margin, "remove_diagonal": self.remove_diagonal}

    def _rows(self, targets: NDArray[Any], rows: int) -> int:
        """The rows that have something to compare."""
        _, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
        alike = counts[places]
        return int(((alike > self.remove_diagonal) & (alike < rows)).sum())

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
        """The loss of each row of the batch.

        Args:
            y_true: The classes, `(batch,)` or `(batch, 1)`.
            y_pred: The rows, `(batch, features)`.

        Returns:
            float32 of shape `(batch,)`.
        """
        _check_matrix(y_pred)
        return super().call(y_true, y_pred)

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float | NDArray[np.float32]:
        """The reduced loss; see `Loss`."""
        _check_matrix(y_pred)
        return super().__call__(y_true, y_pred, sample_weight)


def _check_matrix(y_pred: ArrayLike) -> None:
    if np.ndim(y_pred) != 2:
        raise ValueError(f"`y_pred`: expected an array (batch, features); received shape {np.shape(y_pred)}")


def circle(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ref_labels: None = None,
    ref_embeddings: None = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> NDArray[np.float32]:
    """The circle loss of each row: see `Circle`. The rows are compared with one another: `ref_*` must be None.

    Example:

    >>> circle([0, 0, 1], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], gamma=2.0).round(4)
    array([0.4518, 0.7763, 0.    ], dtype=float32)
    """
    check_off("ref_labels", ref_labels, None)
    check_off("ref_embeddings", ref_embeddings, None)
    return Circle(gamma, margin, remove_diagonal).call(y_true, y_pred)
