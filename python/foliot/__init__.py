"""Recurrent neural networks with Keras's API and a Rust core.

Example:
    >>> import foliot
    >>> model = foliot.Sequential([foliot.Input((10, 3)), foliot.layers.LSTM(8), foliot.layers.Dense(1)])
    >>> model.compile(optimizer="rmsprop", loss="mse")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foliot import (
        activations,
        callbacks,
        config,
        constraints,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        regularizers,
        utils,
    )
    from foliot._devices import device, devices
    from foliot.layers import Input, Layer
    from foliot.models import Model, Sequential

    __version__: str

__all__ = [
    "Input",
    "Layer",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "device",
    "devices",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
]

# Where the names live that are no modules. All are loaded when first used: `import foliot` alone is quick.
_HOMES = {
    "Input": "layers",
    "Layer": "layers",
    "Model": "models",
    "Sequential": "models",
    "device": "_devices",
    "devices": "_devices",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from foliot._core import build_info

        value: Any = build_info()["version"]
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"foliot.{_HOMES[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"foliot.{name}")
    else:
        raise AttributeError(f"module 'foliot' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
