"""Pairs of words; Keras's are in tests/peers."""

import math
import random

import numpy as np
import pytest

from foliot.preprocessing.sequence import make_sampling_table, skipgrams


def test_the_sampling_table() -> None:
    table = make_sampling_table(5, 1e-4)
    for rank in range(1, 5):
        frequency = 1 / (rank * (math.log(rank) + 0.577) + 0.5 - 1 / (12 * rank))
        assert table[rank] == pytest.approx(min(1, math.sqrt(1e-4 / frequency)))
    assert table[0] == table[1]
    assert make_sampling_table(10, 1.0)[-1] == 1.0


def test_pairs_in_a_window() -> None:
    couples, labels = skipgrams([3, 0, 1, 2], 4, window_size=2, negative_samples=0, shuffle=False)
    assert couples == [[3, 1], [1, 3], [1, 2], [2, 1]]
    assert labels == [1] * 4


def test_random_pairs() -> None:
    random.seed(2)
    sequence = [1, 2, 3, 4, 5] * 10
    couples, labels = skipgrams(sequence, 6, window_size=1, negative_samples=1.5, categorical=True, seed=3)
    positive = [tuple(couple) for couple, label in zip(couples, labels, strict=True) if label == [0, 1]]
    assert len(positive) == 2 * (len(sequence) - 1)
    assert labels.count([1, 0]) == 147
    assert set(np.ravel(couples)) == {1, 2, 3, 4, 5}
    assert all(abs(word - other) in (1, 4) for word, other in positive)


def test_common_words_are_left_out() -> None:
    random.seed(0)
    table = np.array([0.0, 0.0, 1.0])
    couples, _ = skipgrams([1, 2, 1, 2], 3, 1, negative_samples=0, sampling_table=table)
    assert {word for word, _ in couples} == {2}


def test_what_is_refused() -> None:
    assert skipgrams([], 5) == ([], [])
    with pytest.raises(ValueError, match="`negative_samples`"):
        skipgrams([1], 5, negative_samples=-1)
    with pytest.raises(ValueError, match="`vocabulary_size`: expected at least 2"):
        skipgrams([1, 1], 1)
    with pytest.raises(ValueError, match="`size`"):
        make_sampling_table(0)
