"""The door for users' arrays: what `numpy.asarray` takes becomes contiguous float32 or int32; nothing is changed."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foliot import _core
from foliot._checks import type_error, value_error

Array = npt.NDArray[Any]
DType = Literal["float32", "int32"]

_INT32 = np.iinfo(np.int32)


def numeric(argument: str, value: object) -> Array:
    """`value` as a numeric array of its own dtype (a view where that is possible).

    Raises:
        ValueError: rows of different lengths.
        TypeError: not numbers.
    """
    if value is None:
        raise value_error(argument, "an array", value)
    if hasattr(value, "__next__") or callable(value):
        raise type_error(argument, "an array, a list or anything with `__array__` such as a pandas column", value)
    try:
        array = np.asarray(value)
        if array.dtype == object and array.ndim > 0:
            # A pandas column of equally long lists, or numbers boxed as objects.
            array = np.asarray(array.tolist())
    except ValueError as error:
        raise ValueError(
            f"`{argument}`: expected rows of one length; received a ragged list ({error}). "
            "foliot.utils.pad_sequences makes sequences equally long"
        ) from error
    if array.dtype.kind not in "biuf":
        hint = (
            "; turn labels into numbers first, for example with scikit-learn's LabelEncoder"
            if array.dtype.kind in "UST"
            else ""
        )
        raise TypeError(
            f"`{argument}` must hold numbers. Received dtype {array.dtype} from {type(value).__name__}{hint}"
        )
    return array


def convert(argument: str, array: Array, dtype: DType) -> Array:
    """A numeric array as C-contiguous float32 or int32; the array itself if it is that already."""
    return _to_float32(argument, array) if dtype == "float32" else _to_int32(argument, array)


def _to_float32(argument: str, array: Array) -> Array:
    with np.errstate(
        over="ignore"
    ):  # a float64 beyond float32 becomes infinite, which check_finite reports with its row
        converted = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    if array.dtype.kind == "f":
        _core.check_finite(argument, converted)
    return converted


def _to_int32(argument: str, array: Array) -> Array:
    if array.dtype.kind == "f":
        bad = ~(array == np.trunc(array)) | np.isinf(array)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            expected = "whole numbers (token ids or class indices)"
            raise ValueError(
                f"`{argument}`: expected {expected}; received {array[where]} in row {where[0] if where else 0}"
            )
    if array.size and not np.can_cast(array.dtype, np.int32):
        low, high = array.min().item(), array.max().item()
        if low < _INT32.min or high > _INT32.max:
            raise ValueError(f"`{argument}`: expected integers of 32 bits; received values from {low} to {high}")
    return np.ascontiguousarray(array, dtype=np.int32).reshape(array.shape)


def mask(argument: str, value: object, leading: tuple[int, ...]) -> Array:
    """A `(batch, time)` mask as contiguous bool; `(batch, time, 1)` is accepted as in Keras."""
    array = numeric(argument, value)
    if array.ndim == len(leading) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.shape != leading:
        raise ValueError(
            f"`{argument}`: expected shape {leading}, one entry per time step; received shape {array.shape}"
        )
    return np.ascontiguousarray(array != 0)
