"""Trains one sentiment model with foliot and with Keras, from the same weights on the same batches, side by side.

Usage: python benches/sentiment_keras.py PATH [options]   (PATH as for `foliot demo sentiment --data`)

Both frameworks get the rows in the same order (`shuffle=False` on rows shuffled once), the same initial weights and the
same settings. Every step rounds differently, and on long texts training can blow such a difference up to any size. So
with --control Keras trains a second time, from weights that differ in their last bit: what parts Keras from itself is
no difference between the two frameworks. Keras runs on the backend named by KERAS_BACKEND, JAX if that is not set.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import foliot
from foliot.examples.sentiment import count_words, load
from foliot.preprocessing.sequence import pad_sequences
from foliot.preprocessing.text import Tokenizer

CELLS = ("SimpleRNN", "LSTM", "GRU")
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def build(framework: Any, options: argparse.Namespace, length: int) -> Any:
    """Builds and compiles the model; `framework` is `foliot` or `keras`."""
    layers = framework.layers
    model = framework.Sequential(
        [
            layers.Embedding(options.max_words, 32),
            getattr(layers, options.cell)(options.units),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = framework.optimizers.RMSprop(options.learning_rate)
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    model.build((None, length))
    return model


def main() -> None:
    """Trains both models and prints their curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="PATH")
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--cell", choices=CELLS, default="LSTM")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--max-words", type=int, default=10_000)
    parser.add_argument("--max-length", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true", help="train with Keras again, from weights one bit apart")
    options = parser.parse_args()

    train, test = load(options)
    tokenizer = Tokenizer(num_words=options.max_words)
    tokenizer.fit_on_texts(train.texts)
    x, x_test = (
        pad_sequences(tokenizer.texts_to_sequences(part.texts), maxlen=options.max_length) for part in (train, test)
    )
    print(f"{len(train.texts)} training and {len(test.texts)} test texts, {x.shape[1]} words each; {options.cell}")

    foliot.utils.set_random_seed(options.seed)
    models = {"foliot": build(foliot, options, x.shape[1]), "Keras": build(keras, options, x.shape[1])}
    weights = models["foliot"].get_weights()
    models["Keras"].set_weights(weights)
    if options.control:
        models["control"] = build(keras, options, x.shape[1])
        models["control"].set_weights([np.nextafter(weight, np.float32(2)) for weight in weights])
    curves: dict[str, dict[str, list[float]]] = {}
    for name, model in models.items():
        started = time.perf_counter()
        curves[name] = model.fit(
            x,
            train.labels,
            epochs=options.epochs,
            batch_size=options.batch_size,
            shuffle=False,
            validation_data=(x_test, test.labels),
            verbose=0,
        ).history
        print(f"{name:<8}{time.perf_counter() - started:8.1f} s")

    print("\nepoch  " + "".join(f"{metric:>{12 * len(models)}}" for metric in METRICS))
    print("       " + "".join(f"{name:>12}" for _ in METRICS for name in models))
    for epoch in range(options.epochs):
        row = (f"{curves[name][metric][epoch]:12.5f}" for metric in METRICS for name in models)
        print(f"{epoch + 1:5}  " + "".join(row))
    for name in [name for name in models if name != "Keras"]:
        for metric in METRICS:
            apart = np.abs(np.subtract(curves[name][metric], curves["Keras"][metric]))
            print(f"{name} and Keras, {metric}, apart by epoch: " + " ".join(f"{value:.1e}" for value in apart))
    print(f"counting words: {count_words(train, test):.4f}")


if __name__ == "__main__":
    main()
