"""One step of each recurrent cell, forward and backward, and the scan that carries a cell through time.

Symbols: x (B, F) input of a step, h (B, U) hidden state, c (B, U) carry, K kernel (F, G*U), R recurrent kernel (U,
G*U), b bias, G the number of gates, `s` the recurrent activation, `a` the activation, `*` element by element, `@` the
matrix product. Variational dropout multiplies x and h by factors that stay the same through time, one set per gate, (G,
B, F) and (G, B, U).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import activations
from .activations import Array, Spec

States = list[Array]


@dataclass
class Weights:
    """Kernel, recurrent kernel, bias and further vectors of a cell, or the gradients with respect to them."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    vectors: list[Array] = field(default_factory=list)

    def zeros(self) -> "Weights":
        """Gradients to add to."""
        return Weights(
            np.zeros_like(self.kernel),
            np.zeros_like(self.recurrent_kernel),
            None if self.bias is None else np.zeros_like(self.bias),
            [np.zeros_like(vector) for vector in self.vectors],
        )


@dataclass
class Dropout:
    """Factors 0 or 1/(1-rate) per gate: on the inputs (G, B, F) and on the hidden state (G, B, U)."""

    inputs: Array | None = None
    recurrent: Array | None = None


# For each state how much of its new value it takes: (T, B, U) of 0 and 1, or one number; None without zoneout.
Shares = list[Array | float | None]


class Cell:
    """What the cells share: gates side by side in the columns of the kernels."""

    gates: int
    states = 1
    # Whether there is a recurrent kernel.
    recurrent = True

    def __init__(self, spec: Spec) -> None:
        self.units: int = spec["units"]
        self.activation: Spec = spec["activation"]
        self.recurrent_activation: Spec = spec.get("recurrent_activation", {"kind": "linear"})

    def columns(self, gate: int) -> slice:
        """Where a gate lies in the columns of a kernel."""
        return slice(gate * self.units, (gate + 1) * self.units)

    def project(self, x: Array, matrix: Array, factors: Array | None, gate: int) -> Array:
        """One gate's share of x @ matrix, behind its dropout."""
        dropped = x if factors is None else x * factors[gate]
        return dropped @ matrix[:, self.columns(gate)]

    def project_back(
        self, dz: Array, x: Array, matrix: Array, d_matrix: Array, factors: Array | None, gate: int
    ) -> Array:
        """Adds the gradient of `project` to `d_matrix` and returns dL/dx."""
        columns = self.columns(gate)
        factor = 1.0 if factors is None else factors[gate]
        d_matrix[:, columns] += (x * factor).T @ dz
        return (dz @ matrix[:, columns].T) * factor

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        """The next states, the first of which is the output, and what `step_back` needs."""
        raise NotImplementedError

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        """dL/dx and dL/d(previous states) from dL/d(next states); adds to the gradients of the weights."""
        raise NotImplementedError


class SimpleRNN(Cell):
    """h' = a(x K + h R + b)."""

    gates = 1

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        (h,) = states
        z = self.project(x, w.kernel, dropout.inputs, 0) + self.project(h, w.recurrent_kernel, dropout.recurrent, 0)
        if w.bias is not None:
            z = z + w.bias
        new = activations.forward(self.activation, z)
        return [new], (x, h, z, new)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, z, new = saved
        dz = activations.backward(self.activation, z, new, d_states[0])
        if grad.bias is not None:
            grad.bias += dz.sum(axis=0)
        dx = self.project_back(dz, x, w.kernel, grad.kernel, dropout.inputs, 0)
        dh = self.project_back(dz, h, w.recurrent_kernel, grad.recurrent_kernel, dropout.recurrent, 0)
        return dx, [dh]


