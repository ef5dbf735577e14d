"""A first session with an installed foliot and NumPy: CI runs it on the wheel and the sdist, each in an empty venv."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

import foliot
from foliot import Sequential, layers, optimizers, utils
from foliot.models import load_model


def main() -> None:
    """Trains, saves and loads a tiny model and calls the console command."""
    installed = Path(foliot.__file__).resolve()
    if not installed.is_relative_to(Path(sys.prefix).resolve()):
        message = f"foliot was imported from {installed}, not from the environment {sys.prefix}"
        raise SystemExit(message)

    utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 20, size=(64, 12))
    labels = (tokens[:, -1] > 10).astype("float32")
    model = Sequential([layers.Embedding(20, 8), layers.SimpleRNN(8), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=optimizers.RMSprop(0.01), loss="binary_crossentropy", metrics=["acc"])
    history = model.fit(tokens, labels, epochs=30, batch_size=16, verbose=0)
    losses = history.history["loss"]
    if not losses[-1] < 0.5 * losses[0]:
        message = f"the loss did not fall by half: {losses[0]} to {losses[-1]}"
        raise SystemExit(message)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.foliot"
        model.save(path)
        np.testing.assert_array_equal(load_model(path).predict(tokens, verbose=0), model.predict(tokens, verbose=0))

    command = Path(sysconfig.get_path("scripts")) / "foliot"
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    if foliot.__version__ not in version:
        message = f"foliot --version printed {version!r}, expected {foliot.__version__}"
        raise SystemExit(message)
    print(f"smoke: foliot {foliot.__version__} at {installed.parent}, loss {losses[0]:.3f} to {losses[-1]:.3f}")


if __name__ == "__main__":
    main()
