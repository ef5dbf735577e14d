"""Conditions that weights are brought back to after each optimizer step.

A layer takes one as an object or a name: `Dense(1, kernel_constraint=constraints.MaxNorm(2))`,
`kernel_constraint="non_neg"`. Over `axis=0`, a norm of a kernel `(inputs, units)` is that of the weights into one unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foliot import _serialization
from foliot._checks import check_integer, check_number, value_error
from foliot._serialization import Registry, Value, snake_case

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]


Axes = int | list[int]


def _check_axis(axis: object) -> Axes:
    """One axis or several, negative ones counted from the end; several as a list, as JSON gives them back."""
    if isinstance(axis, (list, tuple)):
        return [check_integer("axis", one) for one in axis]
    return check_integer("axis", axis)


class Constraint(Value):
    """What all constraints have in common.

    Example:

    >>> constraint = get("max_norm")
    >>> isinstance(constraint, Constraint), constraint == MaxNorm(2.0)
    (True, True)
    """

    def to_spec(self) -> dict[str, Any]:
        """The constraint as the core takes it.

        Example:

        >>> MaxNorm(3).to_spec()
        {'kind': 'max_norm', 'max_value': 3.0, 'axis': 0}
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} has no rule: use {', '.join(_REGISTRY.names)}")
        return {"kind": snake_case(type(self).__name__), **self.get_config()}


class MaxNorm(Constraint):
    """Scales weights down whose norm exceeds `max_value`.

    Args:
        max_value: The largest norm, at least 0.
        axis: The axis or axes that each norm is taken over.

    Raises:
        TypeError: An argument is no number.
        ValueError: `max_value` is negative or not finite.

    Example:

    >>> MaxNorm()
    MaxNorm()
    >>> MaxNorm(max_value=1, axis=1).get_config()
    {'max_value': 1.0, 'axis': 1}
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = check_number("max_value", max_value, minimum=0)
        self.axis = _check_axis(axis)


class NonNeg(Constraint):
    """Sets negative weights to 0.

    Example:

    >>> NonNeg().to_spec()
    {'kind': 'non_neg'}
    """


class UnitNorm(Constraint):
    """Scales weights to a norm of 1.

    Args:
        axis: The axis or axes that each norm is taken over.

    Raises:
        TypeError: `axis` holds something other than integers.

    Example:

    >>> UnitNorm(axis=1).to_spec()
    {'kind': 'unit_norm', 'axis': 1}
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _check_axis(axis)


class MinMaxNorm(Constraint):
    """Brings norms into `[min_value, max_value]`, all the way or part of it.

    Args:
        min_value: The smallest norm, at least 0.
        max_value: The largest norm, at least `min_value`.
        rate: How much of the way one step goes: the new norm is `rate` times the clipped one plus `1 - rate` times the
            old one. From 0 to 1.
        axis: The axis or axes that each norm is taken over.

    Raises:
        TypeError: An argument is no number.
        ValueError: A number is out of its range.

    Example:

    >>> MinMaxNorm(0.5, 2.0).to_spec()
    {'kind': 'min_max_norm', 'min_value': 0.5, 'max_value': 2.0, 'rate': 1.0, 'axis': 0}
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value = check_number("min_value", min_value, minimum=0)
        self.max_value = check_number("max_value", max_value, minimum=0)
        if self.min_value > self.max_value:
            raise value_error("min_value", f"at most `max_value`, which is {self.max_value:g}", min_value)
        self.rate = check_number("rate", rate, minimum=0, maximum=1)
        self.axis = _check_axis(axis)


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

_REGISTRY: Registry[Constraint] = Registry(
    "constraint",
    Constraint,
    (MaxNorm, NonNeg, UnitNorm, MinMaxNorm),
    # The spellings of Keras 1 and 2.
    {"maxnorm": MaxNorm, "nonneg": NonNeg, "unitnorm": UnitNorm, "minmaxnorm": MinMaxNorm},
)


def get(identifier: object, argument: str | None = None) -> Constraint | None:
    """The constraint that an identifier stands for.

    Args:
        identifier: A name ("max_norm", "non_neg", "unit_norm", "min_max_norm"), a dict with "class_name" and "config",
            a constraint, one of the classes, or None for no constraint.
        argument: What errors call the identifier; "constraint" when None.

    Returns:
        The constraint, or None.

    Raises:
        TypeError: The identifier is of none of these kinds; a Python function cannot run inside a training step.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("max_norm")
    MaxNorm()
    """
    return None if identifier is None else _REGISTRY.get(identifier, argument)


def serialize(constraint: Constraint | None) -> dict[str, Any] | None:
    """The configuration of a constraint as plain data; None stays None.

    Example:

    >>> serialize(MaxNorm(3))
    {'class_name': 'MaxNorm', 'config': {'max_value': 3.0, 'axis': 0}}
    """
    return _serialization.serialize(constraint)


def deserialize(config: object) -> Constraint:
    """The constraint of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "MaxNorm", "config": {"max_value": 3.0, "axis": 0}})
    MaxNorm(max_value=3.0)
    """
    return _REGISTRY.deserialize(config)
