"""Normalizations, with gradients taken apart by the chain rule: of the numerator, the mean and the divisor."""

import numpy as np

from .activations import Array
from .base import Layer, Mask

# Keras adds this to the number of unmasked rows.
_COUNT_EPSILON = 1e-7


class RowNormalization(Layer):
    """y = (x - a) / d * gamma + beta along the last axis. "layer": a is the mean and d the root of variance + epsilon;
    "layer_rms": the same d, a = 0; "rms": d is the root of the mean square + epsilon; "unit": d is the norm, at least
    epsilon; a row of zeros has the gradient 0. Keras's RMSNormalization ends a mask."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        method, epsilon = self.spec["method"], self.spec["epsilon"]
        self.x = inputs[0]
        mean = self.x.mean(axis=-1, keepdims=True)
        if method in ("layer", "layer_rms"):
            self.divisor = np.sqrt(((self.x - mean) ** 2).mean(axis=-1, keepdims=True) + epsilon)
        elif method == "rms":
            self.divisor = np.sqrt((self.x**2).mean(axis=-1, keepdims=True) + epsilon)
        else:
            self.divisor = np.maximum(np.sqrt((self.x**2).sum(axis=-1, keepdims=True)), epsilon)
        self.mean = mean
        self.numerator = self.x - mean if method == "layer" else self.x
        y = self.numerator / self.divisor
        self.normal = y
        rest = list(self.weights)
        self.gamma = rest.pop(0) if self.spec["scale"] else None
        if self.gamma is not None:
            y = y * self.gamma
        if self.spec["center"]:
            y = y + rest.pop(0)
        return [y], [None if method == "rms" else masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        method, (dy,) = self.spec["method"], d_outputs
        count = self.x.shape[-1]
        rows = tuple(range(dy.ndim - 1))
        d_normal = dy if self.gamma is None else dy * self.gamma
        d_numerator = d_normal / self.divisor
        d_divisor = -(d_normal * self.numerator / self.divisor**2).sum(axis=-1, keepdims=True)
        dx = d_numerator.copy()
        if method == "layer":
            dx -= d_numerator.mean(axis=-1, keepdims=True)
        if method in ("layer", "layer_rms"):
            dx += d_divisor * (self.x - self.mean) / (count * self.divisor)
        elif method == "rms":
            dx += d_divisor * self.x / (count * self.divisor)
        else:
            dx += np.where(self.divisor > self.spec["epsilon"], d_divisor * self.x / self.divisor, 0.0)
            dx = np.where((self.x == 0).all(axis=-1, keepdims=True), 0.0, dx)
        gradients = [(dy * self.normal).sum(axis=rows)] if self.spec["scale"] else []
        if self.spec["center"]:
            gradients.append(dy.sum(axis=rows))
        return [dx], gradients


class BatchNormalization(Layer):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta by columns. In training mean and variance are those of
    the unmasked rows; otherwise they are weights. A training run leaves the new moving weights in `moved`."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        spec = self.spec
        self.x = inputs[0]
        rest = list(self.weights)
        self.gamma = rest.pop(0) if spec["scale"] else np.ones(self.x.shape[-1])
        beta = rest.pop(0) if spec["center"] else 0.0
        self.mean, self.variance = rest
        self.by_batch = self.step is not None and not spec["frozen"]
        rows = tuple(range(self.x.ndim - 1))
        if self.by_batch:
            mask = masks[0]
            self.counts = np.ones((*self.x.shape[:-1], 1)) if mask is None else np.asarray(mask, float)[..., None]
            self.number = self.counts.sum() + (0.0 if mask is None else _COUNT_EPSILON)
            self.mean = (self.counts * self.x).sum(axis=rows) / self.number
            self.variance = (self.counts * (self.x - self.mean) ** 2).sum(axis=rows) / self.number
            keep = spec["momentum"]
            self.moved = [
                keep * old + (1 - keep) * new for old, new in zip(rest, (self.mean, self.variance), strict=True)
            ]
        self.deviation = np.sqrt(self.variance + spec["epsilon"])
        self.normal = (self.x - self.mean) / self.deviation
        return [self.normal * self.gamma + beta], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        (dy,) = d_outputs
        rows = tuple(range(dy.ndim - 1))
        d_normal = dy * self.gamma
        d_mean = -(d_normal / self.deviation).sum(axis=rows)
        d_variance = -0.5 * (d_normal * self.normal / self.deviation**2).sum(axis=rows)
        dx = d_normal / self.deviation
        if self.by_batch:
            # The variance depends on the mean only as far as the counts do not add up to the number.
            d_mean = d_mean - d_variance * 2 * (self.counts * (self.x - self.mean)).sum(axis=rows) / self.number
            dx = dx + self.counts / self.number * (d_mean + d_variance * 2 * (self.x - self.mean))
            d_mean, d_variance = np.zeros_like(d_mean), np.zeros_like(d_variance)
        gradients = [(dy * self.normal).sum(axis=rows)] if self.spec["scale"] else []
        if self.spec["center"]:
            gradients.append(dy.sum(axis=rows))
        return [dx], [*gradients, d_mean, d_variance]


LAYERS: dict[str, type[Layer]] = {"row_normalization": RowNormalization, "batch_normalization": BatchNormalization}
