"""LearningRateScheduler and ReduceLROnPlateau; Keras's curves are in tests/peers."""

import numpy as np
import pytest

from foliot.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau


class Rates(Callback):
    """The learning rate of each epoch, as training uses it, and the epoch's values as a later callback sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []
        self.logs: list[dict[str, float]] = []

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if batch == 0:
            self.rates.append(self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.logs.append(dict(logs))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, lr: lr if epoch < 2 else lr * 0.5, [0.001, 0.001, 0.0005, 0.00025]),
        (lambda epoch: 0.1 / (epoch + 1), [0.1, 0.05, 0.1 / 3, 0.025]),
        (lambda epoch, lr: np.float32(0.25), [0.25] * 4),
    ],
)
def test_schedules(model, tokens, schedule, expected) -> None:
    rates = Rates()
    history = model.fit(*tokens, epochs=4, verbose=0, callbacks=[LearningRateScheduler(schedule), rates])
    assert rates.rates == pytest.approx(expected)
    assert history.history["learning_rate"] == pytest.approx(expected)
    assert [logs["learning_rate"] for logs in rates.logs] == pytest.approx(expected)


def test_a_schedule_says_so(model, tokens, capsys) -> None:
    model.fit(*tokens, epochs=2, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.5, verbose=1)])
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "Epoch 1: LearningRateScheduler setting learning rate to 0.5.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.5.",
    ]


def test_schedules_that_cannot_be_used(model, tokens) -> None:
    with pytest.raises(TypeError, match="`schedule`: expected a function"):
        LearningRateScheduler(0.1)  # type: ignore[arg-type]
    for bad in (lambda epoch: 1, lambda epoch: None, lambda epoch: "0.1"):
        with pytest.raises(ValueError, match="`schedule`: expected a function that returns a float"):
            model.fit(*tokens, verbose=0, callbacks=[LearningRateScheduler(bad)])
    # A fault of the schedule's own is not taken for another signature.
    with pytest.raises(TypeError, match="unsupported operand"):
        model.fit(*tokens, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, lr: lr + "a")])


class FakeOptimizer:
    learning_rate = 1.0


class FakeModel:
    def __init__(self) -> None:
        self.optimizer = FakeOptimizer()

    def metric_direction(self, name: str) -> str | None:
        return {"loss": "min", "acc": "max"}.get(name)


def drive(callback: ReduceLROnPlateau, values: list[float]) -> list[float]:
    """The learning rate after each epoch of made-up values."""
    fake = FakeModel()
    callback.set_model(fake)  # type: ignore[arg-type]
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {callback.monitor: value})
        rates.append(fake.optimizer.learning_rate)
    return rates


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 2, 2], [1, 1, 1, 0.1, 0.1, 0.01]),
        ({"patience": 1, "factor": 0.5}, [3, 4, 4, 2, 4], [1, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 1, "min_delta": 1}, [3, 2.5, 1.4, 1], [1, 0.1, 0.1, 0.01]),
        ({"patience": 1, "epsilon": 1}, [3, 2.5, 1.4, 1], [1, 0.1, 0.1, 0.01]),
        ({"patience": 1, "cooldown": 2}, [1, 1, 1, 1, 1, 1], [1, 0.1, 0.1, 0.01, 0.01, 0.001]),
        ({"patience": 1, "min_lr": 0.2}, [1, 1, 1], [1, 0.2, 0.2]),
        ({"patience": 1, "monitor": "val_acc"}, [1, 2, 1.5, 3], [1, 1, 0.1, 0.1]),
        ({"patience": 1, "mode": "max"}, [1, 2, 1.5, 3], [1, 1, 0.1, 0.1]),
        ({"patience": 1}, [float("nan"), float("nan")], [1, 0.1]),
    ],
)
def test_plateaus(options, values, expected) -> None:
    callback = ReduceLROnPlateau(**options)
    assert drive(callback, values) == pytest.approx(expected)
    # It begins anew with each training.
    assert drive(callback, values) == pytest.approx(expected)


def test_the_least_rate_is_reached_once(capsys) -> None:
    callback = ReduceLROnPlateau("loss", patience=1, min_lr=1e-4, factor=0.01, verbose=1)
    assert drive(callback, [1, 1, 1, 1, 1])[-1] == 1e-4
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.01.",
        "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.0001.",
    ]


def test_a_missing_value_warns(model, tokens) -> None:
    with pytest.warns(UserWarning, match="ReduceLROnPlateau watches 'val_loss', which is not among acc, loss"):
        history = model.fit(*tokens, verbose=0, callbacks=[ReduceLROnPlateau()])
    assert history.history["learning_rate"] == [0.001]


@pytest.mark.parametrize(
    "options", [{"factor": 1.0}, {"factor": -0.1}, {"patience": -1}, {"cooldown": -1}, {"min_lr": -1.0}]
)
def test_what_is_refused(options) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        ReduceLROnPlateau(**options)
