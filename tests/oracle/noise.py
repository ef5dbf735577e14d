"""Noise, the learned rectifier, and time steps as samples."""

import numpy as np

from .activations import Array
from .base import Layer, Mask
from .dropout import factors, normals

# -alpha * scale of selu.
_LIMIT = -1.6732632423543772 * 1.0507009873554805


class Noise(Layer):
    """y = x * factor + summand in training, x otherwise. Elements of sequences are counted time first."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        x, spec = inputs[0], self.spec
        # As the core has it, in float32.
        rate = float(np.float32(spec["rate"]))
        self.factor: Array = np.ones(())
        if self.step is None:
            return [x], [masks[0]]
        noise = spec["noise_shape"]
        shape = x.shape if noise is None else tuple(a or b for a, b in zip(noise, x.shape, strict=True))
        by_time = noise is None and x.ndim >= 3
        counted = (shape[1], shape[0], *shape[2:]) if by_time else shape
        if spec["method"] == "alpha_dropout":
            drawn = np.where(factors(spec["seed"], self.step, 0, counted, rate) > 0, 1.0, 0.0)
        else:
            drawn = normals(spec["seed"], self.step, 0, counted)
        drawn = drawn.swapaxes(0, 1) if by_time else drawn
        if spec["method"] == "gaussian":
            return [x + rate * drawn], [masks[0]]
        if spec["method"] == "gaussian_dropout":
            self.factor = 1 + np.sqrt(rate / (1 - rate)) * drawn
            return [x * self.factor], [masks[0]]
        a = ((1 - rate) * (1 + rate * _LIMIT**2)) ** -0.5
        self.factor = a * drawn
        return [x * self.factor + a * _LIMIT * (1 - drawn) - a * _LIMIT * rate], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0] * self.factor], []


class PReLU(Layer):
    """y = x where positive, alpha x elsewhere; the slope at 0 is 0."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        return [np.where(self.x > 0, self.x, self.weights[0] * self.x)], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dx = d_outputs[0] * ((self.x > 0) + self.weights[0] * (self.x < 0))
        d_alpha = (d_outputs[0] * np.minimum(self.x, 0)).sum(axis=0)
        shared = tuple(axis for axis, size in enumerate(self.weights[0].shape) if size == 1)
        return [dx], [d_alpha.sum(axis=shared, keepdims=True)]


class FoldTime(Layer):
    """(B, T, ...) to (T * B, ...), time first."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        turned = inputs[0].swapaxes(0, 1)
        self.shape = turned.shape
        return [turned.reshape(-1, *turned.shape[2:])], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0].reshape(self.shape).swapaxes(0, 1)], []


class UnfoldTime(Layer):
    """(T * B, ...) to (B, T, ...), with the sizes and the mask of the first input."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.shapes = inputs[0].shape, inputs[1].shape
        batch, time = inputs[0].shape[:2]
        return [inputs[1].reshape(time, batch, *inputs[1].shape[1:]).swapaxes(0, 1)], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [np.zeros(self.shapes[0]), d_outputs[0].swapaxes(0, 1).reshape(self.shapes[1])], []


LAYERS: dict[str, type[Layer]] = {"noise": Noise, "p_relu": PReLU, "fold_time": FoldTime, "unfold_time": UnfoldTime}
