"""Sequences of different lengths as one array."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foliot import _core
from foliot._checks import check_integer, type_error, value_error
from foliot._rows import check_unmasked
from foliot._warnings import warn
from foliot.preprocessing.skipgrams import make_sampling_table, skipgrams
from foliot.preprocessing.timeseries import TimeseriesGenerator, timeseries_generator_from_json

__all__ = [
    "TimeseriesGenerator",
    "make_sampling_table",
    "pad_sequences",
    "skipgrams",
    "timeseries_generator_from_json",
]


class _DoesNotFitError(ValueError, OverflowError):
    """A number is too large for a dtype: a ValueError as all of foliot's, and the OverflowError that Keras raises."""


def pad_sequences(
    sequences: Sequence[Any] | npt.NDArray[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: Literal["pre", "post"] = "pre",
    truncating: Literal["pre", "post"] = "pre",
    value: float | str | bytes = 0.0,
) -> npt.NDArray[Any]:
    """Brings sequences to one length: shorter ones are filled up with `value`, longer ones are cut.

    Both happen at the beginning by default, so that a recurrent layer reads the end of each sequence last.

    Args:
        sequences: A list of sequences, or an array of at least two axes. A sequence holds one number, or one array of a
            common shape, per step. Its own NumPy dtype does not matter, the result has `dtype`.
        maxlen: The length of the result; `None` for that of the longest sequence.
        dtype: The dtype of the result. For strings use `object`.
        padding: Where values are added: `"pre"` or `"post"`.
        truncating: Where values are removed: `"pre"` or `"post"`.
        value: What fills the free places.

    Returns:
        An array of shape `(len(sequences), maxlen)`, followed by the shape of one step. `sequences` stays as it is.

    Raises:
        TypeError: If an argument has a type that cannot be used.
        ValueError: If an argument has a value that cannot be used, the steps differ in shape, or a number that is kept
            does not fit `dtype`: one that is too large (an OverflowError as well), or NaN in an integer dtype.

    Warns:
        UserWarning: If an integer `dtype` (the default is one) cuts off fractions of the values.

    Example:
        >>> sequences = [[1], [2, 3], [4, 5, 6]]
        >>> pad_sequences(sequences)
        array([[0, 0, 1],
               [0, 2, 3],
               [4, 5, 6]], dtype=int32)
        >>> pad_sequences(sequences, maxlen=2, padding="post", truncating="post", value=-1)
        array([[ 1, -1],
               [ 2,  3],
               [ 4,  5]], dtype=int32)
        >>> pad_sequences([["to", "be"], ["not"]], dtype=object, value="<pad>")
        array([['to', 'be'],
               ['<pad>', 'not']], dtype=object)
    """
    for argument, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise value_error(argument, "'pre' or 'post'", side)
    lengths = _lengths(sequences)
    columns = _columns(maxlen, lengths)
    kind = _kind(dtype)
    _check_fill(value, kind)
    ragged = _ragged(sequences, lengths, kind, columns, truncating)
    if ragged is None:
        return _pad_by_row(sequences, lengths, columns, dtype, padding, truncating, value)
    values, offsets = ragged
    out = _filled((len(lengths), columns, *values.shape[1:]), value, kind)
    if out.size:
        item = values.nbytes // len(values) if len(values) else 1
        _core.pad_rows(_bytes(values), offsets, item, _bytes(out), out.nbytes // item // len(out), padding, truncating)
    return out


def _lengths(sequences: Any) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"`sequences`: expected a list or an array of sequences; received {_short(sequences)}")
    check_unmasked("sequences", sequences)
    if isinstance(sequences, np.ndarray) and sequences.ndim >= 2:
        return [sequences.shape[1]] * len(sequences)
    lengths = []
    for index, row in enumerate(sequences):
        try:
            lengths.append(len(row))
        except TypeError as error:
            raise ValueError(f"`sequences[{index}]`: expected a sequence; received {_short(row)}") from error
    return lengths


def _columns(maxlen: int | None, lengths: list[int]) -> int:
    if maxlen is None:
        if not lengths:
            raise ValueError("`sequences`: expected at least one sequence when `maxlen` is None; received none")
        return max(lengths)
    return check_integer("maxlen", maxlen, minimum=0, maximum=sys.maxsize)


def _kind(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        return np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise type_error("dtype", "a NumPy dtype such as 'int32', 'float32' or object", dtype) from error


def _check_fill(value: object, kind: np.dtype[Any]) -> None:
    if kind.kind not in "biufc":
        return
    if isinstance(value, (str, bytes)):
        raise value_error("value", f"a number for dtype {kind.name} (strings need dtype=object)", value)
    given = np.asarray(value)
    if given.ndim or given.dtype.kind not in "biufc":
        # A whole number beyond 64 bits is an object to NumPy.
        error = value_error if isinstance(value, int) else type_error
        raise error("value", f"a number that {kind.name} can hold", value)
    if not _fits(given, kind).all():
        raise value_error("value", f"a number that {kind.name} can hold", value)


def _filled(shape: tuple[int, ...], value: object, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The result before any row is in it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        # Beyond every memory NumPy speaks of dimensions instead.
        if size > sys.maxsize:
            raise MemoryError(size)
        return np.full(shape, value, dtype=dtype)
    except MemoryError as error:
        raise ValueError(
            f"`maxlen`: expected a length that fits into memory; received {shape[1]} for {shape[0]} sequences, "
            f"{size} bytes in all"
        ) from error
    except (OverflowError, TypeError, ValueError) as error:
        raise value_error("value", f"a value that {np.dtype(dtype).name} can hold", value) from error


def _fits(values: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Which numbers remain themselves in `kind`, apart from the rounding that floats do and cut fractions.

    NumPy converts an array without a word: it wraps integers around and gives NaN an integer of its own.
    """
    fits: npt.NDArray[np.bool_] = np.ones(values.shape, dtype=np.bool_)
    if values.dtype.kind not in "iufc" or kind.kind not in "iuf" or np.can_cast(values.dtype, kind):
        return fits
    if values.dtype.kind == "c":
        return ~fits
    with np.errstate(all="ignore"):
        if kind.kind == "f":
            fits = np.isfinite(values.astype(kind)) | ~np.isfinite(values)
        elif values.dtype.kind == "f":
            # The upper bound is a power of 2, which a float holds exactly where the largest integer is none.
            limits, whole = np.iinfo(kind), np.trunc(values.astype(np.float64, copy=False))
            fits = (whole >= float(limits.min)) & (whole < 2.0 * (limits.max // 2 + 1))
        else:
            limits = np.iinfo(kind)
            fits = (values >= limits.min) & (values <= limits.max)
    return fits


def _ragged(
    sequences: Any, lengths: list[int], kind: np.dtype[Any], columns: int, truncating: Literal["pre", "post"]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]] | None:
    """The steps in one array of dtype `kind` and the bounds of the rows; `None` if that takes a look at each row.

    Rows of more than `columns` steps may have lost what `truncating` removes.
    """
    if kind.hasobject or kind.itemsize == 0:
        return None
    if isinstance(sequences, np.ndarray) and sequences.ndim >= 2:
        step = sequences.shape[2:] if sequences.shape[1] else ()
        values = sequences.reshape(len(sequences) * sequences.shape[1], *step)
    elif lengths and all(isinstance(row, np.ndarray) for row in sequences):
        filled = [row for row in sequences if len(row)]
        if not filled or any(row.dtype != filled[0].dtype or row.shape[1:] != filled[0].shape[1:] for row in filled):
            return None
        values = np.concatenate(filled)
    else:
        flat = _core.flatten_numbers(list(sequences), kind.name, columns, truncating)
        # A dtype of foreign byte order has the name of the native one.
        return None if flat is None else (flat[0].astype(kind, copy=False), flat[1])
    # Of numbers that do not fit, some may be cut off: that too takes a look at each row.
    if values.dtype.hasobject or not _fits(values, kind).all():
        return None
    if _loses_fractions(values, kind):
        _warn_about_fractions(kind)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.ascontiguousarray(values, dtype=kind), offsets


def _pad_by_row(
    sequences: Any,
    lengths: list[int],
    columns: int,
    dtype: npt.DTypeLike,
    padding: str,
    truncating: str,
    value: float | str | bytes,
) -> npt.NDArray[Any]:
    """The definition, for strings, objects and whatever else NumPy has to convert row by row."""
    kind = np.dtype(dtype)
    step: tuple[int, ...] | None = None
    out: npt.NDArray[Any] | None = None
    lossy = False
    for index, row in enumerate(sequences):
        if not lengths[index]:
            continue
        try:
            start = max(lengths[index] - columns, 0) if truncating == "pre" else 0
            kept = row[start : start + columns]
            given = np.asarray(kept)
            if step is None:
                step = np.asarray(row).shape[1:]
            fits = _fits(given, kind)
            if not fits.all():
                raise _DoesNotFitError(f"expected numbers that {kind.name} can hold, not {given[~fits][0]}")
            array = np.asarray(kept, dtype=dtype)
        except (OverflowError, TypeError, ValueError) as error:
            text = f"`sequences[{index}]`: {error}; received {_short(row)}"
            if isinstance(error, OverflowError):
                raise _DoesNotFitError(text) from error
            raise (TypeError if isinstance(error, TypeError) else ValueError)(text) from error
        if out is None:
            out = _filled((len(lengths), columns, *step), value, dtype)
        if not columns:
            continue
        if array.ndim == 0 or array.shape[1:] != step:
            raise ValueError(
                f"`sequences[{index}]`: expected steps of shape {step}, as in the first sequence that is not empty; "
                f"received {array.shape[1:]}"
            )
        lossy = lossy or _loses_fractions(given, array.dtype)
        if padding == "post":
            out[index, : len(array)] = array
        else:
            out[index, columns - len(array) :] = array
    if lossy:
        _warn_about_fractions(kind)
    return _filled((len(lengths), columns), value, dtype) if out is None else out


def _loses_fractions(values: npt.NDArray[Any], kind: np.dtype[Any]) -> bool:
    return values.dtype.kind == "f" and kind.kind in "iu" and bool(np.any(values != np.trunc(values)))


def _warn_about_fractions(kind: np.dtype[Any]) -> None:
    warn(
        f"pad_sequences: `sequences` holds fractions and `dtype` is {kind.name}, which cuts them off; "
        "pass dtype='float32' to keep them.",
    )


def _bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _short(value: object) -> str:
    """A value as it appears in an error: its type, and its text up to a length."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
