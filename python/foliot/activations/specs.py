"""Activations as the core takes them: a kind with checked parameters, evaluated on arrays."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import check_flag, check_integer, check_number, unknown_keys, value_error
from foliot._rows import as_numbers

Array = NDArray[np.float32]
Activation = Callable[..., Array]

# Parameters of which a negative value has no meaning in the formula, or none that Keras allows.
_NOT_NEGATIVE = {
    "relu(negative_slope)",
    "relu(max_value)",
    "leaky_relu(negative_slope)",
    "squareplus(b)",
}


@functools.cache
def parameters(function: Activation) -> dict[str, Any]:
    """The parameters of a function after `x`, with their defaults."""
    listed = list(inspect.signature(function).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in listed}


def _checked(kind: str, name: str, value: object) -> float | bool | None:
    argument = f"{kind}({name})"
    if name == "approximate":
        return check_flag(argument, value)
    if name == "max_value" and value is None:
        return None
    number = check_number(argument, value, minimum=0 if argument in _NOT_NEGATIVE else None)
    if argument == "celu(alpha)" and number == 0:
        raise value_error(argument, "a number other than 0, by which it divides", value)
    return number


def spec_with(function: Activation, **arguments: object) -> dict[str, Any]:
    """The core's description of a function with the given arguments, and its defaults for the others."""
    kind = function.__name__
    defaults = parameters(function)
    if not arguments.keys() <= defaults.keys():
        raise ValueError(unknown_keys(f"activation {kind!r}", arguments.keys() - defaults.keys(), tuple(defaults)))
    spec: dict[str, Any] = {"kind": kind}
    for name, value in {**defaults, **arguments}.items():
        if value is inspect.Parameter.empty:
            raise ValueError(f"activation {kind!r}: expected a value for `{name}`, which has no default; received none")
        if name == "axis":
            # The core's functions run over the last axis only.
            if value != -1:
                raise value_error(f"{kind}(axis)", "-1 (the last axis) inside a layer", value)
        else:
            spec[name] = _checked(kind, name, value)
    return spec


def layer_of(spec: dict[str, Any]) -> dict[str, Any]:
    """The core's layer that applies an activation."""
    return {"kind": "gated_linear_unit"} if spec["kind"] == "glu" else {"kind": "activation", "activation": spec}


def evaluate(x: ArrayLike, spec: dict[str, Any]) -> Array:
    """Runs the core's graph of one activation."""
    from foliot import _core

    array = as_numbers("x", x).astype(np.float32)
    shape = array.shape
    if spec["kind"] == "glu":
        if not shape or shape[-1] % 2:
            raise value_error("x", "an axis of even length, which glu halves", array)
        shape = (*shape[:-1], shape[-1] // 2)
    if array.size == 0:
        return np.zeros(shape, np.float32)
    # The core's arrays have a batch axis and here one more, the last, which is the one that softmax runs over.
    rows = np.ascontiguousarray(array.reshape(-1, array.shape[-1] if array.ndim else 1))
    source = {"kind": "input", "dtype": "float32", "shape": [rows.shape[1]], "masked": False}
    graph = {
        "nodes": [
            {"name": "x", "layer": source, "inputs": [], "parameters": []},
            {
                "name": "activation",
                "layer": layer_of(spec),
                "inputs": [[0, 0]],
                "parameters": [],
            },
        ],
        "outputs": [[1, 0]],
        "parameters": [],
    }
    program = _core.Program(json.dumps(graph), [])
    (result,) = program.forward([rows], [None], None, False, 0)
    return result.reshape(shape)


def evaluate_along(axis: int, x: ArrayLike, spec: dict[str, Any]) -> Array:
    """Evaluates a function of the last axis along another one."""
    check_integer("axis", axis)
    array = as_numbers("x", x)
    return np.moveaxis(evaluate(np.moveaxis(array, axis, -1), spec), -1, axis)
