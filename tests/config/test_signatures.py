"""Every public class that has a configuration: its keys are the constructor's parameters, all of them."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

from foliot import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from foliot._serialization import Configurable
from foliot.layers.base import Layer
from foliot.optimizers import schedules

# Parameters that are another spelling of one that is kept, or are used up when the weights are made.
SPENT = {"lr", "weights", "shape", "batch_size"}
# What every layer takes through **kwargs.
COMMON = {"name", "trainable", "dtype", "activity_regularizer"}
BASES = {
    Layer,
    constraints.Constraint,
    initializers.Initializer,
    losses.Loss,
    metrics.Metric,
    optimizers.Optimizer,
    regularizers.Regularizer,
    schedules.LearningRateSchedule,
}
VALUES: dict[str, Any] = {
    "boundaries": [3],
    "values": [0.5, 0.25],
    "layer": layers.LSTM(2),
    "cell": layers.LSTMCell(2),
    "cells": [layers.GRUCell(2)],
    "activation": "tanh",
    "fn": losses.mean_squared_error,
    "target_shape": [2],
    "batch_shape": [None, 2],
    "dims": [2, 1],
    "axes": 1,
}


def public_classes() -> Iterator[type[Configurable]]:
    for module in (constraints, initializers, layers, losses, metrics, optimizers, regularizers, schedules):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, Configurable) and value not in BASES:
                yield value


CLASSES = sorted(set(public_classes()), key=lambda cls: (cls.__module__, cls.__name__))


def made(cls: Any) -> Any:
    """An object of the class, with 0.5 or 2 for what has no default."""
    if cls is layers.InputLayer:
        return cls((2,))
    required = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    size = 2 if issubclass(cls, Layer) and not {"rate", "stddev"} & set(required) else 0.5
    return cls(**{name: VALUES.get(name, size) for name in required})


def test_no_class_is_left_out() -> None:
    assert len(CLASSES) > 100
    modules = (constraints, initializers, losses, metrics, optimizers, regularizers, schedules)
    tables = {cls for module in modules for cls in module._REGISTRY.classes}  # type: ignore[attr-defined]
    assert tables | set(layers.LAYERS.classes) <= set(CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
class TestEveryClass:
    def test_the_configuration_holds_the_constructors_parameters(self, cls: Any) -> None:
        config = made(cls).get_config()
        listed = inspect.signature(cls).parameters.values()
        expected = {parameter.name for parameter in listed if parameter.kind is not inspect.Parameter.VAR_KEYWORD}
        received = set(config)
        if issubclass(cls, Layer):
            expected |= COMMON if cls is not layers.InputLayer else set()
            # Numbers that texts became have no gradient.
            expected -= {"activity_regularizer"} if cls in (layers.StringLookup, layers.TextVectorization) else set()
            # Keras, of whichever version, writes these for recurrent layers, too, and takes them back.
            received -= {"zero_output_for_mask", "time_major"} - expected
        assert received == expected - SPENT
        json.dumps(config, allow_nan=False)

    def test_it_makes_an_equal_object(self, cls: Any) -> None:
        text = json.dumps(made(cls).get_config())
        assert json.dumps(cls.from_config(json.loads(text)).get_config()) == text

    def test_an_unknown_key_is_refused_with_its_name(self, cls: Any) -> None:
        config = made(cls).get_config()
        with pytest.raises((ValueError, TypeError), match="unheard_of"):
            cls.from_config(config | {"unheard_of": 1})
