"""Sequences that recurrent layers read where the caller has them give the bits of those that are brought in first."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foliot
from foliot import _core, layers

FEATURES, UNITS = 3, 5


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


def make(cell: str, masking: float | None, both_ways: bool, lent: bool, **options: Any) -> Any:
    """A network of an input, perhaps Masking, and a recurrent layer; one that does nothing brings the input in."""
    layer: Any = getattr(layers, cell)(UNITS, seed=3, recurrent_initializer="glorot_uniform", **options)
    if both_ways:
        layer = layers.Bidirectional(layer)
    inputs = foliot.Input((None, FEATURES))
    x = inputs if lent else layers.Identity()(inputs)
    if masking is not None:
        x = layers.Masking(masking)(x)
    outputs = layers.Dense(2)(layer(x))
    model = foliot.Model(inputs, outputs)
    model.compile(foliot.optimizers.Adam(0.01), "mse")
    return model


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
@given(
    rows=st.integers(1, 9),
    time=st.integers(2, 7),
    masking=st.sampled_from([None, 0.0, -2.0]),
    both_ways=st.booleans(),
    tbptt=st.sampled_from([None, 3]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    options=st.fixed_dictionaries(
        {},
        optional={
            "dropout": st.just(0.4),
            "recurrent_dropout": st.just(0.3),
            "go_backwards": st.just(True),
            "checkpoint_every": st.integers(1, 4),
        },
    ),
)
def test_training_and_predictions(
    cell: str,
    rows: int,
    time: int,
    masking: float | None,
    both_ways: bool,
    tbptt: int | None,
    threads: int,
    seed: int,
    options: dict[str, Any],
) -> None:
    _core.set_num_threads(threads)
    # Both need the whole sequence, and cannot be had at once.
    both_ways = both_ways and "go_backwards" not in options
    if both_ways or "go_backwards" in options:
        tbptt = None
    random = np.random.default_rng(seed)
    x = random.normal(size=(2 * rows, time, FEATURES)).astype(np.float32)
    x[random.random((2 * rows, time)) < 0.4] = 0.0 if masking is None else masking
    options["return_sequences"] = tbptt is not None
    y = random.normal(size=(2 * rows, time, 2) if tbptt else (2 * rows, 2)).astype(np.float32)
    models = []
    for kind in (True, False):
        foliot.utils.set_random_seed(7)
        models.append(make(cell, masking, both_ways, kind, **options))
    lent, brought = models
    brought.set_weights(lent.get_weights())
    for model in models:
        # Shuffled, so that batches are rows from all over the array.
        model.fit(x, y, batch_size=max(rows - 1, 1), epochs=2, verbose=0, tbptt=tbptt)
    for ours, theirs in zip(lent.get_weights(), brought.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(lent.predict(x, verbose=0), brought.predict(x, verbose=0))


def test_memory_without_a_copy_of_the_input() -> None:
    """Of the two, Masking's output and the input itself, neither is kept."""
    sizes = []
    for masking in (None, 0.0):
        model = make("SimpleRNN", masking, False, True)
        x = np.ones((4, 50, FEATURES), np.float32)
        model.train_on_batch(x, np.ones((4, 2), np.float32))
        sizes.append(model._part().program.held_memory())
    assert sizes[1] - sizes[0] < x.nbytes
