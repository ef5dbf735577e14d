"""Metrics of margins."""

from __future__ import annotations

from foliot import losses
from foliot.metrics.base import LossMetric


class Hinge(LossMetric):
    """The mean of `losses.Hinge`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(Hinge()([[0.0, 1.0]], [[0.5, 0.75]]), 4)
    0.875
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.Hinge()


class SquaredHinge(LossMetric):
    """The mean of `losses.SquaredHinge`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(SquaredHinge()([[0.0, 1.0]], [[0.5, 0.75]]), 4)
    1.1562
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "squared_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.SquaredHinge()


class CategoricalHinge(LossMetric):
    """The mean of `losses.CategoricalHinge`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.75]]), 4)
    0.75
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "categorical_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.CategoricalHinge()
