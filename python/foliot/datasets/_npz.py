"""Reads arrays of numbers, and of lists of numbers, from an `.npz` without ever running what is in it.

NumPy stores lists of different lengths as a pickle, and a pickle is a program: it names functions and calls them. The
reader below gives those names harmless meanings of its own (a plain Python object that keeps what it is handed) and
refuses every other name, so no function of NumPy or of Python is within the file's reach.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
import zlib
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

# Keras's imdb.npz unpacks to about 180 MB. The bound keeps a small zip from unpacking to all of memory.
MAX_UNPACKED_BYTES = 1 << 30


def read_npz(file: IO[bytes], name: str, keys: tuple[str, ...]) -> dict[str, NDArray[Any] | list[Any]]:
    """Reads the named arrays of an `.npz`.

    Args:
        file: The file, open for reading at any place.
        name: What error messages call the file.
        keys: Names of the arrays that must be there. Others are left unread.

    Returns:
        Per name the array, or the list of its elements for an array of Python objects.

    Raises:
        ValueError: If the file is damaged, lacks an array, or holds anything but integers and lists of integers.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            missing = [key for key in keys if f"{key}.npy" not in archive.namelist()]
            if missing:
                found = [member.removesuffix(".npy") for member in archive.namelist()]
                raise ValueError(f"{name}: expected arrays named {', '.join(keys)}. Received: {', '.join(found[:20])}")
            return {key: _read_member(archive, key, name) for key in keys}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError is how zipfile reports an encrypted member, NotImplementedError an unknown compression.
        raise ValueError(f"{name}: not a readable .npz file ({error})") from error


def _read_member(archive: zipfile.ZipFile, key: str, name: str) -> NDArray[Any] | list[Any]:
    with archive.open(f"{key}.npy") as member:
        content = member.read(MAX_UNPACKED_BYTES + 1)
    if len(content) > MAX_UNPACKED_BYTES:
        raise ValueError(f"{name}: array {key} is larger than {MAX_UNPACKED_BYTES} bytes")
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"unknown version {version}")
    except ValueError as error:
        raise ValueError(f"{name}: array {key} has no valid header ({error})") from error
    if dtype.hasobject:
        return _read_objects(stream, shape, key, name)
    data = stream.read()
    if dtype.kind not in "biu" or len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{name}: array {key} must hold {math.prod(shape)} integers. Received: {len(data)} bytes of type {dtype}"
        )
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_objects(stream: io.BytesIO, shape: tuple[int, ...], key: str, name: str) -> list[Any]:
    """Reads a one-dimensional array of lists of integers, or a two-dimensional one of integers."""
    try:
        frame = _ArrayUnpickler(stream).load()
    except Exception as error:
        # A damaged pickle may fail in nearly any way: UnpicklingError, EOFError, IndexError, KeyError, TypeError ...
        raise ValueError(f"{name}: array {key} cannot be read as lists of integers ({error})") from error
    if not isinstance(frame, _ArrayFrame) or frame.shape != shape or len(frame.elements) != math.prod(shape):
        raise ValueError(f"{name}: array {key} must hold {math.prod(shape)} lists, as its header says")
    rows: list[Any] = frame.elements
    if len(shape) == 2:
        # Lists of one length, which NumPy made into a table.
        rows = [rows[start : start + shape[1]] for start in range(0, len(rows), shape[1])] if shape[1] else []
    for index, row in enumerate(rows):
        if type(row) is not list or not all(type(word) is int for word in row):
            raise ValueError(f"{name}: row {index} of array {key} must be a list of integers")
    # Each number takes at least one byte of a pickle, unless one list is named again and again to fill memory.
    if sum(map(len, rows)) > stream.getbuffer().nbytes:
        raise ValueError(f"{name}: array {key} holds more numbers than the file has room for")
    return rows


class _Inert:
    """A stand-in for a name in a pickle. The pickle can pass it around, but not change it."""

    __slots__ = ()

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("the state of a name was to be changed")


class _Type(_Inert):
    """Stands for `numpy.ndarray`, which a pickle only hands on to `_reconstruct`."""

    __slots__ = ()


class _Dtype(_Inert):
    """Stands for `numpy.dtype`. Its instances keep nothing: the type of the elements is checked on the elements."""

    __slots__ = ()

    def __call__(self, *_arguments: object) -> _DtypeFrame:
        return _DtypeFrame()


class _DtypeFrame:
    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Takes byte order and alignment, which mean nothing for Python objects."""


class _Reconstruct(_Inert):
    """Stands for NumPy's `_reconstruct`, which makes an empty array that a state then fills."""

    __slots__ = ()

    def __call__(self, *_arguments: object) -> _ArrayFrame:
        return _ArrayFrame()


class _Encode(_Inert):
    """Stands for `_codecs.encode`, by which older protocols write bytes as Latin-1 text."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object = "latin1") -> bytes:
        if type(text) is not str or encoding != "latin1":
            raise pickle.UnpicklingError("bytes were to be made of something else than Latin-1 text")
        return text.encode("latin-1")


class _ArrayFrame:
    """What a pickle says about an array of objects: its shape and its elements."""

    __slots__ = ("elements", "shape")

    def __init__(self) -> None:
        self.shape: object = None
        self.elements: list[Any] = []

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _DtypeFrame(), bool() | int(), list() as elements):
                self.shape = shape
                self.elements = elements
            case _:
                raise pickle.UnpicklingError("the state of an array is not a shape and a list")


_NAMES: dict[tuple[str, str], _Inert] = {
    ("numpy", "ndarray"): _Type(),
    ("numpy", "dtype"): _Dtype(),
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("_codecs", "encode"): _Encode(),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not part of an array of lists")
        return _NAMES[module, name]
