"""An independent reader of TensorBoard's event files: records, checksums, protocol buffers."""

import struct
from pathlib import Path
from typing import Any

import numpy as np


def crc32c(data: bytes) -> int:
    """Bit by bit, from the polynomial's definition x^32 + x^28 + x^27 + ... + 1 (0x1EDC6F41, reflected)."""
    polynomial = int(f"{0x1EDC6F41:032b}"[::-1], 2)
    register = 2**32 - 1
    for byte in data:
        for bit in range(8):
            carry = (register ^ (byte >> bit)) & 1
            register >>= 1
            if carry:
                register ^= polynomial
    return register ^ (2**32 - 1)


def unmask(masked: int) -> int:
    rotated = (masked - 0xA282EAD8) % 2**32
    return ((rotated >> 17) | (rotated << 15)) % 2**32


def records(path: Path) -> list[bytes]:
    data, found, start = path.read_bytes(), [], 0
    while start < len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        assert unmask(struct.unpack_from("<I", data, start + 8)[0]) == crc32c(data[start : start + 8])
        body = data[start + 12 : start + 12 + length]
        assert unmask(struct.unpack_from("<I", data, start + 12 + length)[0]) == crc32c(body)
        found.append(body)
        start += 16 + length
    return found


def fields(message: bytes) -> dict[int, list[Any]]:
    """The fields of a message by number: integers, or bytes."""
    found: dict[int, list[Any]] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value: Any = varint()
        elif kind == 1:
            value, position = message[position : position + 8], position + 8
        elif kind == 5:
            value, position = message[position : position + 4], position + 4
        else:
            assert kind == 2, kind
            length = varint()
            value, position = message[position : position + length], position + length
        found.setdefault(key >> 3, []).append(value)
    return found


def tensor(message: bytes) -> Any:
    found = fields(message)
    shape = tuple(fields(size).get(1, [0])[0] for size in fields(found[2][0]).get(2, []))
    dtype = found[1][0]
    if dtype == 7:
        return found[8]
    values = np.frombuffer(found[4][0], {1: "<f4", 2: "<f8"}[dtype]).reshape(shape)
    return values if shape else float(values)


def read(folder: Path) -> dict[str, list[tuple[int, Any, str]]]:
    """By tag: (step, value, plugin) in the order of the file."""
    values: dict[str, list[tuple[int, Any, str]]] = {}
    for path in sorted(folder.iterdir()):
        assert path.name.startswith("events.out.tfevents.")
        events = [fields(record) for record in records(path)]
        assert events[0][3] == [b"brain.Event:2"]
        times = [struct.unpack("<d", event[1][0])[0] for event in events]
        assert times == sorted(times)
        for event in events[1:]:
            value = fields(fields(event[5][0])[1][0])
            plugin = fields(fields(value[9][0])[1][0])[1][0].decode()
            values.setdefault(value[1][0].decode(), []).append((event[2][0], tensor(value[8][0]), plugin))
    return values
