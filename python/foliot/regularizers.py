"""Penalties on weights that are added to the loss.

A layer takes one as an object or a name: `Dense(1, kernel_regularizer=regularizers.L2(0.01))`,
`kernel_regularizer="l2"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foliot import _serialization
from foliot._checks import check_choice, check_number
from foliot._serialization import Registry, Value

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer(Value):
    """What all regularizers have in common: the penalty `l1 * sum(abs(w)) + l2 * sum(w**2)`.

    Example:

    >>> regularizer = get("l2")
    >>> isinstance(regularizer, Regularizer), regularizer == L2(0.01)
    (True, True)
    """

    def _factors(self) -> tuple[float, float]:
        raise NotImplementedError(f"{type(self).__name__} has no penalty: use L1, L2 or L1L2")

    def check_shape(self, argument: str, shape: Sequence[int]) -> None:
        """Refuses a weight for which there is no such penalty; `argument` is what gave the regularizer."""

    def to_spec(self) -> dict[str, Any]:
        """The two factors, as the core takes them.

        Example:

        >>> L2(0.1).to_spec()
        {'l1': 0.0, 'l2': 0.1}
        """
        l1_factor, l2_factor = self._factors()
        return {"l1": l1_factor, "l2": l2_factor}


class L1(Regularizer):
    """The penalty `l1 * sum(abs(w))`.

    Args:
        l1: The factor, at least 0.

    Raises:
        TypeError: `l1` is no number.
        ValueError: `l1` is negative or not finite.

    Example:

    >>> L1(0.5)
    L1(l1=0.5)
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = check_number("l1", l1, minimum=0)

    def _factors(self) -> tuple[float, float]:
        return self.l1, 0.0


class L2(Regularizer):
    """The penalty `l2 * sum(w**2)`, without a factor of one half.

    Args:
        l2: The factor, at least 0.

    Raises:
        TypeError: `l2` is no number.
        ValueError: `l2` is negative or not finite.

    Example:

    >>> L2.from_config({"l2": 0.5}) == L2(0.5)
    True
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = check_number("l2", l2, minimum=0)

    def _factors(self) -> tuple[float, float]:
        return 0.0, self.l2


class L1L2(Regularizer):
    """The penalty `l1 * sum(abs(w)) + l2 * sum(w**2)`.

    Args:
        l1: The factor of the absolute values, at least 0.
        l2: The factor of the squares, at least 0.

    Raises:
        TypeError: A factor is no number.
        ValueError: A factor is negative or not finite.

    Example:

    >>> L1L2(l1=0.01, l2=0.1).get_config()
    {'l1': 0.01, 'l2': 0.1}
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = check_number("l1", l1, minimum=0)
        self.l2 = check_number("l2", l2, minimum=0)

    def _factors(self) -> tuple[float, float]:
        return self.l1, self.l2


class OrthogonalRegularizer(Regularizer):
    """A penalty on rows, or columns, of a matrix that are not at right angles.

    `factor * mean(abs(u_i @ u_j))` over all pairs of rows as unit vectors; 0 where there is one row only, for which
    Keras's mean is NaN. Called on a NumPy array, and not on a weight, Keras 3.15 with `mode='columns'` divides by the
    lengths of rows, or fails; in models the penalties are the same.

    Args:
        factor: The factor.
        mode: `'rows'` or `'columns'`.

    Raises:
        TypeError: `factor` is no number.
        ValueError: `factor` is not finite, or `mode` is another one.

    Example:

    >>> OrthogonalRegularizer(0.1).get_config()
    {'factor': 0.1, 'mode': 'rows'}
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = check_number("factor", factor)
        self.mode = check_choice("mode", mode, ("rows", "columns"))

    def check_shape(self, argument: str, shape: Sequence[int]) -> None:
        if len(shape) != 2:
            raise ValueError(
                f"`{argument}`: expected a weight of two axes for OrthogonalRegularizer; received one of shape "
                f"{tuple(shape)}"
            )

    def to_spec(self) -> dict[str, Any]:
        """The penalty as the core takes it."""
        return {"l1": 0.0, "l2": 0.0, "orthogonal": {"factor": self.factor, "columns": self.mode == "columns"}}


# Keras's function spellings are the classes themselves, so that a layer takes `regularizers.l2` uncalled too.
l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_REGISTRY: Registry[Regularizer] = Registry(
    "regularizer", Regularizer, (L1, L2, L1L2, OrthogonalRegularizer), {"l1l2": L1L2}
)


def get(identifier: object, argument: str | None = None) -> Regularizer | None:
    """The regularizer that an identifier stands for.

    Args:
        identifier: A name ("l1", "l2", "l1_l2", "orthogonal_regularizer"), a dict with "class_name" and "config", a
            regularizer, one of the classes, or None for no penalty.
        argument: What errors call the identifier; "regularizer" when None.

    Returns:
        The regularizer, or None.

    Raises:
        TypeError: The identifier is of none of these kinds; a Python function cannot run inside a training step.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("l2")
    L2()
    >>> get({"class_name": "L1", "config": {"l1": 0.5}})
    L1(l1=0.5)
    """
    return None if identifier is None else _REGISTRY.get(identifier, argument)


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """The configuration of a regularizer as plain data; None stays None.

    Example:

    >>> serialize(L1L2(0.1, 0.2))
    {'class_name': 'L1L2', 'config': {'l1': 0.1, 'l2': 0.2}}
    """
    return _serialization.serialize(regularizer)


def deserialize(config: object) -> Regularizer:
    """The regularizer of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize({"class_name": "L2", "config": {"l2": 0.5}})
    L2(l2=0.5)
    """
    return _REGISTRY.deserialize(config)
