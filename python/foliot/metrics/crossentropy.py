"""Metrics of probabilities."""

from __future__ import annotations

from foliot import losses
from foliot._checks import check_flag, check_integer, check_last_axis, check_number
from foliot.metrics.base import LossMetric


class BinaryCrossentropy(LossMetric):
    """The mean of `losses.BinaryCrossentropy`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        from_logits: Whether predictions are values before the sigmoid, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards one half.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(BinaryCrossentropy()([[1.0]], [[0.5]]), 4)
    0.6931
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(dtype, name)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)

    def _loss(self) -> losses.Loss:
        return losses.BinaryCrossentropy(self.from_logits, self.label_smoothing)


class CategoricalCrossentropy(LossMetric):
    """The mean of `losses.CategoricalCrossentropy`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        from_logits: Whether predictions are values before the softmax, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards the uniform distribution.
        axis: -1: the classes are the last axis.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
        self.axis = check_last_axis("axis", axis)

    def _loss(self) -> losses.Loss:
        return losses.CategoricalCrossentropy(self.from_logits, self.label_smoothing)


class SparseCategoricalCrossentropy(LossMetric):
    """The mean of `losses.SparseCategoricalCrossentropy`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        from_logits: Whether predictions are values before the softmax, rather than probabilities.
        ignore_class: A target that leaves its sample out of the mean. (Keras counts it as 0 unless there are weights.)
        axis: -1: the classes are the last axis.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    sparse = True
    _kind = "loss"

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        self.from_logits = check_flag("from_logits", from_logits)
        self.ignore_class = None if ignore_class is None else check_integer("ignore_class", ignore_class)
        self.axis = check_last_axis("axis", axis)

    def _loss(self) -> losses.Loss:
        return losses.SparseCategoricalCrossentropy(self.from_logits, self.ignore_class)


class KLDivergence(LossMetric):
    """The mean of `losses.KLDivergence`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "kl_divergence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.KLDivergence()


class Poisson(LossMetric):
    """The mean of `losses.Poisson`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(Poisson()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    1.0
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "poisson",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.Poisson()
