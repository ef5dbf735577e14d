"""Layers that move elements and compute nothing.

As in Keras, none of them hands a mask on, since the axis that is time behind them need not be the one before.
"""

import math
from collections.abc import Sequence
from typing import Any

from foliot._checks import check_integer, type_error, value_error
from foliot._graph import Shape
from foliot.layers.arguments import check_data_format, check_pair
from foliot.layers.base import Layer


class Flatten(Layer):
    """Joins all axes but the batch into one.

    Args:
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Flatten
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    needs_fixed_shape = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        sizes = [size for size in input_shape[1:] if size is not None]
        return [(input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "flatten"}


class Reshape(Layer):
    """Gives the elements of each sample, in C order, other axes.

    Args:
        target_shape: The axes behind the batch axis; -1, at most once, is as long as the number of elements asks for.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: Any shape.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Reshape
        >>> Reshape((6, -1))(np.zeros((2, 3, 4))).shape
        (2, 6, 2)
    """

    needs_fixed_shape = True

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_shape, Sequence) or isinstance(target_shape, str):
            raise type_error("target_shape", "a tuple such as (6, -1)", target_shape)
        self.target_shape = tuple(check_integer("target_shape", size, minimum=-1) for size in target_shape)
        if self.target_shape.count(-1) > 1:
            raise value_error("target_shape", "at most one -1", target_shape)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        sizes = [size for size in shape[1:] if size is not None]
        count, known = math.prod(sizes), math.prod(size for size in self.target_shape if size >= 0)
        fits = count == known if -1 not in self.target_shape else known > 0 and count % known == 0
        if len(sizes) == len(shape) - 1 and not fits:
            expected = f"an input with as many elements as target_shape={self.target_shape}"
            raise ValueError(f"{self.label}: expected {expected}; received {shape}")

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        sizes = [size for size in input_shape[1:] if size is not None]
        known = math.prod(size for size in self.target_shape if size >= 0)
        rest = math.prod(sizes) // max(known, 1) if len(sizes) == len(input_shape) - 1 else None
        return [(input_shape[0], *(rest if size == -1 else size for size in self.target_shape))]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "reshape", "target": [None if size == -1 else size for size in self.target_shape]}


class Permute(Layer):
    """Exchanges axes.

    Args:
        dims: For each axis of the output, which axis of the input it is; the first one behind the batch axis is 1.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: As many axes as `dims` names, behind the batch axis.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Permute
        >>> Permute((2, 1))(np.zeros((2, 3, 4))).shape
        (2, 4, 3)
    """

    needs_fixed_shape = True

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dims, Sequence) or isinstance(dims, str):
            raise type_error("dims", "a tuple such as (2, 1)", dims)
        self.dims = tuple(check_integer("dims", axis) for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise value_error("dims", "the numbers from 1 to the number of axes, each once", dims)
        self.axes = f"(batch, {', '.join(f'axis {axis}' for axis in sorted(self.dims))})"  # type: ignore[misc]
        self.ranks = (len(self.dims) + 1,) * 2  # type: ignore[misc]

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(input_shape[0], *(input_shape[axis] for axis in self.dims))]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "permute", "dims": list(self.dims)}


class RepeatVector(Layer):
    """Repeats a vector as the time steps of a sequence: `(batch, features)` becomes `(batch, n, features)`.

    Args:
        n: How many times.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, features)`.

    Example:
        >>> from foliot.layers import RepeatVector
        >>> RepeatVector(2)([[1.0, 2.0]]).tolist()
        [[[1.0, 2.0], [1.0, 2.0]]]
    """

    axes = "(batch, features)"
    ranks = (2, 2)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = check_integer("n", n, minimum=1)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(input_shape[0], self.n, input_shape[1])]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "repeat_vector", "n": self.n}


class Cropping1D(Layer):
    """Takes time steps off both ends.

    Args:
        cropping: How many at the beginning and at the end; one number stands for both.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)` with more time steps than are taken off.

    Example:
        >>> from foliot.layers import Cropping1D
        >>> Cropping1D((1, 0))([[[1.0], [2.0], [3.0]]]).tolist()
        [[[2.0], [3.0]]]
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = check_pair("cropping", cropping)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if shape[1] is not None and shape[1] <= sum(self.cropping):
            expected = f"more than {sum(self.cropping)} time steps, which cropping={self.cropping} takes off"
            raise ValueError(f"{self.label}: expected {expected}; received {shape}")

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, time, features = input_shape
        return [(batch, None if time is None else time - sum(self.cropping), features)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "cropping1d", "cropping": list(self.cropping)}


class ZeroPadding1D(Layer):
    """Adds time steps of zeros at both ends.

    Args:
        padding: How many at the beginning and at the end; one number stands for both.
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`.

    Example:
        >>> from foliot.layers import ZeroPadding1D
        >>> ZeroPadding1D((2, 0))([[[1.0]]]).tolist()
        [[[0.0], [0.0], [1.0]]]
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)

    def __init__(self, padding: int | Sequence[int] = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = check_pair("padding", padding)
        self.data_format = check_data_format(data_format)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, time, features = input_shape
        return [(batch, None if time is None else time + sum(self.padding), features)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "zero_padding1d", "padding": list(self.padding)}
