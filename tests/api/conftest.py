"""Small data and models for the tests of the Python API."""

from collections.abc import Iterator

import numpy as np
import pytest

import foliot
from foliot.layers import Dense, Embedding, SimpleRNN
from foliot.models import Sequential


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    foliot.utils.set_random_seed(7)
    foliot.utils.clear_session()
    return


@pytest.fixture
def tokens() -> tuple[np.ndarray, np.ndarray]:
    """22 rows, so that no batch size below divides them; the label is whether the first token is small."""
    x = np.random.default_rng(0).integers(1, 12, (22, 6))
    return x, (x[:, 0] < 6).astype(int)


@pytest.fixture
def model() -> Sequential:
    """The tutorial's model, compiled but not built."""
    network = Sequential([Embedding(12, 4), SimpleRNN(5), Dense(1, activation="sigmoid")])
    network.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])
    return network
