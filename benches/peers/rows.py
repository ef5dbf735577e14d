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
    """A recurrent model with its batches.

    From tokens, through an Embedding, or from vectors through `layers` recurrent layers to Dense(1, sigmoid), trained
    with binary cross-entropy; or, with `target_steps`, an encoder-decoder from one-hot characters to the softmax over
    the next ones. A row without `head` ends with the recurrent layer and is not trained.
    """

    name: str
    cell: str
    units: int = 32
    layers: int = 1
    bidirectional: bool = False
    # Zero for vectors.
    vocabulary: int = 0
    # Of the embedding, of the vectors, or of the encoder's characters.
    features: int = 32
    batch: int = 128
    steps: int = 500
    # Of the decoder; zero without one.
    target_steps: int = 0
    target_features: int = 0
    # "full" rows, "uniform" lengths from 1 to `steps`, or lengths as "reviews" of films have, cut at `steps`.
    lengths: str = "full"
    # Whether padding is masked, or computed like any other step.
    masked: bool = False
    # "pre" or "post", Keras's names.
    padding: str = "post"
    head: bool = True
    # More than one batch, so that no competitor gains from having just seen the same data.
    batches: int = 4
    modes: tuple[str, ...] = ("train",)

    def shrunk(self) -> Row:
        """The same model at a size that runs in milliseconds, for checking the harness itself."""
        small: dict[str, Any] = {"units": 6, "features": 5, "batch": min(self.batch, 7), "steps": 9, "batches": 2}
        vocabulary = 50 if self.vocabulary else 0
        target = (5, 4) if self.target_steps else (0, 0)
        return replace(self, vocabulary=vocabulary, target_steps=target[0], target_features=target[1], **small)

    def flops(self, processed: int) -> dict[str, float]:
        """Multiplications and additions of the recurrent layers, forward and in a training step.

        `processed` steps of rows count: those that are not masked. Peers may compute more of them, and foliot fewer
        where exact algebra saves some; rates refer to this figure, so that they can be compared.
        """
        directions = 2 if self.bidirectional else 1
        forward = backward = 0.0
        for features, steps, wants_input_gradient in self._products(processed):
            inputs, states = (2.0 * GATES[self.cell] * self.units * k * steps for k in (features, self.units))
            forward += inputs + states
            backward += inputs * (2 if wants_input_gradient else 1) + 2 * states
        return {"forward": directions * forward, "train": directions * (forward + backward)}

    def _products(self, processed: int) -> list[tuple[int, int, bool]]:
        """Features, steps of rows and whether an input gradient is needed, for each layer."""
        if self.target_steps:
            decoder = self.batch * self.target_steps
            return [(self.features, processed, False), (self.target_features, decoder, False)]
        later = self.units * (2 if self.bidirectional else 1)
        first = (self.features, processed, self.vocabulary > 0)
        return [first, *[(later, processed, True)] * (self.layers - 1)]


# The tutorial's shapes: the 10,000 most frequent words, reviews cut or padded on the left to 500 words.
IMDB: dict[str, Any] = {"vocabulary": 10_000, "lengths": "reviews", "padding": "pre"}
# A step, or a sequence, for one listener.
ONE: dict[str, Any] = {"batch": 1, "head": False}

ROWS = (
    Row("imdb_rnn", "simple_rnn", **IMDB, modes=("train", "predict")),
    Row("imdb_lstm", "lstm", **IMDB, modes=("train", "predict")),
    Row("imdb_gru", "gru", **IMDB, modes=("train", "predict")),
    Row("imdb_lstm_masked", "lstm", **IMDB, masked=True),
    Row("lstm128", "lstm", 128, features=128, batch=64, steps=100, modes=("train", "predict")),
    Row("bilstm128", "lstm", 128, bidirectional=True, features=128, batch=64, steps=100),
    Row("gru128x3", "gru", 128, layers=3, features=128, batch=64, steps=100),
    Row("gru512", "gru", 512, features=512, batch=64, steps=50, batches=2, modes=("train", "predict")),
    Row("lstm1024", "lstm", 1024, features=512, batch=64, steps=50, batches=2),
    Row("seq2seq256", "lstm", 256, features=71, batch=64, steps=16, target_steps=59, target_features=93),
    Row("lengths128", "lstm", 128, features=128, batch=64, steps=200, lengths="uniform", masked=True),
    Row("lstm64_step", "lstm", 64, features=64, steps=100, **ONE, modes=("step",)),
    Row("lstm128_one", "lstm", 128, features=128, steps=100, **ONE, modes=("step", "predict")),
    Row("gru256_step", "gru", 256, features=256, steps=100, **ONE, modes=("step",)),
    Row("lstm256_one", "lstm", 256, features=256, steps=100, **ONE, modes=("predict",)),
    Row("gru512_one", "gru", 512, features=512, steps=100, **ONE, modes=("predict",)),
)


