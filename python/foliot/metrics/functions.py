"""Metrics of a user's own functions, which run in Python on the outputs that a step leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from foliot import _custom
from foliot._arrays import Array
from foliot._checks import check_text, describe, type_error, unknown_keys, value_error
from foliot._rows import as_numbers
from foliot._serialization import snake_case
from foliot.metrics.base import Metric
from foliot.metrics.values import FUNCTIONS

#: How Keras calls a function in a configuration.
FUNCTION = "function"


class MeanMetricWrapper(Metric):
    """The mean of what a function makes of each batch; `compile(metrics=[function])` makes one.

    The function gets two NumPy arrays, the targets as they were passed to `fit` (float32, or int32 for integers) and
    the model's outputs (float32), and returns a number or an array with one value for each row, or for each row and
    time step. As in Keras a number counts once for each batch, and an array's rows once each or by their sample weight
    (of `weighted_metrics`). Values for each time step leave masked steps out; with other values that is the function's
    own affair, for it sees the outputs at masked steps, too. What the function raises comes out as it is.

    Args:
        fn: The function, of (y_true, y_pred).
        name: The name under which it is reported; None for the function's in snake case.
        dtype: None or "float32".

    Raises:
        TypeError: `fn` is no function.

    Example:

    >>> import numpy as np
    >>> from foliot.metrics import MeanMetricWrapper
    >>> def worst(y_true, y_pred):
    ...     return np.abs(y_true - y_pred).max(axis=-1)
    >>> metric = MeanMetricWrapper(worst)
    >>> metric.name, metric([[0.0, 0.0], [1.0, 1.0]], [[0.5, 0.25], [0.0, 1.0]])
    ('worst', 0.75)
    """

    # Nothing says whether more of it is better.
    direction = None

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None) -> None:
        if not callable(fn):
            raise type_error("fn", "a function of (y_true, y_pred)", fn)
        super().__init__(dtype, snake_case(name_of(fn)) if name is None else check_text("name", name))
        self.fn = fn

    def reset_state(self) -> None:
        self._state = [0.0, 0.0]

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Gathers a batch.

        Args:
            y_true: The targets.
            y_pred: The predictions.
            sample_weight: A weight for each row, or for each row and time step; None counts each once.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The function did not return what fits.
        """
        weights = None if sample_weight is None else as_numbers("sample_weight", sample_weight)
        self.add(as_numbers("y_true", y_true), as_numbers("y_pred", y_pred), None, weights)

    def add(self, y_true: Array, y_pred: Array, mask: Array | None = None, sample_weight: Array | None = None) -> None:
        """Gathers a batch whose output has a mask of shape `(batch, time)`."""
        returned = np.asarray(self.fn(y_true, y_pred))
        expected = f"a number, or an array of numbers with {len(y_pred)} rows, from the metric {self.name!r}"
        if returned.dtype.kind not in "biuf":
            raise type_error("metrics", expected, returned)
        values = returned.astype(np.float64)
        if values.ndim and len(values) != len(y_pred):
            raise ValueError(f"`metrics`: expected {expected}; received shape {values.shape}")
        weights = None if sample_weight is None else sample_weight.astype(np.float64)
        if weights is not None and not values.ndim:
            raise ValueError(
                f"`weighted_metrics`: expected an array with a value for each row from {self.name!r}, because there "
                f"are sample weights; received {describe(values.item())}"
            )
        if mask is not None and values.shape[:2] == mask.shape:
            weights = mask.astype(np.float64) if weights is None else _steps(weights, mask.shape) * mask
        if weights is not None and weights.shape != values.shape[: weights.ndim]:
            raise ValueError(
                f"`weighted_metrics`: expected values of shape {weights.shape}, as the sample weights have, from "
                f"{self.name!r}; received shape {values.shape}"
            )
        if not values.size:
            return
        rows = len(values) if values.ndim else 1
        count = float(rows)
        if weights is not None:
            values = values.reshape(*weights.shape, -1).mean(axis=-1) * weights
            count = float(weights.reshape(rows, -1).mean(axis=1).sum())
        self._state[0] += float(values.reshape(rows, -1).mean(axis=1).sum())
        self._state[1] += count

    def result(self) -> float:
        """The mean of all that was gathered, 0 if there was nothing."""
        total, count = self._state
        return total / count if count else 0.0

    @property
    def source(self) -> Callable[..., Any]:
        """What the user gave to `compile`, or made the metric with."""
        return self.fn

    def fresh(self) -> MeanMetricWrapper:
        """The same metric, with nothing gathered."""
        return type(self)(self.fn, self.name, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The function by its name, and the other arguments."""
        name = FUNCTIONS.get(self.fn)
        fn = function_config(self.fn) if name is None else name
        return {"fn": fn, "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The metric of a configuration, whose function is looked up among `custom_objects`."""
        if not isinstance(config, Mapping):
            raise type_error("config", f"a dict of {cls.__name__}'s arguments", config)
        unknown = set(config) - set(cls.argument_names())
        if unknown:
            raise ValueError(unknown_keys(f"the config of {cls.__name__}", unknown, cls.argument_names()))
        return cls(**{**config, "fn": _function(config.get("fn"))})


def own_metric(identifier: object) -> MeanMetricWrapper | None:
    """The metric of a function of the user's; None for what foliot's tables know, or nobody does."""
    if isinstance(identifier, MeanMetricWrapper):
        return identifier
    if isinstance(identifier, Mapping):
        if identifier.get("class_name") == FUNCTION:
            return MeanMetricWrapper(_function(identifier))
        if identifier.get("class_name") == MeanMetricWrapper.__name__:
            return MeanMetricWrapper.from_config(identifier.get("config", {}))
        return None
    is_function = callable(identifier) and not isinstance(identifier, type) and not hasattr(identifier, "get_config")
    return MeanMetricWrapper(identifier) if is_function else None  # type: ignore[arg-type]


def function_config(function: Callable[..., Any]) -> dict[str, str]:
    """How a file names a function of the user's."""
    return {"class_name": FUNCTION, "config": name_of(function)}


def name_of(function: Callable[..., Any]) -> str:
    """The function's name, or that of its class where it has none."""
    named = getattr(function, "__name__", None)
    return named if isinstance(named, str) else type(function).__name__


def _function(config: object) -> Callable[..., Any]:
    name = config.get("config") if isinstance(config, Mapping) else config
    if not isinstance(name, str):
        raise value_error("metrics", "a function's name", config)
    known = next((function for function, known in FUNCTIONS.items() if known == name), None)
    function = (known if isinstance(config, str) else None) or _custom.find(name)
    if function is None:
        raise ValueError(
            f"`metrics`: expected a metric of foliot's; received the function {name!r}, which is yours: pass it as "
            f"custom_objects={{{name!r}: {name}}}, or compile=False to load the model without its compilation"
        )
    return function


def _steps(weights: Array, shape: tuple[int, ...]) -> Array:
    """Weights of rows as weights of time steps."""
    return np.broadcast_to(weights[:, None], shape) if weights.ndim == 1 else weights
