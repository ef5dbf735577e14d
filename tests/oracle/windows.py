"""Pooling and convolution over time, by an index array: row t lists the steps that window t reads."""

import numpy as np

from . import activations
from .activations import Array
from .base import Layer, Mask


def windows(time: int, size: int, stride: int, dilation: int, padding: str) -> Array:
    """(windows, size) steps, negative or beyond the end where a window hangs over."""
    extent = (size - 1) * dilation + 1
    if padding == "valid":
        count, left = (time - extent) // stride + 1, 0
    elif padding == "causal":
        count, left = (time - 1) // stride + 1, extent - 1
    else:
        count = -(-time // stride)
        left = max((count - 1) * stride + extent - time, 0) // 2
    return np.arange(count)[:, None] * stride + np.arange(size) * dilation - left


class GlobalPooling(Layer):
    """Mean or maximum over the unmasked steps, 0 without any. Equal maxima share the gradient."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x, mask = inputs[0], masks[0]
        valid: Array = np.ones(self.x.shape[:2], bool)
        if mask is not None:
            valid = mask.astype(bool)
        some: Array = np.asarray(valid.any(axis=1))
        if self.spec["method"] == "average":
            self.share = valid / np.maximum(valid.sum(axis=1, keepdims=True), 1)
            self.share = np.broadcast_to(self.share[..., None], self.x.shape)
        else:
            counted: Array = valid[..., None]
            best = np.where(counted, self.x, -np.inf).max(axis=1, keepdims=True)
            equal: Array = np.logical_and(np.equal(self.x, best), counted)
            self.share = equal / np.maximum(equal.sum(axis=1, keepdims=True), 1)
        y = np.where(some[:, None], (self.share * self.x).sum(axis=1), 0.0)
        return [y[:, None] if self.spec["keepdims"] else y], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dy = d_outputs[0] if self.spec["keepdims"] else d_outputs[0][:, None]
        return [self.share * dy], []


class Pooling(Layer):
    """Mean or maximum over the steps of a window that lie in the sequence. The first maximum takes the gradient."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x, spec = inputs[0], self.spec
        time = self.x.shape[1]
        steps = windows(time, spec["pool_size"], spec["strides"], 1, spec["padding"])
        y = []
        self.sources: list[list[int]] = []
        for row in steps:
            inside = [int(step) for step in row if 0 <= step < time]
            part = self.x[:, inside]
            y.append(part.mean(axis=1) if spec["method"] == "average" else part.max(axis=1))
            self.sources.append(inside)
        return [np.stack(y, axis=1)], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dx = np.zeros_like(self.x)
        for window, inside in enumerate(self.sources):
            part, dy = self.x[:, inside], d_outputs[0][:, window]
            if self.spec["method"] == "average":
                dx[:, inside] += dy[:, None] / len(inside)
            else:
                first = part.argmax(axis=1)[:, None] == np.arange(len(inside))[None, :, None]
                dx[:, inside] += first * dy[:, None]
        return [dx], []


class Conv(Layer):
    """y[t] = f(sum over k of x[step k of window t] K[k] + b), group by group; steps beyond the ends are zeros."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x, spec = inputs[0], self.spec
        time, features = self.x.shape[1:]
        self.steps = windows(time, spec["kernel_size"], spec["strides"], spec["dilation_rate"], spec["padding"])
        self.inside = (self.steps >= 0) & (self.steps < time)
        # (batch, windows, kernel_size, groups, features of a group)
        read = self.x[:, np.where(self.inside, self.steps, 0)] * self.inside[..., None]
        self.read = read.reshape(*read.shape[:3], spec["groups"], features // spec["groups"])
        kernel = self.weights[0]
        self.kernel = kernel.reshape(*kernel.shape[:2], spec["groups"], spec["filters"] // spec["groups"])
        z = np.einsum("btkgi,kigo->btgo", self.read, self.kernel)
        self.z = z.reshape(*z.shape[:2], spec["filters"])
        if spec["use_bias"]:
            self.z = self.z + self.weights[1]
        self.y = activations.forward(spec["activation"], self.z)
        return [self.y], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        flat = activations.backward(self.spec["activation"], self.z, self.y, d_outputs[0])
        dz = flat.reshape(*flat.shape[:2], self.spec["groups"], -1)
        gradients = [np.einsum("btkgi,btgo->kigo", self.read, dz).reshape(self.weights[0].shape)]
        if self.spec["use_bias"]:
            gradients.append(flat.sum(axis=(0, 1)))
        d_read = np.einsum("btgo,kigo->btkgi", dz, self.kernel).reshape(*self.read.shape[:3], -1)
        dx = np.zeros_like(self.x)
        for window, tap in np.argwhere(self.inside):
            dx[:, self.steps[window, tap]] += d_read[:, window, tap]
        return [dx], gradients


LAYERS: dict[str, type[Layer]] = {"global_pooling1d": GlobalPooling, "pooling1d": Pooling, "conv1d": Conv}
