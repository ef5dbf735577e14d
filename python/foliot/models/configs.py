"""Models as plain data, and back. A layer that a configuration holds already is named there, so it stays shared."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from foliot import _custom, _nest
from foliot._checks import type_error, value_error
from foliot._custom import definer, is_ours
from foliot._graph import Shape, SymbolicTensor
from foliot._serialization import serialize, split_config
from foliot.layers import LAYERS, Layer
from foliot.layers.arguments import check_shape
from foliot.layers.base import layers_in

if TYPE_CHECKING:
    from foliot.models.model import Model

# The class name under which a layer stands that came before; its position counts the layers as they were finished.
_SHARED = "SharedLayer"
# How a tuple is told from a list in a configuration, as Keras does.
_TUPLE = "__tuple__"

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
        ValueError: The class has an `__init__` of its own, or is derived from Model, and has no `get_config`.
    """
    from foliot.models.model import Model

    cls = type(layer)
    if is_own(cls) or definer(cls, "get_config") is not None:
        return
    # Without an __init__ of its own a class is made with what its base is made with, which that says.
    if definer(cls, "__init__") is not None or cls.get_config is Model.get_config:
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
    with sharing() as finished:
        if layer in finished:
            return {"class_name": _SHARED, "config": {"position": finished.index(layer)}}
        config = serialize_part(layer)
        finished.append(layer)
    return config


def serialize_part(layer: Layer) -> dict[str, Any]:
    """`serialize_layer` of a layer that is a part of one other only, so that no position counts it."""
    check_plain(layer)
    config = serialize(layer) or {}
    if not is_own(type(layer)):
        config["registered_name"] = type(layer).__name__
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
        layer = part_from_config(config)
        finished.append(layer)
    return layer


def part_from_config(config: Any, argument: str = "layer") -> Layer:
    """The layer of a configuration that `serialize_part` wrote.

    Raises:
        ValueError: An unknown class or key.
    """
    name, arguments = split_config(argument, config)
    models = _models()
    custom = _custom.find(name)
    if custom is not None:
        return _made_by_user(name, custom, arguments)
    if config.get("registered_name") is not None and name not in models:
        raise ValueError(
            f"`{argument}`: expected a class of foliot's; received {name!r}, a class of yours: pass it as "
            f"custom_objects={{{name!r}: {name}}}"
        )
    return models[name].from_config(arguments) if name in models else LAYERS.deserialize(config, argument)


def remade(layer: Layer, **changes: Any) -> Layer:
    """A new layer of the same configuration but for some arguments; classes of the user's in it are known.

    Raises:
        ValueError: See `check_plain`; or two different classes of the user's have one name.
    """
    check_plain(layer)
    with _custom.scope(_classes_in(layer)):
        return type(layer).from_config(layer.get_config() | changes)


def _classes_in(layer: Layer) -> dict[str, type[Layer]]:
    """The user's classes of a layer and of those that it is made of, by name."""
    classes: dict[str, type[Layer]] = {}
    found, waiting = {layer}, [layer]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if not is_ours(kind) and classes.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(
                f"{layer.label}: expected classes with names of their own in it; received two of {kind.__name__!r}"
            )
        inner = {*layers_in(list(vars(part).values())), *getattr(part, "layers", ())} - found
        found |= inner
        waiting += inner
    return classes


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


def write_nest(form: Any, references: Mapping[SymbolicTensor, list[Any]]) -> Any:
    """A nest of tensors as plain data."""
    if isinstance(form, Mapping):
        return {key: write_nest(item, references) for key, item in form.items()}
    if isinstance(form, tuple):
        return {_TUPLE: [write_nest(item, references) for item in form]}
    if isinstance(form, list):
        return [write_nest(item, references) for item in form]
    return references[form]


def read_nest(data: Any, tensor_of: Any) -> Any:
    """The nest of tensors that `write_nest` wrote."""
    if isinstance(data, Mapping):
        if set(data) == {_TUPLE} and isinstance(data[_TUPLE], list):
            return tuple(read_nest(item, tensor_of) for item in data[_TUPLE])
        return {key: read_nest(item, tensor_of) for key, item in data.items()}
    if isinstance(data, list) and not any(isinstance(item, (str, int)) for item in data):
        return [read_nest(item, tensor_of) for item in data]
    return tensor_of(data)


def write_inputs(model: "Model") -> Any:
    """What a model was built for: a nest of shapes, each behind the kind of what it is of."""
    kinds = {tensor: ["text" if tensor.holds_text else "numbers", *tensor.shape] for tensor in model.inputs}
    return write_nest(model.input, kinds)


def build_for_inputs(model: "Model", written: Any) -> None:
    """Builds a model that data would build for what `write_inputs` wrote.

    Raises:
        ValueError: It is nothing that `write_inputs` wrote, or the model cannot be built for it.
    """
    found: list[tuple[Shape, bool]] = []

    def leaf(kind_and_shape: Any) -> int:
        if not isinstance(kind_and_shape, list) or kind_and_shape[:1] not in (["text"], ["numbers"]):
            raise value_error("inputs", "a shape behind 'text' or 'numbers'", kind_and_shape)
        found.append((check_shape("inputs", kind_and_shape[1:]), kind_and_shape[0] == "text"))
        return len(found) - 1

    places = read_nest(written, leaf)
    inputs = [found[place] for place in _nest.flatten(places)]
    form = _nest.transform(places, lambda _: None)
    model.build_for_shapes(form, [shape for shape, _ in inputs], [text for _, text in inputs])
