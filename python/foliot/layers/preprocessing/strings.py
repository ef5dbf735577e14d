"""Users' texts as arrays of `str` or `bytes`, the latter being what TensorFlow, and so Keras, treats."""

from typing import Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import check_text, type_error, value_error

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
        ValueError: Lists of different lengths, or a text that the encoding does not have.
    """
    texts = to_texts(argument, value)
    result = np.empty(texts.shape, dtype=object)
    for place in np.ndindex(texts.shape):
        text: Any = texts[place]
        result[place] = encode(argument, text, encoding, place) if isinstance(text, str) else bytes(text)
    return result


def to_strings(argument: str, texts: Array, encoding: str) -> Array:
    """An array of `str` of the shape of an array of `bytes` objects.

    Raises:
        ValueError: Bytes that are no text in that encoding.
    """
    places = np.ndindex(texts.shape)
    found = [decode(argument, text, encoding, place) for place, text in zip(places, texts.flat, strict=True)]
    return np.array(found).reshape(texts.shape)


def encode(argument: str, text: str, encoding: str, place: tuple[int, ...] = ()) -> bytes:
    """`text.encode(encoding)`; `place` says where in the argument the text stands.

    Raises:
        ValueError: The encoding does not have a character, as UTF-8 has no lone surrogates.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        character = text[error.start]
        what = "lone surrogate" if "\ud800" <= character <= "\udfff" else "character"
        raise ValueError(
            f"`{_placed(argument, place)}`: expected text that can be encoded as {encoding.upper()}; received the "
            f"{what} {character!r} at index {error.start}"
        ) from None


def decode(argument: str, text: bytes, encoding: str, place: tuple[int, ...] = ()) -> str:
    """`text.decode(encoding)`; `place` says where in the argument the bytes stand.

    Raises:
        ValueError: The bytes are no text in that encoding.
    """
    try:
        return text.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{_placed(argument, place)}`: expected text in {encoding.upper()}; received the byte "
            f"{text[error.start]:#04x} at index {error.start}"
        ) from None


def check_encoding(encoding: Any) -> str:
    """The name of an encoding of texts that Python knows.

    Raises:
        TypeError: It is no string.
        ValueError: Python does not know it.
    """
    name = check_text("encoding", encoding)
    try:
        # Which refuses codecs of bytes, such as hex, too.
        "".encode(name)
    except LookupError:
        raise value_error("encoding", "the name of an encoding, such as 'utf-8'", name) from None
    return name


def _placed(argument: str, place: tuple[int, ...]) -> str:
    return argument + "".join(f"[{index}]" for index in place)
