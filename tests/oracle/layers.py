"""Layers: outputs, the mask that goes on, and the way back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import activations, attention, noise, normalization, shapes, windows
from .activations import Array
from .base import Layer, Mask
from .cells import CELLS, Dropout, Scan, Shares, Weights
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
    """y = f(x K + b) on the last axis; K and b may have more axes in the place of one."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        self.kernel = self.weights[0].reshape(self.x.shape[-1], -1)
        self.z = self.x @ self.kernel
        if self.spec["use_bias"]:
            self.z = self.z + self.weights[1].reshape(-1)
        self.y = activations.forward(self.spec["activation"], self.z)
        return [self.y], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dz = activations.backward(self.spec["activation"], self.z, self.y, d_outputs[0])
        rows = dz.reshape(-1, dz.shape[-1])
        gradients = [(self.x.reshape(-1, self.x.shape[-1]).T @ rows).reshape(self.weights[0].shape)]
        if self.spec["use_bias"]:
            gradients.append(rows.sum(axis=0).reshape(self.weights[1].shape))
        return [dz @ self.kernel.T], gradients


class Activation(Layer):
    """y = f(x)."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.x = inputs[0]
        self.y = activations.forward(self.spec["activation"], self.x)
        return [self.y], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [activations.backward(self.spec["activation"], self.x, self.y, d_outputs[0])], []


class GatedLinearUnit(Layer):
    """y = a * sigmoid(b), where a and b are the halves of the last axis."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.a, gates = np.split(inputs[0], 2, axis=-1)
        self.opened = activations.sigmoid(gates)
        return [self.a * self.opened], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        (dy,) = d_outputs
        d_gates = dy * self.a * self.opened * (1 - self.opened)
        return [np.concatenate([dy * self.opened, d_gates], axis=-1)], []


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


def whole_matrix(blocks: Array, gates: int) -> Array:
    """The block-diagonal recurrent kernel (U, G*U) of the blocks (heads, U/heads, G*U/heads): unit u of every gate
    belongs to head u // (U/heads)."""
    heads, rows, columns = blocks.shape
    units = columns // gates
    matrix = np.zeros((heads * rows, gates, heads, units))
    for head in range(heads):
        matrix[head * rows : (head + 1) * rows, :, head] = blocks[head].reshape(rows, gates, units)
    return matrix.reshape(heads * rows, -1)


