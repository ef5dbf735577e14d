"""Metrics of how often predictions are right."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_integer, check_number, check_off
from foliot.metrics.base import Metric


class Accuracy(Metric):
    """How often predictions equal targets exactly. For probabilities use one of the other accuracies.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    elementwise = True
    _kind = "accuracy"
    direction = "max"

    def __init__(self, name: str = "accuracy", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class BinaryAccuracy(Metric):
    """How often predictions lie on their target's side of a threshold.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        threshold: A prediction above it means 1, else 0.

    Raises:
        TypeError: `threshold` is no number.
        ValueError: `threshold` is not finite.

    Example:

    >>> BinaryAccuracy(threshold=0.8)([[1], [1]], [[0.9], [0.7]])
    0.5
    """

    elementwise = True
    _kind = "binary_accuracy"
    direction = "max"

    def __init__(self, name: str = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(dtype, name)
        self.threshold = check_number("threshold", threshold)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """How often the largest prediction is where the largest target is, as with one-hot targets.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
    0.5
    """

    _kind = "categorical_accuracy"
    direction = "max"

    def __init__(self, name: str = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class SparseCategoricalAccuracy(Metric):
    """How often the largest prediction is the one whose index is the target.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    0.5
    """

    sparse = True
    _kind = "sparse_categorical_accuracy"
    direction = "max"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class TopKCategoricalAccuracy(Metric):
    """How often the class of the largest target is among those of the `k` largest predictions.

    Args:
        k: How many of the largest predictions are looked at.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> TopKCategoricalAccuracy(k=2)([[0, 1, 0], [0, 1, 0]], [[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]])
    0.5
    """

    _kind = "top_k_categorical_accuracy"
    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str = "top_k_categorical_accuracy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.k = check_integer("k", k, minimum=1)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "k": self.k}


class SparseTopKCategoricalAccuracy(Metric):
    """How often the class that the target names is among those of the `k` largest predictions.

    Args:
        k: How many of the largest predictions are looked at.
        name: The name under which the metric is reported.
        dtype: None or "float32".
        from_sorted_ids: False: predictions are numbers for each class, not sorted ids.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> SparseTopKCategoricalAccuracy(k=2)([1, 1], [[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]])
    0.5
    """

    _kind = "sparse_top_k_categorical_accuracy"
    sparse = True
    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        check_off("from_sorted_ids", from_sorted_ids, False)
        self.from_sorted_ids = from_sorted_ids
        self.k = check_integer("k", k, minimum=1)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "k": self.k}
