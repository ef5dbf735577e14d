"""Callbacks against Keras's: which hooks are called with what, learning rates, when training ends."""

import inspect
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` installs it")

import keras

from foliot import callbacks as ours
from foliot import layers, models, optimizers

theirs = keras.callbacks
X = np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(21, 1)).astype(np.float32)
HOOKS = [name for name in dir(ours.Callback) if name.startswith("on_")]
FIRST = [np.linspace(-1, 1, 3, dtype=np.float32)[:, None], np.zeros(1, np.float32)]


def both(learning_rate: float = 0.1):
    """The same model twice."""
    our = models.Sequential([layers.Dense(1)])
    our.compile(optimizers.SGD(learning_rate), "mse", metrics=["mae"])
    their = keras.Sequential([keras.layers.Dense(1)])
    their.compile(keras.optimizers.SGD(learning_rate), "mse", metrics=["mae"])
    for model in (our, their):
        model.build((None, 3))
        model.set_weights(FIRST)
    return (our, ours), (their, theirs)


def recorder(module, calls):
    """A callback that notes every hook with its numbers and values."""

    def note(hook):
        def called(self, *arguments, **named):
            values = [*arguments, *named.values()]
            logs = values[-1] if isinstance(values[-1], dict) else {}
            numbers = {name: np.asarray(value).shape if name == "outputs" else value for name, value in logs.items()}
            calls.append((hook, [value for value in values if isinstance(value, int)], numbers))

        return called

    return type("Recorder", (module.Callback,), {hook: note(hook) for hook in HOOKS if "on_batch" not in hook})()


def assert_same_calls(first, second):
    assert [call[:2] for call in first] == [call[:2] for call in second]
    for (hook, numbers, mine), (_, _, other) in zip(first, second, strict=True):
        if hook == "on_predict_batch_end":
            continue  # how predictions are cut into batches is foliot's choice; outputs are compared elsewhere
        assert list(mine) == list(other), (hook, numbers)
        for name, value in mine.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-4, atol=1e-6, err_msg=f"{hook} {numbers} {name}")


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 2, "batch_size": 8},
        {"epochs": 3, "batch_size": 8, "validation_split": 0.3, "initial_epoch": 1},
        {"epochs": 3, "batch_size": 5, "validation_data": (X[:7], Y[:7]), "validation_freq": 2},
        {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2, "validation_data": (X, Y), "validation_steps": 1},
    ],
)
def test_the_hooks_of_fit(options):
    found = []
    for model, module in both():
        calls = []
        model.fit(X, Y, shuffle=False, verbose=0, callbacks=[recorder(module, calls)], **options)
        found.append(calls)
    assert_same_calls(*found)


def test_the_hooks_of_evaluate_and_predict():
    found = []
    for model, module in both():
        calls = []
        model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[recorder(module, calls)])
        model.predict(X, batch_size=8, verbose=0, callbacks=[recorder(module, calls)])
        found.append(calls)
    assert_same_calls(*found)


def test_stopping_within_an_epoch():
    found = []
    for model, module in both():
        calls = []

        def stop(batch, logs, model=model):
            model.stop_training = batch == 1

        callbacks = [module.LambdaCallback(on_train_batch_end=stop), recorder(module, calls)]
        model.fit(X, Y, epochs=3, batch_size=4, shuffle=False, verbose=0, callbacks=callbacks, validation_split=0.2)
        found.append(calls)
    assert_same_calls(*found)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, lr: lr * 0.5,
        lambda epoch: 0.3 / (epoch + 1),
        lambda epoch, lr: float(lr * np.exp(-0.1)) if epoch > 1 else lr,
    ],
)
def test_scheduled_learning_rates(schedule):
    histories = [
        model.fit(X, Y, epochs=5, shuffle=False, verbose=0, callbacks=[module.LearningRateScheduler(schedule)]).history
        for model, module in both()
    ]
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, err_msg=name)


values = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.00005, 1.5, 2.0, 3.0, float("nan")]), min_size=1, max_size=12)


class Made:
    """Stands in for the epochs' values."""

    def __init__(self, sequence):
        self.sequence = sequence

    def __call__(self, epoch, logs):
        logs["made"] = self.sequence[epoch]


@given(
    values,
    st.fixed_dictionaries(
        {"mode": st.sampled_from(["min", "max"])},
        optional={
            "factor": st.sampled_from([0.1, 0.5, 0.9]),
            "patience": st.integers(0, 3),
            "min_delta": st.sampled_from([0.0, 1e-4, 0.6]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 1e-3, 0.02]),
        },
    ),
)
@settings(max_examples=15)
def test_reduced_learning_rates(sequence, options):
    curves = []
    for (model, module), optimizer in zip(both(), (optimizers.SGD(0.1), keras.optimizers.SGD(0.1)), strict=True):
        model.optimizer = optimizer
        callback = module.ReduceLROnPlateau("made", **{"patience": 1} | options)
        callback.set_model(model)
        callback.on_train_begin()
        curve = []
        for epoch in range(len(sequence)):
            logs = {}
            Made(sequence)(epoch, logs)
            callback.on_epoch_end(epoch, logs)
            curve.append((logs["learning_rate"], float(optimizer.learning_rate), callback.wait, callback.in_cooldown()))
        curves.append(curve)
    np.testing.assert_allclose(*curves, rtol=1e-5)


def test_csv_files(tmp_path):
    tables = []
    for number, (model, module) in enumerate(both()):
        path = tmp_path / f"{number}.csv"
        log = module.CSVLogger(str(path), append=True)
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0, callbacks=[log])
        model.fit(X, Y, epochs=1, shuffle=False, verbose=0, callbacks=[log])
        tables.append([line.split(",") for line in path.read_text().splitlines()])
    assert tables[0][0] == tables[1][0]
    for mine, other in zip(tables[0][1:], tables[1][1:], strict=True):
        assert [cell == "NA" for cell in mine] == [cell == "NA" for cell in other]
        numbers = [[float(cell) for cell in row if cell != "NA"] for row in (mine, other)]
        np.testing.assert_allclose(*numbers, rtol=1e-4)


NAMES = sorted(set(ours.__all__) - {"Callback", "History"})


@pytest.mark.parametrize("name", NAMES)
def test_names_and_defaults(name):
    mine = inspect.signature(getattr(ours, name)).parameters
    other = inspect.signature(getattr(theirs, name)).parameters
    wanted = [(key, value.default) for key, value in other.items() if value.kind != value.VAR_KEYWORD]
    ordinary = [value for value in mine.values() if value.kind not in (value.VAR_KEYWORD, value.KEYWORD_ONLY)]
    assert [(value.name, value.default) for value in ordinary] == wanted
