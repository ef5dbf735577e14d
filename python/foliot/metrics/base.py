"""What all metrics have in common: what was gathered, and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from foliot._checks import check_dtype, check_text
from foliot._custom import is_ours
from foliot._rows import row_weights, to_rows
from foliot._serialization import Configurable, snake_case
from foliot.losses.base import Loss
from foliot.metrics.variables import MetricVariable


class Metric(Configurable):
    """What all metrics have in common.

    A class of yours defines `update_state` and `result`, which run in Python on the NumPy arrays of each batch, and
    keeps what it gathers in variables of `add_weight`: these outlive an `evaluate` within an epoch, and a backup.

    Args:
        dtype: None or "float32", in which foliot computes.
        name: The name under which the metric is reported; None for the class's in snake case.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> import numpy as np
    >>> class Largest(Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_weight(name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(np.maximum(self.largest, np.abs(np.asarray(y_true) - y_pred).max()))
    ...     def result(self):
    ...         return self.largest
    >>> metric = Largest()
    >>> float(metric([1.0, 2.0], [1.5, 2.25]))
    0.5
    """

    # Whether the targets are indices of classes.
    sparse: ClassVar[bool] = False
    # Whether each element counts for itself, rather than each row.
    elementwise: bool = False
    # Whether more is better: "max", or less: "min".
    direction: ClassVar[str | None] = "min"
    # What the core calls the formula.
    _kind: ClassVar[str]

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        check_dtype(dtype)
        self.dtype = dtype
        self.name = snake_case(type(self).__name__) if name is None else check_text("name", name)
        # A user's would look for variables that its constructor has not made yet.
        ours: Any = next(cls for cls in type(self).__mro__ if is_ours(cls))
        ours.reset_state(self)

    def add_weight(
        self,
        shape: Sequence[int] | int = (),
        initializer: Any = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> MetricVariable:
        """A variable of a metric of yours, which `reset_state` sets to 0.

        Args:
            shape: Its shape.
            initializer: A name, initializer or function; None is zeros.
            dtype: The type of its numbers; None is float32.
            name: Its name.
        """
        from foliot import initializers

        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        initial: Any = initializers.get("zeros" if initializer is None else initializer, "initializer")
        value = np.asarray(initial(sizes)).astype("float32" if dtype is None else dtype)
        variable = MetricVariable("variable" if name is None else name, value)
        self.variables.append(variable)
        return variable

    add_variable = add_weight

    @property
    def variables(self) -> list[MetricVariable]:
        """What `add_weight` has made."""
        made: list[MetricVariable] = vars(self).setdefault("_variables", [])
        return made

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it.

        Example:

        >>> from foliot.metrics import BinaryAccuracy
        >>> BinaryAccuracy().to_spec()
        {'kind': 'binary_accuracy', 'threshold': 0.5}
        """
        ours = next(cls for cls in type(self).__mro__ if is_ours(cls))
        kind = ours.__dict__.get("_kind")
        if kind is None:
            raise NotImplementedError(f"{type(self).__name__} has no formula: define update_state and result")
        return {"kind": kind}

    def reset_state(self) -> None:
        """Forgets what was gathered."""
        self._state: list[float] = []
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def reset_states(self) -> None:
        """Keras 2's spelling of `reset_state`."""
        self.reset_state()

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Gathers a batch.

        Args:
            y_true: The targets, shaped like the predictions; for a sparse metric without their last axis.
            y_pred: The predictions; the last axis holds the features or classes.
            sample_weight: A weight for each sample, or None.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or a target is not among the classes.
        """
        from foliot import _core

        targets, predictions, leading = to_rows(y_true, y_pred, sparse=self.sparse, elementwise=self.elementwise)
        weights = row_weights(sample_weight, leading)
        samples = leading[0] if leading else 1
        part = _core.evaluate_metric(json.dumps(self.to_spec()), targets, predictions, weights, samples)
        if self._state and len(part) != len(self._state):
            raise ValueError(f"`y_pred`: expected as many features as before; received shape {np.shape(y_pred)}")
        self._state = [total + value for total, value in zip(self._state or [0.0] * len(part), part, strict=True)]

    def result(self) -> Any:
        """The metric of all that was gathered: a float, or an array where it has several thresholds or features.

        Example:

        >>> from foliot.metrics import BinaryAccuracy
        >>> metric = BinaryAccuracy()
        >>> metric.update_state([[1], [1], [0], [0]], [[0.9], [0.2], [0.1], [0.4]])
        >>> metric.result()
        0.75
        """
        from foliot import _core

        values = _core.metric_result(json.dumps(self.to_spec()), self._state)
        return values[0] if len(values) == 1 else np.asarray(values, dtype=np.float32)

    def gathered(self) -> list[float]:
        """The numbers in which everything lies that was gathered."""
        held = [number for variable in self.variables for number in variable.numpy().ravel().tolist()]
        return [*held, *self._state]

    def set_gathered(self, state: Sequence[float]) -> None:
        """Goes on from what `gathered` gave."""
        held = 0
        for variable in self.variables:
            first, held = held, held + math.prod(variable.shape)
            variable.assign(np.reshape(state[first:held], variable.shape))
        self._state = list(state[held:])

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Gathers a batch and returns the result so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()


class LossMetric(Metric):
    """The mean of a loss."""

    def _loss(self) -> Loss:
        raise NotImplementedError

    def to_spec(self) -> dict[str, Any]:
        """The metric as the core takes it."""
        return {**super().to_spec(), "loss": self._loss().to_spec()}
