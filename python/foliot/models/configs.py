"""Models as plain data, and back. A layer that a configuration holds already is named there, so it stays shared."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from foliot import _custom
from foliot._checks import type_error, value_error
from foliot._serialization import serialize, split_config
from foliot.layers import LAYERS, Layer

if TYPE_CHECKING:
    from foliot.models.model import Model

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


def check_plain(layer: Layer) -> None:
    """Refuses a layer of a class of the user's that does not say what it was made with.

    Raises:
        ValueError: The class has no `get_config` of its own.
    """
    if is_own(type(layer)):
        return
    definer = next(cls for cls in type(layer).__mro__ if "get_config" in vars(cls))
    if definer.__module__.split(".")[0] == "foliot":
        raise ValueError(
            f"{layer.label} is of a class of yours, which a configuration cannot hold unless the class has a "
            "get_config, which returns the constructor's arguments: define it, save the weights with save_weights, or "
            "make the model of foliot's layers with Model(inputs, outputs)"
        )


def is_own(cls: type) -> bool:
    """Whether a class is foliot's, so that its name says all."""
    return cls in LAYERS.classes or cls in _models().values()


def _models() -> "dict[str, type[Model]]":
    from foliot.models.functional import Functional
    from foliot.models.sequential import Sequential

    return {"Sequential": Sequential, "Functional": Functional}


def serialize_layer(layer: Layer) -> dict[str, Any]:
    """The configuration of a layer or model with its class name; a class of the user's has a `registered_name`, too.

    Raises:
        ValueError: See `check_plain`.
    """
    check_plain(layer)
    with sharing() as finished:
        if layer in finished:
            return {"class_name": _SHARED, "config": {"position": finished.index(layer)}}
        config = serialize(layer) or {}
        if not is_own(type(layer)):
            config["registered_name"] = type(layer).__name__
        finished.append(layer)
    return config


def layer_from_config(config: Any) -> Layer:
    """The layer or model of a configuration that `serialize_layer` wrote.

    Raises:
        ValueError: An unknown class or key.
    """
    name, arguments = split_config("layer", config)
    with sharing() as finished:
        if name == _SHARED:
            position = arguments.get("position") if isinstance(arguments, Mapping) else None
            if type(position) is not int or not 0 <= position < len(finished):
                raise value_error("layer", f"the position of one of {len(finished)} layers before it", arguments)
            return finished[position]
        models = _models()
        custom = _custom.find(name)
        layer: Layer
        if custom is not None:
            layer = _made_by_user(name, custom, arguments)
        elif config.get("registered_name") is not None and name not in models:
            raise ValueError(
                f"`layer`: expected a class of foliot's; received {name!r}, a class of yours: pass it as "
                f"custom_objects={{{name!r}: {name}}}"
            )
        else:
            layer = models[name].from_config(arguments) if name in models else LAYERS.deserialize(config)
        finished.append(layer)
    return layer


def _made_by_user(name: str, custom: Callable[..., Any], arguments: Any) -> Layer:
    if not isinstance(custom, type) or not issubclass(custom, Layer):
        raise type_error(f"custom_objects[{name!r}]", "a class derived from foliot.layers.Layer", custom)
    return custom.from_config(arguments)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> "Model":
    """A model with new weights from what `model.to_json()` returned.

    Args:
        json_string: The text.
        custom_objects: Classes of yours by name, for layers of them.

    Returns:
        The model, not compiled.

    Raises:
        TypeError: `json_string` is no string, or `custom_objects` no dict.
        ValueError: The text is no JSON, names a class or key that foliot does not know, or describes no model.

    Example:
        >>> from foliot.layers import LSTM, Dense, Input
        >>> from foliot.models import Sequential, model_from_json
        >>> model = Sequential([Input((None, 3)), LSTM(4), Dense(1)])
        >>> model_from_json(model.to_json()).count_params() == model.count_params()
        True
    """
    from foliot.models.model import Model

    if not isinstance(json_string, str):
        raise type_error("json_string", "a string that model.to_json() returned", json_string)
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`json_string`: expected JSON; received {json_string[:40]!r} ({error})") from error
    with _custom.scope(custom_objects):
        model = layer_from_config(config)
    if not isinstance(model, Model):
        raise type_error("json_string", "the configuration of a model", model)
    return model
