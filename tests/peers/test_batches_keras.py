"""Batches from generators and datasets against Keras's fit, evaluate and predict."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` installs it")

import keras

from foliot import callbacks, layers, models, optimizers, utils

X = np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(22, 1)).astype(np.float32)
W = np.linspace(0, 2, 22, dtype=np.float32)
FIRST = [np.linspace(-1, 1, 3, dtype=np.float32)[:, None], np.zeros(1, np.float32)]


def both():
    our = models.Sequential([layers.Dense(1)])
    our.compile(optimizers.SGD(0.05), "mse", metrics=["mae"])
    their = keras.Sequential([keras.layers.Dense(1)])
    their.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    for model in (our, their):
        model.build((None, 3))
        model.set_weights(FIRST)
    return (our, callbacks, utils.PyDataset), (their, keras.callbacks, keras.utils.PyDataset)


def part(index, weighted=False):
    rows = slice(4 * index, 4 * index + 4)
    return (X[rows], Y[rows], W[rows]) if weighted else (X[rows], Y[rows])


def generate(weighted=False):
    while True:
        for index in range(6):
            yield part(index, weighted)


def dataset(base, weighted=False):
    class Parts(base):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return part(index, weighted)

    return Parts()


def assert_same(first, second):
    assert list(first) == list(second)
    for name, values in first.items():
        np.testing.assert_allclose(values, second[name], rtol=1e-4, err_msg=name)


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("kind", ["dataset", "generator"])
def test_fit(kind, steps, weighted):
    found = []
    for model, module, base in both():
        seen = []
        note = module.LambdaCallback(
            on_train_batch_end=lambda batch, logs, seen=seen: seen.append(("train", batch)),
            on_test_batch_end=lambda batch, logs, seen=seen: seen.append(("test", batch)),
        )
        history = model.fit(
            dataset(base, weighted) if kind == "dataset" else generate(weighted),
            epochs=2,
            steps_per_epoch=steps or (6 if kind == "generator" else None),
            validation_data=dataset(base) if kind == "dataset" else generate(),
            validation_steps=2,
            shuffle=False,
            verbose=0,
            callbacks=[note],
        )
        found.append((history, seen))
    (first, calls), (second, their_calls) = found
    assert calls == their_calls
    assert first.params["steps"] == second.params["steps"]
    if kind == "generator":
        # Keras looks at two batches of a generator beforehand and gives them again in every validation; foliot goes on.
        assert_same({"loss": first.history["loss"]}, {"loss": second.history["loss"]})
    else:
        assert_same(first.history, second.history)


def test_evaluate_and_predict():
    (our, _, base), (their, _, their_base) = both()
    for source in (base, their_base):  # also Keras's own datasets
        np.testing.assert_allclose(
            our.evaluate(dataset(source), verbose=0), their.evaluate(dataset(their_base), verbose=0), rtol=1e-4
        )
        np.testing.assert_allclose(
            our.predict(dataset(source), verbose=0), their.predict(dataset(their_base), verbose=0), rtol=1e-4
        )


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_a_generator_that_ends_early():
    def short():
        yield from (part(index) for index in range(5))

    for model, _, _ in both():
        with pytest.warns(UserWarning, match="Your input ran out of data; interrupting training"):
            history = model.fit(short(), epochs=1, steps_per_epoch=8, verbose=0)
        assert len(history.epoch) == 1
