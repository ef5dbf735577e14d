"""Optimizers: how gradients change weights.

`compile` takes one as a name (`optimizer="rmsprop"`) or an object (`optimizer=optimizers.RMSprop(learning_rate=0.01)`).
The formulas are Keras's. The learning rate is a number, which can be set at any time, also while a model trains
(`model.optimizer.learning_rate = 1e-4`), or one of `optimizers.schedules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foliot import _serialization
from foliot._checks import missing
from foliot._serialization import Registry
from foliot.optimizers import schedules
from foliot.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from foliot.optimizers.adaptive import Adadelta, Adafactor, Adagrad, Ftrl, RMSprop
from foliot.optimizers.base import Optimizer
from foliot.optimizers.momentum import SGD, Lion
from foliot.optimizers.muon import Muon

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_REGISTRY: Registry[Optimizer] = Registry(
    "optimizer",
    Optimizer,
    (SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor, Muon, ScheduleFreeAdamW),
)


def get(identifier: object, argument: str | None = None) -> Optimizer | None:
    """The optimizer that an identifier stands for.

    Args:
        identifier: A name ("sgd", "adamw", "RMSprop", ...), a dict with "class_name" and "config", an optimizer,
            one of the classes, or None.
        argument: What errors call the identifier; "optimizer" when None.

    Returns:
        The optimizer, or None.

    Raises:
        TypeError: The identifier is of none of these kinds.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get({"class_name": "Adam", "config": {"learning_rate": 0.01}}).learning_rate
    0.01
    """
    return None if identifier is None else _REGISTRY.get(identifier, argument)


def serialize(optimizer: Optimizer | None) -> dict[str, Any] | None:
    """The configuration of an optimizer as plain data; None stays None.

    Example:

    >>> serialize(SGD(0.5, momentum=0.9))["config"]["momentum"]
    0.9
    """
    return _serialization.serialize(optimizer)


def deserialize(config: object) -> Optimizer:
    """The optimizer of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "SGD", "config": {"learning_rate": 0.5}}).learning_rate
    0.5
    """
    return _REGISTRY.deserialize(config)


if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("optimizer", __name__, __all__)
