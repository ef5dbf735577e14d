"""F-scores."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_choice, check_number
from foliot.metrics.base import Metric

_AVERAGES = ("micro", "macro", "weighted")


def _optional_choice(argument: str, value: object, choices: tuple[str, ...]) -> str | None:
    return None if value is None else check_choice(argument, value, choices)


class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`, by classes, for one-hot targets.

    Unlike Keras's it honours masks.

    Args:
        average: "micro" for the score of all classes together, "macro" for their mean, "weighted" for their mean by the
            number of positive targets, or None for a score for each, which a model can report for one class only.
        beta: Above 0: how much more recall counts than precision.
        threshold: A prediction above it means yes; None: the largest of a row does.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(FBetaScore("micro", beta=2.0, threshold=0.5)([[1, 1], [1, 0]], [[0.6, 0.2], [0.1, 0.3]]), 4)
    0.3846
    """

    _kind = "f_beta_score"
    direction = "max"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.average = _optional_choice("average", average, _AVERAGES)
        self.beta = check_number("beta", beta, above=0)
        self.threshold = None if threshold is None else check_number("threshold", threshold)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(Metric):
    """The harmonic mean of precision and recall, by classes, for one-hot targets.

    Unlike Keras's it honours masks.

    Args:
        average: "micro" for the score of all classes together, "macro" for their mean, "weighted" for their mean by the
            number of positive targets, or None for a score for each, which a model can report for one class only.
        threshold: A prediction above it means yes; None: the largest of a row does.
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(F1Score("macro")([[1, 0], [0, 1], [0, 1]], [[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]]), 4)
    0.6667
    """

    _kind = "f_beta_score"
    direction = "max"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.average = _optional_choice("average", average, _AVERAGES)
        self.threshold = None if threshold is None else check_number("threshold", threshold)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "average": self.average, "beta": 1.0, "threshold": self.threshold}
