"""Cross-entropies that count what is predicted well less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_flag, check_last_axis, check_number, value_error
from foliot.losses.base import Loss


def _check_class_weights(argument: str, value: object) -> float | list[float]:
    """A weight, or a list of one for each class; an array of any of the two becomes it."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return check_number(argument, value)
    if not value:
        raise value_error(argument, "a number, or one for each class", value)
    return [check_number(f"{argument}[{index}]", weight) for index, weight in enumerate(value)]


class BinaryFocalCrossentropy(Loss):
    """Binary cross-entropy times `(1 - p)**gamma`, where `p` is the probability that was given to the target.

    Args:
        apply_class_balancing: Whether to weigh the classes by `alpha`.
        alpha: The weight of class 1 with class balancing; that of class 0 is `1 - alpha`.
        gamma: At least 0: how much less a sample counts that is predicted well.
        from_logits: Whether predictions are values before the activation, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards equal chances.
        axis: -1: the features are the last axis.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(BinaryFocalCrossentropy()([[1.0]], [[0.5]]), 4)
    0.1733
    """

    _kind = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.apply_class_balancing = check_flag("apply_class_balancing", apply_class_balancing)
        self.alpha = check_number("alpha", alpha)
        self.gamma = check_number("gamma", gamma, minimum=0)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


class CategoricalFocalCrossentropy(Loss):
    """Categorical cross-entropy whose terms count `alpha * (1 - y_pred)**gamma` times.

    After Lin et al. (2018), "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002.

    Args:
        alpha: The weight of all classes, or a list or array with one for each.
        gamma: At least 0: how much less a sample counts that is predicted well.
        from_logits: Whether predictions are values before the activation, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards equal chances.
        axis: -1: the features are the last axis.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range; once called, `alpha` is a list for another number of classes.

    Example:

    >>> round(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.0433
    >>> round(CategoricalFocalCrossentropy(alpha=[0.25, 0.5])([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.0866
    """

    _kind = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float | Sequence[float] | NDArray[Any] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = _check_class_weights("alpha", alpha)
        self.gamma = check_number("gamma", gamma, minimum=0)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> NDArray[np.float32]:
    """The focal cross-entropy of each sample: see `BinaryFocalCrossentropy` and `Loss.call`.

    Example:

    >>> binary_focal_crossentropy([[1.0]], [[0.5]]).round(4)
    array([0.1733], dtype=float32)
    """
    return BinaryFocalCrossentropy(
        apply_class_balancing=apply_class_balancing,
        alpha=alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
    ).call(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] | NDArray[Any] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> NDArray[np.float32]:
    """The focal cross-entropy of each sample: see `CategoricalFocalCrossentropy` and `Loss.call`.

    Example:

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.0433], dtype=float32)
    """
    return CategoricalFocalCrossentropy(
        alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
    ).call(y_true, y_pred)
