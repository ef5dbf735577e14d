"""Models as plain data, and back. A layer that a configuration holds already is named there, so it stays shared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from foliot._checks import value_error
from foliot._serialization import serialize, split_config
from foliot.layers import LAYERS, Layer

# The class name under which a layer stands that came before; its position counts the layers as they were finished.
_SHARED = "SharedLayer"

_finished: ContextVar[list[Layer] | None] = ContextVar("finished", default=None)


@contextmanager
def sharing() -> Iterator[list[Layer]]:
    """The layers that the outermost configuration holds so far; a configuration inside another one joins it."""
    known = _finished.get()
    if known is not None:
        yield known
        return
    fresh: list[Layer] = []
    token = _finished.set(fresh)
    try:
        yield fresh
    finally:
        _finished.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Inside, a configuration shares no layers with those around it: it is for a copy."""
    token = _finished.set(None)
    try:
        yield
    finally:
        _finished.reset(token)


def serialize_layer(layer: Layer) -> dict[str, Any]:
    """The configuration of a layer or model with its class name.

    Raises:
        ValueError: The class is none of foliot's, so that no file could bring it back.
    """
    from foliot.models.functional import Functional
    from foliot.models.sequential import Sequential

    if type(layer) not in (*LAYERS.classes, Functional, Sequential):
        raise ValueError(
            f"{layer.label} is of a class of yours, which a configuration cannot hold: save its weights with "
            "save_weights, or make the model of foliot's layers with Model(inputs, outputs)"
        )
    with sharing() as finished:
        if layer in finished:
            return {"class_name": _SHARED, "config": {"position": finished.index(layer)}}
        config = serialize(layer)
        finished.append(layer)
    return config or {}


def layer_from_config(config: Any) -> Layer:
    """The layer or model of a configuration that `serialize_layer` wrote.

    Raises:
        ValueError: An unknown class or key.
    """
    from foliot.models.functional import Functional
    from foliot.models.model import Model
    from foliot.models.sequential import Sequential

    name, arguments = split_config("layer", config)
    with sharing() as finished:
        if name == _SHARED:
            position = arguments.get("position") if isinstance(arguments, Mapping) else None
            if type(position) is not int or not 0 <= position < len(finished):
                raise value_error("layer", f"the position of one of {len(finished)} layers before it", arguments)
            return finished[position]
        models: dict[str, type[Model]] = {"Sequential": Sequential, "Functional": Functional}
        layer: Layer = models[name].from_config(arguments) if name in models else LAYERS.deserialize(config)
        finished.append(layer)
    return layer
