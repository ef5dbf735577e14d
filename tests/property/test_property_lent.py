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


def make(
    cell: str, masking: float | None, both_ways: bool, lent: bool, features: int = FEATURES, **options: Any
) -> Any:
    """A network of an input, perhaps Masking, and a recurrent layer; one that does nothing brings the input in."""
    layer: Any = getattr(layers, cell)(UNITS, seed=3, recurrent_initializer="glorot_uniform", **options)
    if both_ways:
        layer = layers.Bidirectional(layer)
    inputs = foliot.Input((None, features))
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


def test_work_that_threads_share() -> None:
    """Enough rows, steps and features for several tasks in each part of the work."""
    random = np.random.default_rng(4)
    x = random.normal(size=(70, 40, 48)).astype(np.float32)
    x[random.random((70, 40)) < 0.4] = 0.0
    y = random.normal(size=(70, 2)).astype(np.float32)
    results = []
    for lent, threads in ((True, 1), (True, 4), (False, 3)):
        _core.set_num_threads(threads)
        foliot.utils.set_random_seed(7)
        model = make("LSTM", 0.0, False, lent, features=48)
        model.fit(x, y, batch_size=70, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(x, batch_size=70, verbose=0)])
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("masking", [None, 0.0])
def test_memory_without_a_copy_of_the_input(masking: float | None) -> None:
    """What is packed is kept for the backward pass; the input, what Masking makes of it and their gradients are not."""
    sizes = []
    for lent in (True, False):
        model = make("SimpleRNN", masking, False, lent)
        x = np.ones((4, 50, FEATURES), np.float32)
        model.train_on_batch(x, np.ones((4, 2), np.float32))
        sizes.append(model._part().program.held_memory())
    copies = 1 if masking is None else 2
    assert sizes[0] <= sizes[1] - copies * x.nbytes, sizes
