"""Activation functions of Keras 3 and their derivatives.

A function is described by a dictionary: its name under "kind", its numbers beside it, for example `{"kind": "elu",
"alpha": 1.0}`. Each entry of the table is `(f, derivative)` with `f(x, **numbers)` and `derivative(x, y, **numbers)`,
where `y = f(x)`. Softmax and log-softmax mix the features of a row, so they have a Jacobian product instead of a
derivative.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Spec = dict[str, Any]

# Klambauer et al. 2017, equation 14.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow on either side."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.logaddexp(x, 0.0)


def _relu(x: Array, negative_slope: float, max_value: float | None, threshold: float) -> Array:
    y = np.where(x >= threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else np.where(x >= max_value, max_value, y)


def _relu_derivative(x: Array, y: Array, negative_slope: float, max_value: float | None, threshold: float) -> Array:
    slope = np.where(x > threshold, 1.0, negative_slope)
    return slope if max_value is None else np.where(x >= max_value, 0.0, slope)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _gelu(x: Array, approximate: bool) -> Array:
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _gelu_derivative(x: Array, y: Array, approximate: bool) -> Array:
    if approximate:
        t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + _erf(x / math.sqrt(2))) + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x / 6 + 0.5, 0, 1)


def _hard_sigmoid_derivative(x: Array, y: Array) -> Array:
    return np.where(np.abs(x) < 3, 1 / 6, 0.0)


def _mish_derivative(x: Array, y: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * (1 - t**2) * sigmoid(x)


def _soft_shrink(x: Array, threshold: float) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def _sparse_plus(x: Array) -> Array:
    return np.where(x <= -1, 0.0, np.where(x >= 1, x, (x + 1) ** 2 / 4))


def _threshold(x: Array, threshold: float, default_value: float) -> Array:
    return np.where(x > threshold, x, default_value)


ELEMENTWISE: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "linear": (lambda x: x, lambda x, y: np.ones_like(x)),
    "tanh": (np.tanh, lambda x, y: 1 - y**2),
    "sigmoid": (sigmoid, lambda x, y: y * (1 - y)),
    "relu": (_relu, _relu_derivative),
    "leaky_relu": (
        lambda x, negative_slope: np.where(x >= 0, x, negative_slope * x),
        lambda x, y, negative_slope: np.where(x > 0, 1.0, negative_slope),
    ),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x, y: np.where((x > 0) & (x < 6), 1.0, 0.0)),
    "elu": (_elu, lambda x, y, alpha: np.where(x > 0, 1.0, y + alpha)),
    "selu": (
        lambda x: SELU_SCALE * _elu(x, SELU_ALPHA),
        lambda x, y: np.where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
    ),
    "celu": (_celu, lambda x, y, alpha: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / alpha))),
    "softplus": (softplus, lambda x, y: sigmoid(x)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x, y: 1 / (1 + np.abs(x)) ** 2),
    "silu": (lambda x: x * sigmoid(x), lambda x, y: sigmoid(x) + y * (1 - sigmoid(x))),
    "gelu": (_gelu, _gelu_derivative),
    "exponential": (np.exp, lambda x, y: y),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_derivative),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), lambda x, y: np.where(np.abs(x) < 1, 1.0, 0.0)),
    "hard_silu": (
        lambda x: x * _hard_sigmoid(x),
        lambda x, y: _hard_sigmoid(x) + x * _hard_sigmoid_derivative(x, y),
    ),
    "mish": (lambda x: x * np.tanh(softplus(x)), _mish_derivative),
    "log_sigmoid": (lambda x: -softplus(-x), lambda x, y: sigmoid(-x)),
    "tanh_shrink": (lambda x: x - np.tanh(x), lambda x, y: np.tanh(x) ** 2),
    "soft_shrink": (_soft_shrink, lambda x, y, threshold: np.where(np.abs(x) > threshold, 1.0, 0.0)),
    "hard_shrink": (
        lambda x, threshold: np.where(np.abs(x) > threshold, x, 0.0),
        lambda x, y, threshold: np.where(np.abs(x) > threshold, 1.0, 0.0),
    ),
    "squareplus": (
        lambda x, b: (x + np.sqrt(x**2 + b)) / 2,
        lambda x, y, b: (1 + x / np.sqrt(x**2 + b)) / 2,
    ),
    "sparse_plus": (
        _sparse_plus,
        lambda x, y: np.clip((x + 1) / 2, 0, 1),
    ),
    "sparse_sigmoid": (
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x, y: np.where(np.abs(x) < 1, 0.5, 0.0),
    ),
    "threshold": (
        _threshold,
        lambda x, y, threshold, default_value: np.where(x > threshold, 1.0, 0.0),
    ),
}


def log_softmax(x: Array) -> Array:
    """x - log(sum(exp(x))) over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over the last axis."""
    return np.exp(log_softmax(x))


def sparsemax(x: Array) -> Array:
    """max(x - tau, 0), which sums to 1 over the last axis: by sorting, algorithm 1 of Martins & Astudillo 2016."""
    ordered = -np.sort(-x, axis=-1)
    sums = np.cumsum(ordered, axis=-1)
    ranks = np.arange(1, x.shape[-1] + 1)
    count = (1 + ranks * ordered > sums).sum(axis=-1, keepdims=True)
    tau = (np.take_along_axis(sums, count - 1, axis=-1) - 1) / count
    return np.maximum(x - tau, 0)


def _numbers(spec: Spec) -> Spec:
    return {key: value for key, value in spec.items() if key != "kind"}


def forward(spec: Spec, x: Array) -> Array:
    """y = f(x)."""
    kind = spec["kind"]
    if kind == "softmax":
        return softmax(x)
    if kind == "log_softmax":
        return log_softmax(x)
    if kind == "sparsemax":
        return sparsemax(x)
    return ELEMENTWISE[kind][0](x, **_numbers(spec))


def backward(spec: Spec, x: Array, y: Array, dy: Array) -> Array:
    """dL/dx from dL/dy."""
    kind = spec["kind"]
    if kind == "softmax":
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    if kind == "log_softmax":
        return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
    if kind == "sparsemax":
        support = y > 0
        return support * (dy - (dy * support).sum(axis=-1, keepdims=True) / support.sum(axis=-1, keepdims=True))
    return dy * ELEMENTWISE[kind][1](x, y, **_numbers(spec))
