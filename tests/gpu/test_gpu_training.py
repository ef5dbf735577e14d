"""Training steps on an adapter beside the same steps on the CPU, through the Python API."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foliot
from foliot import layers, optimizers
from foliot.models import Sequential, load_model

from .adapter import ADAPTER, NAME

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, epsilon=1e-3),
    "adam": lambda: optimizers.Adam(0.01, epsilon=1e-4),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True, epsilon=1e-4),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1, epsilon=1e-4),
    "clipnorm": lambda: optimizers.SGD(0.5, clipnorm=0.05),
    "global_clipnorm": lambda: optimizers.SGD(0.5, global_clipnorm=0.05),
    "clipvalue": lambda: optimizers.SGD(0.5, clipvalue=0.01),
    "decay": lambda: optimizers.SGD(lr=0.1, decay=0.5),
}

IDS = np.random.default_rng(0).integers(0, 30, size=(20, 9)).astype(np.int32)
LABELS = (np.arange(20) % 2).astype(np.float32)


def reviews(optimizer: Any, **options: Any) -> Sequential:
    """A small classifier of token sequences."""
    foliot.utils.set_random_seed(5)
    model = Sequential(
        [
            foliot.Input((None,), dtype="int32"),
            layers.Embedding(30, 6, mask_zero=True),
            layers.LSTM(8, return_sequences=True),
            layers.Dropout(0.25),
            layers.Bidirectional(layers.GRU(5)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], **options)
    return model


def trained(device: str, optimizer: Any) -> tuple[Sequential, dict[str, list[float]]]:
    """The model after two epochs on a device."""
    with foliot.device(device):
        model = reviews(optimizer)
        history = model.fit(IDS, LABELS, batch_size=8, epochs=2, verbose=0, shuffle=False)
    return model, history.history


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_after_training_are_those_of_the_cpu(name: str) -> None:
    (cpu, losses), (gpu, same) = (trained(device, OPTIMIZERS[name]()) for device in ("cpu", NAME))
    for key, values in losses.items():
        np.testing.assert_allclose(same[key], values, rtol=1e-4)
    for expected, actual in zip(cpu.get_weights(), gpu.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)
    with foliot.device(NAME):
        on_gpu = cpu.predict(IDS, verbose=0)
    np.testing.assert_allclose(on_gpu, cpu.predict(IDS, verbose=0), rtol=0, atol=1e-5)


def test_runs_repeat_bit_for_bit() -> None:
    first, second = (trained(NAME, optimizers.Adam(0.01))[0].get_weights() for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_goes_on_elsewhere(tmp_path: Path) -> None:
    """Trained on one device, saved, continued on the other; slots come along."""
    whole, _ = trained("cpu", optimizers.Adam(0.01, epsilon=1e-4))
    with foliot.device(NAME):
        model = reviews(optimizers.Adam(0.01, epsilon=1e-4))
        model.fit(IDS, LABELS, batch_size=8, epochs=1, verbose=0, shuffle=False)
        model.save(tmp_path / "model.foliot")
    foliot.config.set_device("cpu")
    try:
        for continued in (load_model(tmp_path / "model.foliot"), model):
            continued.fit(IDS, LABELS, batch_size=8, epochs=1, verbose=0, shuffle=False)
            for expected, actual in zip(whole.get_weights(), continued.get_weights(), strict=True):
                np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4)
    finally:
        foliot.config.set_device("auto")


def test_weights_that_are_set_count() -> None:
    with foliot.device(NAME):
        model = reviews("sgd")
        model.train_on_batch(IDS, LABELS)
        model.set_weights([weight * 0 for weight in model.get_weights()])
        np.testing.assert_array_equal(model.predict(IDS, verbose=0), np.full((20, 1), 0.5, np.float32))


def test_states_are_carried() -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    results = {}
    for device in ("cpu", NAME):
        foliot.utils.set_random_seed(1)
        with foliot.device(device):
            model = Sequential([foliot.Input(batch_shape=(2, None, 3)), layers.LSTM(4, stateful=True)])
            model.predict(x[:, :3], verbose=0)
            results[device] = model.predict(x[:, 3:], verbose=0)
    np.testing.assert_allclose(results[NAME], results["cpu"], rtol=0, atol=1e-5)


def test_what_a_gpu_does_not_have_is_refused_by_name() -> None:
    model = Sequential([foliot.Input((4, 3)), layers.Conv1D(2, 2, name="windows"), layers.GlobalMaxPooling1D()])
    with (
        foliot.device(NAME),
        pytest.raises(ValueError, match=r"`windows.*GPU .* has; received Conv1D 'windows': a kind without"),
    ):
        model.predict(np.zeros((2, 4, 3), np.float32), verbose=0)
    for optimizer in (optimizers.Lion(), optimizers.ScheduleFreeAdamW()):
        received = type(optimizer).__name__
        with foliot.device(NAME), pytest.raises(ValueError, match=rf"`optimizer`: .*GPU .* has; received {received}"):
            reviews(optimizer).train_on_batch(IDS, LABELS)


UNKNOWN: dict[str, tuple[Any, str]] = {
    "zoneout": (lambda **names: layers.LSTM(2, zoneout=0.1, **names), "zoneout"),
    "zoneout_cell": (lambda **names: layers.LSTM(2, zoneout_cell=0.1, **names), "zoneout_cell"),
    "use_peepholes": (lambda **names: layers.LSTM(2, use_peepholes=True, **names), "use_peepholes"),
    "heads": (lambda **names: layers.GRU(2, heads=2, **names), "heads"),
    "proj_size": (lambda **names: layers.LSTM(2, proj_size=1, **names), "proj_size"),
    "checkpoint_every": (lambda **names: layers.GRU(2, checkpoint_every=2, **names), "checkpoint_every"),
    "activation": (lambda **names: layers.SimpleRNN(2, activation="softmax", **names), "activation"),
    "recurrent_activation": (
        lambda **names: layers.GRU(2, recurrent_activation="softmax", **names),
        "recurrent_activation",
    ),
    "layer_norm_lstm": (lambda **names: layers.LayerNormLSTM(2, **names), "a kind without kernels"),
    "layer_norm_gru": (lambda **names: layers.LayerNormGRU(2, **names), "a kind without kernels"),
    "min_lstm": (lambda **names: layers.MinLSTM(2, **names), "a kind without kernels"),
    "min_gru": (lambda **names: layers.MinGRU(2, **names), "a kind without kernels"),
    "prelu": (layers.PReLU, "a kind without kernels"),
    "kernel_regularizer": (lambda **names: layers.Dense(2, kernel_regularizer="l2", **names), "regularizer"),
    "kernel_constraint": (lambda **names: layers.Dense(2, kernel_constraint="max_norm", **names), "constraint"),
    "activity_regularizer": (
        lambda **names: layers.Dense(2, activity_regularizer="l2", **names),
        "activity regularizer",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_layers_and_options_without_a_kernel_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Demanded: an error; taken by itself: one warning, and the CPU's numbers."""
    from foliot import _devices

    make, option = UNKNOWN[name]
    x = np.random.default_rng(2).normal(size=(2, 4, 3)).astype(np.float32)
    layer = make(name="strange")
    model = Sequential([foliot.Input((4, 3)), layer])
    described = f"{type(layer).__name__} 'strange': .*{option}"
    with foliot.device("cpu"):
        expected = model.predict(x, verbose=0)
    with foliot.device(NAME), pytest.raises(ValueError, match=rf"`strange.*GPU .* has; received {described}"):
        model.predict(x, verbose=0)
    monkeypatch.setattr(_devices, "_automatic", lambda _weights: foliot.devices()[ADAPTER])
    with foliot.device("auto"):
        with pytest.warns(UserWarning, match=f"runs on the CPU.* does not have {described}") as warned:
            actual = model.predict(x, verbose=0)
        assert len(warned) == 1
    np.testing.assert_array_equal(actual, expected)


