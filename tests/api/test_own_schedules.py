"""Learning rate schedules of a user's own, which are asked in Python before each step."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot import Input
from foliot.callbacks import LambdaCallback
from foliot.layers import GRU, Dense
from foliot.models import Sequential, load_model
from foliot.optimizers import SGD, Adam
from foliot.optimizers.schedules import ExponentialDecay, LearningRateSchedule

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(12, 4, 3)), RANDOM.normal(size=(12, 1))


class Halving(LearningRateSchedule):
    """What ExponentialDecay is, by hand."""

    def __init__(self, rate: float = 0.125) -> None:
        super().__init__()
        self.rate = rate

    def __call__(self, step: Any) -> Any:
        return self.rate * 0.5**step


class WarmUp(LearningRateSchedule):
    """The Transformer's, as Keras's tutorial writes it."""

    def __init__(self, d_model: int, warmup_steps: int = 4000) -> None:
        super().__init__()
        self.d_model = np.float32(d_model)
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        step = np.asarray(step, np.float32)
        return self.d_model**-0.5 * np.minimum(step**-0.5, step * self.warmup_steps**-1.5)


def _model(optimizer: Any) -> Sequential:
    from foliot.utils import set_random_seed

    set_random_seed(1)
    model = Sequential([Input((None, 3)), GRU(2), Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("make", [SGD, Adam, lambda rate: SGD(rate, gradient_accumulation_steps=2)])
def test_it_trains_as_the_same_formula_of_foliots(make: Any) -> None:
    mine, other = _model(make(Halving())), _model(make(ExponentialDecay(0.125, 1, 0.5)))
    for model in (mine, other):
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
        model.train_on_batch(X, Y)
    for one, another in zip(mine.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)
    assert mine.optimizer.learning_rate == other.optimizer.learning_rate == 0.125 * 0.5**7


def test_the_warm_up_of_the_transformer_begins_at_zero() -> None:
    rates: list[float] = []
    model = _model(Adam(WarmUp(16, 4)))
    note = LambdaCallback(on_train_batch_begin=lambda batch, logs: rates.append(model.optimizer.learning_rate))
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=[note])
    np.testing.assert_allclose(rates, [0, *(0.25 * min(n**-0.5, n / 8) for n in range(1, 6))], rtol=1e-6)


def test_files_and_copies(tmp_path: Path) -> None:
    model = _model(Adam(Halving(0.25)))
    model.fit(X, Y, batch_size=4, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"Halving": Halving})
    copied = pickle.loads(pickle.dumps(model))
    for other in (loaded, copied):
        assert other.optimizer.learning_rate == 0.25 * 0.5**3
    for one in (model, loaded, copied):
        one.train_on_batch(X, Y)
    for weight, same, too in zip(model.get_weights(), loaded.get_weights(), copied.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)
        np.testing.assert_array_equal(weight, too)
    with pytest.raises(ValueError, match="Halving"):
        load_model(tmp_path / "m")
    assert load_model(tmp_path / "m", compile=False).optimizer is None


class Hidden(Halving):
    def __init__(self, secret: float = 0.1) -> None:
        super().__init__(secret)


class Odd(LearningRateSchedule):
    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __call__(self, step: Any) -> Any:
        return self.value


def test_what_does_not_work_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Hidden: expected a get_config"):
        _model(SGD(Hidden())).save(tmp_path / "m")
    for value in (None, -1.0, float("nan"), [0.1, 0.2], "x"):
        with pytest.raises(ValueError, match=r"`learning_rate`: .*from Odd for step 0"):
            _model(SGD(Odd(value))).fit(X, Y, verbose=0)
    steps = Sequential([Input((None, 3)), GRU(1, return_sequences=True)])
    steps.compile(SGD(Halving()), "mse")
    called: list[Any] = []
    begun = LambdaCallback(on_train_begin=called.append)
    with pytest.raises(ValueError, match="`tbptt`: expected None beside a learning rate schedule of yours"):
        steps.fit(X, X[..., :1], tbptt=2, verbose=0, callbacks=[begun])
    assert not called
    optimizer = _model(SGD(ExponentialDecay(0.1, 1, 0.5))).optimizer
    _ = optimizer.native
    with pytest.raises(TypeError, match="Make the optimizer with yours"):
        optimizer.learning_rate = Halving()
