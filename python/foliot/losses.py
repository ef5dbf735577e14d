"""Losses: what training minimizes.

`compile` takes one as a name (`loss="binary_crossentropy"`, `loss="mse"`), as an object
(`loss=losses.BinaryCrossentropy(from_logits=True)`) or as a function of this module (`loss=losses.mean_squared_error`).

Called on arrays, an object gives the reduced loss, a function the loss of each sample.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot import _serialization
from foliot._checks import (
    check_choice,
    check_dtype,
    check_flag,
    check_last_axis,
    check_number,
    check_off,
    check_text,
    value_error,
)
from foliot._rows import row_weights, to_rows
from foliot._serialization import Registry, Value, snake_case

__all__ = [
    "BCE",
    "MAE",
    "MSE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "HalfMeanSquaredError",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "half_mean_squared_error",
    "mae",
    "mean_absolute_error",
    "mean_squared_error",
    "mse",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
]

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
    """

    # Whether the targets are indices of classes.
    sparse: ClassVar[bool] = False

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

        >>> BinaryCrossentropy(label_smoothing=0.1).to_spec()
        {'kind': 'binary_crossentropy', 'from_logits': False, 'label_smoothing': 0.1}
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use {', '.join(_REGISTRY.names)}")
        return {"kind": snake_case(type(self).__name__), **self._numbers()}

    def to_training_spec(self) -> dict[str, Any]:
        """The loss with its reduction, as the core takes it for training.

        Raises:
            ValueError: The loss has no reduction, so there is no number to minimize.

        Example:

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
        divisor = weight if self.reduction == "mean_with_sample_weight" else float(len(predictions))
        return total / divisor if divisor else 0.0


class MeanSquaredError(Loss):
    """The mean over features of `(y_true - y_pred)**2`.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> get("mse")
    MeanSquaredError()
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class HalfMeanSquaredError(Loss):
    """The mean over features of `(y_true - y_pred)**2 / 2`, whose gradient has no factor 2.

    Textbooks derive backpropagation with this form; Keras does not have it.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> HalfMeanSquaredError()([[0.0]], [[3.0]])
    4.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "half_mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class MeanAbsoluteError(Loss):
    """The mean over features of `abs(y_true - y_pred)`.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> MeanAbsoluteError()([[0.0, 1.0]], [[3.0, 2.0]])
    2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class BinaryCrossentropy(Loss):
    """The mean over features of `-(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred))`.

    Probabilities are kept within `[1e-7, 1 - 1e-7]`, as in Keras.

    Args:
        from_logits: Whether predictions are values before the sigmoid, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards one half.
        axis: -1: the features are the last axis.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class CategoricalCrossentropy(Loss):
    """`-sum(y_true * log(y_pred))` over the classes, for one-hot targets or other distributions over them.

    Probabilities are divided by their sum and kept within `[1e-7, 1 - 1e-7]`, as in Keras.

    Args:
        from_logits: Whether predictions are values before the softmax, rather than probabilities.
        label_smoothing: From 0 to 1: how far targets are moved towards the uniform distribution.
        axis: -1: the classes are the last axis.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, minimum=0, maximum=1)
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class SparseCategoricalCrossentropy(Loss):
    """`-log(y_pred[y_true])`, for targets that are the indices of classes.

    Args:
        from_logits: Whether predictions are values before the softmax, rather than probabilities.
        ignore_class: None: no class can be left out yet; weights of 0 leave samples out.
        reduction: See `Loss`.
        axis: -1: the classes are the last axis.
        name: The loss's name.
        dtype: None or "float32".

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
        from_logits: bool = False,
        ignore_class: None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = check_flag("from_logits", from_logits)
        check_off("ignore_class", ignore_class, None)
        self.ignore_class = ignore_class
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits}


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The squared error of each sample: see `MeanSquaredError` and `Loss.call`.

    Example:

    >>> mean_squared_error([[0.0, 0.0], [1.0, 1.0]], [[1.0, 3.0], [1.0, 1.0]])
    array([5., 0.], dtype=float32)
    """
    return MeanSquaredError().call(y_true, y_pred)


