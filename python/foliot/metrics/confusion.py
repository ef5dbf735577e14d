"""Metrics of right and wrong predictions at thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_choice, check_flag, check_integer, check_number, type_error, value_error
from foliot.metrics.base import Metric

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "minoring", "majoring")
# Keras's threshold where the largest predictions mean yes whatever they are.
_NO_THRESHOLD = -1e10


def _check_thresholds(value: object) -> float | list[float] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        if isinstance(value, Sequence):
            raise type_error("thresholds", "a number or a list of numbers", value)
        return check_number("thresholds", value, minimum=0, maximum=1)
    if not value:
        raise value_error("thresholds", "at least one number", value)
    return [check_number("thresholds", threshold, minimum=0, maximum=1) for threshold in value]


def _check_label_weights(value: object, count: int | None) -> list[float] | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise type_error("label_weights", "a list of numbers, one for each label", value)
    if not value or count not in (None, len(value)):
        expected = "at least one number" if count is None else f"{count} numbers, as many as num_labels"
        raise value_error("label_weights", expected, value)
    return [check_number(f"label_weights[{index}]", weight) for index, weight in enumerate(value)]


def _as_list(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _spread(count: int) -> list[float]:
    """Thresholds from 0 to 1; a single one in the middle."""
    return [0.5] if count == 1 else [index / (count - 1) for index in range(count)]


class _Counts(Metric):
    """What becomes of counts at thresholds."""

    elementwise = True
    thresholds: float | list[float] | None
    _goal: ClassVar[dict[str, Any]]

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "top_k": None, "class_id": None, "from_logits": False, **self._arguments()}

    def _arguments(self) -> dict[str, Any]:
        top_k, class_id = getattr(self, "top_k", None), getattr(self, "class_id", None)
        default = 0.5 if top_k is None else _NO_THRESHOLD
        thresholds = _as_list(default if self.thresholds is None else self.thresholds)
        return {"goal": self._goal, "thresholds": thresholds, "top_k": top_k, "class_id": class_id}


class TruePositives(_Counts):
    """The number of positive samples that were predicted to be.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> TruePositives()([[0], [1], [1], [0]], [[0.2], [0.9], [0.1], [0.8]])
    1.0
    """

    _kind = "confusion"
    direction = "max"
    _goal: ClassVar[dict[str, Any]] = {"goal": "true_positives"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)


class FalsePositives(_Counts):
    """The number of negative samples that were predicted to be positive.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> FalsePositives()([[0], [1], [1], [0]], [[0.2], [0.9], [0.1], [0.8]])
    1.0
    """

    _kind = "confusion"
    direction = "min"
    _goal: ClassVar[dict[str, Any]] = {"goal": "false_positives"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)


class TrueNegatives(_Counts):
    """The number of negative samples that were predicted to be.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> TrueNegatives()([[0], [1], [1], [0]], [[0.2], [0.9], [0.1], [0.8]])
    1.0
    """

    _kind = "confusion"
    direction = "max"
    _goal: ClassVar[dict[str, Any]] = {"goal": "true_negatives"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)


class FalseNegatives(_Counts):
    """The number of positive samples that were predicted to be negative.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> FalseNegatives()([[0], [1], [1], [0]], [[0.2], [0.9], [0.1], [0.8]])
    1.0
    """

    _kind = "confusion"
    direction = "min"
    _goal: ClassVar[dict[str, Any]] = {"goal": "false_negatives"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)


class Precision(_Counts):
    """Of those samples that were predicted to be positive, the share that is.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        top_k: Only so many largest predictions of a row can mean yes, any of them unless there are thresholds.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(Precision()([[0], [1], [1], [0]], [[0.2], [0.9], [0.8], [0.8]]), 4)
    0.6667
    """

    _kind = "confusion"
    direction = "max"
    _goal: ClassVar[dict[str, Any]] = {"goal": "share", "share": "precision"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)
        self.top_k = None if top_k is None else check_integer("top_k", top_k, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = top_k is None and class_id is None


class Recall(_Counts):
    """Of those samples that are positive, the share that was predicted to be.

    Unlike Keras's it honours masks.

    Args:
        thresholds: A number from 0 to 1 or a list of them: a prediction above it means yes. None for one half.
        top_k: Only so many largest predictions of a row can mean yes, any of them unless there are thresholds.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> Recall()([[0], [1], [1], [0]], [[0.2], [0.9], [0.1], [0.8]])
    0.5
    """

    _kind = "confusion"
    direction = "max"
    _goal: ClassVar[dict[str, Any]] = {"goal": "share", "share": "recall"}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = _check_thresholds(thresholds)
        self.top_k = None if top_k is None else check_integer("top_k", top_k, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = top_k is None and class_id is None


class SensitivityAtSpecificity(_Counts):
    """The best sensitivity at a threshold where the specificity is high enough.

    Unlike Keras's it honours masks.

    Args:
        specificity: From 0 to 1: how high the specificity has to be.
        num_thresholds: The number of thresholds between 0 and 1 that are tried.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> SensitivityAtSpecificity(1.0)([[0], [0], [1], [1]], [[0.1], [0.6], [0.4], [0.9]])
    0.5
    """

    _kind = "confusion"
    direction = "max"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.specificity = check_number("specificity", specificity, minimum=0, maximum=1)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = class_id is None

    def _arguments(self) -> dict[str, Any]:
        goal = {"goal": "best", "share": "recall", "given": "specificity", "least": self.specificity}
        return {"goal": goal, "thresholds": _spread(self.num_thresholds), "class_id": self.class_id}


class SpecificityAtSensitivity(_Counts):
    """The best specificity at a threshold where the sensitivity is high enough.

    Unlike Keras's it honours masks.

    Args:
        sensitivity: From 0 to 1: how high the sensitivity has to be.
        num_thresholds: The number of thresholds between 0 and 1 that are tried.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> SpecificityAtSensitivity(1.0)([[0], [0], [1], [1]], [[0.1], [0.6], [0.4], [0.9]])
    0.5
    """

    _kind = "confusion"
    direction = "max"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.sensitivity = check_number("sensitivity", sensitivity, minimum=0, maximum=1)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = class_id is None

    def _arguments(self) -> dict[str, Any]:
        goal = {"goal": "best", "share": "specificity", "given": "recall", "least": self.sensitivity}
        return {"goal": goal, "thresholds": _spread(self.num_thresholds), "class_id": self.class_id}


class PrecisionAtRecall(_Counts):
    """The best precision at a threshold where the recall is high enough.

    Unlike Keras's it honours masks.

    Args:
        recall: From 0 to 1: how high the recall has to be.
        num_thresholds: The number of thresholds between 0 and 1 that are tried.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> PrecisionAtRecall(1.0)([[0], [0], [1], [1]], [[0.1], [0.6], [0.4], [0.9]])
    0.6666666666666666
    """

    _kind = "confusion"
    direction = "max"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.recall = check_number("recall", recall, minimum=0, maximum=1)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = class_id is None

    def _arguments(self) -> dict[str, Any]:
        goal = {"goal": "best", "share": "precision", "given": "recall", "least": self.recall}
        return {"goal": goal, "thresholds": _spread(self.num_thresholds), "class_id": self.class_id}


class RecallAtPrecision(_Counts):
    """The best recall at a threshold where the precision is high enough.

    Unlike Keras's it honours masks.

    Args:
        precision: From 0 to 1: how high the precision has to be.
        num_thresholds: The number of thresholds between 0 and 1 that are tried.
        class_id: The one class that counts; None for all.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> RecallAtPrecision(1.0)([[0], [0], [1], [1]], [[0.1], [0.6], [0.4], [0.9]])
    0.5
    """

    _kind = "confusion"
    direction = "max"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.precision = check_number("precision", precision, minimum=0, maximum=1)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, minimum=1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, minimum=0)
        self.elementwise = class_id is None

    def _arguments(self) -> dict[str, Any]:
        goal = {"goal": "best", "share": "recall", "given": "precision", "least": self.precision}
        return {"goal": goal, "thresholds": _spread(self.num_thresholds), "class_id": self.class_id}


class AUC(_Counts):
    """The area under the ROC curve (recall over the share of false positives) or the PR curve (precision over recall).

    The curve is drawn through points at fixed thresholds; between two of them precision is interpolated after Davis and
    Goadrich (2006), https://www.biostat.wisc.edu/~page/rocpr.pdf. The PR gain curve is that of Flach and Kull (2015),
    "Precision-Recall-Gain Curves". Unlike Keras's metric it honours masks, and with `multi_label` takes sequences, too:
    every step that counts is a sample.

    Args:
        num_thresholds: The number of thresholds, at least 2.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation", "minoring" or "majoring": which height counts between two thresholds.
        name: The name under which the metric is reported.
        dtype: None or "float32".
        thresholds: The thresholds between 0 and 1, in place of `num_thresholds`.
        multi_label: Whether each feature of the predictions, `(..., labels)`, is a label with a curve of its own: the
            result is the mean of their areas. If not, all features count together.
        num_labels: How many labels there have to be, for `multi_label` only; None for any number.
        label_weights: A weight for each label: in the mean of their areas, or without `multi_label` in the counts.
        from_logits: Whether predictions are values before the sigmoid, rather than probabilities.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range; once called, the predictions have another number of labels.

    Example:

    >>> round(AUC()([[0], [0], [1], [1]], [[0.0], [0.5], [0.3], [0.9]]), 4)
    0.75
    >>> y_true, y_pred = [[0, 1], [0, 0], [1, 0], [1, 1]], [[0.0, 0.9], [0.5, 0.1], [0.3, 0.2], [0.9, 0.8]]
    >>> [round(AUC(multi_label=True, label_weights=weights)(y_true, y_pred), 4) for weights in (None, [3, 1])]
    [0.875, 0.8125]
    """

    _kind = "confusion"
    direction = "max"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | NDArray[Any] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, minimum=2)
        self.curve = check_choice("curve", curve.upper() if isinstance(curve, str) else curve, _CURVES)
        self.summation_method = check_choice("summation_method", summation_method, _SUMMATIONS)
        self.thresholds = _check_thresholds(thresholds)
        self.multi_label = check_flag("multi_label", multi_label)
        self.num_labels = None if num_labels is None else check_integer("num_labels", num_labels, minimum=1)
        if num_labels is not None and not multi_label:
            raise value_error("num_labels", "None, because it is needed with multi_label=True only", num_labels)
        self.label_weights = _check_label_weights(label_weights, self.num_labels)
        self.elementwise = not multi_label and self.label_weights is None
        self.from_logits = check_flag("from_logits", from_logits)

    def _arguments(self) -> dict[str, Any]:
        inner = _spread(self.num_thresholds)[1:-1] if self.thresholds is None else sorted(_as_list(self.thresholds))
        goal = {"goal": "area", "curve": self.curve, "summation": self.summation_method}
        # Keras's ends, so that predictions of exactly 0 and 1 lie between them.
        arguments: dict[str, Any] = {"goal": goal, "thresholds": [-1e-7, *inner, 1 + 1e-7]}
        names = ("from_logits", "multi_label", "num_labels", "label_weights")
        return arguments | {name: getattr(self, name) for name in names}

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Gathers a batch: see `Metric.update_state`."""
        if not self.elementwise and np.ndim(y_pred) < 2:
            raise ValueError(f"`y_pred`: expected shape (..., labels) of labels; received shape {np.shape(y_pred)}")
        super().update_state(y_true, y_pred, sample_weight)
