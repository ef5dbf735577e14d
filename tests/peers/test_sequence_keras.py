"""Windows, pairs of words and norms against Keras's."""

import os
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` installs it")

import keras
from keras.src.legacy.preprocessing import sequence as theirs

from foliot import utils
from foliot.preprocessing import sequence as ours

SERIES = np.random.default_rng(0).normal(size=(23, 2))


def options(**optional):
    return st.fixed_dictionaries({}, optional=optional)


@given(
    st.integers(1, 6),
    options(
        sampling_rate=st.integers(1, 3),
        stride=st.integers(1, 4),
        start_index=st.integers(0, 5),
        end_index=st.integers(6, 22),
        reverse=st.booleans(),
        batch_size=st.integers(1, 9),
    ),
)
def test_timeseries_generators(length, chosen):
    assume(chosen.get("start_index", 0) + length <= chosen.get("end_index", 22))
    mine, other = (module.TimeseriesGenerator(SERIES, SERIES[:, 0], length, **chosen) for module in (ours, theirs))
    assert len(mine) == len(other)
    for index in range(len(mine)):
        for first, second in zip(mine[index], other[index], strict=True):
            np.testing.assert_array_equal(first, second)


# Keras's own: it hands a float to random.randint.
@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")
@given(
    st.lists(st.integers(0, 9), max_size=12),
    options(
        window_size=st.integers(0, 4),
        negative_samples=st.sampled_from([0, 0.5, 1.0, 2.3]),
        shuffle=st.booleans(),
        categorical=st.booleans(),
        seed=st.integers(0, 99),
        sampling_table=st.just(ours.make_sampling_table(10, 0.3)),
    ),
    st.integers(0, 99),
)
def test_skipgrams(sequence, chosen, seed):
    found = []
    for module in (ours, theirs):
        random.seed(seed)
        found.append(module.skipgrams(sequence, 10, **chosen))
    assert found[0] == found[1]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_sampling_tables(size):
    for factor in (1e-5, 1e-2, 3.0):
        mine, other = (module.make_sampling_table(size, factor) for module in (ours, theirs))
        np.testing.assert_allclose(mine, other, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [-1, 1])
def test_normalize(axis, order):
    np.testing.assert_allclose(
        utils.normalize(SERIES, axis, order), keras.utils.normalize(SERIES, axis, order), rtol=1e-12
    )


@given(
    st.integers(1, 5),
    options(
        sequence_stride=st.integers(1, 5),
        sampling_rate=st.integers(1, 4),
        batch_size=st.sampled_from([None, 1, 4, 50]),
        start_index=st.integers(0, 8),
        end_index=st.integers(9, 22),
    ),
    st.booleans(),
)
@settings(max_examples=15)
def test_windows(length, chosen, with_targets):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed, which Keras needs for windows")
    targets = SERIES[:, 0] if with_targets else None
    mine = list(utils.timeseries_dataset_from_array(SERIES, targets, length, **chosen))
    other = list(keras.utils.timeseries_dataset_from_array(SERIES, targets, length, **chosen))
    assert len(mine) == len(other)
    for first, second in zip(mine, other, strict=True):
        for a, b in zip(*((pair if with_targets else (pair,)) for pair in (first, second)), strict=True):
            np.testing.assert_array_equal(a, b)
