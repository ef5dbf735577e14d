"""Layers that move elements. Keras's ones end a mask, but for Masking, which makes one."""

import numpy as np

from .activations import Array
from .base import Layer, Mask


class Flatten(Layer):
    """(B, ...) to (B, product of the rest). Keras's Flatten ends a mask."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.shape = inputs[0].shape
        return [inputs[0].reshape(self.shape[0], int(np.prod(self.shape[1:])))], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0].reshape(self.shape)], []


class Reshape(Layer):
    """The elements of each sample under other axes; None is what is left."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.shape = inputs[0].shape
        target = [-1 if axis is None else axis for axis in self.spec["target"]]
        return [inputs[0].reshape(self.shape[0], *target)], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0].reshape(self.shape)], []


class Permute(Layer):
    """Axis i + 1 of the output is axis dims[i] of the input."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        return [inputs[0].transpose(0, *self.spec["dims"])], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0].transpose(np.argsort([0, *self.spec["dims"]]))], []


class RepeatVector(Layer):
    """y[:, t] = x for n steps."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        return [np.stack([inputs[0]] * self.spec["n"], axis=1)], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0].sum(axis=1)], []


class RepeatParts(Layer):
    """Each of the parts of the features `times` times in a row; the mask stays."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        parts = inputs[0].reshape(*inputs[0].shape[:-1], self.spec["parts"], -1)
        repeated = np.repeat(parts, self.spec["times"], axis=-2)
        return [repeated.reshape(*inputs[0].shape[:-1], -1)], masks

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        leading = d_outputs[0].shape[:-1]
        parts = d_outputs[0].reshape(*leading, self.spec["parts"], self.spec["times"], -1)
        return [parts.sum(axis=-2).reshape(*leading, -1)], []


class Cropping(Layer):
    """y = x without some steps at both ends."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        first, last = self.spec["cropping"]
        return [inputs[0][:, first : inputs[0].shape[1] - last]], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [np.pad(d_outputs[0], ((0, 0), self.spec["cropping"], (0, 0)))], []


class ZeroPadding(Layer):
    """y = x with steps of zeros at both ends."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        return [np.pad(inputs[0], ((0, 0), self.spec["padding"], (0, 0)))], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        first, last = self.spec["padding"]
        return [d_outputs[0][:, first : d_outputs[0].shape[1] - last]], []


class Masking(Layer):
    """mask = any(x != value) over the features; y = x where the mask is True, 0 elsewhere."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.valid = (inputs[0] != self.spec["mask_value"]).any(axis=-1)
        return [np.where(self.valid[..., None], inputs[0], 0.0)], [self.valid]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [np.where(self.valid[..., None], d_outputs[0], 0.0)], []


LAYERS: dict[str, type[Layer]] = {
    "flatten": Flatten,
    "reshape": Reshape,
    "permute": Permute,
    "repeat_vector": RepeatVector,
    "repeat_parts": RepeatParts,
    "cropping1d": Cropping,
    "zero_padding1d": ZeroPadding,
    "masking": Masking,
}
