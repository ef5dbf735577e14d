"""First values of weights.

A layer takes one as an object or a name: `Dense(1, kernel_initializer="he_normal")`. Called on its own, an initializer
gives an array: `initializers.GlorotUniform(seed=1)((3, 4))`. Without a seed it draws one when it is made, from foliot's
stream of seeds (`foliot.utils.set_random_seed`): as in Keras, calling one initializer twice gives the same values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from foliot import _serialization
from foliot._checks import missing
from foliot._serialization import Registry
from foliot.initializers.base import Function, Initializer
from foliot.initializers.constant_initializers import Constant, Identity, Ones, Zeros
from foliot.initializers.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_REGISTRY: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    (
        Zeros,
        Ones,
        Constant,
        Identity,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
    ),
    {
        "zero": Zeros,
        "one": Ones,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
    },
)


def get(identifier: object, argument: str | None = None) -> Initializer | None:
    """The initializer that an identifier stands for.

    Args:
        identifier: A name ("glorot_uniform", "GlorotUniform", "uniform", ...), a dict with "class_name" and "config",
            an initializer, one of the classes, an array of the values themselves, a function `f(shape, dtype=None)`, or
            None.
        argument: What errors call the identifier; "initializer" when None.

    Returns:
        The initializer, or None.

    Raises:
        TypeError: The identifier is of none of these kinds.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("orthogonal")
    Orthogonal()
    >>> get({"class_name": "Constant", "config": {"value": 2}})
    Constant(value=2.0)
    """
    if identifier is None:
        return None
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    if isinstance(identifier, Initializer):
        return identifier
    if callable(identifier) and not isinstance(identifier, type):
        return Function(identifier)
    return _REGISTRY.get(identifier, argument)


def serialize(initializer: Initializer | None) -> dict[str, Any] | None:
    """The configuration of an initializer as plain data; None stays None.

    Raises:
        ValueError: The initializer is a function of a user's.

    Example:

    >>> serialize(Constant(2))
    {'class_name': 'Constant', 'config': {'value': 2.0}}
    """
    return _serialization.serialize(initializer)


def deserialize(config: object) -> Initializer:
    """The initializer of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "Constant", "config": {"value": 2.0}})
    Constant(value=2.0)
    """
    return _REGISTRY.deserialize(config)


if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("initializer", __name__, __all__)
