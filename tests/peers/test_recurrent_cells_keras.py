"""RNN, cells and stacks of them against Keras (JAX backend): outputs, states, ten steps of training.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import layers as ours

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

from .test_bidirectional_keras import MASKS, RANDOM, TOKENS, compare  # noqa: E402 - they need Keras
from .test_functional_keras import both  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell")
STACKS = [("LSTMCell", "GRUCell"), ("GRUCell", "SimpleRNNCell", "LSTMCell"), ("SimpleRNNCell", "SimpleRNNCell")]


def leaves(nest: Any) -> list[Any]:
    return [leaf for item in nest for leaf in leaves(item)] if isinstance(nest, (list, tuple)) else [nest]


def cells(layers: Any, kinds: Any, units: Any = (4, 3, 2)) -> list[Any]:
    return [getattr(layers, kind)(size) for kind, size in zip(kinds, units, strict=False)]


@pytest.mark.parametrize(
    ("kinds", "backwards", "sequences", "pattern"),
    [
        (STACKS[0], False, True, "interior"),
        (STACKS[0], True, False, "left"),
        (STACKS[1], True, True, "interior"),
        (STACKS[1], False, False, "none"),
        (STACKS[2], False, False, "interior"),
        (STACKS[2], True, True, "right"),
    ],
)
def test_stacks_train_alike(kinds: tuple[str, ...], backwards: bool, sequences: bool, pattern: str) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        ids = layers.Input((6,), name="ids")
        x = layers.Embedding(8, 4, mask_zero=pattern != "none")(ids)
        options = {"return_sequences": sequences, "return_state": True, "go_backwards": backwards}
        output, *states = layers.RNN(cells(layers, kinds), **options)(x)
        return library.Model(ids, [layers.Dense(2)(tensor) for tensor in (output, *leaves(states))])

    compare(build, TOKENS * MASKS[pattern])


@pytest.mark.parametrize(
    ("kind", "pattern"), [("SimpleRNNCell", "interior"), ("LSTMCell", "none"), ("GRUCell", "left")]
)
def test_single_cells_train_alike(kind: str, pattern: str) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        ids = layers.Input((6,), name="ids")
        x = layers.Embedding(8, 4, mask_zero=pattern != "none")(ids)
        x = layers.RNN(getattr(layers, kind)(3), return_sequences=True)(x)
        return library.Model(ids, layers.RNN(getattr(layers, kind)(2))(x))

    compare(build, TOKENS * MASKS[pattern])


@pytest.mark.parametrize("pattern", ["none", "interior"])
def test_bidirectional_stacks_train_alike(pattern: str) -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        ids = layers.Input((6,), name="ids")
        x = layers.Embedding(8, 4, mask_zero=pattern != "none")(ids)
        rnn = layers.RNN(cells(layers, STACKS[0]), return_sequences=True)
        return library.Model(ids, layers.GRU(2)(layers.Bidirectional(rnn)(x)))

    compare(build, TOKENS * MASKS[pattern])


@pytest.mark.parametrize("kind", CELLS)
def test_cells_in_a_model_train_alike(kind: str) -> None:
    """Steps written out by hand with one shared cell."""

    def build(library: Any) -> Any:
        layers = library.layers
        first, second = layers.Input((3,), name="a"), layers.Input((3,), name="b")
        cell = getattr(layers, kind)(4)
        states = [layers.Dense(4)(first) for _ in range(2 if kind == "LSTMCell" else 1)]
        _, states = cell(first, states)
        output, states = cell(second, states)
        return library.Model([first, second], [layers.Dense(2)(tensor) for tensor in (output, *states)])

    compare(build, [RANDOM.normal(size=(10, 3)).astype(np.float32) for _ in range(2)])


@settings(max_examples=15)
@given(
    kinds=st.lists(st.sampled_from(CELLS), min_size=2, max_size=3),
    units=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    backwards=st.booleans(),
    zero=st.booleans(),
    sequences=st.booleans(),
    masked=st.booleans(),
    start=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_calls_on_arrays(
    kinds: list[str],
    units: list[int],
    backwards: bool,
    zero: bool,
    sequences: bool,
    masked: bool,
    start: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(3, 5, 2)).astype(np.float32)
    mask = random.random((3, 5)) < 0.6 if masked else None
    options = {"return_state": True, "return_sequences": sequences, "go_backwards": backwards}
    options["zero_output_for_mask"] = zero
    mine, theirs = (library.RNN(cells(library, kinds, units), **options) for library in (ours, keras.layers))
    mine.build(x.shape)
    theirs.build(x.shape)
    weights = [random.normal(size=weight.shape, scale=0.7).astype(np.float32) for weight in mine.weights]
    assert [tuple(weight.shape) for weight in theirs.weights] == [weight.shape for weight in weights]
    assert [weight.name for weight in theirs.weights] == [weight.name for weight in mine.weights]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    state = None
    if start:
        state = [
            [random.normal(size=(3, size)).astype(np.float32) for _ in range(2 if kind == "LSTMCell" else 1)]
            for kind, size in zip(kinds, units, strict=False)
        ]
    results = mine(x, initial_state=state, mask=mask)
    expected = theirs(x, initial_state=state, mask=mask)
    assert [type(part) is list for part in results] == [type(part) is list for part in expected]
    for actual, wanted in zip(leaves(results), leaves(expected), strict=True):
        np.testing.assert_allclose(actual, np.asarray(wanted), atol=3e-6)
    assert mine.state_size == list(theirs.state_size)
    assert mine.cell.output_size == theirs.cell.output_size
    shapes = theirs.compute_output_shape(x.shape)
    assert leaves(mine.compute_output_shape(x.shape)) == leaves(shapes)
    if masked:
        assert len(mine.compute_mask(x, mask)) == len(theirs.compute_mask(x, mask))
    step = theirs.cell(x[:, 0], state or theirs.cell.get_initial_state(3))
    for actual, wanted in zip(
        leaves(mine.cell(x[:, 0], state or mine.cell.get_initial_state(3))), leaves(step), strict=True
    ):
        np.testing.assert_allclose(actual, np.asarray(wanted), atol=3e-6)


@pytest.mark.parametrize("built", [False, True])
def test_configurations_of_keras_are_read(built: bool) -> None:
    for kinds in ([kind] for kind in CELLS):
        (cell,) = cells(keras.layers, kinds)
        assert getattr(ours, kinds[0]).from_config(cell.get_config()).get_config()["units"] == 4
    theirs = keras.layers.RNN(cells(keras.layers, CELLS), return_state=True, zero_output_for_mask=True)
    if built:
        theirs.build((None, 6, 3))
    config = theirs.get_config()
    mine = ours.RNN.from_config(json.loads(json.dumps(config)))
    again = mine.get_config()
    assert set(again) == set(config) | {"activity_regularizer", "checkpoint_every", "time_major"}
    assert [cell["class_name"] for cell in again["cell"]["config"]["cells"]] == list(CELLS)
    for cell, wanted in zip(again["cell"]["config"]["cells"], config["cell"]["config"]["cells"], strict=True):
        beyond = {"zoneout", "heads"}
        if cell["class_name"] == "LSTMCell":
            beyond |= {"use_peepholes", "zoneout_cell", "proj_size"}
            beyond |= {f"projection_{role}" for role in ("initializer", "regularizer", "constraint")}
        assert set(cell["config"]) == set(wanted["config"]) | {"activity_regularizer"} | beyond


def test_names_and_summary() -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        rnn = layers.RNN(cells(layers, STACKS[0]), return_sequences=True)
        single = layers.RNN(layers.GRUCell(2), return_sequences=True)
        return library.Sequential([layers.Input((5, 3)), rnn, single, layers.LSTM(2)], name="m")

    mine, theirs = both(build)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in theirs.layers]
    for one, other in zip(mine.layers, theirs.layers, strict=True):
        assert one.cell.name == other.cell.name
    assert [cell.name for cell in mine.layers[0].cell.cells] == [cell.name for cell in theirs.layers[0].cell.cells]
    texts = []
    for model in (mine, theirs):
        lines: list[str] = []
        model.summary(print_fn=lines.append, line_length=80)
        texts.append([line.rstrip() for line in "\n".join(lines).strip().split("\n")])
    assert texts[0] == texts[1]
