"""A user's own metrics and SwapEMAWeights against Keras (JAX backend): the same figures from the same start."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from typing import Any

import numpy as np
import pytest

import foliot

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

# Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

RANDOM = np.random.default_rng(6)
X, Y = RANDOM.normal(size=(10, 3)).astype(np.float32), RANDOM.normal(size=10).astype(np.float32)
WEIGHTS = RANDOM.uniform(0.5, 2, 10).astype(np.float32)
STARTS = [RANDOM.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,), (4, 1), (1,))]


def functions(library: Any) -> list[Any]:
    """The same metrics for arrays of either library."""
    ops = np if library is foliot else keras.ops

    def number(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.abs(y_pred))

    def by_row(y_true: Any, y_pred: Any) -> Any:
        assert y_true.shape == (y_pred.shape[0],)
        return ops.max(ops.abs(y_pred - ops.reshape(y_true, (-1, 1))), axis=-1)

    def withCapitals(y_true: Any, y_pred: Any) -> Any:  # noqa: N802 - how Keras names it
        return ops.square(y_pred)

    return [number, by_row, withCapitals]


def made(library: Any, **options: Any) -> Any:
    layers = library.layers
    model = library.Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
    model.set_weights(STARTS)
    optimizer = library.optimizers.SGD(0.1, **options.pop("optimizer", {}))
    model.compile(optimizer, "mse", **options)
    return model


def assert_alike(mine: Any, theirs: Any) -> None:
    assert sorted(mine) == sorted(theirs)
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], rtol=2e-5, err_msg=name)


def test_own_metrics() -> None:
    results = []
    for library in (foliot, keras):
        number, by_row, capitals = functions(library)
        model = made(library, metrics=[number, by_row, "mae"], weighted_metrics=[by_row, capitals])
        before = model.evaluate(X, Y, batch_size=4, sample_weight=WEIGHTS, verbose=0, return_dict=True)
        options = {"validation_data": (X[:6], Y[:6], WEIGHTS[:6]), "epochs": 3, "batch_size": 3, "shuffle": False}
        results.append((before, model.fit(X, Y, sample_weight=WEIGHTS, verbose=0, **options).history))
    for mine, theirs in zip(*results, strict=True):
        assert_alike(mine, theirs)


def test_a_metric_derived_from_mean() -> None:
    results = []
    for library in (foliot, keras):

        class Bias(library.metrics.Mean):  # type: ignore[misc]  # of either library
            def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
                super().update_state(y_pred - y_true, sample_weight)

        model = made(library, metrics=[Bias(name="bias"), "mae"], weighted_metrics=[Bias(name="weighted")])
        options = {"validation_split": 0.3, "epochs": 3, "batch_size": 3, "shuffle": False, "verbose": 0}
        results.append(model.fit(X, Y[:, None], sample_weight=WEIGHTS, **options).history)
    assert_alike(*results)


@pytest.mark.parametrize("on_epoch", [False, True])
def test_averages_in_the_weights_place(on_epoch: bool) -> None:
    results = []
    for library in (foliot, keras):
        model = made(library, optimizer={"use_ema": True, "ema_momentum": 0.8})
        kept: list[Any] = []

        def keep(epoch: int, logs: Any, model: Any = model, kept: list[Any] = kept) -> None:
            kept.extend(model.get_weights())

        callbacks = [
            library.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch),
            library.callbacks.LambdaCallback(on_epoch_end=keep),
        ]
        options = {"validation_data": (X, Y), "epochs": 3, "batch_size": 3, "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, callbacks=callbacks, **options).history
        results.append((history, kept, model.get_weights()))
    (mine, kept, final), (theirs, their_kept, their_final) = results
    assert_alike(mine, theirs)
    for actual, expected in zip([*kept, *final], [*their_kept, *their_final], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)
