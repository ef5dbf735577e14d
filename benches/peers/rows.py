"""What the side-by-side run measures: the models, their initial weights and their batches.

Every competitor gets the same arrays, in Keras's weight order and layout, through one `.npz` file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

# Gates per recurrent layer: the kernels are (inputs, gates * units).
GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Row:
    """One model of the form Embedding, recurrent layer, Dense(1, sigmoid), trained with binary cross-entropy."""

    name: str
    cell: str
    vocabulary: int = 10_000
    embedding: int = 32
    units: int = 32
    batch: int = 128
    steps: int = 500
    # More than one batch, so that no competitor gains from having just seen the same data.
    batches: int = 4
    modes: tuple[str, ...] = ("train",)

    def shrunk(self) -> Row:
        """The same model at a size that runs in milliseconds, for checking the harness itself."""
        return replace(self, vocabulary=50, embedding=5, units=6, batch=7, steps=9, batches=2)


ROWS = (
    Row("imdb_rnn", "simple_rnn", modes=("train", "predict")),
    Row("imdb_lstm", "lstm"),
    Row("imdb_gru", "gru"),
)


def initial_weights(row: Row, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights as `get_weights()` of the Keras model lists them, of the scale of Keras's initializers."""
    gates = GATES[row.cell]

    def uniform(limit: float, *shape: int) -> np.ndarray:
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    def glorot(*shape: int) -> np.ndarray:
        return uniform(float(np.sqrt(6.0 / sum(shape))), *shape)

    # An orthogonal square block per gate keeps 500 steps of a SimpleRNN from dying out or blowing up.
    blocks = [np.linalg.qr(rng.normal(size=(row.units, row.units)))[0] for _ in range(gates)]
    recurrent = np.concatenate(blocks, axis=1).astype(np.float32)
    # Non-zero, different biases: a competitor that mixes up the gates cannot pass the loss check.
    bias_shape = (2, gates * row.units) if row.cell == "gru" else (gates * row.units,)
    return [
        uniform(0.05, row.vocabulary, row.embedding),
        glorot(row.embedding, gates * row.units),
        recurrent,
        uniform(0.1, *bias_shape),
        glorot(row.units, 1),
        uniform(0.1, 1),
    ]


def write_problem(row: Row, path: Path) -> None:
    """Writes the weights and batches of `row`; the same bytes on every run."""
    rng = np.random.default_rng(20240229)
    weights = initial_weights(row, rng)
    # Word frequencies fall off as 1/rank, as in text; rows are full, so that nobody gains from skipping padding.
    frequency = 1.0 / np.arange(1, row.vocabulary)
    tokens = rng.choice(
        np.arange(1, row.vocabulary, dtype=np.int32),
        size=(row.batches, row.batch, row.steps),
        p=frequency / frequency.sum(),
    )
    labels = rng.integers(0, 2, size=(row.batches, row.batch, 1)).astype(np.float32)
    arrays: dict[str, Any] = {f"weight_{index}": weight for index, weight in enumerate(weights)}
    np.savez(path, tokens=tokens, labels=labels, **arrays)


@dataclass(frozen=True)
class Problem:
    """What `write_problem` wrote, read back by a worker."""

    weights: list[np.ndarray]
    tokens: np.ndarray
    labels: np.ndarray


def read_problem(path: str) -> Problem:
    """Reads the file of `write_problem`."""
    with np.load(path) as arrays:
        weights = [arrays[f"weight_{index}"] for index in range(len(arrays.files) - 2)]
        return Problem(weights, arrays["tokens"], arrays["labels"])