def test_errors_leave_the_weights() -> None:
    with foliot.device(NAME):
        model = reviews("adam")
        before = model.get_weights()
        with pytest.raises(ValueError, match="token ids"):
            model.train_on_batch(IDS + 20, LABELS)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        model.train_on_batch(IDS, LABELS)


def test_what_is_too_large_is_refused_with_the_limit() -> None:
    limit = min(
        foliot.devices()[ADAPTER].limits[name] for name in ("max_buffer_size", "max_storage_buffer_binding_size")
    )
    features = limit // 8 // 1000
    if features > 1_000_000:
        pytest.skip(f"the adapter binds {limit} bytes, more than a test should allocate")
    model = Sequential([foliot.Input((1000,)), layers.Dense(features * 4)])
    with foliot.device(NAME), pytest.raises(RuntimeError, match=r"max_\w+ of \d+"):
        model.predict(np.zeros((1, 1000), np.float32), verbose=0)
    foliot.config.set_device("auto")
    assert model.predict(np.zeros((1, 1000), np.float32), verbose=0).shape == (1, features * 4)


def test_auto_says_what_a_gpu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    from foliot import _devices

    monkeypatch.setattr(_devices, "_automatic", lambda _weights: foliot.devices()[ADAPTER])
    assert _devices.choose('{"nodes": [], "outputs": [], "parameters": []}', 1, {}).index == ADAPTER
    x = np.zeros((2, 4, 3), np.float32)
    convolving = Sequential([foliot.Input((4, 3)), layers.Conv1D(2, 2, name="windows"), layers.GlobalMaxPooling1D()])
    with pytest.warns(UserWarning, match=r"runs on the CPU.*'windows"):
        convolving.predict(x, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convolving.predict(x, verbose=0)
    model = reviews(optimizers.Lion())
    with pytest.warns(UserWarning, match=r"runs on the CPU.*Lion"):
        model.train_on_batch(IDS, LABELS)


FORKING = """
import os, sys
import foliot
foliot.devices()
child = os.fork()
if child == 0:
    try:
        foliot.devices()
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_is_told_so() -> None:
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, timeout=60)
    assert "forked" in run.stdout
    assert "spawn" in run.stdout
