"""Losses as metrics."""

from __future__ import annotations

from typing import Any

from foliot._checks import value_error
from foliot._serialization import split_config
from foliot.losses import Loss, deserialize, get
from foliot.metrics.base import Metric

_MEANS = ("sum_over_batch_size", "mean")


class MeanOfLoss(Metric):
    """The mean of a loss over all samples; `compile(metrics=[losses.MeanSquaredError()])` makes one.

    It is honoured with masks, and reported under the loss's name. In Keras each batch counts once, however many samples
    it has, so that the smaller last batch of an epoch counts more.

    Args:
        loss: The loss, of single rows, whose reduction is a mean.

    Raises:
        ValueError: The loss has another reduction, or is one of whole samples or batches.

    Example:

    >>> from foliot.losses import MeanAbsoluteError
    >>> MeanOfLoss(MeanAbsoluteError())([[0.0], [0.0]], [[1.0], [3.0]])
    2.0
    """

    _kind = "loss"

    def __init__(self, loss: Loss) -> None:
        if loss.reduction not in _MEANS:
            raise value_error(
                "metrics", f"a loss whose reduction is one of {', '.join(map(repr, _MEANS))}", loss.reduction
            )
        if type(loss).call is not Loss.call:
            raise value_error("metrics", "a loss of single rows; this one is of whole samples or batches", loss.name)
        super().__init__(None, loss.name)
        self.loss = loss
        self.sparse = loss.sparse  # type: ignore[misc]  # the loss's own

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "loss": self.loss.to_spec()}

    def get_config(self) -> dict[str, Any]:
        """The loss's configuration."""
        return self.loss.get_config()


def of_loss(identifier: object) -> MeanOfLoss | None:
    """The metric of a loss, of one of the classes, or of the configuration of a loss; None for anything else."""
    if isinstance(identifier, MeanOfLoss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        loss = get(identifier, "metrics")
        return None if loss is None else MeanOfLoss(loss)
    if isinstance(identifier, Loss):
        return MeanOfLoss(identifier)
    if isinstance(identifier, dict) and isinstance(identifier.get("config"), dict):
        # A metric of the same name has no reduction.
        _, config = split_config("metrics", identifier) if "reduction" in identifier["config"] else ("", {})
        return MeanOfLoss(deserialize(identifier)) if config else None
    return None
