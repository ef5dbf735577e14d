"""Metrics: what `fit` and `evaluate` report beside the loss.

`compile` takes them as names (`metrics=["acc", "mse"]`) or objects (`metrics=[metrics.BinaryAccuracy(threshold=0.7)]`).
A metric that was given by name is reported under that name.

On its own, a metric gathers what `update_state` is given, and `result` is the weighted mean of it all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from foliot import _serialization, losses
from foliot._checks import check_dtype, check_flag, check_last_axis, check_number, check_off, check_text
from foliot._rows import row_weights, to_rows
from foliot._serialization import Configurable, Registry, snake_case
from foliot.losses import (
    BCE,
    MAE,
    MSE,
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    mae,
    mean_absolute_error,
    mean_squared_error,
    mse,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BCE",
    "MAE",
    "MSE",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "HalfMeanSquaredError",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "mae",
    "mean_absolute_error",
    "mean_squared_error",
    "mse",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
]


class Metric(Configurable):
    """What all metrics have in common.

    Args:
        dtype: None or "float32", in which foliot computes.
        name: The name under which the metric is reported; None for the class's in snake case.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.
    """

    # Whether the targets are indices of classes.
    sparse: ClassVar[bool] = False
    # Whether each element counts for itself, rather than each row.
    elementwise: ClassVar[bool] = False

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        check_dtype(dtype)
        self.dtype = dtype
        self.name = snake_case(type(self).__name__) if name is None else check_text("name", name)
        self.reset_state()

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it.

        Example:

        >>> BinaryAccuracy().to_spec()
        {'kind': 'binary_accuracy', 'threshold': 0.5}
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use {', '.join(_REGISTRY.names)}")
        return {"kind": snake_case(type(self).__name__)}

    def reset_state(self) -> None:
        """Forgets what was gathered."""
        self._total = 0.0
        self._weight = 0.0

    def reset_states(self) -> None:
        """Keras 2's spelling of `reset_state`."""
        self.reset_state()

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Gathers a batch.

        Args:
            y_true: The targets, shaped like the predictions; for a sparse metric without their last axis.
            y_pred: The predictions; the last axis holds the features or classes.
            sample_weight: A weight for each sample, or None.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or a target is not among the classes.
        """
        from foliot import _core

        targets, predictions, leading = to_rows(y_true, y_pred, sparse=self.sparse, elementwise=self.elementwise)
        weights = row_weights(sample_weight, leading)
        total, weight = _core.evaluate_metric(json.dumps(self.to_spec()), targets, predictions, weights)
        self._total += total
        self._weight += weight

    def result(self) -> float:
        """The weighted mean of what was gathered; 0 when nothing was.

        Example:

        >>> metric = BinaryAccuracy()
        >>> metric.update_state([[1], [1], [0], [0]], [[0.9], [0.2], [0.1], [0.4]])
        >>> metric.result()
        0.75
        """
        return self._total / self._weight if self._weight else 0.0

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Gathers a batch and returns the result so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()


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

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class MeanSquaredError(Metric):
    """The mean of `(y_true - y_pred)**2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    5.0
    """

    def __init__(self, name: str = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class MeanAbsoluteError(Metric):
    """The mean of `abs(y_true - y_pred)`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    2.0
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)


class _LossMetric(Metric):
    """The mean of a loss."""

    def _loss(self) -> losses.Loss:
        raise NotImplementedError

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {"kind": "loss", "loss": self._loss().to_spec()}


class HalfMeanSquaredError(_LossMetric):
    """The mean of `(y_true - y_pred)**2 / 2`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".

    Example:

    >>> HalfMeanSquaredError()([[0.0]], [[3.0]])
    4.5
    """

    def __init__(self, name: str = "half_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(dtype, name)

    def _loss(self) -> losses.Loss:
        return losses.HalfMeanSquaredError()


class BinaryCrossentropy(_LossMetric):
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


class CategoricalCrossentropy(_LossMetric):
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


class SparseCategoricalCrossentropy(_LossMetric):
    """The mean of `losses.SparseCategoricalCrossentropy`.

    Args:
        name: The name under which the metric is reported.
        dtype: None or "float32".
        from_logits: Whether predictions are values before the softmax, rather than probabilities.
        ignore_class: None: no class can be left out yet; weights of 0 leave samples out.
        axis: -1: the classes are the last axis.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    sparse = True

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        self.from_logits = check_flag("from_logits", from_logits)
        check_off("ignore_class", ignore_class, None)
        self.ignore_class = ignore_class
        self.axis = check_last_axis("axis", axis)

    def _loss(self) -> losses.Loss:
        return losses.SparseCategoricalCrossentropy(self.from_logits)


_REGISTRY: Registry[Metric] = Registry(
    "metrics",
    Metric,
    (
        Accuracy,
        BinaryAccuracy,
        CategoricalAccuracy,
        SparseCategoricalAccuracy,
        MeanSquaredError,
        HalfMeanSquaredError,
        MeanAbsoluteError,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
    ),
    {"mse": MeanSquaredError, "half_mse": HalfMeanSquaredError, "mae": MeanAbsoluteError, "bce": BinaryCrossentropy},
)


def get(identifier: object, argument: str | None = None) -> Metric | None:
    """The metric that an identifier stands for, where no shapes are known. `compile` uses `resolve`.

    Args:
        identifier: A name ("mse", "binary_accuracy", "BinaryAccuracy", ...), a dict with "class_name" and "config", a
            metric, one of the classes, a function of foliot.losses, or None.
        argument: What errors call the identifier; "metrics" when None.

    Returns:
        The metric, or None.

    Raises:
        TypeError: The identifier is of none of these kinds; a Python function cannot run inside a training step.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("mae")
    MeanAbsoluteError()
    """
    return None if identifier is None else _REGISTRY.get(losses.named(identifier), argument)


def resolve(
    identifier: object,
    output_shape: Sequence[int | None],
    target_shape: Sequence[int | None],
    loss: losses.Loss | None = None,
    argument: str | None = None,
) -> Metric:
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
        return _REGISTRY.get(losses.named(identifier), argument)
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


def serialize(metric: Metric | None) -> dict[str, Any] | None:
    """The configuration of a metric as plain data; None stays None."""
    return _serialization.serialize(metric)


def deserialize(config: object) -> Metric:
    """The metric of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.
    """
    return _REGISTRY.deserialize(config)
