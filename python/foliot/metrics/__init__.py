"""Metrics: what `fit` and `evaluate` report beside the loss.

`compile` takes them as names (`metrics=["acc", "mse"]`) or objects (`metrics=[metrics.BinaryAccuracy(threshold=0.7)]`).
A metric that was given by name is reported under that name, and a function of your own under its name.

On its own, a metric gathers what `update_state` is given, and `result` is that of it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from foliot import _serialization, losses
from foliot._checks import missing
from foliot._serialization import Registry
from foliot.losses import (
    BCE,
    KLD,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    kld,
    log_cosh,
    logcosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from foliot.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from foliot.metrics.base import Metric
from foliot.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from foliot.metrics.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from foliot.metrics.functions import MeanMetricWrapper, own_metric
from foliot.metrics.loss_objects import MeanOfLoss, of_loss
from foliot.metrics.margins import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
)
from foliot.metrics.own_classes import GatheredMetric, own_object
from foliot.metrics.reductions import Mean, Sum
from foliot.metrics.regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    HalfMeanSquaredError,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
)
from foliot.metrics.scores import (
    F1Score,
    FBetaScore,
)
from foliot.metrics.values import (
    FUNCTIONS,
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "AUC",
    "BCE",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "HalfMeanSquaredError",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "pearson_correlation",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_REGISTRY: Registry[Metric] = Registry(
    "metrics",
    Metric,
    (
        Accuracy,
        BinaryAccuracy,
        CategoricalAccuracy,
        SparseCategoricalAccuracy,
        TopKCategoricalAccuracy,
        SparseTopKCategoricalAccuracy,
        TruePositives,
        FalsePositives,
        TrueNegatives,
        FalseNegatives,
        Precision,
        Recall,
        SensitivityAtSpecificity,
        SpecificityAtSensitivity,
        PrecisionAtRecall,
        RecallAtPrecision,
        AUC,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        KLDivergence,
        Poisson,
        Hinge,
        SquaredHinge,
        CategoricalHinge,
        MeanSquaredError,
        HalfMeanSquaredError,
        MeanAbsoluteError,
        RootMeanSquaredError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        LogCoshError,
        CosineSimilarity,
        R2Score,
        PearsonCorrelation,
        ConcordanceCorrelation,
        F1Score,
        FBetaScore,
        Mean,
        Sum,
    ),
    {
        "mse": MeanSquaredError,
        "half_mse": HalfMeanSquaredError,
        "mae": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "rmse": RootMeanSquaredError,
        "f_beta_score": FBetaScore,
        "bce": BinaryCrossentropy,
        "kld": KLDivergence,
        "kl_divergence": KLDivergence,
        "logcosh": LogCoshError,
        "log_cosh": LogCoshError,
        "top_k_categorical_accuracy": TopKCategoricalAccuracy,
        "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    },
)


def get(identifier: object, argument: str | None = None) -> Metric | None:
    """The metric that an identifier stands for, where no shapes are known. `compile` uses `resolve`.

    Args:
        identifier: A name ("mse", "binary_accuracy", "BinaryAccuracy", ...), a dict with "class_name" and "config", a
            metric, one of the classes, a function of foliot.metrics or foliot.losses, a loss object or one of the
            classes of losses, a function of your own (see `MeanMetricWrapper`), or None.
        argument: What errors call the identifier; "metrics" when None.

    Returns:
        The metric, or None.

    Raises:
        TypeError: The identifier is of none of these kinds.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("mae")
    MeanAbsoluteError()
    """
    return None if identifier is None else _found(identifier, argument)


def _found(identifier: object, argument: str | None) -> Metric:
    function = next((function for function in FUNCTIONS if function is identifier), None)
    if function is not None:
        return _of_function(function)
    return (
        own_object(identifier) or own_metric(identifier) or of_loss(identifier) or _REGISTRY.get(identifier, argument)
    )


def _of_function(function: Callable[..., Any]) -> Metric:
    """The metric of a function of foliot's, under its name."""
    name = FUNCTIONS[function]
    # The similarity among the metrics is the negative of the loss.
    if function is losses.cosine_similarity or name not in _REGISTRY:
        return MeanOfLoss(losses.deserialize({"class_name": name, "config": {"name": name}}))
    return _REGISTRY.find(name).from_config({"name": name})


def resolve(
    identifier: object,
    output_shape: Sequence[int | None],
    target_shape: Sequence[int | None],
    loss: losses.Loss | None = None,
    argument: str | None = None,
) -> Metric | GatheredMetric:
    """The metric that an entry of `compile(metrics=...)` stands for, once the shapes of outputs and targets are known.

    Args:
        identifier: What `get` takes, and "accuracy", "acc", "crossentropy" or "ce" for the form that fits the shapes.
        output_shape: The shape of the model's output, with the batch axis.
        target_shape: The shape of the targets, with the batch axis.
        loss: The output's loss: "crossentropy" takes its `from_logits`.
        argument: What errors call the identifier; "metrics" when None.

    Returns:
        The metric; its name is the string that was passed, where one was.

    Raises:
        TypeError: See `get`.
        ValueError: See `get`.

    Example:

    >>> resolve("acc", (None, 1), (100,))
    BinaryAccuracy(name='acc')
    >>> resolve("acc", (None, 3), (100,))
    SparseCategoricalAccuracy(name='acc')
    """
    if not isinstance(identifier, str):
        own = own_object(identifier)
        return _found(identifier, argument) if own is None else GatheredMetric(own)
    cls: type[Metric]
    config: dict[str, Any] = {"name": identifier}
    lowered = identifier.lower()
    if lowered in ("accuracy", "acc"):
        cls = _REGISTRY.find(f"{losses.task_of(output_shape, target_shape)}_accuracy")
    elif lowered in ("crossentropy", "ce"):
        cls = _REGISTRY.find(f"{losses.task_of(output_shape, target_shape)}_crossentropy")
        config["from_logits"] = getattr(loss, "from_logits", False)
    else:
        cls = _REGISTRY.find(identifier, argument)
    return cls.from_config(config)


def serialize(metric: Metric | losses.Loss | None) -> dict[str, Any] | None:
    """The configuration of a metric as plain data, that of a loss for a loss object; None stays None.

    Example:

    >>> serialize(BinaryAccuracy(threshold=0.7))["config"]["threshold"]
    0.7
    """
    return _serialization.serialize(metric.loss if isinstance(metric, MeanOfLoss) else metric)


def deserialize(config: object) -> Metric:
    """The metric of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "BinaryAccuracy", "config": {"threshold": 0.7}})
    BinaryAccuracy(threshold=0.7)
    """
    return own_metric(config) or of_loss(config) or _REGISTRY.deserialize(config)


if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("metric", __name__, __all__)
