"""Keras 3 on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import importlib

import keras

from keras_api import KerasApi


class KerasPeer(KerasApi):
    """Keras in this process; `jit_compile` is Keras's own argument of `compile`."""

    def __init__(self, jit_compile: bool) -> None:
        super().__init__(keras, {"jit_compile": jit_compile})

    def versions(self) -> dict[str, str]:
        """Keras's version and its backend's."""
        backend = keras.backend.backend()
        return {**super().versions(), backend: importlib.import_module(backend).__version__}

    def reset(self) -> None:
        """Keras on TensorFlow averages the losses of all `train_on_batch` calls since the last reset."""
        self.model.reset_metrics()
