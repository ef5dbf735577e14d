"""Metrics of a user's own classes, written as for Keras."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot import Input, metrics
from foliot.callbacks import Callback
from foliot.layers import Dense
from foliot.models import Sequential, clone_model, load_model

RANDOM = np.random.default_rng(5)
X, Y, W = RANDOM.normal(size=(10, 3)), RANDOM.normal(size=(10, 1)), RANDOM.uniform(0.5, 2, 10)


class MeanDistance(metrics.Metric):
    """The mean of absolute errors to a power."""

    def __init__(self, power: float = 1.0, name: str = "mean_distance", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.power = power
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros", shape=())

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        errors = np.abs(y_true - y_pred)[:, 0] ** self.power
        weights = np.ones(len(errors)) if sample_weight is None else sample_weight
        self.total.assign_add(np.sum(errors * weights))
        self.count.assign(self.count + weights.sum())

    def result(self) -> Any:
        return self.total / self.count

    def reset_state(self) -> None:
        self.total.assign(0.0)
        self.count.assign(0.0)


class Doubled(metrics.MeanAbsoluteError):
    def result(self) -> Any:
        return 2 * super().result()


class Both(Doubled):
    """Gathers what its base does, and in variables of several shapes and types."""

    def __init__(self, name: str = "both", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.counts = self.add_weight((2, 3), dtype="int64", name="counts")
        self.largest = self.add_weight(dtype="float64", name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, y_pred, sample_weight)
        self.counts.assign_add(np.arange(6).reshape(2, 3) + 2**60)
        self.largest.assign(np.maximum(self.largest, np.abs(y_pred).max() / 3))

    def result(self) -> Any:
        return super().result() + float(self.largest) + float((self.counts.numpy() % 1000).sum())


def _model(**options: Any) -> Sequential:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse", **options)
    return model


def test_it_measures_as_foliots_own() -> None:
    own = MeanDistance()
    model = _model(metrics=[own, MeanDistance(2.0, name="square"), Doubled(name="doubled"), "mae"])
    logs = model.evaluate(X, Y, batch_size=4, verbose=0, return_dict=True)
    assert list(logs) == sorted(logs)
    np.testing.assert_allclose(logs["mean_distance"], logs["mae"], rtol=1e-6)
    np.testing.assert_allclose(logs["doubled"], 2 * logs["mae"], rtol=1e-6)
    np.testing.assert_allclose(logs["square"], logs["loss"], rtol=1e-6)
    assert float(own.result()) == logs["mean_distance"]


def test_weights_epochs_and_validation() -> None:
    model = _model(weighted_metrics=[MeanDistance(), "mae"], metrics=[MeanDistance])
    history = model.fit(X, Y, sample_weight=W, validation_split=0.3, epochs=3, batch_size=4, verbose=0).history
    np.testing.assert_allclose(history["weighted_mean_distance"], history["mae"], rtol=1e-6)
    np.testing.assert_allclose(history["val_weighted_mean_distance"], history["val_mae"], rtol=1e-6)
    assert not np.allclose(history["mean_distance"], history["mae"])
    model.train_on_batch(X, Y)


def test_files_and_clones(tmp_path: Path) -> None:
    model = _model(metrics=[MeanDistance(2.0), Doubled])
    expected = model.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "m")
    own = {"MeanDistance": MeanDistance, "Doubled": Doubled}
    loaded = load_model(tmp_path / "m", custom_objects=own)
    assert loaded.evaluate(X, Y, verbose=0) == expected
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    assert clone.evaluate(X, Y, verbose=0) == expected
    with pytest.raises(ValueError, match="MeanDistance"):
        load_model(tmp_path / "m")


def test_variables() -> None:
    metric = MeanDistance()
    assert [variable.name for variable in metric.variables] == ["total", "count"]
    with pytest.raises(ValueError, match="`value`: expected shape"):
        metric.total.assign([1.0, 2.0])
    ones = metric.add_weight((2,), "ones", "int32")
    ones.assign_sub(3)
    assert (ones.numpy().tolist(), ones[0], ones.dtype, float(np.sum(ones))) == ([-2, -2], -2, np.int32, -4)
    with pytest.raises(TypeError, match=r"total.*assign_add"):
        metric.total += 1
    with pytest.raises(TypeError, match="assign"):
        np.add(ones, 1, out=ones)
    metrics.Metric.reset_state(metric)
    assert ones.value.tolist() == [0, 0]


def test_an_evaluation_within_an_epoch_leaves_what_it_has_gathered() -> None:
    class Evaluate(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.evaluate(X[:3], Y[:3], batch_size=2, verbose=0)

    for make in (MeanDistance, Doubled, Both):
        histories = []
        for callbacks in ([], [Evaluate()]):
            model = _model(metrics=[make(), "mae"])
            model.set_weights([np.full((3, 1), 0.5), np.zeros(1)])
            fitted = model.fit(X, Y, epochs=2, batch_size=3, shuffle=False, callbacks=callbacks, verbose=0)
            histories.append(fitted.history)
        assert histories[0] == histories[1]


class Bias(metrics.Mean):
    """As a script for Keras writes it."""

    made = 0

    def __init__(self, name: str = "bias", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        type(self).made += 1

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(y_pred - y_true, sample_weight)


class Total(metrics.Sum):
    pass


def test_a_mean_of_what_a_class_makes_of_targets_and_predictions() -> None:
    model = _model(metrics=[Bias], weighted_metrics=[Bias(name="weighted")])
    logs = model.evaluate(X, Y, sample_weight=W, batch_size=4, verbose=0, return_dict=True)
    errors = (model.predict(X, verbose=0) - Y)[:, 0]
    np.testing.assert_allclose(logs["bias"], errors.mean(), rtol=1e-5)
    np.testing.assert_allclose(logs["weighted"], (errors * W).sum() / W.sum(), rtol=1e-5)
    for values in (metrics.Mean, metrics.Sum(), Total, Total()):
        with pytest.raises(ValueError, match="`metrics`: expected metrics of targets and predictions, not Mean or Sum"):
            _model(metrics=[values])


def test_an_object_for_each_model_that_is_compiled() -> None:
    Bias.made = 0
    own = MeanDistance()
    model = _model(metrics=[Bias, own])
    assert Bias.made == 1
    clone = clone_model(model)
    clone.evaluate(X, Y + 5, verbose=0)
    assert float(own.count) == 0

    class Other(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            clone.evaluate(X, Y + 5, verbose=0)

    histories = []
    for callbacks in ([], [Other()]):
        model.set_weights([np.full((3, 1), 0.5), np.zeros(1)])
        histories.append(model.fit(X, Y, batch_size=4, shuffle=False, callbacks=callbacks, verbose=0).history)
    assert histories[0] == histories[1]


class Power(MeanDistance):
    """Says nowhere what it was made with."""

    def __init__(self, exponent: float, **kwargs: Any) -> None:
        super().__init__(exponent, **kwargs)


def test_a_metric_that_cannot_say_what_it_was_made_with(tmp_path: Path) -> None:
    model = _model(metrics=[Power(2.0)])
    with pytest.raises(
        ValueError, match="Power: expected a get_config that returns the constructor's arguments, or an"
    ):
        model.save(tmp_path / "m")
    assert "Power" in repr(Power(2.0))
    for one in (model, clone_model(model)):
        logs = one.evaluate(X, Y, verbose=0, return_dict=True)
        np.testing.assert_allclose(logs["mean_distance"], logs["loss"], rtol=1e-6)


class Tally(MeanDistance):
    def result(self) -> Any:
        return {"a": 1.0}


class Nothing(metrics.Metric):
    pass


def test_what_does_not_work_says_so() -> None:
    with pytest.raises(TypeError, match="expected a number from `result` of Tally"):
        _model(metrics=[Tally()]).evaluate(X, Y, verbose=0)
    with pytest.raises(NotImplementedError, match="define update_state and result"):
        _model(metrics=[Nothing()]).evaluate(X, Y, verbose=0)