class LSTM(Cell):
    """i, f, g, o = s, s, a, s of the four gates of (x K + h R + b); c' = f * c + i * g; h' = o * a(c').

    With peepholes p_i * c, p_f * c and p_o * c' are added to what i, f and o are made of.
    """

    gates = 4
    states = 2
    INPUT, FORGET, CARRY, OUTPUT = range(4)

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        h, c = states
        z = []
        for gate in range(4):
            total = self.project(x, w.kernel, dropout.inputs, gate)
            total = total + self.project(h, w.recurrent_kernel, dropout.recurrent, gate)
            z.append(total if w.bias is None else total + w.bias[self.columns(gate)])
        if w.vectors:
            z[self.INPUT] = z[self.INPUT] + w.vectors[0] * c
            z[self.FORGET] = z[self.FORGET] + w.vectors[1] * c
        i = activations.forward(self.recurrent_activation, z[self.INPUT])
        f = activations.forward(self.recurrent_activation, z[self.FORGET])
        g = activations.forward(self.activation, z[self.CARRY])
        new_c = f * c + i * g
        if w.vectors:
            z[self.OUTPUT] = z[self.OUTPUT] + w.vectors[2] * new_c
        o = activations.forward(self.recurrent_activation, z[self.OUTPUT])
        squashed = activations.forward(self.activation, new_c)
        return [o * squashed, new_c], (x, h, c, z, i, f, g, o, new_c, squashed)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, c, z, i, f, g, o, new_c, squashed = saved
        d_new_h, d_new_c = d_states
        d_new_c = d_new_c + activations.backward(self.activation, new_c, squashed, d_new_h * o)
        dz_output = activations.backward(self.recurrent_activation, z[self.OUTPUT], o, d_new_h * squashed)
        if w.vectors:
            d_new_c = d_new_c + dz_output * w.vectors[2]
        dz = [
            activations.backward(self.recurrent_activation, z[self.INPUT], i, d_new_c * g),
            activations.backward(self.recurrent_activation, z[self.FORGET], f, d_new_c * c),
            activations.backward(self.activation, z[self.CARRY], g, d_new_c * i),
            dz_output,
        ]
        dc = d_new_c * f
        if w.vectors:
            dc = dc + dz[self.INPUT] * w.vectors[0] + dz[self.FORGET] * w.vectors[1]
            for sums, part in zip(
                grad.vectors, (dz[self.INPUT] * c, dz[self.FORGET] * c, dz_output * new_c), strict=True
            ):
                sums += part.sum(axis=0)
        dx, dh = np.zeros_like(x), np.zeros_like(h)
        for gate in range(4):
            if grad.bias is not None:
                grad.bias[self.columns(gate)] += dz[gate].sum(axis=0)
            dx += self.project_back(dz[gate], x, w.kernel, grad.kernel, dropout.inputs, gate)
            dh += self.project_back(dz[gate], h, w.recurrent_kernel, grad.recurrent_kernel, dropout.recurrent, gate)
        return dx, [dh, dc]


