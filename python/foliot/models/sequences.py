"""Sequences of different lengths: rows become one array that is padded on the right, with a mask that says where."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foliot import _arrays
from foliot._arrays import Array
from foliot._checks import describe, value_error


def ragged_rows(value: Any, always: bool = False) -> list[Any] | None:
    """The rows of a list whose rows are sequences of different lengths; None for anything else.

    Args:
        value: A list, a tuple, or an array or a column of lists.
        always: Also for rows of one length, if they are lists or the like.
    """
    if not isinstance(value, (list, tuple)):
        if str(getattr(value, "dtype", "")) != "object" or np.ndim(value) != 1:
            return None
        value = list(value)
    if not value or not all(_is_row(row) for row in value):
        return None
    return list(value) if always or len({len(row) for row in value}) > 1 else None


def _is_row(row: Any) -> bool:
    return hasattr(row, "__len__") and not isinstance(row, (str, bytes, Mapping)) and np.ndim(_outer(row)) == 1


def _outer(row: Any) -> Any:
    # Of an array of no axes len() is an error; of a list the items need no look.
    return row[:0] if isinstance(row, (list, tuple)) else np.empty(np.shape(row)[:1])


def pad(argument: str, rows: Sequence[Any], time: int | None = None) -> tuple[Array, Array]:
    """The rows as one array of `time` steps (None for the longest) with zeros behind their ends, and their lengths.

    Raises:
        TypeError: A row does not hold numbers.
        ValueError: Rows differ in more than their lengths.
    """
    arrays = [_arrays.numeric(f"{argument}[{position}]", row) for position, row in enumerate(rows)]
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    filled = [array for array in arrays if len(array)]
    inner = filled[0].shape[1:] if filled else arrays[0].shape[1:]
    for position, array in enumerate(arrays):
        if len(array) and array.shape[1:] != inner:
            expected = f"rows that differ in their length only, each step of shape {inner} as in the first row"
            raise ValueError(f"`{argument}[{position}]`: expected {expected}; received shape {array.shape}")
    time = int(lengths.max(initial=0)) if time is None else time
    padded = np.zeros((len(arrays), time, *inner), dtype=np.result_type(*filled) if filled else np.float32)
    if filled:
        padded[steps(lengths, time)] = np.concatenate(filled)
    return padded, lengths


def steps(lengths: Array, time: int) -> Array:
    """The mask (rows, time) that is True before each row's end."""
    return np.asarray(np.arange(time) < lengths[:, None])


def check_equal_lengths(name: str, ends: Array | None) -> None:
    """Refuses rows of different lengths for a time-major input: each would be a sample, and a row is a time step."""
    if ends is not None and len(set(ends.tolist())) > 1:
        raise value_error(
            name,
            "an array (time, batch, ...), for layers with time_major=True read it: pad_sequences makes rows equally "
            "long, and lengths=... says where they end",
            "a ragged list",
        )


def check_lengths(argument: str, value: Any, name: str, shape: tuple[int, ...]) -> Array:
    """The lengths of the rows of an input, one whole number from 0 to the number of time steps for each."""
    array = _arrays.numeric(argument, value)
    rows, time = shape[:2]
    if array.shape != (rows,):
        raise ValueError(f"`{argument}`: expected shape {(rows,)}, a length for each row; received shape {array.shape}")
    if np.asarray(value).dtype == np.bool_:
        raise TypeError(f"`{argument}`: expected whole numbers, the lengths of the rows; received booleans")
    _arrays.check_whole(argument, array, "whole numbers, the lengths of the rows")
    bad = (array < 0) | (array > time)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"`{argument}`: expected lengths from 0 to {time}, the time steps of `{name}`; received "
            f"{describe(array[row].item())} in row {row}"
        )
    return array.astype(np.int64)


def split_lengths(argument: str, lengths: Any, form: Any, names: Sequence[str], timed: Sequence[bool]) -> list[Any]:
    """What `lengths` says of each input, None where it says nothing.

    Args:
        argument: What messages call the lengths.
        lengths: An array for the only input with a time axis, or what `form` is: a list or dict with an array or None
            for each input; also a dict by the inputs' names.
        form: The nest of the model's inputs, simplified.
        names: The inputs' names.
        timed: Which of them have a time axis.

    Raises:
        ValueError: It does not say which input an array is for, or is for an input without a time axis.
    """
    if isinstance(lengths, Mapping):
        if not set(lengths) <= set(names):
            raise value_error(argument, f"a dict with keys among {list(names)}", sorted(map(str, lengths)))
        return [lengths.get(name) for name in names]
    several = isinstance(lengths, (list, tuple)) and any(item is None or np.ndim(item) > 0 for item in lengths)
    if several:
        if isinstance(form, Mapping) or len(lengths) != len(names):
            raise value_error(argument, f"one array, or an array or None for each of the inputs {list(names)}", lengths)
        return list(lengths)
    if sum(timed) != 1:
        expected = (
            f"a list or dict with an array or None for each of the inputs {list(names)}, of which {sum(timed)} have a "
            "time axis"
            if len(names) > 1
            else "None for an input without a time axis"
        )
        raise value_error(argument, expected, lengths)
    return [lengths if has_time else None for has_time in timed]


