"""Metrics of a user's own functions: what they are given, how their values become one, and how files name them."""

import inspect
from typing import Any

import numpy as np
import pytest

import foliot
from foliot import Input, Model, losses, metrics
from foliot.callbacks import Callback, EarlyStopping
from foliot.layers import LSTM, Dense, Dropout, Masking
from foliot.models import Sequential, clone_model, load_model

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(10, 3)).astype(np.float32)
Y = RANDOM.normal(size=10)
W = RANDOM.uniform(0.5, 2, 10)


def spread(y_true: Any, y_pred: Any) -> Any:
    return np.abs(y_true.reshape(-1, 1) - y_pred).max(axis=-1)


def batch_mean(y_true: Any, y_pred: Any) -> Any:
    return y_pred.mean()


def dense(**options: Any) -> Sequential:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse", **options)
    return model


def test_a_row_counts_once_and_a_number_once_for_each_batch() -> None:
    model = dense(metrics=[spread, batch_mean], weighted_metrics=[spread])
    logs = model.evaluate(X, Y, batch_size=4, sample_weight=W, verbose=0, return_dict=True)
    predicted = model.predict(X, verbose=0)
    errors = np.abs(Y.astype(np.float32)[:, None] - predicted)[:, 0]
    np.testing.assert_allclose(logs["spread"], errors.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["weighted_spread"], (errors * W).sum() / W.sum(), rtol=1e-6)
    parts = [predicted[start : start + 4].mean() for start in (0, 4, 8)]
    np.testing.assert_allclose(logs["batch_mean"], np.mean(parts), rtol=1e-6)
    assert model.metrics_names == ["loss", "spread", "batch_mean", "weighted_spread"]


def test_the_function_sees_the_users_targets_and_the_outputs_of_the_step() -> None:
    seen: list[Any] = []

    def look(y_true: Any, y_pred: Any) -> float:
        seen.append((y_true, y_pred))
        return 0.0

    model = Sequential([Input((3,)), Dropout(0.5, seed=1), Dense(3, activation="softmax")])
    for targets, loss in (
        (np.arange(10) % 3, "sparse_categorical_crossentropy"),
        ((np.arange(10) % 3)[:, None], "sparse_categorical_crossentropy"),
        (np.eye(3)[np.arange(10) % 3], "categorical_crossentropy"),
    ):
        model.compile("sgd", loss, metrics=[look])
        seen.clear()
        before = model.get_weights()
        model.fit(X, targets, batch_size=10, shuffle=False, verbose=0)
        [(y_true, y_pred)] = seen
        np.testing.assert_array_equal(y_true, targets)
        assert y_true.dtype == (np.float32 if targets.dtype == float else np.int32)
        assert y_pred.dtype == np.float32
        # With dropout on, and before the update.
        model.set_weights(before)
        assert not np.allclose(y_pred, model.predict(X, verbose=0))


def test_shuffled_batches_and_validation() -> None:
    def agreement(y_true: Any, y_pred: Any) -> Any:
        return np.square(y_true - y_pred[:, 0])

    model = dense(metrics=[agreement, "mse"])
    history = model.fit(X, Y, epochs=2, batch_size=3, validation_data=(X[:4], Y[:4]), verbose=0).history
    for name in ("agreement", "val_agreement"):
        np.testing.assert_allclose(history[name], history[name.replace("agreement", "mse")], rtol=1e-5)


def test_masked_steps_are_left_out_of_values_for_each_step() -> None:
    def by_step(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).mean(axis=-1)

    def by_feature(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred)

    def by_row(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).mean(axis=(1, 2))

    x, y = RANDOM.normal(size=(6, 4, 2)), RANDOM.normal(size=(6, 4, 2))
    mask = np.arange(4) < np.array([4, 2, 1, 3, 0, 4])[:, None]
    x[~mask] = 0
    model = Sequential([Masking(), LSTM(2, return_sequences=True)])
    model.compile("sgd", "mse", metrics=[by_step, by_feature, by_row], weighted_metrics=[by_step, "mae"])
    logs = model.evaluate(x, y, sample_weight=W[:6], verbose=0, return_dict=True)
    errors = np.abs(y - model.predict(x, verbose=0)).mean(axis=-1)
    np.testing.assert_allclose(logs["by_step"], errors[mask].mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["by_feature"], errors[mask].mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["by_row"], errors.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["weighted_by_step"], logs["mae"], rtol=1e-5)


def test_several_outputs() -> None:
    entrance = Input((3,))
    model = Model(entrance, [Dense(1, name="p")(entrance), Dense(2, name="q")(entrance)])
    ys = [Y[:, None], RANDOM.normal(size=(10, 2))]

    def error(y_true: Any, y_pred: Any) -> Any:
        return np.square(y_true - y_pred).mean(axis=-1)

    model.compile("sgd", [None, "mse"], metrics={"q": [error, "mse"]})
    logs = model.evaluate(X, ys, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["q_error"], logs["q_mse"], rtol=1e-5)
    model.compile("sgd", "mse", metrics=[[error], ["mse", error]])
    logs = model.evaluate(X, ys, batch_size=4, verbose=0, return_dict=True)
    assert model.metrics_names == ["loss", "p_loss", "q_loss", "p_error", "q_mse", "q_error"]
    np.testing.assert_allclose(logs["q_error"], logs["q_mse"], rtol=1e-5)
    np.testing.assert_allclose(logs["p_error"], logs["p_loss"], rtol=1e-5)


