"""Functional and subclassed models against Keras (JAX backend): each is written once and made with either library.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

# Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

RANDOM = np.random.default_rng(0)
SOURCE = RANDOM.integers(0, 8, (12, 6)) * (np.arange(6) < RANDOM.integers(1, 7, (12, 1)))
TARGET = RANDOM.integers(0, 9, (12, 5)) * (np.arange(5) < RANDOM.integers(1, 6, (12, 1)))
XS = [RANDOM.normal(size=(12, 3)).astype(np.float32), RANDOM.normal(size=(12, 3)).astype(np.float32)]
YS = [RANDOM.normal(size=(12, 1)).astype(np.float32), RANDOM.integers(0, 4, 12)]
WS = [RANDOM.uniform(0.5, 2, 12).astype(np.float32), RANDOM.uniform(0.5, 2, 12).astype(np.float32)]

CROSSENTROPY = "sparse_categorical_crossentropy"

# Ten steps of float32 on both sides.
WEIGHTS = 2e-5


def both(build: Callable[[Any], Any], scale: float = 0.3) -> tuple[Any, Any]:
    """The model made with foliot and with Keras, with the same weights."""
    foliot.utils.clear_session()
    keras.utils.clear_session()
    mine, theirs = build(foliot), build(keras)
    drawn = np.random.default_rng(1)
    weights = [drawn.normal(scale=scale, size=weight.shape).astype(np.float32) for weight in mine.get_weights()]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    return mine, theirs


def assert_trained_alike(mine: Any, theirs: Any, x: Any, y: Any, sample_weight: Any = None) -> None:
    """Logs of each of ten steps, and the weights after the first and the last."""
    for step in range(10):
        theirs.reset_metrics()
        expected = theirs.train_on_batch(x, y, sample_weight=sample_weight, return_dict=True)
        logs = mine.train_on_batch(x, y, sample_weight=sample_weight, return_dict=True)
        assert list(logs) == sorted(expected)
        np.testing.assert_allclose([logs[name] for name in logs], [float(expected[name]) for name in logs], rtol=2e-5)
        if step in (0, 9):
            for weight, actual, wanted in zip(theirs.weights, mine.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=WEIGHTS, atol=WEIGHTS, err_msg=f"{weight.path} {step}")


def translator(library: Any, cell: str, masks: bool) -> Any:
    """Keras's encoder-decoder, on token ids. With a state a layer drops its mask in Keras 3, unless it is passed."""
    layers = library.layers
    sources, targets = layers.Input((None,), name="source"), layers.Input((None,), name="target")
    _, *states = getattr(layers, cell)(4, return_state=True)(layers.Embedding(8, 5, mask_zero=masks)(sources))
    embedding = layers.Embedding(9, 5, mask_zero=masks)
    decoder = getattr(layers, cell)(4, return_sequences=True, return_state=True)
    mask = embedding.compute_mask(targets)
    outputs, *_ = decoder(embedding(targets), initial_state=states, mask=mask)
    return library.Model([sources, targets], layers.Dense(9, activation="softmax")(outputs))


@pytest.mark.parametrize(("cell", "masks"), [("SimpleRNN", True), ("LSTM", True), ("LSTM", False), ("GRU", True)])
def test_encoder_and_decoder(cell: str, masks: bool) -> None:
    mine, theirs = both(lambda library: translator(library, cell, masks))
    assert [layer.name for layer in mine.layers] == [
        layer.name for layer in theirs.layers if layer.name[:9] != "not_equal"
    ]
    x, y = [SOURCE, TARGET], np.roll(TARGET, -1, axis=1)
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-6)
    for library, model in ((foliot, mine), (keras, theirs)):
        model.compile(library.optimizers.RMSprop(0.01, epsilon=1e-3), CROSSENTROPY)
    assert_trained_alike(mine, theirs, x, y)
    # With JAX the metrics of Keras know of masks in evaluation only: a training step hands them bare arrays.
    for model in (mine, theirs):
        model.compile("sgd", CROSSENTROPY, metrics=["accuracy"])
    np.testing.assert_allclose(mine.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-5)


def two_heads(library: Any) -> Any:
    layers = library.layers
    first, second = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    shared = layers.Dense(2, name="shared", kernel_regularizer="l2")
    p = layers.Dense(1, name="p")(shared(first))
    q = layers.Dense(4, activation="softmax", name="q")(shared(second))
    return library.Model([first, second], [p, q])