def find_ends(
    inputs: Sequence[tuple[str, Array]],
    ends: Sequence[Array | None],
    timed: Sequence[bool],
    lengths: Any,
    form: Any,
    keys: Sequence[str],
    called: str = "lengths",
) -> list[Array | None]:
    """The lengths of the rows of each input, None where they are all that there is.

    Args:
        inputs: The inputs' names and arrays.
        ends: The lengths of ragged rows that have become arrays.
        timed: Which inputs have a time axis.
        lengths: What the user passed as such.
        form: The nest of the model's inputs, simplified.
        keys: The inputs' names, or their keys in the model's dict.
        called: What messages call the lengths.
    """
    if lengths is not None:
        if any(end is not None for end in ends):
            raise value_error(called, "None for rows of different lengths, which say it themselves", lengths)
        ends = split_lengths(called, lengths, form, keys, timed)
    found: list[Array | None] = []
    for (name, array), key, has_time, end in zip(inputs, keys, timed, ends, strict=True):
        if end is None or has_time:
            own = end is None or lengths is None
            argument = called if len(inputs) == 1 else f"{called}[{key!r}]"
            found.append(end if own else check_lengths(argument, end, name, array.shape))
        elif lengths is not None:
            raise value_error(called, f"None for the input {key!r}, which has no time axis", end)
        elif len(set(end.tolist())) > 1:
            raise ValueError(
                f"`{name}`: expected rows of one length, for the input has no time axis; received a ragged list"
            )
        else:
            found.append(None)
    return found


def mask_padding(
    inputs: Sequence[tuple[str, Array]], ends: Sequence[Array | None], padding: Sequence[float], always: bool
) -> tuple[list[tuple[str, Array]], list[Array | None]]:
    """The inputs with the given values behind the rows' ends, and the masks; none at all where no row ends early."""
    masks = [None if end is None else steps(end, array.shape[1]) for (_, array), end in zip(inputs, ends, strict=True)]
    if not always and all(mask is None or mask.all() for mask in masks):
        return list(inputs), []
    filled = []
    for (name, array), mask, value in zip(inputs, masks, padding, strict=True):
        if mask is not None and (array[~mask] != value).any():
            array = array.copy()
            array[~mask] = value
        filled.append((name, array))
    return filled, masks if any(mask is not None for mask in masks) else []


def pad_targets(argument: str, value: Any, masks: Sequence[Array | None]) -> Array:
    """Targets as an array: ragged ones are padded like the input that they belong to.

    Raises:
        ValueError: No input has rows of these lengths.
    """
    rows = ragged_rows(value) if any(mask is not None for mask in masks) else None
    if rows is None:
        return _arrays.numeric(argument, value)
    lengths = np.array([len(row) for row in rows])
    for mask in masks:
        if mask is not None and np.array_equal(mask.sum(axis=1), lengths):
            return pad(argument, rows, mask.shape[1])[0]
    raise value_error(argument, "rows as long as those of the input", lengths.tolist())


def bucket_lengths(argument: str, inputs: Sequence[Array], masks: Sequence[Array | None], ids: Sequence[bool]) -> Array:
    """How long each row is: the longest of its sequences.

    Args:
        argument: What messages call the option that asks.
        inputs: The inputs.
        masks: Their masks, none at all where no input has one.
        ids: Which inputs hold token ids whose 0 is padding.

    Raises:
        ValueError: Nothing says where rows end.
    """
    found = [mask.sum(axis=1) for mask in masks if mask is not None]
    found += [(array != 0).sum(axis=1) for array, padded in zip(inputs, ids, strict=True) if padded and not found]
    if not found:
        expected = "False, unless x has rows of different lengths, lengths=... says them, or an Embedding has mask_zero"
        raise value_error(argument, expected, True)
    return np.asarray(np.maximum.reduce(found))