def half_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """Half the squared error of each sample: see `HalfMeanSquaredError` and `Loss.call`.

    Example:

    >>> half_mean_squared_error([[0.0]], [[3.0]])
    array([4.5], dtype=float32)
    """
    return HalfMeanSquaredError().call(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The absolute error of each sample: see `MeanAbsoluteError` and `Loss.call`.

    Example:

    >>> mean_absolute_error([[0.0, 0.0]], [[1.0, -3.0]])
    array([2.], dtype=float32)
    """
    return MeanAbsoluteError().call(y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> NDArray[np.float32]:
    """The binary cross-entropy of each sample: see `BinaryCrossentropy` and `Loss.call`.

    Example:

    >>> binary_crossentropy([[1.0], [0.0]], [[0.5], [0.25]]).round(4)
    array([0.6931, 0.2877], dtype=float32)
    """
    return BinaryCrossentropy(from_logits, label_smoothing, axis).call(y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> NDArray[np.float32]:
    """The cross-entropy of each sample: see `CategoricalCrossentropy` and `Loss.call`.

    Example:

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.6931], dtype=float32)
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).call(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: None = None, axis: int = -1
) -> NDArray[np.float32]:
    """The cross-entropy of each sample: see `SparseCategoricalCrossentropy` and `Loss.call`.

    Example:

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4)
    array([0.6931], dtype=float32)
    """
    return SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis).call(y_true, y_pred)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
bce = BCE = binary_crossentropy

_REGISTRY: Registry[Loss] = Registry(
    "loss",
    Loss,
    (
        MeanSquaredError,
        HalfMeanSquaredError,
        MeanAbsoluteError,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
    ),
    {"mse": MeanSquaredError, "half_mse": HalfMeanSquaredError, "mae": MeanAbsoluteError, "bce": BinaryCrossentropy},
)

FUNCTIONS: dict[Callable[..., Any], str] = {
    function: function.__name__
    for function in (
        mean_squared_error,
        half_mean_squared_error,
        mean_absolute_error,
        binary_crossentropy,
        categorical_crossentropy,
        sparse_categorical_crossentropy,
    )
}


def named(identifier: object) -> object:
    """The name of a function of this module; anything else unchanged."""
    return next((name for function, name in FUNCTIONS.items() if function is identifier), identifier)


def get(identifier: object, argument: str | None = None) -> Loss | None:
    """The loss that an identifier stands for.

    Args:
        identifier: A name ("mse", "binary_crossentropy", "BinaryCrossentropy", ...), a dict with "class_name" and
            "config", a loss, one of the classes, a function of this module, or None for no loss.
        argument: What errors call the identifier; "loss" when None.

    Returns:
        The loss, always an object (where Keras returns a function for a function's name), or None.

    Raises:
        TypeError: The identifier is of none of these kinds; a Python function cannot run inside a training step.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("binary_crossentropy")
    BinaryCrossentropy()
    >>> get(mean_squared_error)
    MeanSquaredError()
    """
    return None if identifier is None else _REGISTRY.get(named(identifier), argument)


Task = Literal["binary", "sparse_categorical", "categorical"]


def task_of(output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Task:
    """Keras's rule for which form "accuracy" and "crossentropy" mean, from shapes that begin with the batch axis.

    Example:

    >>> task_of((None, 1), (None,)), task_of((None, 3), (None,)), task_of((None, 3), (None, 3))
    ('binary', 'sparse_categorical', 'categorical')
    """
    if output_shape[-1] == 1:
        return "binary"
    if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        return "sparse_categorical"
    return "categorical"


def resolve(
    identifier: object,
    output_shape: Sequence[int | None],
    target_shape: Sequence[int | None],
    argument: str | None = None,
) -> Loss | None:
    """The loss that an argument of `compile` stands for, once the shapes of outputs and targets are known.

    Args:
        identifier: What `get` takes, and "crossentropy" or "ce" for the form that fits the shapes.
        output_shape: The shape of the model's output, with the batch axis.
        target_shape: The shape of the targets, with the batch axis.
        argument: What errors call the identifier; "loss" when None.

    Returns:
        The loss, or None.

    Raises:
        TypeError: See `get`.
        ValueError: See `get`.

    Example:

    >>> resolve("crossentropy", (None, 1), (100,))
    BinaryCrossentropy()
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        identifier = f"{task_of(output_shape, target_shape)}_crossentropy"
    loss = get(identifier, argument)
    if isinstance(loss, (CategoricalCrossentropy, SparseCategoricalCrossentropy)) and output_shape[-1] == 1:
        warnings.warn(
            f"{loss.name} over one class is always 0: give the output layer one unit for each class, "
            "or use binary_crossentropy with a sigmoid",
            SyntaxWarning,
            stacklevel=2,
        )
    return loss


def serialize(loss: Loss | None) -> dict[str, Any] | None:
    """The configuration of a loss as plain data; None stays None."""
    return _serialization.serialize(loss)


def deserialize(config: object) -> Loss:
    """The loss of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.
    """
    return _REGISTRY.deserialize(config)