def initial_weights(row: Row, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights as `get_weights()` of the Keras model lists them, of the scale of Keras's initializers."""
    gates = GATES[row.cell]

    def uniform(limit: float, *shape: int) -> np.ndarray:
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    def glorot(*shape: int) -> np.ndarray:
        return uniform(float(np.sqrt(6.0 / sum(shape))), *shape)

    def recurrent(features: int) -> list[np.ndarray]:
        # An orthogonal square block per gate keeps 500 steps of a SimpleRNN from dying out or blowing up.
        blocks = [np.linalg.qr(rng.normal(size=(row.units, row.units)))[0] for _ in range(gates)]
        # Non-zero, different biases: a competitor that mixes up the gates cannot pass the loss check.
        bias_shape = (2, gates * row.units) if row.cell == "gru" else (gates * row.units,)
        kernel = glorot(features, gates * row.units)
        return [kernel, np.concatenate(blocks, axis=1).astype(np.float32), uniform(0.1, *bias_shape)]

    def dense(features: int, units: int) -> list[np.ndarray]:
        return [glorot(features, units), uniform(0.1, units)]

    if row.target_steps:
        decoder = recurrent(row.target_features)
        return [*recurrent(row.features), *decoder, *dense(row.units, row.target_features)]
    directions = 2 if row.bidirectional else 1
    weights = [uniform(0.05, row.vocabulary, row.features)] if row.vocabulary else []
    for layer in range(row.layers):
        for _ in range(directions):
            weights += recurrent(directions * row.units if layer else row.features)
    return [*weights, *dense(directions * row.units, 1)] if row.head else weights


def draw_lengths(row: Row, rng: np.random.Generator) -> np.ndarray:
    """(batches, batch) numbers of steps."""
    shape = (row.batches, row.batch)
    if row.lengths == "full":
        return np.full(shape, row.steps)
    if row.lengths == "uniform":
        return rng.integers(1, row.steps, shape, endpoint=True)
    # The reviews of the IMDB set have a median of 174 words and a mean of 234: nearly log-normal.
    return np.clip(rng.lognormal(np.log(174), 0.77, shape), 10, row.steps).astype(int)


def one_hot(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random characters, one-hot over the last axis."""
    return np.eye(shape[-1], dtype=np.float32)[rng.integers(shape[-1], size=shape[:-1])]


def write_problem(row: Row, path: Path) -> None:
    """Writes the weights and batches of `row`; the same bytes on every run."""
    rng = np.random.default_rng(20240229)
    arrays: dict[str, Any] = {f"weight_{index}": weight for index, weight in enumerate(initial_weights(row, rng))}
    rows = (row.batches, row.batch)
    lengths = draw_lengths(row, rng)
    if row.target_steps:
        arrays["inputs"] = one_hot(rng, *rows, row.steps, row.features)
        arrays["decoder_inputs"] = one_hot(rng, *rows, row.target_steps, row.target_features)
        arrays["targets"] = one_hot(rng, *rows, row.target_steps, row.target_features)
    else:
        if row.vocabulary:
            # Word frequencies fall off as 1/rank, as in text; 0 is padding.
            frequency = 1.0 / np.arange(1, row.vocabulary)
            words = np.arange(1, row.vocabulary, dtype=np.int32)
            inputs = rng.choice(words, size=(*rows, row.steps), p=frequency / frequency.sum())
        else:
            inputs = rng.normal(size=(*rows, row.steps, row.features)).astype(np.float32)
        steps = np.arange(row.steps)
        there = steps < lengths[..., None] if row.padding == "post" else steps >= row.steps - lengths[..., None]
        inputs[~there] = 0
        arrays["inputs"] = inputs
        arrays["targets"] = rng.integers(0, 2, size=(*rows, 1)).astype(np.float32)
    np.savez(path, lengths=lengths, **arrays)


@dataclass(frozen=True)
class Batch:
    """What one training step or prediction takes."""

    # One array, or the encoder's and the decoder's.
    inputs: tuple[np.ndarray, ...]
    lengths: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Problem:
    """What `write_problem` wrote, read back by a worker."""

    weights: list[np.ndarray]
    batches: list[Batch]


def read_problem(path: str) -> Problem:
    """Reads the file of `write_problem`."""
    with np.load(path) as file:
        arrays = dict(file)
    weights = [arrays[f"weight_{index}"] for index in range(sum(name.startswith("weight_") for name in arrays))]
    inputs = [arrays[name] for name in ("inputs", "decoder_inputs") if name in arrays]
    batches = [
        Batch(tuple(array[index] for array in inputs), arrays["lengths"][index], arrays["targets"][index])
        for index in range(len(arrays["targets"]))
    ]
    return Problem(weights, batches)


def moved_to_the_left(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows that are padded on the left, padded on the right instead: for a competitor that knows only that."""
    steps = inputs.shape[1]
    order = (np.arange(steps) + (steps - lengths)[:, None]) % steps
    index = order if inputs.ndim == 2 else order[..., None]
    return np.take_along_axis(inputs, index, axis=1)
