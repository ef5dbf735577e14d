"""Users' texts as arrays of bytes, in which TensorFlow, and so Keras, treats them."""

from typing import Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import type_error


def to_bytes(argument: str, value: Any, encoding: str) -> Array:
    """An array of `bytes` objects of the shape of a text, a list (of lists) of texts, or an array or column of them.

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
        raise type_error(argument, "texts: a string, a list or an array of strings", value)
    result = np.empty(array.shape, dtype=object)
    for place in np.ndindex(array.shape):
        text = array[place]
        if isinstance(text, list):
            raise ValueError(f"`{argument}`: expected lists of one length; received a ragged list")
        if not isinstance(text, (str, bytes)):
            raise type_error(argument, "texts: a string, a list or an array of strings", text)
        result[place] = text.encode(encoding) if isinstance(text, str) else bytes(text)
    return result
