"""The door for users' arrays: whatever `numpy.asarray` takes becomes contiguous float32 or int32, checked, never changed."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foliot import _core

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
        raise ValueError(f"`{argument}` must be an array. Received: None")
    if hasattr(value, "__next__") or callable(value):
        raise TypeError(
            f"`{argument}` must be an array, a list or anything with `__array__` (a pandas column). Received: {type(value).__name__}"
        )
    try:
        array = np.asarray(value)
        if array.dtype == object and array.ndim > 0:
            # A pandas column of equally long lists, or numbers boxed as objects.
            array = np.asarray(array.tolist())
    except ValueError as error:
        raise ValueError(
            f"`{argument}` must be rectangular. Received rows of different lengths ({error}); "
            "make them equally long with foliot.utils.pad_sequences"
        ) from error
    if array.dtype.kind not in "biuf":
        hint = "; turn labels into numbers first, for example with scikit-learn's LabelEncoder" if array.dtype.kind in "UST" else ""
        raise TypeError(f"`{argument}` must hold numbers. Received dtype {array.dtype} from {type(value).__name__}{hint}")
    return array


def convert(argument: str, array: Array, dtype: DType) -> Array:
    """A numeric array as C-contiguous float32 or int32; the array itself if it is that already."""
    return _to_float32(argument, array) if dtype == "float32" else _to_int32(argument, array)


def _to_float32(argument: str, array: Array) -> Array:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which check_finite reports with its row
        converted = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    if array.dtype.kind == "f":
        _core.check_finite(argument, converted)
    return converted


def _to_int32(argument: str, array: Array) -> Array:
    if array.dtype.kind == "f":
        bad = ~(array == np.trunc(array)) | np.isinf(array)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"`{argument}` must hold whole numbers (token ids or class indices). Received {array[where]} in row {where[0] if where else 0}"
            )
    if array.size and not np.can_cast(array.dtype, np.int32):
        low, high = array.min(), array.max()
        if low < _INT32.min or high > _INT32.max:
            raise ValueError(f"`{argument}` must fit into 32-bit integers. Received values from {low} to {high}")
    return np.ascontiguousarray(array, dtype=np.int32).reshape(array.shape)


def mask(argument: str, value: object, leading: tuple[int, ...]) -> Array:
    """A `(batch, time)` mask as contiguous bool; `(batch, time, 1)` is accepted as in Keras."""
    array = numeric(argument, value)
    if array.ndim == len(leading) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.shape != leading:
        raise ValueError(f"`{argument}` must have shape {leading}, one entry per time step. Received shape {array.shape}")
    return np.ascontiguousarray(array != 0)
