"""What all losses have in common: reductions, weights, and the way to the core."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_choice, check_dtype, check_text, value_error
from foliot._rows import row_weights, to_rows
from foliot._serialization import Value, snake_case

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


class Loss(Value):
    """What all losses have in common.

    Args:
        name: The loss's name; None for the class's in snake case.
        reduction: How the losses of samples become one number: "sum_over_batch_size" (also called "mean": their sum,
            each times its weight, divided by their number), "sum", "mean_with_sample_weight" (the sum divided by the
            sum of the weights), or None (also "none") for no reduction, with which a model cannot train.
        dtype: None or "float32", in which foliot computes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> from foliot import losses
    >>> loss = losses.get("mse")
    >>> isinstance(loss, losses.Loss)
    True
    >>> loss([[0.0], [0.0]], [[1.0], [3.0]])
    5.0
    >>> losses.MeanSquaredError(reduction="none")([[0.0], [0.0]], [[1.0], [3.0]]).tolist()
    [1.0, 9.0]
    """

    # Whether the targets are indices of classes.
    sparse: ClassVar[bool] = False
    # Whether the targets are labels of any number, without times.
    labels: ClassVar[bool] = False
    # What the core calls the formula.
    _kind: ClassVar[str]

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: str | None = None
    ) -> None:
        self.name = snake_case(type(self).__name__) if name is None else check_text("name", name)
        self.reduction = None if reduction is None else check_choice("reduction", reduction, _REDUCTIONS)
        check_dtype(dtype)
        self.dtype = dtype

    def to_spec(self) -> dict[str, Any]:
        """The loss of one sample, as the core takes it.

        Example:

        >>> from foliot.losses import BinaryCrossentropy
        >>> BinaryCrossentropy(label_smoothing=0.1).to_spec()
        {'kind': 'binary_crossentropy', 'from_logits': False, 'label_smoothing': 0.1}
        """
        kind = type(self).__dict__.get("_kind")
        if kind is None:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use one of foliot's losses")
        return {"kind": kind, **self._numbers()}

    def to_training_spec(self) -> dict[str, Any]:
        """The loss with its reduction, as the core takes it for training.

        Raises:
            ValueError: The loss has no reduction, so there is no number to minimize.

        Example:

        >>> from foliot.losses import MeanSquaredError
        >>> MeanSquaredError(reduction="sum").to_training_spec()
        {'loss': {'kind': 'mean_squared_error'}, 'reduction': 'sum'}
        """
        if self.reduction in (None, "none"):
            raise value_error("reduction", "one that gives a number to minimize, such as 'sum'", self.reduction)
        reduction = "sum_over_batch_size" if self.reduction == "mean" else self.reduction
        return {"loss": self.to_spec(), "reduction": reduction}

    def _numbers(self) -> dict[str, Any]:
        return {}

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
        """The loss of each sample.

        Args:
            y_true: The targets, shaped like the predictions; for a sparse loss without their last axis.
            y_pred: The predictions; the last axis holds the features or classes.

        Returns:
            float32 of the predictions' shape without the last axis.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or a target is not among the classes.
        """
        from foliot import _core

        targets, predictions, leading = to_rows(y_true, y_pred, sparse=self.sparse)
        return _core.evaluate_loss(json.dumps(self.to_spec()), targets, predictions).reshape(leading)

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float | NDArray[np.float32]:
        """The reduced loss.

        Args:
            y_true: The targets.
            y_pred: The predictions.
            sample_weight: A weight for each sample, or None.

        Returns:
            A number; with reduction None the weighted loss of each sample.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or a target is not among the classes.

        Example:

        >>> from foliot.losses import MeanSquaredError
        >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [2.0]])
        2.5
        >>> MeanSquaredError(reduction="sum")([[0.0], [0.0]], [[1.0], [2.0]], sample_weight=[1.0, 0.5])
        3.0
        """
        from foliot import _core

        targets, predictions, leading = to_rows(y_true, y_pred, sparse=self.sparse)
        weights = row_weights(sample_weight, leading)
        if self.reduction in (None, "none"):
            losses = _core.evaluate_loss(json.dumps(self.to_spec()), targets, predictions)
            return (losses if weights is None else losses * weights).reshape(leading)
        spec = json.dumps({"kind": "loss", "loss": self.to_spec()})
        total, weight = _core.evaluate_metric(spec, targets, predictions, weights)
        if self.reduction == "sum":
            return total
        divisor = (
            weight if self.reduction == "mean_with_sample_weight" else float(self._rows(targets, len(predictions)))
        )
        return total / divisor if divisor else 0.0

    def _rows(self, targets: NDArray[Any], rows: int) -> int:
        """How many samples a mean is over."""
        return rows
