"""Optimizers and learning rate schedules against an installed Keras."""

import inspect
import os
from typing import Any

import numpy as np
import pytest

from foliot import optimizers
from foliot.optimizers import schedules

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` brings it")

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "decay_rate": 0.6, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "decay_rate": 0.6, "staircase": True}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 9}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 9, "power": 2.5, "cycle": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 9, 20], "values": [0.1, 0.05, 0.2, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [3.7], "values": [0.1, 0.05]}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 9, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 9, "warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 9, "warmup_target": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.0, "m_mul": 0.9}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "alpha": 0.2, "m_mul": 0.8}),
]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedules(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = getattr(schedules, name)(**arguments), getattr(keras.optimizers.schedules, name)(**arguments)
    for step in range(40):
        # Keras's logarithm may miss a restart by a rounding of float32.
        if name != "CosineDecayRestarts" or step not in (5, 15, 35):
            assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8), step


@pytest.mark.parametrize("cls", schedules._REGISTRY.classes)
def test_signatures_and_configurations(cls: Any) -> None:
    theirs = getattr(keras.optimizers.schedules, cls.__name__)
    assert [(p.name, p.default) for p in inspect.signature(cls).parameters.values()] == [
        (p.name, p.default) for p in inspect.signature(theirs).parameters.values()
    ]
    arguments = next(arguments for name, arguments in SCHEDULES if name == cls.__name__)
    config = keras.optimizers.schedules.serialize(theirs(**arguments))
    assert schedules.deserialize(config) == cls(**arguments)


def test_a_schedule_in_an_optimizer_of_keras() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.25)
    ours = optimizers.deserialize(keras.optimizers.serialize(keras.optimizers.Adam(schedule)))
    assert ours.learning_rate == 0.5
    ours.iterations = 2
    assert ours.learning_rate == 0.125


CASES: list[tuple[str, dict[str, Any]]] = [
    *((cls.__name__, {}) for cls in optimizers._REGISTRY.classes),
    ("AdamW", {"amsgrad": True, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 4}),
    ("Nadam", {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7}),
    ("Muon", {"exclude_layers": ["dense_1"], "adam_lr_ratio": 0.5, "adam_weight_decay": None, "nesterov": False}),
    ("Muon", {"weight_decay": None, "rms_rate": None, "ns_steps": 3, "clipnorm": 0.5, "muon_a": 3.0}),
    ("ScheduleFreeAdamW", {"warmup_steps": 4, "weight_decay": 0.1, "beta_1": 0.6}),
    ("Lion", {"weight_decay": 0.1, "clipnorm": 0.3}),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_ten_steps_of_a_model(name: str, arguments: dict[str, Any]) -> None:
    """Both sides through their public classes, on a model whose gradients are no sums that could round to 0."""
    import foliot

    random = np.random.default_rng(9)
    x, y = random.normal(size=(16, 6)).astype(np.float32), random.normal(size=(16, 3)).astype(np.float32)
    weights = [random.normal(size=shape).astype(np.float32) for shape in ((6, 5), (5,), (5, 3), (3,))]
    given = {"learning_rate": 0.02, **arguments}
    ends = []
    for library in (foliot, keras):
        library.utils.clear_session()  # for names of layers that both have
        layers = [library.layers.Dense(5, activation="tanh"), library.layers.Dense(3)]
        model = library.models.Sequential([library.layers.Input((6,)), *layers])
        optimizer = getattr(library.optimizers, name)(**given)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer=optimizer, loss="mse")
        model.set_weights(weights)
        model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
        ends.append(model.get_weights())
    for mine, theirs, start in zip(*ends, weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
        assert not np.array_equal(mine, start)
