"""Layers: outputs, the mask that goes on, and the way back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import activations, noise, normalization, shapes, windows
from .activations import Array
from .base import Layer, Mask
from .cells import CELLS, Dropout, Scan, Weights
from .dropout import factors


class Embedding(Layer):
    """y = E[ids]; with `mask_zero` the id 0 is padding."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.ids = inputs[0].astype(int)
        return [self.weights[0][self.ids]], [self.ids != 0 if self.spec["mask_zero"] else None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        d_table = np.zeros_like(self.weights[0])
        np.add.at(d_table, self.ids, d_outputs[0])
        return [np.zeros(self.ids.shape)], [d_table]


class Dense(Layer):
    """y = f(x K + b) on the last axis."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        self.z = self.x @ self.weights[0]
        if self.spec["use_bias"]:
            self.z = self.z + self.weights[1]
        self.y = activations.forward(self.spec["activation"], self.z)
        return [self.y], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dz = activations.backward(self.spec["activation"], self.z, self.y, d_outputs[0])
        rows = dz.reshape(-1, dz.shape[-1])
        gradients = [self.x.reshape(-1, self.x.shape[-1]).T @ rows]
        if self.spec["use_bias"]:
            gradients.append(rows.sum(axis=0))
        return [dz @ self.weights[0].T], gradients


class Activation(Layer):
    """y = f(x)."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        self.y = activations.forward(self.spec["activation"], self.x)
        return [self.y], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [activations.backward(self.spec["activation"], self.x, self.y, d_outputs[0])], []


class ActivityRegularization(Layer):
    """y = x, and (l1 * sum|x| + l2 * sum(x^2)) / B is added to the loss."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        return [self.x], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        slope = self.spec["l1"] * np.sign(self.x) + 2 * self.spec["l2"] * self.x
        return [d_outputs[0] + slope / self.x.shape[0]], []

    def loss(self) -> float:
        total = self.spec["l1"] * np.abs(self.x).sum() + self.spec["l2"] * (self.x**2).sum()
        return float(total / self.x.shape[0])


class DropoutLayer(Layer):
    """y = x * factors in training, x otherwise. An axis of 1 in `noise_shape` shares its factors; None follows the
    input. The element of the mask is the flat index in `noise_shape`; without one, in the order (time, batch,
    features)."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        x, noise = inputs[0], self.spec["noise_shape"]
        self.factors = np.ones(())
        if self.step is not None and self.spec["rate"] > 0:
            shape = x.shape if noise is None else tuple(a or b for a, b in zip(noise, x.shape, strict=True))
            by_time = noise is None and x.ndim == 3
            if by_time:
                shape = (shape[1], shape[0], shape[2])
            self.factors = factors(self.spec["seed"], self.step, 0, shape, self.spec["rate"])
            if by_time:
                self.factors = self.factors.swapaxes(0, 1)
        return [x * self.factors], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0] * self.factors], []


class Recurrent(Layer):
    """Inputs x, or x and the initial states; outputs the sequence or its last step, then the states with
    `return_state`."""

    def _dropout(self, batch: int, features: int) -> Dropout:
        """One set of factors for all time. The inputs have a set per gate under recurrent dropout, as in Keras's
        `implementation=1`, and one for all gates without it. The element of a mask is (gate * batch + row) * width +
        column; stream 0 draws for the inputs, 1 for the hidden state. A rate of 1 counts as none, as in Keras.
        """
        if self.step is None:
            return Dropout()
        spec = self.spec
        gates = CELLS[spec["kind"]].gates
        result = Dropout()
        if 0 < spec["dropout"] < 1:
            sets = gates if spec["recurrent_dropout"] > 0 else 1
            drawn = factors(spec["seed"], self.step, 0, (sets, batch, features), spec["dropout"])
            result.inputs = np.broadcast_to(drawn, (gates, batch, features))
        if 0 < spec["recurrent_dropout"] < 1:
            shape = (gates, batch, spec["units"])
            result.recurrent = factors(spec["seed"], self.step, 1, shape, spec["recurrent_dropout"])
        return result

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        spec = self.spec
        cell = CELLS[spec["kind"]](spec)
        weights = Weights(self.weights[0], self.weights[1], self.weights[2] if spec["use_bias"] else None)
        self.has_initial_state = len(inputs) > 1
        self.scan = Scan.run(
            cell,
            weights,
            inputs[0],
            masks[0],
            inputs[1:] or None,
            spec["go_backwards"],
            spec["zero_output_for_mask"],
            self._dropout(inputs[0].shape[0], inputs[0].shape[2]),
        )
        sequences = spec["return_sequences"]
        states = self.scan.states if spec["return_state"] else []
        outputs = [self.scan.outputs if sequences else self.scan.last_output, *states]
        # Keras hands the mask of the inputs on as it is, also where go_backwards has turned the outputs around.
        return outputs, [masks[0] if sequences else None, *([None] * len(states))]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        scan = self.scan
        d_sequence, d_last = np.zeros_like(scan.outputs), np.zeros_like(scan.states[0])
        if self.spec["return_sequences"]:
            d_sequence = d_outputs[0]
        else:
            d_last = d_outputs[0]
        d_states = d_outputs[1:] or [np.zeros_like(state) for state in scan.states]
        dx, d_initial, grad = scan.backward(d_sequence, d_last, d_states)
        gradients = [grad.kernel, grad.recurrent_kernel] + ([] if grad.bias is None else [grad.bias])
        return [dx, *(d_initial if self.has_initial_state else [])], gradients


LAYERS: dict[str, type[Layer]] = {
    "embedding": Embedding,
    "dense": Dense,
    "activation": Activation,
    "activity_regularization": ActivityRegularization,
    "dropout": DropoutLayer,
    "simple_rnn": Recurrent,
    "lstm": Recurrent,
    "gru": Recurrent,
    **shapes.LAYERS,
    **normalization.LAYERS,
    **windows.LAYERS,
    **noise.LAYERS,
}


def build(spec: dict[str, Any], weights: Sequence[Array], step: int | None) -> Layer:
    """The layer that a dictionary describes."""
    return LAYERS[spec["kind"]](spec, weights, step)
