"""Where layers, initializers and models draw their seeds from.

The numbers themselves come from counter-based generators in Rust; Python only hands out one 63-bit seed per consumer.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class _SeedSource:
    def __init__(self) -> None:
        self.seed: int | None = None
        self.drawn = 0

    def set(self, seed: int) -> None:
        self.seed = seed
        self.drawn = 0

    def next(self) -> int:
        if self.seed is None:
            return secrets.randbits(63)
        self.drawn += 1
        return _splitmix64(self.seed + self.drawn * _GOLDEN) >> 1


def _splitmix64(state: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring counters give unrelated seeds."""
    z = state & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


_source = _SeedSource()


def set_seed(seed: int) -> None:
    """Restarts the sequence of seeds; the same calls afterwards draw the same seeds."""
    _source.set(seed)


@contextmanager
def untouched() -> Iterator[None]:
    """Inside, seeds may be drawn that change nothing of those that are drawn afterwards."""
    before = _source.drawn
    try:
        yield
    finally:
        _source.drawn = before


def next_seed() -> int:
    """The next seed: from the sequence that `set_seed` started, or fresh entropy if it was never called."""
    return _source.next()
