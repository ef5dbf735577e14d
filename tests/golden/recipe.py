"""Numbers that need no file: every weight, input and target of the golden cases comes from a formula.

Weights differ from element to element, so a transposed, swapped or shifted one changes the result.
"""

import numpy as np


def wave(shape: tuple[int, ...], phase: float, scale: float = 0.5) -> np.ndarray:
    """scale * cos(0.7 k + phase) over the flat index k; 0.7 is no rational multiple of pi, so no value comes twice."""
    return (scale * np.cos(0.7 * np.arange(np.prod(shape, dtype=int)) + phase)).reshape(shape).astype(np.float32)


def weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """One wave per weight, each with a phase of its own."""
    return [wave(shape, phase=1.3 * index + 0.2) for index, shape in enumerate(shapes)]


def tokens(batch: int, time: int, vocabulary: int, lengths: list[int] | None = None) -> np.ndarray:
    """Ids 1..vocabulary-1; with `lengths` the rest of each row is 0."""
    k = np.arange(batch * time).reshape(batch, time)
    ids = 1 + (7 * k + k // 5) % (vocabulary - 1)
    if lengths is not None:
        ids = np.where(np.arange(time) < np.array(lengths)[:, None], ids, 0)
    return ids.astype(np.int32)


def mask(pattern: str, batch: int, time: int) -> np.ndarray:
    """Which steps are valid; row b has b + 1 masked steps at most. "full" masks its first row altogether."""
    steps, rows = np.arange(time), np.arange(batch)[:, None] + 1
    if pattern == "right":
        return steps < time - rows
    if pattern == "left":
        return steps >= rows
    if pattern == "interior":
        return (steps + rows) % 3 != 0
    if pattern == "full":
        return (steps < time - rows) & (rows > 1)
    raise ValueError(f"unknown pattern {pattern!r}")
