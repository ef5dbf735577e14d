"""Metrics of a user's own classes, which gather in Python what a step leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foliot import _custom
from foliot._arrays import Array
from foliot._checks import describe, type_error
from foliot._custom import is_ours
from foliot.metrics.base import Metric
from foliot.metrics.functions import MeanMetricWrapper


class GatheredMetric:
    """An object of a user's class as `compile` takes it: as in Keras the object itself gathers.

    It is told of sample weights among `weighted_metrics` only, and sees the outputs at masked steps, too.

    Args:
        metric: The object.
    """

    # Nothing says whether more of it is better.
    direction = None

    def __init__(self, metric: Metric) -> None:
        self.metric, self.name = metric, metric.name

    @property
    def source(self) -> Metric:
        """What the user gave to `compile`."""
        return self.metric

    def reset_state(self) -> None:
        self.metric.reset_state()

    def add(self, y_true: Array, y_pred: Array, mask: Array | None = None, sample_weight: Array | None = None) -> None:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.metric.update_state(y_true, y_pred, **weights)

    def result(self) -> float:
        returned: Any = self.metric.result()
        value = np.asarray(returned)
        if value.size != 1 or value.dtype.kind not in "biuf":
            expected = f"a number from `result` of {type(self.metric).__name__}"
            raise TypeError(f"`metrics`: expected {expected}; received {describe(returned)}")
        return float(value.reshape(()))

    def gathered(self) -> list[float]:
        # The user's class may have attributes of this name.
        return Metric.gathered(self.metric)

    def set_gathered(self, state: list[float]) -> None:
        Metric.set_gathered(self.metric, state)

    def fresh(self) -> GatheredMetric:
        return self


#: What gathers in Python what a step leaves.
InPython = MeanMetricWrapper | GatheredMetric


def own_object(identifier: object) -> Metric | None:
    """The metric of a user's class that an object, the class or a configuration stands for; None for all else."""
    if isinstance(identifier, Mapping):
        name = identifier.get("class_name")
        own = _custom.find(name) if isinstance(name, str) else None
        if own is None or not isinstance(own, type):
            return None
        if not issubclass(own, Metric):
            raise type_error(f"custom_objects[{name!r}]", "a class derived from foliot.metrics.Metric", own)
        return own.from_config(identifier.get("config", {}))
    if isinstance(identifier, type):
        return identifier() if issubclass(identifier, Metric) and not is_ours(identifier) else None
    return identifier if isinstance(identifier, Metric) and not is_ours(type(identifier)) else None