def blocks_of(matrix: Array, heads: int, gates: int) -> Array:
    """The blocks of `whole_matrix`."""
    rows = len(matrix) // heads
    parts = matrix.reshape(heads, rows, gates, heads, -1)
    return np.stack([parts[head, :, :, head].reshape(rows, -1) for head in range(heads)])


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
            shape = (gates, batch, CELLS[spec["kind"]](spec).width)
            result.recurrent = factors(spec["seed"], self.step, 1, shape, spec["recurrent_dropout"])
        return result

    def _zoneout(self, batch: int, time: int) -> Shares:
        """In training a number for each element and step, drawn in the order (time, batch, size) with stream 2 for h
        and 3 for c; the mean otherwise."""
        spec = self.spec
        shares: Shares = []
        sizes = CELLS[spec["kind"]](spec).sizes
        for stream, name, size in zip((2, 3), ("zoneout", "zoneout_cell"), sizes, strict=False):
            rate = float(np.float32(spec.get(name, 0.0)))
            drawn = None
            if rate > 0 and self.step is not None and not spec.get("zoneout_mean"):
                drawn = factors(spec["seed"], self.step, stream, (time, batch, size), rate) > 0
            shares.append(None if rate == 0 else 1 - rate if drawn is None else drawn.astype(float))
        return shares

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        spec = self.spec
        cell = CELLS[spec["kind"]](spec)
        kernel, *rest = self.weights
        recurrent_kernel = rest.pop(0) if cell.recurrent else np.zeros((cell.units, 0))
        if spec.get("heads", 1) > 1:
            recurrent_kernel = whole_matrix(recurrent_kernel, cell.gates)
        bias = rest.pop(0) if spec["use_bias"] else None
        projection = rest.pop(0) if spec.get("proj_size") else None
        weights = Weights(kernel, recurrent_kernel, bias, rest, projection)
        self.has_initial_state = len(inputs) > 1
        x = inputs[0][:, None] if spec.get("single_step") else inputs[0]  # a cell by itself
        self.scan = Scan.run(
            cell,
            weights,
            x,
            masks[0],
            inputs[1:] or None,
            spec["go_backwards"],
            spec["zero_output_for_mask"],
            self._dropout(x.shape[0], x.shape[2]),
            self._zoneout(*x.shape[:2]),
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
        d_recurrent, heads = grad.recurrent_kernel, self.spec.get("heads", 1)
        if heads > 1:
            d_recurrent = blocks_of(d_recurrent, heads, scan.cell.gates)
        gradients = [grad.kernel, *([d_recurrent] if scan.cell.recurrent else [])]
        gradients += [array for array in (grad.bias, grad.projection) if array is not None] + grad.vectors
        dx = dx[:, 0] if self.spec.get("single_step") else dx
        return [dx, *(d_initial if self.has_initial_state else [])], gradients


class Merge(Layer):
    """Element by element; axes of 1 are repeated, missing axes come after the batch axis. A step counts if it does in
    any input, and there is a mask if all inputs have one. Products take masked elements for 1 (0 where all are masked);
    maxima and minima leave them out, and keep the first where there is nothing else. Equal ones share the gradient."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        rank = max(x.ndim for x in inputs)
        self.shapes = [x.shape for x in inputs]
        padded = [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
        self.x = [np.array(x) for x in np.broadcast_arrays(*padded)]
        shape = self.x[0].shape
        given = [None if mask is None else np.broadcast_to(mask[..., None], shape) for mask in masks]
        self.counts = [np.ones(shape, bool) if mask is None else mask for mask in given]
        every = all(mask is not None for mask in given)
        self.any: Array = np.any(np.stack(self.counts), axis=0)
        operation = self.spec["operation"]
        if operation == "product":  # whatever is masked
            self.counts = [np.ones(shape, bool) for _ in self.counts]
        y: Array
        if operation == "add":
            y = np.sum(self.x, axis=0)
        elif operation == "subtract":
            y = self.x[0] - self.x[1]
        elif operation == "average":
            y = np.mean(self.x, axis=0)
        elif operation == "product":
            y = np.prod(self.x, axis=0)
        elif operation == "multiply":
            y = self.any * np.prod([np.where(c, x, 1) for x, c in zip(self.x, self.counts, strict=True)], axis=0)
        else:
            y = self._extreme(given)
        mask: Mask = np.asarray(self.any)[..., 0] if every else None
        return [y], [mask]

    def _extreme(self, given: list[Mask]) -> Array:
        """Input by input, with what each then counts for."""
        sign = 1 if self.spec["operation"] == "maximum" else -1
        y, seen = self.x[0], given[0]
        self.shares = [np.ones(y.shape)]
        for x, mask in zip(self.x[1:], given[1:], strict=True):
            before = np.ones(y.shape, bool) if seen is None else seen
            here = np.ones(y.shape, bool) if mask is None else mask
            greater = np.where(x == y, 0.5, np.where(sign * x > sign * y, 1.0, 0.0))
            share = np.where(before & here, greater, np.where(here, 1.0, 0.0))
            self.shares = [old * (1 - share) for old in self.shares] + [share]
            y = np.where(share > 0, x, y)
            seen = None if seen is None or mask is None else seen | mask
        return y

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        dy, operation = d_outputs[0], self.spec["operation"]
        if operation in ("multiply", "product"):
            factors = [np.where(c, x, 1) for x, c in zip(self.x, self.counts, strict=True)]
            slopes = [
                c * np.prod([f for other, f in enumerate(factors) if other != i] or [np.ones(dy.shape)], axis=0)
                for i, c in enumerate(self.counts)
            ]
        elif operation in ("maximum", "minimum"):
            slopes = self.shares
        else:
            scale = 1 / len(self.x) if operation == "average" else 1
            slopes = [np.full(dy.shape, -1.0 if operation == "subtract" and i else scale) for i in range(len(self.x))]
        return [self._sum_to(dy * slope, shape) for slope, shape in zip(slopes, self.shapes, strict=True)], []

    @staticmethod
    def _sum_to(full: Array, shape: tuple[int, ...]) -> Array:
        padded = (shape[0], *(1,) * (full.ndim - len(shape)), *shape[1:])
        repeated = tuple(i for i, size in enumerate(padded) if size == 1 != full.shape[i])
        return full.sum(axis=repeated, keepdims=True).reshape(shape)


class Concatenate(Layer):
    """y = [x_0, x_1, ...] along an axis. Keras's mask: a flag for each element, joined like the elements; a step counts
    if any of its elements does."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        axis = self.spec["axis"]
        self.ends = np.cumsum([x.shape[axis] for x in inputs])[:-1]
        mask: Mask = None
        if any(m is not None for m in masks):
            full = [
                np.ones(x.shape, bool) if m is None else np.broadcast_to(m[..., None], x.shape)
                for x, m in zip(inputs, masks, strict=True)
            ]
            mask = np.asarray(np.concatenate(full, axis).any(-1))
        return [np.concatenate(inputs, axis)], [mask]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return np.split(d_outputs[0], self.ends, self.spec["axis"]), []


class Dot(Layer):
    """y[b, i.., j..] = sum_k x[b, i.., k] z[b, j.., k], both divided by their norms along k with `normalize`."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        self.moved = [np.moveaxis(x, axis, -1) for x, axis in zip(inputs, self.spec["axes"], strict=True)]
        self.norms = [np.ones(()), np.ones(())]
        if self.spec["normalize"]:
            self.norms = [np.sqrt((x**2).sum(-1, keepdims=True)) for x in self.moved]
        units = [x / norm for x, norm in zip(self.moved, self.norms, strict=True)]
        self.matrices = [unit.reshape(len(unit), -1, unit.shape[-1]) for unit in units]
        y = np.einsum("bik,bjk->bij", *self.matrices)
        shape = (len(y), *self.moved[0].shape[1:-1], *self.moved[1].shape[1:-1])
        return [y.reshape(shape if len(shape) > 1 else (len(y), 1))], [None]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        x, z = self.matrices
        dy = d_outputs[0].reshape(len(x), x.shape[1], z.shape[1])
        gradients = []
        for side, d_matrix in enumerate([np.einsum("bij,bjk->bik", dy, z), np.einsum("bij,bik->bjk", dy, x)]):
            unit, shape = self.matrices[side], self.moved[side].shape
            if self.spec["normalize"]:
                d_matrix = d_matrix - unit * (unit * d_matrix).sum(-1, keepdims=True)
            d_moved = d_matrix.reshape(shape) / self.norms[side]
            gradients.append(np.moveaxis(d_moved, -1, self.spec["axes"][side]))
        return gradients, []


class Reverse(Layer):
    """Time from its end; the mask as it is."""

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        return [inputs[0][:, ::-1]], [masks[0]]

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        return [d_outputs[0][:, ::-1]], []


LAYERS: dict[str, type[Layer]] = {
    "embedding": Embedding,
    "dense": Dense,
    "activation": Activation,
    "gated_linear_unit": GatedLinearUnit,
    "activity_regularization": ActivityRegularization,
    "dropout": DropoutLayer,
    "merge": Merge,
    "concatenate": Concatenate,
    "dot": Dot,
    "reverse": Reverse,
    **dict.fromkeys(CELLS, Recurrent),
    **attention.LAYERS,
    **shapes.LAYERS,
    **normalization.LAYERS,
    **windows.LAYERS,
    **noise.LAYERS,
}


def build(spec: dict[str, Any], weights: Sequence[Array], step: int | None) -> Layer:
    """The layer that a dictionary describes."""
    return LAYERS[spec["kind"]](spec, weights, step)