def test_errors_come_out_as_they_are() -> None:
    class OwnError(Exception):
        pass

    def broken(y_true: Any, y_pred: Any) -> Any:
        raise OwnError("here")

    model = dense(metrics=[broken])
    for attempt in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(OwnError, match=r"^here$"):
            attempt(X, Y)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"`metrics`: expected a number, or an array of numbers with 10 rows, from the metric"),
        ("much", TypeError, "`metrics`: expected a number"),
        (None, TypeError, "`metrics`: expected a number"),
    ],
)
def test_wrong_values(returned: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dense(metrics=[lambda y_true, y_pred: returned]).evaluate(X, Y, verbose=0)


def test_a_number_has_no_sample_weights() -> None:
    model = dense(weighted_metrics=[batch_mean])
    assert model.evaluate(X, Y, verbose=0)[1] == pytest.approx(float(model.predict(X, verbose=0).mean()), rel=1e-6)
    with pytest.raises(ValueError, match="`weighted_metrics`: expected an array with a value for each row"):
        model.evaluate(X, Y, sample_weight=W, verbose=0)


class TestNames:
    def test_of_functions_lambdas_and_objects(self) -> None:
        class CallMe:
            def __call__(self, y_true: Any, y_pred: Any) -> float:
                return 1.0

        def Camel(y_true: Any, y_pred: Any) -> float:  # noqa: N802 - Keras puts it into snake case
            return 2.0

        model = dense(metrics=[CallMe(), Camel, Camel, metrics.MeanMetricWrapper(lambda a, b: 3.0, name="three")])
        logs = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert {name: logs[name] for name in logs if name != "loss"} == {
            "call_me": 1.0,
            "camel": 2.0,
            "camel_1": 2.0,
            "three": 3.0,
        }

    def test_no_direction_is_known(self) -> None:
        model = dense(metrics=[spread])
        with pytest.raises(ValueError, match="`mode`: expected 'min' or 'max'"):
            model.fit(X, Y, epochs=2, callbacks=[EarlyStopping("spread")], verbose=0)
        model.fit(X, Y, epochs=2, callbacks=[EarlyStopping("spread", mode="min")], verbose=0)

    def test_foliots_own_functions_stay_native(self) -> None:
        model = dense(metrics=[losses.mse, losses.MAE])
        logs = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert logs["mean_squared_error"] == pytest.approx(logs["loss"], rel=1e-6)
        assert not model._part(model._judged_positions())._own


class TestFiles:
    def test_the_name_stands_for_the_function(self, tmp_path: Any) -> None:
        model = dense(metrics=[spread, metrics.MeanMetricWrapper(batch_mean, name="mean")], weighted_metrics=[spread])
        model.fit(X, Y, verbose=0)
        model.save(tmp_path / "m")
        loaded = load_model(tmp_path / "m", custom_objects={"spread": spread, "batch_mean": batch_mean})
        expected = model.evaluate(X, Y, verbose=0, return_dict=True)
        assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == expected
        assert loaded.get_compile_config() == model.get_compile_config()
        assert loaded.optimizer.iterations == 1
        with pytest.raises(ValueError, match=r"the function 'spread', which is yours.*custom_objects=.*compile=False"):
            load_model(tmp_path / "m")
        assert load_model(tmp_path / "m", compile=False).compilation is None

    def test_clones_and_copies_keep_the_function(self) -> None:
        model = dense(metrics=[spread])
        clone = clone_model(model)
        clone.set_weights(model.get_weights())
        assert clone.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)

    @pytest.mark.parametrize("config", [{"class_name": "function"}, {"class_name": "function", "config": 3}])
    def test_bad_configurations(self, config: Any) -> None:
        with pytest.raises(ValueError, match="a function's name"):
            metrics.get(config)
        with pytest.raises(ValueError, match="unheard_of"):
            metrics.deserialize({"class_name": "MeanMetricWrapper", "config": {"unheard_of": 1}})


def test_an_evaluation_inside_an_epoch_leaves_its_means_alone() -> None:
    class Evaluate(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.evaluate(X[:2], Y[:2], verbose=0)

    results = []
    for callbacks in ([], [Evaluate()]):
        model = dense(metrics=[spread, batch_mean])
        model.set_weights([np.full((3, 1), 0.5), np.zeros(1)])
        results.append(model.fit(X, Y, batch_size=3, shuffle=False, callbacks=callbacks, verbose=0).history)
    assert results[0] == results[1]


def test_alone() -> None:
    metric = metrics.MeanMetricWrapper(spread)
    assert metric.result() == 0.0
    metric.update_state([1.0, 2.0], [[1.5], [2.0]])
    metric.update_state([0.0], [[1.0]], sample_weight=[2.0])
    assert metric.result() == pytest.approx((0.5 + 0.0 + 2.0) / 4)
    metric.reset_state()
    assert metric.result() == 0.0
    with pytest.raises(TypeError, match="`fn`"):
        metrics.MeanMetricWrapper("mse")  # type: ignore[arg-type]


def test_no_module_hides_a_function():
    """`foliot.metrics.hinge` is what `__all__` names, not a file that is called so."""
    for module in (foliot.metrics, foliot.losses, foliot.activations, foliot.layers, foliot.optimizers):
        for name in set(module.__all__) - {"schedules"}:
            assert not inspect.ismodule(getattr(module, name)), f"{module.__name__}.{name}"
