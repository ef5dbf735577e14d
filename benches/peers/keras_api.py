"""The model in Keras's API. foliot's API is the same, so one text serves both and neither can be favoured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    from rows import Row

LAYERS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


class KerasApi:
    """A peer that speaks Keras: `package` is `keras` or `foliot`."""

    def __init__(self, package: ModuleType, compile_options: dict[str, Any]) -> None:
        self._package = package
        self._compile_options = compile_options
        self.model: Any = None

    def versions(self) -> dict[str, str]:
        """Versions to print below the table."""
        return {self._package.__name__: self._package.__version__}

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes and compiles the model of `row` and gives it `weights`."""
        layers = self._package.layers
        recurrent = getattr(layers, LAYERS[row.cell])
        optimizers = {"sgd": self._package.optimizers.SGD, "rmsprop": self._package.optimizers.RMSprop}
        self.model = self._package.Sequential(
            [
                self._package.Input((row.steps,), dtype="int32"),
                layers.Embedding(row.vocabulary, row.embedding),
                recurrent(row.units),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
        self.model.compile(
            optimizer=optimizers[optimizer](learning_rate=learning_rate),
            loss="binary_crossentropy",
            **self._compile_options,
        )
        self.model.set_weights(weights)

    def train(self, tokens: np.ndarray, labels: np.ndarray) -> float:
        """One step; the loss is of this batch, or where the framework keeps a running mean, of all since `reset`."""
        return float(self.model.train_on_batch(tokens, labels))

    def reset(self) -> None:
        """Nothing to do where `train_on_batch` gives the loss of its own batch, as in foliot."""

    def predict(self, tokens: np.ndarray) -> Any:
        """The outputs for one batch."""
        return self.model.predict_on_batch(tokens)
