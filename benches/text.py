"""Tokenizing and padding side by side with Keras: `python benches/text.py [--megabytes 15] [--repeats 3]`.

Both work on the same texts in one process, in turn, and every result is compared before a time counts. The texts have
the word frequencies of English, capitals and punctuation.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

from keras.src.legacy.preprocessing import text as keras_text
from keras.utils import pad_sequences as keras_pad_sequences

from foliot.preprocessing import sequence as our_sequence
from foliot.preprocessing import text as our_text


def corpus(megabytes: float, accents: float) -> list[str]:
    """Texts of some 230 words; a share `accents` of the words has letters beyond ASCII."""
    random = np.random.default_rng(1)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(random.choice(letters, length)) for length in np.clip(random.poisson(6, 80_000), 2, 14)]
    words = [word.replace("e", "é", 1) if random.random() < accents else word for word in words]
    endings = np.array(["", "", "", "", "", "", ",", ".", "!", "'s"])
    # Mandelbrot's form of Zipf's law, with the constants that fit English text.
    weights = 1 / (np.arange(len(words)) + 2.7) ** 1.05
    weights = np.cumsum(weights / weights.sum())
    texts: list[str] = []
    size = 0
    while size < megabytes * 1e6:
        ranks = np.searchsorted(weights[:-1], random.random(random.integers(60, 400)))
        ends = endings[random.integers(len(endings), size=len(ranks))]
        pairs = zip(ranks.tolist(), ends.tolist(), strict=True)
        text = " ".join(words[rank] + end for rank, end in pairs).capitalize()
        texts.append(text)
        size += len(text)
    return texts


def best_times(repeats: int, *functions: Callable[[], Any]) -> list[tuple[float, float]]:
    """The best wall time and the best CPU time (all threads together) of each function, called in turn."""
    best = [(float("inf"), float("inf"))] * len(functions)
    for _ in range(repeats):
        for index, function in enumerate(functions):
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            times = time.perf_counter() - wall, time.process_time() - cpu
            best[index] = min(best[index][0], times[0]), min(best[index][1], times[1])
    return best


def fit(tokenizer: Any, texts: list[str]) -> Any:
    """The tokenizer, fitted."""
    tokenizer.fit_on_texts(texts)
    return tokenizer


def compare(name: str, texts: list[str], repeats: int, **options: Any) -> None:
    """Prints one table."""
    ours = fit(our_text.Tokenizer(num_words=10_000, **options), texts)
    theirs = fit(keras_text.Tokenizer(num_words=10_000, **options), texts)
    if ours.word_index != theirs.word_index or ours.word_docs != theirs.word_docs:
        raise SystemExit("the fitted tokenizers differ")
    sequences = theirs.texts_to_sequences(texts)
    if ours.texts_to_sequences(texts) != sequences:
        raise SystemExit("the sequences differ")
    if not np.array_equal(our_sequence.pad_sequences(sequences, 200), keras_pad_sequences(sequences, 200)):
        raise SystemExit("the padded sequences differ")

    rows = {
        "fit_on_texts": best_times(
            repeats,
            lambda: fit(our_text.Tokenizer(**options), texts),
            lambda: fit(keras_text.Tokenizer(**options), texts),
        ),
        "texts_to_sequences": best_times(
            repeats, lambda: ours.texts_to_sequences(texts), lambda: theirs.texts_to_sequences(texts)
        ),
        "pad_sequences": best_times(
            repeats, lambda: our_sequence.pad_sequences(sequences, 200), lambda: keras_pad_sequences(sequences, 200)
        ),
    }
    ours_in_all, theirs_in_all = (np.sum(times, axis=0) for times in zip(*rows.values(), strict=True))
    rows["all three"] = [tuple(ours_in_all), tuple(theirs_in_all)]
    size = sum(len(text.encode()) for text in texts)
    tokens = sum(ours.word_counts.values())
    print(f"\n{name}: {size / 1e6:.1f} MB, {len(texts)} texts, {tokens} tokens, {len(ours.word_index)} words")
    print(f"{'':20}{'wall: foliot':>14}{'Keras':>10}{'ratio':>8}{'CPU: foliot':>15}{'Keras':>10}{'ratio':>8}")
    for row, (our_times, their_times) in rows.items():
        (wall, cpu), (their_wall, their_cpu) = our_times, their_times
        print(
            f"{row:20}{wall * 1e3:11.0f} ms{their_wall * 1e3:7.0f} ms{their_wall / wall:7.1f}x"
            f"{cpu * 1e3:12.0f} ms{their_cpu * 1e3:7.0f} ms{their_cpu / cpu:7.1f}x"
        )


def main() -> None:
    """Parses the arguments and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=15.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    compare("words, ASCII", corpus(arguments.megabytes, 0.0), arguments.repeats)
    compare("words, some accents", corpus(arguments.megabytes, 0.1), arguments.repeats)
    compare("characters", corpus(arguments.megabytes / 5, 0.0), arguments.repeats, char_level=True)


if __name__ == "__main__":
    main()