class GRU(Cell):
    """z = s(x K_z + h R_z + b_z), r = s(x K_r + h R_r + b_r), h' = z * h + (1 - z) * n, where the candidate n is

    reset_after:  n = a(x K_h + b_h + r * (h R_h + b'_h)), bias (2, 3U): row 0 belongs to x, row 1 to h;
    otherwise:    n = a(x K_h + b_h + (r * h) R_h), bias (3U,).
    """

    gates = 3
    UPDATE, RESET, CANDIDATE = range(3)

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.reset_after: bool = spec["reset_after"]

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        (h,) = states
        if w.bias is None:
            input_bias = recurrent_bias = np.zeros(3 * self.units)
        elif self.reset_after:
            input_bias, recurrent_bias = w.bias
        else:
            input_bias, recurrent_bias = w.bias, np.zeros(3 * self.units)

        from_x = [self.project(x, w.kernel, dropout.inputs, g) + input_bias[self.columns(g)] for g in range(3)]
        from_h = [
            self.project(h, w.recurrent_kernel, dropout.recurrent, g) + recurrent_bias[self.columns(g)]
            for g in (self.UPDATE, self.RESET)
        ]
        pre_z = from_x[self.UPDATE] + from_h[self.UPDATE]
        pre_r = from_x[self.RESET] + from_h[self.RESET]
        z = activations.forward(self.recurrent_activation, pre_z)
        r = activations.forward(self.recurrent_activation, pre_r)
        if self.reset_after:
            inner = self.project(h, w.recurrent_kernel, dropout.recurrent, self.CANDIDATE)
            inner = inner + recurrent_bias[self.columns(self.CANDIDATE)]
            pre_n = from_x[self.CANDIDATE] + r * inner
        else:
            inner = self.project(r * h, w.recurrent_kernel, dropout.recurrent, self.CANDIDATE)
            pre_n = from_x[self.CANDIDATE] + inner
        n = activations.forward(self.activation, pre_n)
        return [z * h + (1 - z) * n], (x, h, pre_z, pre_r, pre_n, z, r, n, inner)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, pre_z, pre_r, pre_n, z, r, n, inner = saved
        (d_new,) = d_states
        dh = d_new * z
        d_pre_z = activations.backward(self.recurrent_activation, pre_z, z, d_new * (h - n))
        d_pre_n = activations.backward(self.activation, pre_n, n, d_new * (1 - z))

        def recurrent_back(dz: Array, operand: Array, gate: int) -> Array:
            return self.project_back(dz, operand, w.recurrent_kernel, grad.recurrent_kernel, dropout.recurrent, gate)

        if self.reset_after:
            d_inner = d_pre_n * r
            dr = d_pre_n * inner
            dh = dh + recurrent_back(d_inner, h, self.CANDIDATE)
        else:
            d_inner = d_pre_n
            d_product = recurrent_back(d_inner, r * h, self.CANDIDATE)
            dr = d_product * h
            dh = dh + d_product * r
        d_pre_r = activations.backward(self.recurrent_activation, pre_r, r, dr)
        dh = dh + recurrent_back(d_pre_z, h, self.UPDATE) + recurrent_back(d_pre_r, h, self.RESET)

        dx = np.zeros_like(x)
        for gate, dz, d_recurrent in ((0, d_pre_z, d_pre_z), (1, d_pre_r, d_pre_r), (2, d_pre_n, d_inner)):
            dx += self.project_back(dz, x, w.kernel, grad.kernel, dropout.inputs, gate)
            if grad.bias is not None and self.reset_after:
                grad.bias[0, self.columns(gate)] += dz.sum(axis=0)
                grad.bias[1, self.columns(gate)] += d_recurrent.sum(axis=0)
            elif grad.bias is not None:
                grad.bias[self.columns(gate)] += dz.sum(axis=0)
        return dx, [dh]


