"""What a metric of a user's class keeps from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, NDArray


class MetricVariable(NDArrayOperatorsMixin):
    """An array that is set anew, as Keras's variables are; in arithmetic it is its value.

    Args:
        name: The variable's name.
        value: The initial value.

    Example:

    >>> total = MetricVariable("total", np.zeros((), np.float32))
    >>> total.assign_add(3)
    >>> total.assign(total * 2)
    >>> float(total), np.maximum(total, 7.0).item()
    (6.0, 7.0)
    """

    def __init__(self, name: str, value: NDArray[Any]) -> None:
        self.name = name
        self._value = value

    @property
    def value(self) -> NDArray[Any]:
        """A copy of the value."""
        return self._value.copy()

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's type."""
        return self._value.dtype

    def numpy(self) -> NDArray[Any]:
        """A copy of the value."""
        return self.value

    def assign(self, value: ArrayLike) -> None:
        """Sets the value.

        Raises:
            ValueError: It has another shape.
        """
        array = np.asarray(value).astype(self.dtype)
        if array.shape != self.shape:
            raise ValueError(
                f"`value`: expected shape {self.shape} for the variable {self.name!r}; received shape {array.shape}"
            )
        self._value = array

    def assign_add(self, value: ArrayLike) -> None:
        """Adds to the value."""
        self.assign(self._value + np.asarray(value))

    def assign_sub(self, value: ArrayLike) -> None:
        """Subtracts from the value."""
        self.assign(self._value - np.asarray(value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._value, dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(item, MetricVariable) for item in kwargs.get("out", ())):
            raise TypeError(f"the variable {self.name!r}: expected assign, assign_add or assign_sub to change it")
        plain = [np.asarray(item) if isinstance(item, MetricVariable) else item for item in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __getitem__(self, index: Any) -> Any:
        return self._value[index]

    def __repr__(self) -> str:
        return f"<MetricVariable {self.name}={self._value!r}>"
