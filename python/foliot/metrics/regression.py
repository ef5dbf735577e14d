"""Metrics of numbers."""

from __future__ import annotations

from typing import Any

from foliot import losses
from foliot._checks import check_choice, check_integer, check_last_axis
from foliot.metrics.base import LossMetric, Metric

_AGGREGATIONS = ("uniform_average", "variance_weighted_average")


def _optional_choice(argument: str, value: object, choices: tuple[str, ...]) -> str | None:
    return None if value is None else check_choice(argument, value, choices)


class MeanSquaredError(Metric):
    """The mean of `(y_true - y_pred)**2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    5.0
    """

    _kind = "mean_squared_error"

    def __init__(self, name: str = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class HalfMeanSquaredError(LossMetric):
    """The mean of `(y_true - y_pred)**2 / 2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> HalfMeanSquaredError()([[0.0]], [[3.0]])
    4.5
    """

    _kind = "loss"

    def __init__(self, name: str = "half_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.HalfMeanSquaredError()


class MeanAbsoluteError(Metric):
    """The mean of `abs(y_true - y_pred)`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    2.0
    """

    _kind = "mean_absolute_error"

    def __init__(self, name: str = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class RootMeanSquaredError(Metric):
    """The root of the mean of `(y_true - y_pred)**2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]]), 4)
    5.0
    """

    _kind = "root_mean_squared_error"
    elementwise = True

    def __init__(
        self,
        name: str = "root_mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)


class MeanAbsolutePercentageError(LossMetric):
    """The mean of `100 * abs(y_true - y_pred) / abs(y_true)`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(MeanAbsolutePercentageError()([[2.0]], [[1.0]]), 4)
    50.0
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.MeanAbsolutePercentageError()


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
    0.4805
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.MeanSquaredLogarithmicError()


class LogCoshError(LossMetric):
    """The mean of `log(cosh(y_pred - y_true))`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> round(LogCoshError()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    _kind = "loss"

    def __init__(
        self,
        name: str = "logcosh",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.LogCosh()


class CosineSimilarity(LossMetric):
    """The mean cosine of the angle between targets and predictions; the loss of this name is its negative.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        axis: -1: the features are the last axis.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(CosineSimilarity()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    0.7071
    """

    _kind = "negative"
    direction = "max"

    def __init__(
        self,
        name: str = "cosine_similarity",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        self.axis = check_last_axis("axis", axis)

    def _loss(self) -> losses.Loss:
        return losses.CosineSimilarity()


class R2Score(Metric):
    """The share of the variance of the targets that the predictions explain: 1 is perfect, 0 as good as their mean.

    Unlike Keras's it honours masks.

    Args:
        class_aggregation: "uniform_average" for the mean over features, "variance_weighted_average", or None for a
            score for each.
        num_regressors: The number of variables of the model, for the adjusted score; 0 for the plain one. Samples of
            weight 0 are none (in Keras they are counted here).
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    0.5
    """

    _kind = "r2_score"
    direction = "max"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.class_aggregation = _optional_choice("class_aggregation", class_aggregation, _AGGREGATIONS)
        self.num_regressors = check_integer("num_regressors", num_regressors, minimum=0)

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}


class PearsonCorrelation(Metric):
    """The mean over rows of the correlation of `y_true` and `y_pred` over the last axis: from -1 to 1.

    A row whose targets or predictions are all the same has none, and makes the result NaN, as in Keras.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        axis: -1, the last one.

    Raises:
        ValueError: `axis` is another one.

    Example:

    >>> round(PearsonCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 4)
    0.9967
    """

    _kind = "pearson_correlation"
    direction = "max"

    def __init__(self, name: str = "pearson_correlation", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(dtype, name)
        self.axis = check_last_axis("axis", axis)


class ConcordanceCorrelation(Metric):
    """The mean over rows of Lin's concordance of `y_true` and `y_pred` over the last axis: from -1 to 1.

    `2 * cov / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))**2)`: unlike the correlation it also says how
    far the values lie from one another.

    Args:
        name: See `PearsonCorrelation`.
        dtype: See `PearsonCorrelation`.
        axis: See `PearsonCorrelation`.

    Example:

    >>> round(ConcordanceCorrelation()([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 4)
    0.9816
    """

    _kind = "concordance_correlation"
    direction = "max"

    def __init__(self, name: str = "concordance_correlation", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(dtype, name)
        self.axis = check_last_axis("axis", axis)
