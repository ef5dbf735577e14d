"""Which elements dropout keeps: a function of seed, training step, stream and place.

Random bits come from Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011). Element e of a mask is word e mod 4 of the
block with the key `seed` and the counter (low word of e // 4, high word of e // 4, step, stream); it is dropped when
the word is below rate * 2^32.
"""

import numpy as np

from .activations import Array

# From the paper: multipliers of the two halves, and the increments of the two words of the key.
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_WORD = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


def philox(key: int, counters: Array) -> Array:
    """Four random words for every row of `counters` (N, 4)."""
    a, b, c, d = (counters[:, i].astype(np.uint64) for i in range(4))
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = np.uint64(_MULTIPLIERS[0]) * a, np.uint64(_MULTIPLIERS[1]) * c
        a = (second >> _HIGH) ^ b ^ np.uint64(keys[0])
        b = second & _WORD
        c = (first >> _HIGH) ^ d ^ np.uint64(keys[1])
        d = first & _WORD
        keys = [(word + increment) & 0xFFFFFFFF for word, increment in zip(keys, _INCREMENTS, strict=True)]
    return np.stack([a, b, c, d], axis=1)


def factors(seed: int, step: int, stream: int, shape: tuple[int, ...], rate: float) -> Array:
    """0 where an element is dropped, 1 / (1 - rate) where it is kept. The rate counts as a float32."""
    rate = float(np.float32(rate))
    size = int(np.prod(shape))
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    constant = np.ones_like(blocks)
    counters = np.stack(
        [blocks & _WORD, blocks >> _HIGH, constant * np.uint64(step), constant * np.uint64(stream)], axis=1
    )
    words = philox(seed, counters).ravel()[:size].reshape(shape)
    return np.where(words >= round(rate * 2**32), 1 / (1 - rate) if rate < 1 else 0.0, 0.0)


def normals(seed: int, step: int, stream: int, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers by Box and Muller: words u, v of a block make sqrt(-2 ln((u + 1) / 2^32)) times the
    cosine and the sine of 2 pi v / 2^32."""
    size = int(np.prod(shape))
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    constant = np.ones_like(blocks)
    counters = [blocks & _WORD, blocks >> _HIGH, constant * np.uint64(step), constant * np.uint64(stream)]
    pairs = philox(seed, np.stack(counters, axis=1)).reshape(-1, 2).astype(np.float64) / 2.0**32
    radius = np.sqrt(-2 * np.log(pairs[:, 0] + 2.0**-32))
    numbers = np.stack([radius * np.cos(2 * np.pi * pairs[:, 1]), radius * np.sin(2 * np.pi * pairs[:, 1])], axis=1)
    return numbers.ravel()[:size].reshape(shape)
