"""What `Tokenizer` works with: checked texts and rows of numbers, and the parts of the JSON that it is saved as."""

from __future__ import annotations

import hashlib
import json
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from foliot import _core
from foliot.preprocessing.sequence import _short

# Texts that an iterator yields are worked on in batches of this many, so that a corpus need not fit into memory.
_BATCH = 8192


class Memory(dict[Any, Any]):
    """Asks a function once per key."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self._function(key)
        return value


def splitter(filters: Iterable[str], lower: bool, split: str | None, char_level: bool) -> _core.Splitter:
    """The core's splitter, after a check of its options."""
    if not isinstance(filters, str):
        characters = list(filters)
        if not all(isinstance(character, str) and len(character) == 1 for character in characters):
            raise ValueError(f"`filters`: expected single characters; received {_short(filters)}")
        filters = "".join(characters)
    if split is not None and not isinstance(split, str):
        raise TypeError(f"`split`: expected a string or None; received {_short(split)}")
    return _core.Splitter(filters, bool(lower), split, bool(char_level))


def batches(texts: Iterable[Any]) -> Iterator[list[Any]]:
    """The texts as lists: one list, or as they come."""
    if not isinstance(texts, Iterable):
        raise TypeError(f"`texts`: expected a list of texts; received {_short(texts)}")
    if hasattr(texts, "__len__"):
        yield list(texts)
        return
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def plain_rows(sequences: Iterable[Any]) -> Iterator[Iterable[Any]]:
    """The sequences, with arrays as lists: a dictionary finds a Python integer faster than a NumPy one."""
    if not isinstance(sequences, Iterable):
        raise TypeError(f"`sequences`: expected a list of sequences; received {_short(sequences)}")
    for index, row in enumerate(sequences):
        if isinstance(row, np.ndarray) and row.ndim == 1:
            yield row.tolist()
        elif isinstance(row, Iterable) and not isinstance(row, str | np.ndarray):
            yield row
        else:
            raise TypeError(f"`sequences[{index}]`: expected a sequence of word numbers; received {_short(row)}")


def flatten(sequences: Iterable[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The numbers of all sequences in one array, and the bounds of each."""
    rows = [list(row) for row in plain_rows(sequences)]
    flat = _core.flatten_numbers(rows, "int64", sys.maxsize, "pre")
    if flat is not None:
        return flat
    # Integers of other types, as NumPy's, or not integers at all.
    for index, row in enumerate(rows):
        try:
            rows[index] = [operator.index(number) for number in row]
        except TypeError as error:
            raise TypeError(f"`sequences[{index}]`: expected integers; received {_short(row)}") from error
    flat = _core.flatten_numbers(rows, "int64", sys.maxsize, "pre")
    if flat is None:
        raise ValueError("`sequences`: expected integers of at most 64 bits; received a larger one")
    return flat


def add(totals: MutableMapping[Any, int], increments: Iterable[tuple[Any, int]]) -> None:
    """Adds counts to counts."""
    if not totals:
        totals.update(increments)
        return
    get = totals.get
    for key, increment in increments:
        totals[key] = get(key, 0) + increment


def integer(argument: str, value: Any) -> int:
    """`value` as an int, checked to be an integer of any kind."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"`{argument}`: expected an integer; received {_short(value)}") from error


def md5(word: Any) -> int:
    """A hash that is the same in every process."""
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


def json_object(argument: str, text: Any) -> dict[str, Any]:
    """The object that a JSON text holds."""
    if not isinstance(text, str):
        raise TypeError(f"`{argument}`: expected a JSON text; received {_short(text)}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{argument}`: expected a JSON text; received {_short(text)} ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"`{argument}`: expected a JSON object; received {_short(value)}")
    return value


def counts(config: Mapping[str, Any], name: str) -> dict[str, int]:
    """The counts that an entry of a configuration holds as JSON."""
    counts = json_object(name, config[name])
    for key, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool):
            raise ValueError(f"`{name}`: expected an integer for {key!r}; received {_short(count)}")
    return counts


def by_number(name: str, entries: Mapping[str, Any]) -> dict[int, Any]:
    """JSON has no integer keys."""
    try:
        return {int(key): entry for key, entry in entries.items()}
    except ValueError as error:
        raise ValueError(f"`{name}`: expected integers as keys; received another ({error})") from error
