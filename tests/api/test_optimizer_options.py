"""Optimizers in a model that trains: schedules, averages, accumulation, files."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot import optimizers
from foliot.layers import Dense, Embedding, SimpleRNN
from foliot.models import Sequential, load_model
from foliot.optimizers import schedules

X = np.random.default_rng(5).integers(0, 20, size=(24, 5))
Y = np.random.default_rng(6).integers(0, 2, size=24)


def network(optimizer: Any) -> Sequential:
    model = Sequential([Embedding(20, 6), SimpleRNN(5), Dense(1, activation="sigmoid")])
    model.compile(optimizer=optimizer, loss="binary_crossentropy")
    return model


def bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in arrays]


OPTIONS: list[dict[str, Any]] = [
    {},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "averaged"])
@pytest.mark.parametrize("cls", optimizers._REGISTRY.classes)
def test_a_loaded_model_trains_on_with_the_same_bits(
    cls: type[optimizers.Optimizer], options: dict[str, Any], tmp_path: Path
) -> None:
    optimizer = cls.from_config({"learning_rate": 0.01, "weight_decay": 0.1, **options})
    optimizer.exclude_from_weight_decay(var_names=["bias", "embeddings"])
    model = network(optimizer)
    model.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert bits(loaded.get_weights()) == bits(model.get_weights())
    for net in (model, loaded):
        net.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    assert bits(loaded.get_weights()) == bits(model.get_weights())
    for mine, theirs in zip(model.optimizer.get_slots(), loaded.optimizer.get_slots(), strict=True):
        assert bits(mine) == bits(theirs)


def test_a_schedule_goes_on_in_a_loaded_model(tmp_path: Path) -> None:
    schedule = schedules.CosineDecay(0.0, 9, warmup_target=0.1, warmup_steps=3)
    model = network(optimizers.Adam(schedule))
    model.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    assert model.optimizer.learning_rate == schedule(3) == pytest.approx(0.1)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert loaded.optimizer.learning_rate == model.optimizer.learning_rate
    for net in (model, loaded):
        net.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    assert bits(loaded.get_weights()) == bits(model.get_weights())


def test_fit_ends_with_the_averages() -> None:
    model = network(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5))
    model.build((None, 5))
    start = model.get_weights()
    for _ in range(3):
        model.train_on_batch(X, Y)
    assert bits(model.get_weights()) != bits(model.optimizer.get_slots()[-1])
    model.fit(X, Y, batch_size=24, verbose=0)
    assert model.optimizer.slot_names() == ["average"]
    assert bits(model.get_weights()) == bits(model.optimizer.get_slots()[-1])
    assert bits(model.get_weights()) != bits(start)


def test_batches_that_are_accumulated_are_one_batch() -> None:
    whole, parts = network(optimizers.SGD(0.5)), network(optimizers.SGD(0.5, gradient_accumulation_steps=3))
    for model in (whole, parts):
        model.build((None, 5))
    parts.set_weights(whole.get_weights())
    start = bits(parts.get_weights())
    whole.train_on_batch(X, Y)
    for step in range(3):
        assert bits(parts.get_weights()) == start
        parts.train_on_batch(X[8 * step : 8 * step + 8], Y[8 * step : 8 * step + 8])
    assert parts.optimizer.iterations == 1
    for mine, theirs in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_excluded_weights_keep_their_size() -> None:
    # A decay so strong that one step takes half of a weight.
    optimizer = optimizers.SGD(1e-6, weight_decay=5e5)
    optimizer.exclude_from_weight_decay(var_names=["^kernel"])
    model = network(optimizer)
    model.build((None, 5))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    for weight, start, after in zip(model.weights, before, model.get_weights(), strict=True):
        expected = start if weight.name == "kernel" else start / 2
        np.testing.assert_allclose(after, expected, atol=1e-5, err_msg=weight.name)


def test_muon_leaves_weights_out_by_path(tmp_path: Path) -> None:
    """What goes by Adam has a velocity: vectors, embeddings, and the layers that are named; a file keeps which."""
    parts = [Embedding(20, 4, name="embedding"), SimpleRNN(3, name="read"), Dense(3, name="hidden")]
    model = Sequential([*parts, Dense(1, name="output")], name="reader")
    optimizer = optimizers.Muon(exclude_layers=["^reader/output/"])
    model.compile(optimizer, "mse")
    model.fit(X, Y, verbose=0)
    known = model.weight_paths()
    paths = [known[weight] for weight in model.weights]
    by_adam = {path for path, velocity in zip(paths, optimizer.get_slots()[1], strict=True) if velocity.size}
    expected = ["embedding/embeddings", "read/simple_rnn_cell/bias", "hidden/bias", "output/kernel", "output/bias"]
    assert by_adam == {f"reader/{path}" for path in expected}
    model.save(tmp_path / "model.foliot")
    copies = [load_model(tmp_path / "model.foliot"), pickle.loads(pickle.dumps(model))]
    for one in (model, *copies):
        one.fit(X, Y, verbose=0)
    for copy in copies:
        assert bits(copy.get_weights()) == bits(model.get_weights())