@pytest.mark.parametrize(
    "options",
    [
        {"loss": ["mse", CROSSENTROPY], "loss_weights": [2.0, 0.5], "metrics": [["mae"], ["acc"]]},
        {
            "loss": {"p": "mae", "q": CROSSENTROPY},
            "loss_weights": {"p": 1.0, "q": 3.0},
            "metrics": {"p": "mse", "q": ["acc"]},
            "weighted_metrics": {"q": ["acc"]},
        },
        {"loss": ["mse", "ce"], "metrics": [["mae", "mae"], None], "weighted_metrics": [["mae"], ["acc", "acc"]]},
        {"loss": ["mse", None], "metrics": [["mae"], None]},
    ],
)
def test_losses_and_metrics_of_several_outputs(options: dict[str, Any]) -> None:
    mine, theirs = both(two_heads)
    for library, model in ((foliot, mine), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), **options)
    weights = [WS[0], None] if options["loss"] == ["mse", None] else WS
    for sample_weight in (None, weights):
        assert_trained_alike(mine, theirs, XS, YS, sample_weight)
    expected = theirs.evaluate(XS, YS, sample_weight=weights, batch_size=5, verbose=0)
    actual = mine.evaluate(XS, YS, sample_weight=weights, batch_size=5, verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)  # in the same order
    by_name = mine.fit(XS, YS, validation_split=0.25, verbose=0).history
    assert list(by_name) == list(theirs.fit(XS, YS, validation_split=0.25, verbose=0).history)


def nested(library: Any) -> Any:
    layers = library.layers
    first = layers.Input((3,), name="first")
    shared = layers.Dense(2, name="shared")
    hidden = shared(first)
    inner = library.Model(first, [hidden, layers.Dense(1, name="side")(hidden)], name="inner")
    stack = library.Sequential([layers.Dense(3, name="front")], name="stack")
    entrance, other = layers.Input((3,), name="entrance"), layers.Input((2,), name="unused")
    hidden, _ = inner(stack(entrance))
    _, side = inner(entrance)
    outputs = [layers.Dense(1, name="last")(hidden), side, shared(entrance)]
    return library.Model([other, entrance], outputs, name="outer")


def test_models_inside_models() -> None:
    mine, theirs = both(nested)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    assert [weight.name for weight in mine.weights] == [weight.name for weight in theirs.weights]
    assert mine.output_names == theirs.output_names
    x = [np.zeros((12, 2)), XS[0]]
    for actual, expected in zip(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    y = [YS[0], YS[0], XS[1][:, :2]]
    for library, model in ((foliot, mine), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), ["mse"] * 3, loss_weights=[1.0, 2.0, 3.0])
    assert_trained_alike(mine, theirs, x, y)


def summary(model: Any, **options: Any) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines).strip().split("\n")


@pytest.mark.parametrize(
    "build", [nested, two_heads, lambda library: translator(library, "LSTM", False)], ids=["nested", "heads", "decoder"]
)
def test_summary(build: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    mine, theirs = both(build)
    for options in ({}, {"line_length": 80}, {"expand_nested": True}):
        assert [line.rstrip() for line in summary(mine, **options)] == [
            line.rstrip() for line in summary(theirs, **options)
        ]


def drawn_graph(library: Any, seed: int) -> Any:
    """Layers drawn to read tensors before them, some of them several times; any tensors as outputs."""
    layers, draw = library.layers, random.Random(seed)
    inputs = [layers.Input((3,), name=f"input_{position}") for position in range(draw.randint(1, 3))]
    tensors = list(inputs)
    made = [layers.Dense(3, name=f"layer_{position}") for position in range(draw.randint(1, 6))]
    for layer in [*made, *draw.choices(made, k=draw.randint(0, 4))]:
        tensors.append(layer(draw.choice(tensors)))
    outputs = draw.sample(tensors[len(inputs) :], k=draw.randint(1, min(3, len(made))))
    return library.Model(inputs, outputs)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_order_of_layers_and_weights(seed: int) -> None:
    mine, theirs = drawn_graph(foliot, seed), drawn_graph(keras, seed)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    assert mine.output_names == theirs.output_names
    order = [weight.path.split("/")[0] for weight in theirs.weights]
    assert [layer.name for layer in mine.layers for _ in layer.weights] == order


def reader(library: Any) -> Any:
    class Reader(library.Model):  # type: ignore[misc,name-defined]  # the base is chosen at run time
        def __init__(self) -> None:
            super().__init__()
            self.embedding = library.layers.Embedding(8, 4, mask_zero=True)
            self.read = library.layers.LSTM(4, return_sequences=True)
            self.more = [library.layers.GRU(4), library.layers.Dropout(0.0)]
            self.choose = library.layers.Dense(4, activation="softmax")

        def call(self, inputs: Any, training: Any = None) -> Any:
            x = self.read(self.embedding(inputs))
            for layer in self.more:
                x = layer(x, training=training)
            return self.choose(x)

    model = Reader()
    model(np.zeros((1, 6), np.int32))
    return model


def test_subclassing() -> None:
    mine, theirs = both(reader)
    assert mine.name == theirs.name
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    np.testing.assert_allclose(mine.predict(SOURCE, verbose=0), theirs.predict(SOURCE, verbose=0), atol=1e-6)
    for library, model in ((foliot, mine), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), CROSSENTROPY, metrics=["acc"])
    assert_trained_alike(mine, theirs, SOURCE, YS[1])
