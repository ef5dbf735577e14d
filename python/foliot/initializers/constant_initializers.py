"""Initializers that draw nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_dtype, check_number, type_error, value_error
from foliot._rows import check_unmasked
from foliot.initializers.base import Initializer, check_shape


class Zeros(Initializer):
    """All 0.

    Example:

    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """


class Ones(Initializer):
    """All 1.

    Example:

    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """


class Constant(Initializer):
    """All the same value, or the values of an array.

    Args:
        value: A number, or an array that broadcasts to the weights' shape, such as pretrained word vectors for an
            `Embedding`. The recurrent kernel of a layer with `heads` has the shape `(heads, ...)`; an array of one
            head's shape starts all of them.

    Raises:
        TypeError: `value` is no number and no array of numbers.
        ValueError: `value` is not finite.

    Example:

    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    >>> Constant([[1, 2], [3, 4]])((2, 2))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        self.value: float | NDArray[np.float32]
        check_unmasked("value", value)
        array = np.asarray(value)
        if array.ndim == 0:
            self.value = check_number("value", array.item())
            return
        if array.dtype.kind not in "fiu":
            raise type_error("value", "a number or an array of numbers", value)
        self.value = array.astype(np.float32)
        if not np.isfinite(self.value).all():
            raise value_error("value", "finite numbers within float32", value)

    def get_config(self) -> dict[str, Any]:
        """Returns the value; an array becomes nested lists, which JSON can hold."""
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values; see `Initializer.__call__`."""
        if not isinstance(self.value, np.ndarray):
            return super().__call__(shape, dtype)
        sizes = check_shape(shape)
        check_dtype(dtype)
        try:
            return np.broadcast_to(self.value, sizes).copy()
        except ValueError as error:
            raise ValueError(
                f"`shape`: expected one that an array of shape {self.value.shape} broadcasts to; received {sizes}"
            ) from error

    def make_blocks(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Makes the values; see `Initializer.make_blocks`. An array may hold all blocks, or the one that all are."""
        return self(shape)


class Identity(Initializer):
    """`gain` on the main diagonal of a matrix, 0 elsewhere.

    Args:
        gain: The value on the diagonal.

    Raises:
        TypeError: `gain` is no number.
        ValueError: `gain` is not finite; on the call: the shape is no matrix.

    Example:

    >>> Identity()((2, 2))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("gain", gain)
