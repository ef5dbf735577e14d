"""Film reviews of IMDB as lists of word numbers, from Keras's `imdb.npz` on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from foliot.datasets._npz import read_npz

_Part = tuple[NDArray[np.object_], NDArray[np.int64]]
_Rows = tuple[list[list[int]], list[int]]


def load_data(
    path: str | os.PathLike[str] = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[_Part, _Part]:
    """Loads the reviews of `imdb.npz`, each a list of word numbers, as Keras does.

    A word's number is its rank: 1 is the most common word. The rows are shuffled with `seed`; Keras gives the same
    rows in the same order. Nothing is downloaded and, other than with `numpy.load`, nothing in the file can run.

    Args:
        path: The file. A bare name that is not in the working directory is looked for in Keras's cache,
            `~/.keras/datasets`.
        num_words: Words with this number or a higher one, `index_from` added, become `oov_char`. `None` stands for
            the highest number there is, which thereby becomes `oov_char` as well.
        skip_top: Words with a lower number, `index_from` added, become `oov_char`.
        maxlen: Reviews of this length or longer, `start_char` counted, are left out. `None` keeps all.
        seed: Seed of the shuffle.
        start_char: Number put in front of every review. `None` puts none.
        oov_char: Number that stands for the words cut off by `num_words` and `skip_top`. `None` drops them instead.
        index_from: Added to every word's number.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists, and the labels, 1 for a favourable review.

    Raises:
        ValueError: If the file is damaged or holds anything but numbers, or if no review is shorter than `maxlen`.
        OSError: If the file cannot be read.

    Example:
        >>> import os, tempfile
        >>> reviews = np.array([[4, 2], [1, 7, 3]], dtype=object)
        >>> path = os.path.join(tempfile.mkdtemp(), "imdb.npz")
        >>> np.savez(path, x_train=reviews, y_train=[0, 1], x_test=reviews, y_test=[0, 1])
        >>> (x_train, y_train), (x_test, y_test) = load_data(path, num_words=10)
        >>> sorted(x_train.tolist())
        [[1, 4, 2, 6], [1, 7, 5]]
    """
    location = _find(path)
    with location.open("rb") as file:
        stored = read_parts(file, str(location))
    # One generator for both parts, in this order: that is what makes the rows Keras's.
    generator = np.random.RandomState(seed)
    parts: list[_Rows] = []
    for rows, labels in stored:
        order = np.arange(len(rows))
        generator.shuffle(order)
        rows = [_numbered(rows[index], start_char, index_from) for index in order]
        labels = [labels[index] for index in order]
        if maxlen:
            kept = [index for index, row in enumerate(rows) if len(row) < maxlen]
            if not kept:
                raise ValueError(
                    "Argument `maxlen` must leave reviews in both parts. The shortest one of a part has "
                    f"{min(map(len, rows), default=0)} words. Received: maxlen={maxlen}"
                )
            rows, labels = [rows[index] for index in kept], [labels[index] for index in kept]
        parts.append((rows, labels))
    if not num_words:
        num_words = max((word for rows, _ in parts for row in rows for word in row), default=0)
    train, test = (
        (np.array([_cut(row, skip_top, num_words, oov_char) for row in rows], dtype=object), np.array(labels))
        for rows, labels in parts
    )
    return train, test


def get_word_index(path: str | os.PathLike[str] = "imdb_word_index.json") -> dict[str, int]:
    """Loads the number of every word, before `index_from` is added.

    Args:
        path: Keras's file `imdb_word_index.json`, looked for as in `load_data`.

    Returns:
        The numbers by word.

    Raises:
        ValueError: If the file is not a JSON object of whole numbers.
        OSError: If the file cannot be read.
    """
    location = _find(path)
    return parse_word_index(location.read_bytes(), str(location))


def read_parts(file: IO[bytes], name: str) -> tuple[_Rows, _Rows]:
    """Reads the training part and the test part as they stand in the file, which errors call `name`."""
    arrays = read_npz(file, name, ("x_train", "y_train", "x_test", "y_test"))
    return _part(arrays, "train", name), _part(arrays, "test", name)


def parse_word_index(content: bytes, name: str) -> dict[str, int]:
    """Reads the number of every word from a JSON file, which errors call `name`."""
    try:
        index = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{name}: not a JSON file ({error})") from error
    if not isinstance(index, dict) or not all(type(number) is int for number in index.values()):
        raise ValueError(f"{name}: expected a JSON object that gives each word a whole number")
    return index


def _part(arrays: dict[str, Any], part: str, name: str) -> _Rows:
    rows, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if isinstance(rows, np.ndarray):
        rows = rows.tolist() if rows.ndim == 2 else None
    if isinstance(labels, np.ndarray):
        labels = labels.tolist() if labels.ndim == 1 else None
    if rows is None or labels is None or len(rows) != len(labels) or not set(labels) <= {0, 1}:
        raise ValueError(f"{name}: x_{part} must hold reviews, and y_{part} a label 0 or 1 for each of them")
    return rows, labels


def _find(path: str | os.PathLike[str]) -> Path:
    location = Path(path)
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / location.name
    return cached if location.parent == Path() and not location.exists() and cached.exists() else location


def _numbered(row: list[int], start_char: int | None, index_from: int) -> list[int]:
    if start_char is not None:
        return [start_char, *(word + index_from for word in row)]
    return [word + index_from for word in row] if index_from else list(row)


def _cut(row: list[int], skip_top: int, num_words: int, oov_char: int | None) -> list[int]:
    if oov_char is not None:
        return [word if skip_top <= word < num_words else oov_char for word in row]
    return [word for word in row if skip_top <= word < num_words]
