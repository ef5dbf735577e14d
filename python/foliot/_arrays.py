"""The door for users' arrays: what `numpy.asarray` takes becomes contiguous float32 or int32; nothing is changed."""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foliot import _core
from foliot._checks import describe, type_error, value_error
from foliot._rows import check_unmasked

Array = npt.NDArray[Any]
DType = Literal["float32", "int32"]

_INT32 = np.iinfo(np.int32)


def numeric(argument: str, value: object) -> Array:
    """`value` as a numeric array of its own dtype (a view where that is possible).

    Raises:
        ValueError: rows of different lengths, masked elements, or missing values of pandas.
        TypeError: not numbers.
    """
    if value is None:
        raise value_error(argument, "an array", value)
    if hasattr(value, "__next__") or callable(value):
        raise type_error(argument, "an array, a list or anything with `__array__` such as a pandas column", value)
    check_unmasked(argument, value)
    try:
        array = np.asarray(value)
        # A pandas column of equally long lists, or numbers boxed as objects.
        numbers = np.asarray(array.tolist()) if array.dtype == object and array.ndim > 0 else array
    except ValueError as error:
        raise ValueError(
            f"`{argument}`: expected rows of one length; received a ragged list ({error}). "
            "foliot.utils.pad_sequences makes sequences equally long"
        ) from error
    # What pandas calls missing is NaN to NumPy, or an object.
    if array.dtype == object or (hasattr(value, "isna") and array.dtype.kind == "f"):
        _check_nothing_missing(argument, array)
    if numbers.dtype.kind not in "biuf":
        hint = (
            "; turn labels into numbers first, for example with scikit-learn's LabelEncoder"
            if numbers.dtype.kind in "UST"
            else ""
        )
        raise TypeError(
            f"`{argument}` must hold numbers. Received dtype {numbers.dtype} from {type(value).__name__}{hint}"
        )
    return numbers


def _check_nothing_missing(argument: str, array: Array) -> None:
    missing = np.isnan(array) if array.dtype.kind == "f" else np.vectorize(_is_missing, otypes=[np.bool_])(array)
    if missing.any():
        where = tuple(int(i) for i in np.argwhere(missing)[0])
        raise ValueError(
            f"`{argument}`: expected numbers; received a missing value, {array[where]}, in row "
            f"{where[0] if where else 0}. Fill or drop missing values first, with pandas's fillna or dropna"
        )


def _is_missing(item: object) -> bool:
    """None and NaN, and pandas's NA and NaT by their names, for pandas need not be installed."""
    return (
        item is None or type(item).__name__ in ("NAType", "NaTType") or (isinstance(item, float) and math.isnan(item))
    )


def convert(argument: str, array: Array, dtype: DType) -> Array:
    """A numeric array as C-contiguous float32 or int32; the array itself if it is that already."""
    return _to_float32(argument, array) if dtype == "float32" else _to_int32(argument, array)


def _to_float32(argument: str, array: Array) -> Array:
    if array.dtype == np.float32 and array.flags.c_contiguous:
        converted = array
    else:
        # A float64 beyond float32 becomes infinite, which check_finite reports with its row.
        with np.errstate(over="ignore"):
            converted = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    if array.dtype.kind == "f":
        _core.check_finite(argument, converted)
    return converted


def float32_as_is(argument: str, array: Array, what: str) -> Array:
    """A numeric array as C-contiguous float32, with NaN and infinity as they are.

    Raises:
        ValueError: a finite number of `what` lies beyond float32.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    beyond = np.isinf(stored) & ~np.isinf(array)
    if beyond.any():
        raise value_error(argument, f"numbers within float32 for {what}", array[beyond][0].item())
    return stored


def check_whole(argument: str, array: Array, expected: str) -> None:
    """Refuses fractions, NaN and infinity."""
    if array.dtype.kind == "f":
        bad = ~(array == np.trunc(array)) | np.isinf(array)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"`{argument}`: expected {expected}; received {array[where]} in row {where[0] if where else 0}"
            )


def _to_int32(argument: str, array: Array) -> Array:
    check_whole(argument, array, "whole numbers (token ids or class indices)")
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
    # NaN, a fraction or a weight would count as True.
    bad = (array != 0) & (array != 1)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        expected = "True or False (or 1 or 0) for each time step"
        raise ValueError(
            f"`{argument}`: expected {expected}; received {describe(array[where].item())} in row {where[0]}"
        )
    return np.ascontiguousarray(array != 0)
