"""Stateful layers against Keras (JAX backend).

Keras carries states on JAX when a model or a layer is called on arrays; its jitted `fit` and `predict` lose them there
(TensorFlow's keep them). Training is therefore compared with Keras models whose states are inputs and outputs.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

from .test_functional_keras import both  # noqa: E402 - it needs Keras too

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


@settings(max_examples=8, deadline=None)
@given(
    cell=st.sampled_from(["SimpleRNN", "LSTM", "GRU"]),
    sequences=st.booleans(),
    masked=st.booleans(),
    wrapped=st.booleans(),
    backwards=st.booleans(),
    seed=st.integers(0, 9),
)
def test_batch_after_batch(cell: str, sequences: bool, masked: bool, wrapped: bool, backwards: bool, seed: int) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        layer = getattr(layers, cell)(
            4, stateful=True, return_sequences=sequences, go_backwards=backwards and not wrapped
        )
        first = [layers.Masking()] if masked else []
        read = layers.Bidirectional(layer) if wrapped else layer
        return library.Sequential([library.Input(batch_shape=(3, None, 2)), *first, read, layers.Dense(2)])

    mine, theirs = both(build)
    random = np.random.default_rng(seed)
    for time in (4, 1, 6):
        x = random.normal(size=(3, time, 2)).astype(np.float32)
        x[random.random((3, time)) < 0.3] = 0
        np.testing.assert_allclose(mine.predict(x, verbose=0), np.asarray(theirs(x)), atol=2e-6)
    readers = [model.layers[1 if masked else 0] for model in (mine, theirs)]
    assert len(readers[0].states) == len(readers[1].states)
    for one, other in zip(readers[0].states, readers[1].states, strict=True):
        np.testing.assert_allclose(one.numpy(), np.asarray(other), atol=2e-6)
    mine.reset_states()
    readers[1].reset_state()
    np.testing.assert_allclose(mine(x), np.asarray(theirs(x)), atol=2e-6)
    assert len(mine.weights) == len(theirs.weights)


def handed_on(library: Any, cell: str) -> Any:
    """A model whose states are inputs and outputs."""
    layers, count = library.layers, 2 if cell == "LSTM" else 1
    sequence, states = layers.Input((None, 2)), [layers.Input((4,)) for _ in range(count)]
    # With a state a layer drops its mask in Keras 3, unless it is passed.
    masked = layers.Masking()(sequence)
    read = getattr(layers, cell)(4, return_sequences=True, return_state=True)
    mask = {} if library is foliot else {"mask": masked._keras_mask}
    outputs, *after = read(masked, initial_state=states if count > 1 else states[0], **mask)
    return library.Model([sequence, *states], [layers.Dense(1)(outputs), *after])


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("way", ["stateful", "tbptt"])
def test_training_on_pieces(cell: str, way: str) -> None:
    """States go on from piece to piece, those before a step's update; gradients do not. The last piece is shorter."""
    time, piece, count = 38, 4, 2 if cell == "LSTM" else 1

    def by_states(library: Any) -> Any:
        layers = library.layers
        read = getattr(layers, cell)(4, stateful=way == "stateful", return_sequences=True)
        return library.Sequential([library.Input(batch_shape=(3, None, 2)), layers.Masking(), read, layers.Dense(1)])

    mine = both(by_states)[0]
    theirs = both(lambda library: handed_on(library, cell))[1]
    theirs.set_weights(mine.get_weights())
    mine.compile(foliot.optimizers.Adam(0.01), "mse")
    theirs.compile(keras.optimizers.Adam(0.01), ["mse", *[None] * count])
    random, states = np.random.default_rng(0), [np.zeros((3, 4), np.float32)] * count
    x = random.normal(size=(3, time, 2)).astype(np.float32)
    y = random.normal(size=(3, time, 1)).astype(np.float32)
    x[random.random((3, time)) < 0.3] = 0
    losses = []
    for start in range(0, time, piece):
        part = slice(start, start + piece)
        _, *after = (np.asarray(output) for output in theirs([x[:, part], *states]))
        targets = [y[:, part], *[None] * count]
        losses.append(float(theirs.train_on_batch([x[:, part], *states], targets, return_dict=True)["loss"]))
        theirs.reset_metrics()
        states = after
    if way == "stateful":
        parts = [slice(start, start + piece) for start in range(0, time, piece)]
        for part, loss in zip(parts, losses, strict=True):
            np.testing.assert_allclose(mine.train_on_batch(x[:, part], y[:, part]), loss, rtol=2e-5)
    else:
        history = mine.fit(x, y, tbptt=piece, verbose=0)
        # A piece counts by its steps, so that the mean is that of the sequences.
        steps = [min(piece, time - start) for start in range(0, time, piece)]
        np.testing.assert_allclose(history.history["loss"], [np.average(losses, weights=steps)], rtol=2e-5)
    for actual, wanted in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=2e-5, atol=2e-5)


def test_what_keras_refuses() -> None:
    for library in (foliot, keras):
        with pytest.raises(ValueError, match="stateful"):
            library.Sequential([library.Input((5, 3)), library.layers.GRU(2, stateful=True)])
        layer = library.layers.GRU(2, stateful=True)
        layer(np.ones((4, 5, 3), np.float32))
        with pytest.raises(ValueError, match="4"):
            layer(np.ones((3, 5, 3), np.float32))
