"""What a layer's `activation` may be: names, functions, configurations, and back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from foliot._checks import identifier_error, type_error, unknown_name, value_error
from foliot._serialization import split_config
from foliot.activations import elementwise, rowwise
from foliot.activations import specs as _specs
from foliot.activations.specs import Activation

FUNCTIONS: dict[str, Activation] = {
    function.__name__: function
    for function in (
        elementwise.celu,
        elementwise.elu,
        elementwise.exponential,
        elementwise.gelu,
        rowwise.glu,
        elementwise.hard_shrink,
        elementwise.hard_sigmoid,
        elementwise.hard_silu,
        elementwise.hard_tanh,
        elementwise.leaky_relu,
        elementwise.linear,
        elementwise.log_sigmoid,
        rowwise.log_softmax,
        elementwise.mish,
        elementwise.relu,
        elementwise.relu6,
        elementwise.selu,
        elementwise.sigmoid,
        elementwise.silu,
        elementwise.soft_shrink,
        rowwise.softmax,
        elementwise.softplus,
        elementwise.softsign,
        elementwise.sparse_plus,
        elementwise.sparse_sigmoid,
        rowwise.sparsemax,
        elementwise.squareplus,
        elementwise.tanh,
        elementwise.tanh_shrink,
        elementwise.threshold,
    )
}
_ALIASES: dict[str, Activation] = {"swish": elementwise.silu, "hard_swish": elementwise.hard_silu}
_NAMES = tuple(sorted({*FUNCTIONS, *_ALIASES}))


def _function(argument: str, name: str) -> Activation:
    found = FUNCTIONS.get(name.lower()) or _ALIASES.get(name.lower())
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
    >>> spec_of(functools.partial(elementwise.relu, max_value=6))
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
    if isinstance(identifier, functools.partial) and identifier.func in FUNCTIONS.values() and not identifier.args:
        return _specs.spec_with(identifier.func, **identifier.keywords)
    if callable(identifier) and identifier in FUNCTIONS.values():
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

    >>> get("relu") is elementwise.relu
    True
    >>> get({"class_name": "elu", "config": {"alpha": 0.5}})([-100.0])
    array([-0.5], dtype=float32)
    """
    spec = spec_of(identifier, argument)
    function = FUNCTIONS[spec.pop("kind")]
    changed = _changed(function, spec)
    return functools.partial(function, **changed) if changed else function


def get_keeping_shape(identifier: object, argument: str) -> Activation:
    """The function that an identifier stands for, for a layer whose output has the shape that the function is given.

    Raises:
        TypeError, ValueError: As `get`, and for `glu`, which halves an axis.
    """
    function = get(identifier, argument)
    if spec_of(function)["kind"] == "glu":
        expected = "an activation that keeps the shape: `Activation('glu')` is a layer of its own, behind this one"
        raise value_error(argument, expected, "glu, which halves the last axis")
    return function


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

    >>> serialize(elementwise.relu)
    'relu'
    >>> serialize(functools.partial(elementwise.relu, max_value=6))
    {'class_name': 'relu', 'config': {'max_value': 6.0}}
    """
    spec = spec_of(activation)
    kind = spec.pop("kind")
    changed = _changed(FUNCTIONS[kind], spec)
    return {"class_name": kind, "config": changed} if changed else str(kind)


def deserialize(config: object) -> Activation:
    """The activation of what `serialize` gave.

    Raises:
        TypeError: `config` is neither a name nor a dict.
        ValueError: A name or parameter is unknown.

    Example:

    >>> deserialize({"class_name": "relu", "config": {"max_value": 6.0}})([-3.0, 3.0, 9.0]).tolist()
    [0.0, 3.0, 6.0]
    """
    if not isinstance(config, (str, Mapping)):
        raise type_error("config", "a name or a dict with 'class_name' and 'config'", config)
    return get(config)
