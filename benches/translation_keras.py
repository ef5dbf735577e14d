"""Trains Keras's encoder-decoder with foliot and with Keras, from the same weights on the same batches, side by side.

Usage: python benches/translation_keras.py PATH [options]   (PATH holds a text, a tab and its translation in each line)

Both frameworks get the rows in the same order (`shuffle=False` on rows shuffled once), the same initial weights and the
same settings. Keras runs on the backend named by KERAS_BACKEND, JAX if that is not set.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import foliot
from foliot.examples.translation import Characters, EncoderDecoder, load_pairs

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def main() -> None:
    """Trains both models and prints their curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="PATH")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    pairs = list(zip(*load_pairs(options.data, options.pairs), strict=True))
    order = np.random.default_rng(options.seed).permutation(len(pairs))
    sources, targets = zip(*(pairs[row] for row in order), strict=True)
    data = Characters.of(sources, targets)
    print(
        f"{len(sources)} pairs; {data.encoder_input.shape[1]} and {data.decoder_input.shape[1]} letters at most, of "
        f"{len(data.letters[0])} and {len(data.letters[1])} kinds"
    )

    foliot.utils.set_random_seed(options.seed)
    models = {
        "foliot": EncoderDecoder(foliot, options.units, data),
        "Keras": EncoderDecoder(keras, options.units, data),
    }
    models["Keras"].model.set_weights(models["foliot"].model.get_weights())
    curves: dict[str, dict[str, list[float]]] = {}
    for (name, pair), framework in zip(models.items(), (foliot, keras), strict=True):
        pair.compile(framework.optimizers.RMSprop(options.learning_rate))
        started = time.perf_counter()
        curves[name] = pair.fit(
            data,
            epochs=options.epochs,
            batch_size=options.batch_size,
            shuffle=False,
            validation_split=0.1,
            verbose=0,
        ).history
        print(f"{name:<8}{time.perf_counter() - started:8.1f} s")

    print("\nepoch  " + "".join(f"{metric:>24}" for metric in METRICS))
    print("       " + "".join(f"{name:>12}" for _ in METRICS for name in models))
    for epoch in range(options.epochs):
        row = (f"{curves[name][metric][epoch]:12.5f}" for metric in METRICS for name in models)
        print(f"{epoch + 1:5}  " + "".join(row))
    for metric in METRICS:
        apart = np.abs(np.subtract(curves["foliot"][metric], curves["Keras"][metric]))
        print(f"{metric}, apart by epoch: " + " ".join(f"{value:.1e}" for value in apart))
    shown = list(sources[:4])
    for name, pair in models.items():
        print(
            f"{name}: "
            + "; ".join(f"{text} -> {answer}" for text, answer in zip(shown, pair.answer(shown), strict=True))
        )


if __name__ == "__main__":
    main()
