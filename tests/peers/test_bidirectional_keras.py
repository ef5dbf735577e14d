"""Merges and Bidirectional against Keras (JAX backend): outputs, and logs and weights over ten steps of training.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import foliot

from .test_functional_keras import assert_trained_alike, both

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

RANDOM = np.random.default_rng(3)
TOKENS = RANDOM.integers(1, 8, (10, 6))
LENGTHS = RANDOM.integers(0, 7, (10, 1))
MASKS = {
    "none": np.ones((10, 6), bool),
    "right": np.arange(6) < LENGTHS,
    "left": np.arange(6) >= 6 - LENGTHS,
    "interior": RANDOM.random((10, 6)) < 0.6,
}


def compare(build: Callable[[Any], Any], x: Any) -> None:
    mine, theirs = both(build)
    for actual, expected in zip(
        *(
            result if isinstance(result, list) else [result]
            for result in (m.predict(x, verbose=0) for m in (mine, theirs))
        ),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, atol=2e-6)
    outputs = theirs.predict(x, verbose=0)
    several = isinstance(outputs, list)
    random = np.random.default_rng(0)
    y = [random.normal(size=np.shape(output)).astype(np.float32) for output in (outputs if several else [outputs])]
    for library, model in ((foliot, mine), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), ["mse"] * len(y) if several else "mse")
    assert_trained_alike(mine, theirs, x, y if several else y[0])


@pytest.mark.parametrize("pattern", MASKS)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(
    ("cell", "mode"),
    [("LSTM", "concat"), ("GRU", "sum"), ("SimpleRNN", "mul"), ("LSTM", "ave"), ("GRU", None), ("LSTM", "mul")],
)
def test_bidirectional(cell: str, mode: str | None, sequences: bool, pattern: str) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        ids = layers.Input((6,), name="ids")
        x = layers.Embedding(8, 4, mask_zero=pattern != "none")(ids)
        outputs = layers.Bidirectional(getattr(layers, cell)(3, return_sequences=sequences), merge_mode=mode)(x)
        if mode is None:
            return library.Model(ids, [layers.Dense(2)(output) for output in outputs])
        return library.Model(ids, layers.GRU(2)(outputs) if sequences else layers.Dense(2)(outputs))

    compare(build, TOKENS * MASKS[pattern])


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_bidirectional_states(cell: str) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        x = layers.Input((5, 3), name="x")
        read = layers.Bidirectional(getattr(layers, cell)(2, return_sequences=True, return_state=True))
        outputs, *states = read(x)
        again, *finals = layers.Bidirectional(getattr(layers, cell)(2, return_state=True), merge_mode="sum")(
            outputs, initial_state=states
        )
        return library.Model(x, [layers.Dense(2)(tensor) for tensor in (again, *finals)])

    compare(build, RANDOM.normal(size=(10, 5, 3)).astype(np.float32))


def test_backward_layer_of_another_kind() -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        back = layers.LSTM(2, activation="relu", go_backwards=True, return_sequences=True, name="back")
        x = layers.Input((5, 3), name="x")
        read = layers.Bidirectional(layers.GRU(2, return_sequences=True), backward_layer=back)
        return library.Model(x, layers.LSTM(2)(read(x)))

    compare(build, RANDOM.normal(size=(10, 5, 3)).astype(np.float32))


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True), (False, False)])
def test_merges_of_masked_sequences(kind: str, masked: tuple[bool, bool]) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        inputs = [layers.Input((6,), name=name) for name in "ab"]
        pair = zip(masked, inputs, strict=True)
        x = [layers.Embedding(8, 3, mask_zero=mask)(tokens) for mask, tokens in pair]
        return library.Model(inputs, layers.LSTM(3)(getattr(layers, kind)()(x)))

    x = [TOKENS * MASKS["interior"], TOKENS * MASKS["right"]]
    if (kind, masked) != ("Concatenate", (False, True)):
        compare(build, x)
        return
    # Here Keras lists the second embedding's weights first, so weights are matched by layer, and outputs compared.
    mine, theirs = both(build)
    for layer in mine.layers:
        if layer.weights:
            theirs.get_layer(layer.name).set_weights(layer.get_weights())
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=2e-6)


@pytest.mark.parametrize(("axes", "normalize"), [((2, 2), False), (1, True), ((1, 2), True)])
def test_dot(axes: Any, normalize: bool) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        inputs = [layers.Input((4, 4), name=name) for name in "ab"]
        x = [layers.Dense(4)(tensor) for tensor in inputs]
        return library.Model(inputs, layers.dot(x, axes=axes, normalize=normalize))

    compare(build, [RANDOM.normal(size=(10, 4, 4)).astype(np.float32) for _ in range(2)])


def test_names_configuration_and_summary() -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        stack = [layers.Input((5, 3)), layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")]
        return library.Sequential([*stack, layers.Bidirectional(layers.GRU(2)), layers.Dense(1)], name="m")

    mine, theirs = both(build)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    assert mine.layers[1].forward_layer.name == theirs.layers[1].forward_layer.name
    assert mine.layers[1].backward_layer.name == theirs.layers[1].backward_layer.name
    assert set(mine.layers[0].get_config()) <= set(theirs.layers[0].get_config()) | {"activity_regularizer"}
    texts = []
    for model in (mine, theirs):
        lines: list[str] = []
        model.summary(print_fn=lines.append, line_length=80)
        texts.append([line.rstrip() for line in "\n".join(lines).strip().split("\n")])
    assert texts[0] == texts[1]