def normalize(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Any]:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta of each row, and what the way back needs."""
    scale = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
    hat = (x - x.mean(axis=-1, keepdims=True)) * scale
    return gamma * hat + beta, (hat, scale, gamma)


def normalize_back(saved: Any, dy: Array, d_gamma: Array, d_beta: Array) -> Array:
    """dL/dx; adds to the gradients of gamma and beta."""
    hat, scale, gamma = saved
    d_gamma += (dy * hat).sum(axis=0)
    d_beta += dy.sum(axis=0)
    g = dy * gamma
    back: Array = scale * (g - g.mean(axis=-1, keepdims=True) - hat * (g * hat).mean(axis=-1, keepdims=True))
    return back


class LayerNormLSTM(Cell):
    """Ba, Kiros and Hinton 2016: z = N1(x K) + N2(h R) + b over all gates together; i, f, g, o =
    s, s, a, s of z; c' = f * c + i * g; h' = o * a(N3(c')). Vectors: gamma and beta of the three norms.
    """

    gates = 4
    states = 2

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.epsilon: float = float(np.float32(spec["norm_epsilon"]))

    def both_products(self, w: Weights, x: Array, h: Array, dropout: Dropout) -> list[Array]:
        pairs = ((x, w.kernel, dropout.inputs), (h, w.recurrent_kernel, dropout.recurrent))
        return [
            np.concatenate([self.project(value, matrix, factors, gate) for gate in range(self.gates)], axis=-1)
            for value, matrix, factors in pairs
        ]

    def both_back(
        self, w: Weights, grad: Weights, x: Array, h: Array, d_products: list[Array], dropout: Dropout
    ) -> list[Array]:
        """dL/dx and dL/dh from the gradients of `both_products`."""
        parts = (
            (x, w.kernel, grad.kernel, dropout.inputs, d_products[0]),
            (h, w.recurrent_kernel, grad.recurrent_kernel, dropout.recurrent, d_products[1]),
        )
        sums = []
        for value, matrix, d_matrix, factors, d_product in parts:
            total = np.zeros_like(value)
            for gate in range(self.gates):
                dz = d_product[:, self.columns(gate)]
                total += self.project_back(dz, value, matrix, d_matrix, factors, gate)
            sums.append(total)
        return sums

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        h, c = states
        gamma1, beta1, gamma2, beta2, gamma3, beta3 = w.vectors
        from_x, from_h = self.both_products(w, x, h, dropout)
        first, saved1 = normalize(from_x, gamma1, beta1, self.epsilon)
        second, saved2 = normalize(from_h, gamma2, beta2, self.epsilon)
        z = first + second + (0 if w.bias is None else w.bias)
        kinds = [self.recurrent_activation, self.recurrent_activation, self.activation, self.recurrent_activation]
        parts = [z[:, self.columns(gate)] for gate in range(4)]
        i, f, g, o = (activations.forward(kind, part) for kind, part in zip(kinds, parts, strict=True))
        new_c = f * c + i * g
        normed, saved3 = normalize(new_c, gamma3, beta3, self.epsilon)
        squashed = activations.forward(self.activation, normed)
        return [o * squashed, new_c], (x, h, c, parts, (i, f, g, o), normed, squashed, (saved1, saved2, saved3))

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, c, parts, (i, f, g, o), normed, squashed, norms = saved
        d_new_h, d_new_c = d_states
        d_normed = activations.backward(self.activation, normed, squashed, d_new_h * o)
        d_new_c = d_new_c + normalize_back(norms[2], d_normed, *grad.vectors[4:])
        gate = self.recurrent_activation
        dz = np.concatenate(
            [
                activations.backward(gate, parts[0], i, d_new_c * g),
                activations.backward(gate, parts[1], f, d_new_c * c),
                activations.backward(self.activation, parts[2], g, d_new_c * i),
                activations.backward(gate, parts[3], o, d_new_h * squashed),
            ],
            axis=-1,
        )
        if grad.bias is not None:
            grad.bias += dz.sum(axis=0)
        d_products = [normalize_back(norm, dz, *grad.vectors[2 * k : 2 * k + 2]) for k, norm in enumerate(norms[:2])]
        dx, dh = self.both_back(w, grad, x, h, d_products, dropout)
        return dx, [dh, d_new_c * f]


class LayerNormGRU(LayerNormLSTM):
    """Ba, Kiros and Hinton 2016: z, r = s(N(x K_zr) + N(h R_zr)) over both gates together; n =
    a(N(x K_h) + r * N(h R_h)); h' = (1 - z) * h + z * n. Vectors: gamma and beta for the columns of K, then for those
    of R.
    """

    gates = 3
    states = 1

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        (h,) = states
        both, last = slice(0, 2 * self.units), self.columns(2)
        norms = {}
        for side, product in enumerate(self.both_products(w, x, h, dropout)):
            gamma, beta = w.vectors[2 * side : 2 * side + 2]
            for part in (both, last):
                norms[side, part.start] = normalize(product[:, part], gamma[part], beta[part], self.epsilon)
        pre_z, pre_r = np.split(norms[0, 0][0] + norms[1, 0][0], 2, axis=-1)
        z = activations.forward(self.recurrent_activation, pre_z)
        r = activations.forward(self.recurrent_activation, pre_r)
        inner = norms[1, last.start][0]
        pre_n = norms[0, last.start][0] + r * inner
        n = activations.forward(self.activation, pre_n)
        return [(1 - z) * h + z * n], (x, h, pre_z, pre_r, pre_n, z, r, n, inner, norms)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, pre_z, pre_r, pre_n, z, r, n, inner, norms = saved
        (d_new,) = d_states
        d_pre_n = activations.backward(self.activation, pre_n, n, d_new * z)
        d_pre_r = activations.backward(self.recurrent_activation, pre_r, r, d_pre_n * inner)
        d_pre_z = activations.backward(self.recurrent_activation, pre_z, z, d_new * (n - h))
        d_gates = np.concatenate([d_pre_z, d_pre_r], axis=-1)
        both, last = slice(0, 2 * self.units), self.columns(2)
        d_products = []
        for side, d_candidate in enumerate((d_pre_n, d_pre_n * r)):
            d_gamma, d_beta = grad.vectors[2 * side : 2 * side + 2]
            parts = [
                normalize_back(norms[side, part.start][1], dy, d_gamma[part], d_beta[part])
                for part, dy in ((both, d_gates), (last, d_candidate))
            ]
            d_products.append(np.concatenate(parts, axis=-1))
        dx, dh = self.both_back(w, grad, x, h, d_products, dropout)
        return dx, [dh + d_new * (1 - z)]


class MinGRU(Cell):
    """Feng et al. 2024: z = s(x K_z + b_z), n = a(x K_h + b_h), h' = (1 - z) * h + z * n."""

    gates = 2
    recurrent = False

    def products(self, w: Weights, x: Array, dropout: Dropout) -> list[Array]:
        """What each gate is made of."""
        made = [self.project(x, w.kernel, dropout.inputs, gate) for gate in range(self.gates)]
        return made if w.bias is None else [z + w.bias[self.columns(gate)] for gate, z in enumerate(made)]

    def products_back(self, w: Weights, grad: Weights, x: Array, dz: list[Array], dropout: Dropout) -> Array:
        """dL/dx from the gradients of `products`."""
        dx = np.zeros_like(x)
        for gate, part in enumerate(dz):
            if grad.bias is not None:
                grad.bias[self.columns(gate)] += part.sum(axis=0)
            dx += self.project_back(part, x, w.kernel, grad.kernel, dropout.inputs, gate)
        return dx

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        (h,) = states
        pre_z, pre_n = self.products(w, x, dropout)
        z = activations.forward(self.recurrent_activation, pre_z)
        n = activations.forward(self.activation, pre_n)
        return [(1 - z) * h + z * n], (x, h, pre_z, pre_n, z, n)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, pre_z, pre_n, z, n = saved
        (d_new,) = d_states
        dz = [
            activations.backward(self.recurrent_activation, pre_z, z, d_new * (n - h)),
            activations.backward(self.activation, pre_n, n, d_new * z),
        ]
        return self.products_back(w, grad, x, dz, dropout), [d_new * (1 - z)]


class MinLSTM(MinGRU):
    """Feng et al. 2024: i, f, g = s, s, a of the three columns of x K + b; h' = (f * h + i * g) / (i +
    f)."""

    gates = 3

    def step(self, w: Weights, x: Array, states: States, dropout: Dropout) -> tuple[States, Any]:
        (h,) = states
        z = self.products(w, x, dropout)
        i, f = (activations.forward(self.recurrent_activation, part) for part in z[:2])
        g = activations.forward(self.activation, z[2])
        new = (f * h + i * g) / (i + f)
        return [new], (x, h, z, i, f, g, new)

    def step_back(
        self, w: Weights, grad: Weights, saved: Any, d_states: States, dropout: Dropout
    ) -> tuple[Array, States]:
        x, h, z, i, f, g, new = saved
        (d_new,) = d_states
        # The quotient's rule: numerator's slope less the quotient, over the denominator.
        dz = [
            activations.backward(self.recurrent_activation, z[0], i, d_new * (g - new) / (i + f)),
            activations.backward(self.recurrent_activation, z[1], f, d_new * (h - new) / (i + f)),
            activations.backward(self.activation, z[2], g, d_new * i / (i + f)),
        ]
        return self.products_back(w, grad, x, dz, dropout), [d_new * f / (i + f)]


CELLS: dict[str, type[Cell]] = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "layer_norm_lstm": LayerNormLSTM,
    "layer_norm_gru": LayerNormGRU,
    "min_gru": MinGRU,
    "min_lstm": MinLSTM,
}


@dataclass
class Scan:
    """A cell carried through time, with what the way back needs.

    Masked steps keep every state; their output is the state before the step, so the initial state at the beginning of
    a sequence, or zero with `zero_output_for_mask`. `go_backwards` reads the inputs and the mask from the end;
    outputs stay in the order in which they were made. Zoneout (Krueger et al. 2016) mixes what the
    cell makes with the states before: s * new + (1 - s) * old.
    """

    cell: Cell
    weights: Weights
    go_backwards: bool
    zero_output_for_mask: bool
    dropout: Dropout
    zoneout: Shares
    outputs: Array  # (B, T, U), in the order of processing
    states: States
    kept: list[tuple[Array, Any]]  # per step: its mask (B, 1), and what the cell saved

    @property
    def last_output(self) -> Array:
        """The output of the last step; the initial hidden state when there is none."""
        return self.outputs[:, -1] if self.outputs.shape[1] else self.states[0]

    @classmethod
    def run(
        cls,
        cell: Cell,
        weights: Weights,
        x: Array,
        mask: Array | None = None,
        initial_state: Sequence[Array] | None = None,
        go_backwards: bool = False,
        zero_output_for_mask: bool = False,
        dropout: Dropout | None = None,
        zoneout: Shares | None = None,
    ) -> "Scan":
        batch, time, _ = x.shape
        dropout = dropout or Dropout()
        if initial_state is None:
            initial_state = [np.zeros((batch, cell.units))] * cell.states
        states = list(initial_state)
        zoneout = zoneout or [None] * cell.states
        outputs = np.zeros((batch, time, cell.units))
        kept = []
        for step, t in enumerate(reversed(range(time)) if go_backwards else range(time)):
            valid = np.ones((batch, 1), bool) if mask is None else mask[:, t, None].astype(bool)
            new, saved = cell.step(weights, x[:, t], states, dropout)
            shares = cls.shares_at(zoneout, t)
            new = [s * made + (1 - s) * old for s, made, old in zip(shares, new, states, strict=True)]
            held = np.zeros_like(new[0]) if zero_output_for_mask else states[0]
            outputs[:, step] = np.where(valid, new[0], held)
            states = [np.where(valid, after, before) for after, before in zip(new, states, strict=True)]
            kept.append((valid, saved))
        return cls(cell, weights, go_backwards, zero_output_for_mask, dropout, zoneout, outputs, states, kept)

    @staticmethod
    def shares_at(zoneout: Shares, t: int) -> list[Array | float]:
        """The shares of a time step."""
        return [1.0 if s is None else s[t] if isinstance(s, np.ndarray) else s for s in zoneout]

    def backward(self, d_outputs: Array, d_last: Array, d_states: States) -> tuple[Array, States, Weights]:
        """dL/dx, dL/d(initial state) and the gradients of the weights.

        The three arguments are the parts of dL that reach the sequence of outputs, the last output and the final
        states.
        """
        grad = self.weights.zeros()
        d_outputs = d_outputs.copy()
        carried = [d.copy() for d in d_states]
        time = len(self.kept)
        if time:
            d_outputs[:, -1] += d_last
        else:
            carried[0] += d_last
        dx = np.zeros((*d_outputs.shape[:2], self.weights.kernel.shape[0]))
        for step in reversed(range(time)):
            valid, saved = self.kept[step]
            through = [np.where(valid, d, 0) for d in carried]
            around = [np.where(valid, 0, d) for d in carried]
            through[0] += np.where(valid, d_outputs[:, step], 0)
            if not self.zero_output_for_mask:
                around[0] += np.where(valid, 0, d_outputs[:, step])
            t = time - 1 - step if self.go_backwards else step
            shares = self.shares_at(self.zoneout, t)
            around = [a + (1 - s) * d for a, s, d in zip(around, shares, through, strict=True)]
            through = [s * d for s, d in zip(shares, through, strict=True)]
            dx[:, t], before = self.cell.step_back(self.weights, grad, saved, through, self.dropout)
            carried = [a + b for a, b in zip(around, before, strict=True)]
        return dx, carried, grad
