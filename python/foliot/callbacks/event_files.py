"""The files that TensorBoard reads, written without TensorFlow.

A file is a sequence of records: the length (8 bytes), its checksum, the message, its checksum, all little endian. The
checksum is CRC-32C, rotated and shifted so that a record inside a record has another one. The message is an `Event` of
tensorflow/core/util/event.proto; its values carry a tensor and the name of the plugin that shows it, as
`tf.summary.scalar` and `tf.summary.histogram` write them.
"""

import functools
import itertools
import os
import platform
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foliot._arrays import Array

# CRC-32C (Castagnoli), reflected.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8

# tensorflow/core/framework/types.proto
_FLOAT, _DOUBLE, _STRING = 1, 2, 7
# tensorboard/compat/proto/summary.proto, DataClass
_SCALAR, _TENSOR, _BLOB = 1, 2, 3

_BUCKETS = 30
_files = itertools.count()


@functools.cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def masked_crc32c(data: bytes) -> int:
    """The checksum of a record's parts.

    Example:

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


# Protocol buffers: a field is its number with the kind of what follows, and that.


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as 64 bits
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _shape(sizes: Sequence[int]) -> bytes:
    return b"".join(_bytes(2, _integer(1, size)) for size in sizes)


def _tensor(dtype: int, sizes: Sequence[int], content: bytes) -> bytes:
    return _integer(1, dtype) + _bytes(2, _shape(sizes)) + content


def _value(tag: str, plugin: str, data_class: int, tensor: bytes, content: bytes = b"") -> bytes:
    plugin_data = _bytes(1, plugin.encode()) + (_bytes(2, content) if content else b"")
    metadata = _bytes(1, plugin_data) + _integer(4, data_class)
    return _bytes(1, tag.encode()) + _bytes(9, metadata) + _bytes(8, tensor)


def buckets(values: Array) -> Array:
    """A histogram as TensorBoard wants it: `(buckets, 3)` of left edge, right edge and count.

    If all values are one, they are in the last of buckets without width. NaN and infinity are left out.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return np.zeros((0, 3))
    low, high = flat.min(), flat.max()
    if low == high:
        counts = np.zeros(_BUCKETS)
        counts[-1] = flat.size
        return np.stack([np.full(_BUCKETS, low), np.full(_BUCKETS, high), counts], axis=1)
    edges = np.linspace(low, high, _BUCKETS + 1)
    positions = np.minimum((flat - low) / ((high - low) / _BUCKETS), _BUCKETS - 1).astype(np.int64)
    counts = np.bincount(positions, minlength=_BUCKETS).astype(np.float64)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


def png(pixels: Array) -> bytes:
    """An image of `(height, width)` greys from 0 to 255 as a PNG file."""
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = pixels

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes())), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class EventFile:
    """A new file of events in a folder, which is made if need be.

    Args:
        folder: The folder: a run of its own in TensorBoard.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{next(_files)}.v2"
        self._file = (folder / name).open("wb")
        self._write(_bytes(3, b"brain.Event:2"), None)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Writes a number of a curve."""
        tensor = _tensor(_FLOAT, (), _bytes(4, struct.pack("<f", np.float32(value))))
        self._summary(_value(tag, "scalars", _SCALAR, tensor), step)

    def histogram(self, tag: str, values: Array, step: int) -> None:
        """Writes how values are distributed."""
        table = buckets(values)
        tensor = _tensor(_DOUBLE, table.shape, _bytes(4, table.astype("<f8").tobytes()))
        self._summary(_value(tag, "histograms", _TENSOR, tensor), step)

    def image(self, tag: str, images: Array, step: int) -> None:
        """Writes images, `(images, height, width)` from 0 (black) to 1 (white); what is beyond is cut."""
        _, height, width = images.shape
        files = [png(np.clip(np.rint(np.nan_to_num(image) * 255.0), 0, 255).astype(np.uint8)) for image in images]
        parts = [str(width).encode(), str(height).encode(), *files]
        tensor = _tensor(_STRING, (len(parts),), b"".join(_bytes(8, part) for part in parts))
        self._summary(_value(tag, "images", _BLOB, tensor), step)

    def model(self, tag: str, description: str, step: int) -> None:
        """Writes a model's configuration, which the page "Graphs" draws."""
        tensor = _tensor(_STRING, (), _bytes(8, description.encode()))
        self._summary(_value(tag, "graph_keras_model", 0, tensor, b"1"), step)

    def flush(self) -> None:
        """Lets TensorBoard see what was written."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _summary(self, value: bytes, step: int) -> None:
        self._write(_bytes(5, _bytes(1, value)), step)

    def _write(self, what: bytes, step: int | None) -> None:
        event = _double(1, time.time()) + (b"" if step is None else _integer(2, step)) + what
        length = struct.pack("<Q", len(event))
        checks = (struct.pack("<I", masked_crc32c(part)) for part in (length, event))
        self._file.write(length + next(checks) + event + next(checks))
