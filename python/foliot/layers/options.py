"""Options set as attributes after a layer was made: checked when the native graph is written, for they count then."""

import functools
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from foliot import _random
from foliot._checks import value_error

if TYPE_CHECKING:
    from foliot.layers.base import Layer

# Arguments that decide which weights a layer has, and of which shapes.
_DECIDE_WEIGHTS = (
    "units",
    "proj_size",
    "heads",
    "use_bias",
    "reset_after",
    "use_peepholes",
    "input_dim",
    "output_dim",
    "filters",
    "kernel_size",
    "groups",
    "axis",
    "center",
    "scale",
    "shared_axes",
    "use_scale",
    "num_heads",
    "num_query_heads",
    "num_key_value_heads",
    "key_dim",
    "value_dim",
    "head_dim",
)


def deciding_weights(layer: "Layer") -> dict[str, Any]:
    """The options on which a layer's weights depend, by name."""
    return {name: getattr(layer, name) for name in _DECIDE_WEIGHTS if hasattr(layer, name)}


def check_unchanged(layer: "Layer", label: str, built_with: Mapping[str, Any]) -> None:
    """Refuses options that are others than those that a layer was built with."""
    for name, value in built_with.items():
        if getattr(layer, name) != value:
            raise value_error(name, f"{value}, with which {label} was built", getattr(layer, name))


@functools.cache
def _names(kind: Any) -> frozenset[str]:
    return frozenset(kind.argument_names()) - {"name", "trainable", "dtype"}


def names(kind: "type[Layer]") -> frozenset[str]:
    """The options of a class of layers."""
    hashable: Any = kind  # which mypy doubts
    return _names(hashable)


def _parts(layer: "Layer") -> "Iterator[Layer]":
    """A layer and those that its constructor was given, such as its cells."""
    from foliot.layers.base import layers_in

    yield layer
    for inner in layers_in([getattr(layer, name, None) for name in type(layer).argument_names()]):
        yield from _parts(inner)


def were_set(layer: "Layer") -> bool:
    """Whether options of a layer, or of those in it, were set after it was made and have not been checked yet."""
    return any(getattr(part, "set_later", None) for part in _parts(layer)) or any(map(were_set, layer.sublayers()))


def check_as_made(layer: "Layer") -> None:
    """Refuses options, set after a layer was made, that its constructor would refuse: it is asked.

    What the constructor makes of them, such as a tuple of a number, takes their place.
    """
    from foliot.layers import LAYERS
    from foliot.models.configs import apart

    parts = list(_parts(layer))
    if not any(getattr(part, "set_later", None) for part in parts):
        return
    # A class of the user's may take other arguments than it keeps.
    if any(type(part) not in LAYERS.classes for part in parts):
        return
    try:
        config = layer.get_config()
    except (ValueError, TypeError):
        return  # something else of it, such as a function, cannot be written down
    with apart(), _random.untouched(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user has read them
        try:
            made = type(layer).from_config(config)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{layer.label}, an option of which was set: {error}") from error
    for name in layer.set_later:
        value = getattr(made, name)
        if value is None or isinstance(value, (bool, int, float, str, tuple)):
            setattr(layer, name, value)
    for part in parts:
        part.set_later.clear()
