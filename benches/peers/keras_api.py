"""The model in Keras's API. foliot's API is the same, so one text serves both and neither can be favoured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peer import Peer

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    from rows import Batch, Row

LAYERS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


class KerasApi(Peer):
    """A peer that speaks Keras: `package` is `keras` or `foliot`."""

    def __init__(self, package: ModuleType, compile_options: dict[str, Any]) -> None:
        self._package = package
        self._compile_options = compile_options
        self.model: Any = None

    def versions(self) -> dict[str, str]:
        """Versions to print below the table."""
        return {self._package.__name__: self._package.__version__}

    def modes(self, row: Row) -> list[str]:
        """What it can do with `row`. Keras has no call for a single step that keeps up with the others."""
        return [mode for mode in row.modes if mode != "step"]

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes and compiles the model of `row` and gives it `weights`."""
        optimizers = {"sgd": self._package.optimizers.SGD, "rmsprop": self._package.optimizers.RMSprop}
        self.model = self._encoder_decoder(row) if row.target_steps else self._stack(row)
        self.model.compile(
            optimizer=optimizers[optimizer](learning_rate=learning_rate),
            loss="categorical_crossentropy" if row.target_steps else "binary_crossentropy",
            **self._compile_options,
        )
        self.model.set_weights(weights)

    def _stack(self, row: Row) -> Any:
        layers = self._package.layers
        recurrent = getattr(layers, LAYERS[row.cell])
        shape = (row.steps,) if row.vocabulary else (row.steps, row.features)
        stack = [self._package.Input(shape, dtype="int32" if row.vocabulary else "float32")]
        if row.vocabulary:
            stack.append(layers.Embedding(row.vocabulary, row.features, mask_zero=row.masked))
        elif row.masked:
            stack.append(layers.Masking())
        for layer in range(row.layers):
            each = recurrent(row.units, return_sequences=layer + 1 < row.layers)
            stack.append(layers.Bidirectional(each) if row.bidirectional else each)
        head = [layers.Dense(1, activation="sigmoid")] if row.head else []
        return self._package.Sequential([*stack, *head])

    def _encoder_decoder(self, row: Row) -> Any:
        layers = self._package.layers
        recurrent = getattr(layers, LAYERS[row.cell])
        encoder_inputs = self._package.Input((row.steps, row.features))
        _, *states = recurrent(row.units, return_state=True)(encoder_inputs)
        decoder_inputs = self._package.Input((row.target_steps, row.target_features))
        decoded = recurrent(row.units, return_sequences=True)(decoder_inputs, initial_state=states)
        outputs = layers.Dense(row.target_features, activation="softmax")(decoded)
        return self._package.Model([encoder_inputs, decoder_inputs], outputs)

    def train(self, batch: Batch) -> float:
        """One step; the loss is of this batch, or where the framework keeps a running mean, of all since `reset`."""
        return float(self.model.train_on_batch(arguments(batch), batch.targets))

    def predict(self, batch: Batch) -> Any:
        """The outputs for one batch."""
        return self.model.predict_on_batch(arguments(batch))


def arguments(batch: Batch) -> Any:
    """The inputs as a model takes them: an array, or a list of them."""
    return batch.inputs[0] if len(batch.inputs) == 1 else list(batch.inputs)
