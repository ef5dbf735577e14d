"""What all initializers have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foliot._checks import check_dtype, check_integer, type_error
from foliot._serialization import Value, snake_case


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of weights, checked."""
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise type_error("shape", "a sequence of integers", shape)
    return tuple(check_integer("shape", size, minimum=0) for size in shape)


class Initializer(Value):
    """What all initializers have in common.

    A class of one's own may be passed to a layer when it defines `__call__(shape, dtype=None)` and `get_config()`; a
    model file with it cannot be loaded, for a file names foliot's own classes only.

    Example:

    >>> import numpy as np
    >>> from foliot.initializers import Initializer
    >>> from foliot.layers import Dense
    >>> class Halves(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype)
    >>> Dense(2, kernel_initializer=Halves())(np.ones((1, 4))).tolist()
    [[2.0, 2.0]]
    """

    def to_spec(self) -> dict[str, Any]:
        """The initializer as the core takes it: its kind and numbers, without the seed.

        Example:

        >>> from foliot.initializers import RandomUniform
        >>> RandomUniform(-1, 1, seed=3).to_spec()
        {'kind': 'random_uniform', 'minval': -1.0, 'maxval': 1.0}
        """
        from foliot.initializers import _REGISTRY

        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} defines no `__call__`")
        return {"kind": snake_case(type(self).__name__), **self._numbers()}

    def _numbers(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_config().items() if name != "seed"}

    def _seed(self) -> int:
        return 0  # unused by kinds that draw nothing

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values.

        Args:
            shape: The shape of the weights.
            dtype: None or "float32", in which foliot computes.

        Returns:
            A new float32 array of that shape.

        Raises:
            TypeError: `shape` holds something other than integers.
            ValueError: The initializer cannot fill this shape.
        """
        check_dtype(dtype)
        return self._make(check_shape(shape), 0)

    def make_blocks(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Makes the values block by block, each as a weight of its own.

        Args:
            shape: The number of blocks, and the shape of one.

        Returns:
            A new float32 array of that shape. Random blocks share no numbers, and none with another seed's.
        """
        if type(self).__call__ is not Initializer.__call__:
            return np.stack([self(shape[1:]) for _ in range(shape[0])])
        return np.stack([self._make(shape[1:], part) for part in range(shape[0])])

    def _make(self, shape: tuple[int, ...], part: int) -> NDArray[np.float32]:
        from foliot import _core

        return _core.initialize(json.dumps(self.to_spec()), shape, self._seed(), part)


class Function(Initializer):
    """A function of a user's, called with the shape. It runs when weights are made, never inside a training step."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def get_config(self) -> dict[str, Any]:
        """Refuses: a function is no data."""
        raise ValueError(
            "`initializer`: expected one of foliot's initializers, which a configuration can name; "
            f"received the function {self.function!r}"
        )

    def __repr__(self) -> str:
        return f"<initializer {self.function!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and other.function is self.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values; see `Initializer.__call__`."""
        sizes = check_shape(shape)
        check_dtype(dtype)
        values = np.array(self.function(sizes, dtype="float32"), dtype=np.float32)
        if values.shape != sizes:
            raise ValueError(
                f"`initializer`: expected {self.function!r} to return shape {sizes}; received shape {values.shape}"
            )
        return values
