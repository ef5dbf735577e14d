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


class GatheredMetric(MeanMetricWrapper):
    """An object of a user's class as `compile` takes it: as in Keras the object itself gathers.

    It is told of sample weights among `weighted_metrics` only, and sees the outputs at masked steps, too.

    Args:
        metric: The object.
    """

    def __init__(self, metric: Metric) -> None:
        self.fn, self.name, self.dtype = metric, metric.name, metric.dtype

    def reset_state(self) -> None:
        self.fn.reset_state()  # type: ignore[attr-defined]  # a metric

    def add(self, y_true: Array, y_pred: Array, mask: Array | None = None, sample_weight: Array | None = None) -> None:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.fn.update_state(y_true, y_pred, **weights)  # type: ignore[attr-defined]

    def result(self) -> float:
        returned: Any = self.fn.result()  # type: ignore[attr-defined]
        value = np.asarray(returned)
        if value.size != 1 or value.dtype.kind not in "biuf":
            expected = f"a number from `result` of {type(self.fn).__name__}"
            raise TypeError(f"`metrics`: expected {expected}; received {describe(returned)}")
        return float(value.reshape(()))

    def fresh(self) -> GatheredMetric:
        return self


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
