"""Losses of probabilities: cross-entropies, the Kullback-Leibler divergence, Poisson's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_flag, check_integer, check_last_axis, check_number
from foliot.losses.base import Loss


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

    _kind = "binary_crossentropy"

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

    _kind = "categorical_crossentropy"

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
        ignore_class: A target that leaves its sample out, as a mask does; it need not be among the classes.
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
    _kind = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = check_flag("from_logits", from_logits)
        self.ignore_class = None if ignore_class is None else check_integer("ignore_class", ignore_class)
        self.axis = check_last_axis("axis", axis)

    def _numbers(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "ignore_class": self.ignore_class}

    def _rows(self, targets: NDArray[Any], rows: int) -> int:
        return rows if self.ignore_class is None else int((targets != self.ignore_class).sum())


class CategoricalGeneralizedCrossEntropy(Loss):
    """Generalized cross-entropy of integer classes (Zhang and Sabuncu, 2018), which wrong labels disturb less.

    `(1 - p**q) / q`, where `p` is the probability that was given to the target: the cross-entropy as `q` goes to 0, the
    absolute error as it goes to 1.

    Args:
        q: Between 0 and 1.
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])
    1.0
    """

    sparse = True
    _kind = "categorical_generalized_cross_entropy"

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.q = check_number("q", q, above=0, below=1)

    def _numbers(self) -> dict[str, Any]:
        return {"q": self.q}


class KLDivergence(Loss):
    """`sum(y_true * log(y_true / y_pred))`, the divergence of two distributions, both kept within `[1e-7, 1]`.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    _kind = "kl_divergence"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class Poisson(Loss):
    """The mean over features of `y_pred - y_true * log(y_pred + 1e-7)`, for targets that are counts.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> round(Poisson()([[0.0, 1.0]], [[1.0, 1.0]]), 4)
    1.0
    """

    _kind = "poisson"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "poisson",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


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
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> NDArray[np.float32]:
    """The cross-entropy of each sample: see `SparseCategoricalCrossentropy` and `Loss.call`.

    Example:

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4)
    array([0.6931], dtype=float32)
    """
    return SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis).call(y_true, y_pred)


def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float) -> NDArray[np.float32]:
    """The generalized cross-entropy of each sample: see `CategoricalGeneralizedCrossEntropy` and `Loss.call`.

    Example:

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], 0.5)
    array([1.], dtype=float32)
    """
    return CategoricalGeneralizedCrossEntropy(q).call(y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The divergence of each sample: see `KLDivergence` and `Loss.call`.

    Example:

    >>> kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
    array([0.1438], dtype=float32)
    """
    return KLDivergence().call(y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """Poisson's loss of each sample: see `Poisson` and `Loss.call`.

    Example:

    >>> poisson([[0.0, 1.0]], [[1.0, 1.0]]).round(4)
    array([1.0], dtype=float32)
    """
    return Poisson().call(y_true, y_pred)
