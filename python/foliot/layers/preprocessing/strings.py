"""Users' texts as arrays of `str` or `bytes`, the latter being what TensorFlow, and so Keras, treats."""

from typing import Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import type_error

_EXPECTED = "texts: a string, a list or an array of strings"


def holds_texts(value: Any) -> bool:
    """Whether a text, a list of texts, or an array or column of them is meant: of objects, the first says."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    if isinstance(value, (str, bytes)):
        return True
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return False
    kind = getattr(dtype, "kind", None)
    if kind == "O":
        return next((isinstance(item, (str, bytes)) for item in np.asarray(value, dtype=object).flat), False)
    # TensorFlow, pandas and polars each have a type of their own, whose name has this in it.
    return kind in ("U", "S", "T") or (kind is None and "str" in str(dtype).lower())


def to_texts(argument: str, value: Any, expected: str = _EXPECTED) -> Array:
    """An array of `str` and `bytes` objects of the shape of a text, a list (of lists) of texts, an array or a column.

    Args:
        argument: What messages call the texts.
        value: What the user passed.
        expected: What messages expect.

    Raises:
        TypeError: Something is no text.
        ValueError: Lists of different lengths.
    """
    if isinstance(value, (str, bytes)):
        array = np.empty((), dtype=object)
        array[()] = value
    elif hasattr(value, "__array__"):
        array = np.asarray(value).astype(object)
    elif isinstance(value, (list, tuple)):
        try:
            array = np.array(value, dtype=object)
        except ValueError as error:
            raise ValueError(f"`{argument}`: expected lists of one length; received a ragged list ({error})") from error
    else:
        raise type_error(argument, expected, value)
    for text in array.flat:
        if isinstance(text, list):
            raise ValueError(f"`{argument}`: expected lists of one length; received a ragged list")
        if not isinstance(text, (str, bytes)):
            raise type_error(argument, expected, text)
    return array


def to_bytes(argument: str, value: Any, encoding: str) -> Array:
    """An array of `bytes` objects of the shape of a text, a list (of lists) of texts, or an array or column of them.

    Raises:
        TypeError: Something is no text.
        ValueError: Lists of different lengths.
    """
    texts = to_texts(argument, value)
    result = np.empty(texts.shape, dtype=object)
    for place in np.ndindex(texts.shape):
        text: Any = texts[place]
        result[place] = text.encode(encoding) if isinstance(text, str) else bytes(text)
    return result
