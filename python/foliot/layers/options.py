"""Options set as attributes after a layer was made: checked when the native graph is written, for they count then."""

import warnings
from collections.abc import Mapping
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


def check_as_made(layer: "Layer") -> None:
    """Refuses options that the constructor would refuse: it is asked."""
    from foliot.layers import LAYERS
    from foliot.models.configs import apart

    # A class of the user's may take other arguments than it keeps, and a part of a layer's is checked with it.
    if type(layer) not in LAYERS.classes:
        return
    with apart(), _random.untouched(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user has read them
        try:
            type(layer).from_config(layer.get_config())
        except (ValueError, TypeError) as error:
            raise type(error)(f"{layer.label}, an option of which was set: {error}") from error
