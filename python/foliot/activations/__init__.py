"""Activation functions: callables on NumPy arrays, and names for layers.

A layer takes a name (`activation="relu"`), a function of this module (`activation=activations.relu`), a function with
other parameters (`functools.partial(activations.relu, max_value=6.0)`) or a layer such as `ReLU()`. All of them
describe the same thing: a kind and its numbers, which the core evaluates and differentiates. A function of Python's own
cannot stand here, for it could not run inside a training step.

Functions return float32, in which foliot computes, and take arrays of any shape.
"""

from foliot.activations.elementwise import (
    celu,
    elu,
    exponential,
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from foliot.activations.identifiers import deserialize, get, serialize, spec_of
from foliot.activations.rowwise import glu, log_softmax, softmax, sparsemax

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "spec_of",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]
