"""Pairs of words for word2vec."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foliot._checks import check_flag, check_integer, check_number

# Euler's constant as word2vec's authors, and Keras, cut it off.
_GAMMA = 0.577


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> npt.NDArray[np.float64]:
    """How likely the word of each rank is to be kept: the more common, the less.

    word2vec keeps a word of frequency f with probability `min(1, sqrt(sampling_factor / f))`, and by Zipf's law the
    word of rank r has the frequency `1 / (r (log(r) + 0.577) + 1/2 - 1/(12 r))`.

    Args:
        size: The number of words.
        sampling_factor: The factor of word2vec's formula.

    Returns:
        A float64 array of shape `(size,)`; the word 0, which is none, has the value of the word 1.

    Example:
        >>> from foliot.preprocessing.sequence import make_sampling_table
        >>> make_sampling_table(3).round(5).tolist()
        [0.00315, 0.00315, 0.00547]
    """
    size = check_integer("size", size, minimum=1)
    factor = check_number("sampling_factor", sampling_factor, above=0)
    rank = np.arange(size)
    rank[0] = 1
    inverse_frequency = rank * (np.log(rank) + _GAMMA) + 0.5 - 1.0 / (12.0 * rank)
    return np.minimum(1.0, np.sqrt(factor * inverse_frequency))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of each word with its neighbours (label 1), and with random words (label 0).

    Words are drawn with Python's `random`, as in Keras, so that `random.seed` repeats them; `seed` orders the pairs.

    Args:
        sequence: Word indices. 0 is no word and is left out.
        vocabulary_size: The greatest word index plus 1.
        window_size: How far away a neighbour may be.
        negative_samples: How many random pairs for each true pair.
        shuffle: Put the pairs in a random order.
        categorical: Labels `[0, 1]` and `[1, 0]` instead of 1 and 0.
        sampling_table: The probability to keep each word, see `make_sampling_table`.
        seed: Seed of the order. None draws one.

    Returns:
        The pairs `[word, other word]` and their labels.

    Example:
        >>> from foliot.preprocessing.sequence import skipgrams
        >>> skipgrams([1, 2, 3], vocabulary_size=4, window_size=1, negative_samples=0, shuffle=False)
        ([[1, 2], [2, 1], [2, 3], [3, 2]], [1, 1, 1, 1])
    """
    size = check_integer("vocabulary_size", vocabulary_size, minimum=1)
    reach = check_integer("window_size", window_size, minimum=0)
    ratio = check_number("negative_samples", negative_samples, minimum=0)
    positive, negative = ([0, 1], [1, 0]) if check_flag("categorical", categorical) else (1, 0)
    couples: list[list[int]] = []
    for position, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        around = range(max(0, position - reach), min(len(sequence), position + reach + 1))
        couples += [[word, sequence[other]] for other in around if other != position and sequence[other]]
    labels: list[Any] = [positive for _ in couples]
    if ratio > 0:
        wanted = math.floor(len(couples) * ratio)
        if wanted and size < 2:
            raise ValueError(f"`vocabulary_size`: expected at least 2 for random words; received {size}")
        words = [word for word, _ in couples]
        random.shuffle(words)
        couples += [[words[number % len(words)], random.randint(1, size - 1)] for number in range(wanted)]
        labels += [negative for _ in range(wanted)]
    if check_flag("shuffle", shuffle):
        seed = random.randint(0, 10**7) if seed is None else check_integer("seed", seed)
        for column in (couples, labels):
            random.seed(seed)
            random.shuffle(column)
    return couples, labels
