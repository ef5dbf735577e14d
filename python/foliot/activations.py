"""Activation functions: callables on NumPy arrays, and names for layers.

A layer takes a name (`activation="relu"`), a function of this module (`activation=activations.relu`), a function with
other parameters (`functools.partial(activations.relu, max_value=6.0)`) or a layer such as `ReLU()`. All of them
describe the same thing: a kind and its numbers, which the core evaluates and differentiates. A function of Python's own
cannot stand here, for it could not run inside a training step.

Functions return float32, in which foliot computes, and take arrays of any shape.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from foliot import _activation_specs as _specs
from foliot._activation_specs import Activation, Array
from foliot._checks import identifier_error, type_error, unknown_name
from foliot._serialization import split_config

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
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


def linear(x: ArrayLike) -> Array:
    """Returns `x` unchanged, as float32.

    Example:

    >>> linear([-1.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(linear))


def tanh(x: ArrayLike) -> Array:
    """The hyperbolic tangent.

    Example:

    >>> tanh([0.0, 100.0])
    array([0., 1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(tanh))


def sigmoid(x: ArrayLike) -> Array:
    """`1 / (1 + exp(-x))`.

    Example:

    >>> sigmoid([0.0, 100.0])
    array([0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sigmoid))


def relu(x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """`max(x, 0)`, or a variant with a slope, a cap and a threshold.

    Args:
        x: The array.
        negative_slope: Below the threshold: `negative_slope * (x - threshold)`.
        max_value: The largest value, or None for no cap.
        threshold: The value from which `x` passes.

    Returns:
        An array of the same shape.

    Raises:
        TypeError: A parameter is no number.
        ValueError: A parameter is not finite, or `max_value` or `negative_slope` is negative.

    Example:

    >>> relu([-2.0, 0.5, 9.0])
    array([0. , 0.5, 9. ], dtype=float32)
    >>> relu([-2.0, 0.5, 9.0], negative_slope=0.5, max_value=6.0)
    array([-1. ,  0.5,  6. ], dtype=float32)
    """
    return _specs.evaluate(
        x, _specs.spec_with(relu, negative_slope=negative_slope, max_value=max_value, threshold=threshold)
    )


def relu6(x: ArrayLike) -> Array:
    """`min(max(x, 0), 6)`.

    Example:

    >>> relu6([-1.0, 7.0])
    array([0., 6.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(relu6))


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Array:
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        x: The array.
        negative_slope: The slope of the negative part, at least 0.

    Returns:
        An array of the same shape.

    Example:

    >>> leaky_relu([-1.0, 1.0], negative_slope=0.5)
    array([-0.5,  1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(leaky_relu, negative_slope=negative_slope))


def softmax(x: ArrayLike, axis: int = -1) -> Array:
    """`exp(x) / sum(exp(x))`: positive values that add up to 1.

    Args:
        x: The array.
        axis: The axis that adds up to 1. Inside a layer it is the last.

    Returns:
        An array of the same shape.

    Example:

    >>> softmax([[1.0, 1.0], [-200.0, 200.0]])
    array([[0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(softmax))


def log_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """`log(softmax(x))`, computed without overflow.

    Args:
        x: The array.
        axis: The axis of the softmax. Inside a layer it is the last.

    Returns:
        An array of the same shape.

    Example:

    >>> log_softmax([[0.0, 1000.0]])
    array([[-1000.,     0.]], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(log_softmax))


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        x: The array.
        alpha: Minus the limit for large negative `x`.

    Returns:
        An array of the same shape.

    Example:

    >>> elu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(elu, alpha=alpha))


def selu(x: ArrayLike) -> Array:
    """`scale * elu(x, alpha)` with the constants that keep mean and variance of normalized inputs.

    Example:

    >>> selu([0.0, 1.0]).round(4)
    array([0.    , 1.0507], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(selu))


def celu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))`.

    Args:
        x: The array.
        alpha: Minus the limit for large negative `x`; not 0.

    Returns:
        An array of the same shape.

    Example:

    >>> celu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(celu, alpha=alpha))


def softplus(x: ArrayLike) -> Array:
    """`log(1 + exp(x))`, computed without overflow.

    Example:

    >>> softplus([-200.0, 200.0])
    array([  0., 200.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(softplus))


def softsign(x: ArrayLike) -> Array:
    """`x / (1 + abs(x))`.

    Example:

    >>> softsign([-1.0, 3.0])
    array([-0.5 ,  0.75], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(softsign))


def silu(x: ArrayLike) -> Array:
    """`x * sigmoid(x)`, also called swish.

    Example:

    >>> silu([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(silu))


def gelu(x: ArrayLike, approximate: bool = False) -> Array:
    """`x` times the probability that a normal variable is below `x`.

    Args:
        x: The array.
        approximate: Whether tanh approximates that probability.

    Returns:
        An array of the same shape.

    Example:

    >>> gelu([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(gelu, approximate=approximate))


def mish(x: ArrayLike) -> Array:
    """`x * tanh(softplus(x))`.

    Example:

    >>> mish([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(mish))


def exponential(x: ArrayLike) -> Array:
    """`exp(x)`.

    Example:

    >>> exponential([0.0])
    array([1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(exponential))


def hard_sigmoid(x: ArrayLike) -> Array:
    """`x / 6 + 1/2`, cut to lie between 0 and 1. Keras 2 had the slope 0.2 here.

    Example:

    >>> hard_sigmoid([-3.0, 0.0, 3.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_sigmoid))


def hard_tanh(x: ArrayLike) -> Array:
    """`x`, cut to lie between -1 and 1.

    Example:

    >>> hard_tanh([-3.0, 0.5])
    array([-1. ,  0.5], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_tanh))


def hard_silu(x: ArrayLike) -> Array:
    """`x * hard_sigmoid(x)`, also called hard swish.

    Example:

    >>> hard_silu([-3.0, 0.0, 3.0])
    array([-0.,  0.,  3.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_silu))


def log_sigmoid(x: ArrayLike) -> Array:
    """`log(sigmoid(x))`, computed without overflow.

    Example:

    >>> log_sigmoid([-200.0])
    array([-200.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(log_sigmoid))


def tanh_shrink(x: ArrayLike) -> Array:
    """`x - tanh(x)`.

    Example:

    >>> tanh_shrink([0.0, 100.0])
    array([ 0., 99.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(tanh_shrink))


def soft_shrink(x: ArrayLike, threshold: float = 0.5) -> Array:
    """`x` moved towards 0 by the threshold; 0 where that would cross it.

    Args:
        x: The array.
        threshold: How far.

    Returns:
        An array of the same shape.

    Example:

    >>> soft_shrink([-2.0, 0.25, 2.0])
    array([-1.5,  0. ,  1.5], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(soft_shrink, threshold=threshold))


def hard_shrink(x: ArrayLike, threshold: float = 0.5) -> Array:
    """`x` where its magnitude exceeds the threshold, 0 elsewhere.

    Args:
        x: The array.
        threshold: The magnitude.

    Returns:
        An array of the same shape.

    Example:

    >>> hard_shrink([-2.0, 0.25, 2.0])
    array([-2.,  0.,  2.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_shrink, threshold=threshold))


def threshold(x: ArrayLike, threshold: float, default_value: float) -> Array:
    """`x` where it exceeds the threshold, `default_value` elsewhere.

    Args:
        x: The array.
        threshold: What `x` has to exceed.
        default_value: The value elsewhere.

    Returns:
        An array of the same shape.

    Example:

    >>> threshold([0.0, 3.0], 1.0, -5.0)
    array([-5.,  3.], dtype=float32)
    """
    return _specs.evaluate(
        x, _specs.spec_with(_FUNCTIONS["threshold"], threshold=threshold, default_value=default_value)
    )


def squareplus(x: ArrayLike, b: float = 4) -> Array:
    """`(x + sqrt(x**2 + b)) / 2`.

    Args:
        x: The array.
        b: How round the corner at 0 is, at least 0.

    Returns:
        An array of the same shape.

    Example:

    >>> squareplus([0.0])
    array([1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(squareplus, b=b))


def sparse_plus(x: ArrayLike) -> Array:
    """0 below -1, `x` above 1, and `(x + 1)**2 / 4` between them.

    Example:

    >>> sparse_plus([-2.0, 0.0, 2.0])
    array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sparse_plus))


def sparse_sigmoid(x: ArrayLike) -> Array:
    """0 below -1, 1 above 1, and `(x + 1) / 2` between them (Blondel et al. 2019, arXiv 1901.02324).

    Example:

    >>> sparse_sigmoid([-2.0, 0.0, 2.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sparse_sigmoid))


def sparsemax(x: ArrayLike, axis: int = -1) -> Array:
    """The probabilities next to `x`: as softmax's they sum to 1, but small ones are 0 (Martins & Astudillo 2016).

    Keras 3.15's do not sum to 1 where more than one is left, because it adds up the wrong sums; these do.

    Args:
        x: The array.
        axis: The axis along which they sum to 1. Inside a layer it is the last one.

    Returns:
        An array of the same shape.

    Example:

    >>> sparsemax([1.0, 0.5, -1.0])
    array([0.75, 0.25, 0.  ], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(sparsemax))


swish = silu
hard_swish = hard_silu

_FUNCTIONS: dict[str, Activation] = {
    function.__name__: function
    for function in (
        celu,
        elu,
        exponential,
        gelu,
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_tanh,
        leaky_relu,
        linear,
        log_sigmoid,
        log_softmax,
        mish,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        soft_shrink,
        softmax,
        softplus,
        softsign,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        squareplus,
        tanh,
        tanh_shrink,
        threshold,
    )
}
_ALIASES: dict[str, Activation] = {"swish": silu, "hard_swish": hard_silu}
_NAMES = tuple(sorted({*_FUNCTIONS, *_ALIASES}))


def _function(argument: str, name: str) -> Activation:
    found = _FUNCTIONS.get(name.lower()) or _ALIASES.get(name.lower())
    if found is None:
        raise unknown_name(argument, name, _NAMES)
    return found


def spec_of(identifier: object, argument: str | None = None) -> dict[str, Any]:
    """The activation that an identifier stands for, as the core takes it.

    Args:
        identifier: What `get` takes.
        argument: What errors call the identifier; "activation" when None.

    Returns:
        A dict with "kind" and every parameter of the function.

    Raises:
        TypeError: The identifier is of no known kind, such as a function of Python's own.
        ValueError: A name or parameter is unknown, or a parameter is out of its range.

    Example:

    >>> spec_of("leaky_relu")
    {'kind': 'leaky_relu', 'negative_slope': 0.2}
    >>> spec_of(functools.partial(relu, max_value=6))
    {'kind': 'relu', 'negative_slope': 0.0, 'max_value': 6.0, 'threshold': 0.0}
    """
    called = argument or "activation"
    if identifier is None:
        return {"kind": "linear"}
    if isinstance(identifier, str):
        return _specs.spec_with(_function(called, identifier))
    if isinstance(identifier, Mapping):
        name, arguments = split_config(called, identifier)
        if not isinstance(arguments, Mapping):
            raise type_error(called, "a 'config' that is a dict of the function's parameters", arguments)
        return _specs.spec_with(_function(called, name), **arguments)
    if isinstance(identifier, functools.partial) and identifier.func in _FUNCTIONS.values() and not identifier.args:
        return _specs.spec_with(identifier.func, **identifier.keywords)
    if callable(identifier) and identifier in _FUNCTIONS.values():
        return _specs.spec_with(identifier)
    if not isinstance(identifier, type) and hasattr(identifier, "activation_spec"):
        spec = identifier.activation_spec
        return dict(spec() if callable(spec) else spec)
    names = ", ".join(repr(name) for name in _NAMES)
    expected = f"a name ({names}), a function of foliot.activations or a layer of one"
    raise identifier_error(called, expected, identifier)


def get(identifier: object, argument: str | None = None) -> Activation:
    """The function that an identifier stands for.

    Args:
        identifier: A name ("relu"), a function of this module, a `functools.partial` of one with keyword arguments, a
            dict `{"class_name": "relu", "config": {"max_value": 6.0}}`, a layer such as `ReLU()`, or None for "linear".
        argument: What errors call the identifier; "activation" when None.

    Returns:
        The function; a `functools.partial` of it where parameters differ from their defaults.

    Raises:
        TypeError: The identifier is of no known kind, such as a function of Python's own.
        ValueError: A name or parameter is unknown, or a parameter is out of its range.

    Example:

    >>> get("relu") is relu
    True
    >>> get({"class_name": "elu", "config": {"alpha": 0.5}})([-100.0])
    array([-0.5], dtype=float32)
    """
    spec = spec_of(identifier, argument)
    function = _FUNCTIONS[spec.pop("kind")]
    changed = _changed(function, spec)
    return functools.partial(function, **changed) if changed else function


def _changed(function: Activation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    defaults = _specs.parameters(function)
    return {name: value for name, value in arguments.items() if value != defaults[name]}


def serialize(activation: object) -> str | dict[str, Any]:
    """An activation as plain data: its name, with a configuration where parameters differ from their defaults.

    Args:
        activation: What `get` takes.

    Returns:
        A name or `{"class_name": ..., "config": {...}}`, which `get` and `deserialize` take.

    Example:

    >>> serialize(relu)
    'relu'
    >>> serialize(functools.partial(relu, max_value=6))
    {'class_name': 'relu', 'config': {'max_value': 6.0}}
    """
    spec = spec_of(activation)
    kind = spec.pop("kind")
    changed = _changed(_FUNCTIONS[kind], spec)
    return {"class_name": kind, "config": changed} if changed else str(kind)


def deserialize(config: object) -> Activation:
    """The activation of what `serialize` gave.

    Raises:
        TypeError: `config` is neither a name nor a dict.
        ValueError: A name or parameter is unknown.
    """
    if not isinstance(config, (str, Mapping)):
        raise type_error("config", "a name or a dict with 'class_name' and 'config'", config)
    return get(config)
