"""Every kernel against the float64 oracle: outputs within 1e-5, gradients within 1e-4 of their largest element."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.graphs import (
    ALL_ACTIVATIONS,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SOFTMAX,
    TANH,
    Graph,
    Spec,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    recurrent,
    sparse_categorical_crossentropy,
    training,
)
from parity.native import Native, compare
from parity.problems import Problem, cell_problem, random_weights
from parity.test_parity_cells import steps

from .adapter import ADAPTER

CELLS = ["simple_rnn", "lstm", "gru", "gru_reset_before"]
cells = pytest.mark.parametrize("cell", CELLS)
SIZES = st.sampled_from([1, 3, 4, 5, 16, 33])

OPTIONS = st.fixed_dictionaries(
    {
        "activation": st.sampled_from([TANH, {"kind": "softsign"}]),
        "mask": st.sampled_from([None, "right", "left", "interior"]),
        "initial_state": st.booleans(),
        "learned": st.booleans(),
        "use_bias": st.booleans(),
        "go_backwards": st.booleans(),
        "return_sequences": st.booleans(),
        "zero_output_for_mask": st.booleans(),
    }
)


@cells
@settings(max_examples=15)
@given(
    batch=SIZES, time=st.sampled_from([1, 2, 7]), features=SIZES, units=SIZES, seed=st.integers(0, 99), options=OPTIONS
)
def test_cells(cell: str, batch: int, time: int, features: int, units: int, seed: int, options: dict[str, Any]) -> None:
    compare(cell_problem(cell, batch, time, features, units, seed=seed, **options), device=ADAPTER)


@cells
def test_more_units_than_invocations_and_tiles(cell: str) -> None:
    problem = cell_problem(cell, 6, 3, 70, 300, seed=5, mask="right", return_sequences=True, learned=False)
    compare(problem, device=ADAPTER)


@cells
def test_a_sequence_that_is_cut_into_dispatches(cell: str) -> None:
    problem = cell_problem(cell, 3, 1100, 3, 5, seed=6, mask="interior", return_sequences=True, learned=False)
    compare(problem, device=ADAPTER)


@cells
@pytest.mark.parametrize(("dropout", "recurrent_dropout"), [(0.4, 0.0), (0.0, 0.3), (0.4, 0.3), (1.0, 1.0)])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_dropout_in_cells(cell: str, dropout: float, recurrent_dropout: float, go_backwards: bool) -> None:
    problem = cell_problem(
        cell,
        6,
        4,
        7,
        9,
        seed=8,
        mask="right",
        return_sequences=True,
        learned=False,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        go_backwards=go_backwards,
    )
    compare(problem, step=3, device=ADAPTER)


@cells
@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_empty_axes(cell: str, sizes: tuple[int, int]) -> None:
    compare(cell_problem(cell, *sizes, 2, 3, seed=1, return_sequences=True, learned=False), device=ADAPTER)


def finish(graph: Graph, inputs: list[np.ndarray], loss: Spec, target: np.ndarray, seed: int = 1) -> Problem:
    weights = random_weights(graph, np.random.default_rng(seed))
    return Problem(graph=graph, training=training([loss]), weights=weights, inputs=inputs, targets=[target])


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])
@pytest.mark.parametrize("in_dense", [True, False])
def test_activations(activation: Spec, in_dense: bool) -> None:
    graph = Graph()
    x = graph.input("x", (None, 7))
    (x,) = graph.add(dense(70, activation if in_dense else {"kind": "linear"}), x)
    if not in_dense:
        (x,) = graph.add({"kind": "activation", "activation": activation}, x)
    graph.outputs = [x]
    compare(finish(graph, [normal(5, 3, 7)], MEAN_SQUARED_ERROR, normal(5, 3, 70)), device=ADAPTER)


# Functions of whole rows have no kernel inside a cell.
BY_ELEMENT = [spec for spec in ALL_ACTIVATIONS if spec["kind"] not in ("softmax", "log_softmax", "sparsemax")]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("activation", BY_ELEMENT, ids=lambda spec: spec["kind"])
def test_activations_in_cells(cell: str, activation: Spec) -> None:
    options: dict[str, Any] = {"activation": activation, "return_sequences": True}
    compare(cell_problem(cell, 9, steps(activation), 5, 17, seed=7, **options), device=ADAPTER)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
@pytest.mark.parametrize("activation", BY_ELEMENT, ids=lambda spec: spec["kind"])
def test_recurrent_activations_in_cells(cell: str, activation: Spec) -> None:
    options: dict[str, Any] = {"recurrent_activation": activation, "return_sequences": True}
    compare(cell_problem(cell, 9, steps(activation), 5, 17, seed=8, **options), device=ADAPTER)


@pytest.mark.parametrize("option", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("kind", ["softmax", "log_softmax", "sparsemax"])
def test_functions_of_whole_rows_are_refused_in_cells(kind: str, option: str) -> None:
    problem = cell_problem("lstm", 2, 2, 3, 4, seed=1, **{option: {"kind": kind}})
    with pytest.raises(ValueError, match=option):
        Native(problem, ADAPTER)


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])
def test_what_is_no_number_remains_so(activation: Spec) -> None:
    graph = Graph()
    x = graph.input("x", (3,))
    graph.outputs = graph.add({"kind": "activation", "activation": activation}, x)
    problem = finish(graph, [np.full((1, 3), np.nan, np.float32)], MEAN_SQUARED_ERROR, normal(1, 3))
    assert np.isnan(Native(problem, ADAPTER).forward()[0]).all()


@pytest.mark.parametrize(("rows", "features", "units"), [(1, 1, 1), (65, 64, 63), (700, 130, 3), (3, 300, 200)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_products(rows: int, features: int, units: int, use_bias: bool) -> None:
    graph = Graph()
    x = graph.input("x", (features,))
    graph.outputs = graph.add(dense(units, TANH, use_bias), x)
    compare(finish(graph, [normal(rows, features)], MEAN_SQUARED_ERROR, normal(rows, units)), device=ADAPTER)


@pytest.mark.parametrize("vocabulary", [2, 50])
def test_embeddings_and_several_readers(vocabulary: int) -> None:
    """With two tokens the lists of rows are long."""
    graph = Graph()
    ids = np.random.default_rng(1).integers(0, vocabulary, size=(20, 19)).astype(np.int32)
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(vocabulary, 6, mask_zero=True), x)
    (left,) = graph.add(recurrent("lstm", 5), x)
    (right,) = graph.add(recurrent("gru", 4, go_backwards=True), x)
    graph.outputs = graph.add({"kind": "concatenate", "axis": -1}, left, right)
    compare(finish(graph, [ids], MEAN_SQUARED_ERROR, normal(20, 9)), device=ADAPTER)


LOSSES = {
    "binary_crossentropy": (binary_crossentropy(), SIGMOID),
    "binary_crossentropy_of_logits": (binary_crossentropy(from_logits=True), {"kind": "linear"}),
    "categorical_crossentropy": (categorical_crossentropy(), SOFTMAX),
    "sparse_categorical_crossentropy": (sparse_categorical_crossentropy(from_logits=True), {"kind": "linear"}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, activation = LOSSES[name]
    graph = Graph()
    x = graph.input("x", (None, 4))
    (x,) = graph.add(recurrent("simple_rnn", 8, return_sequences=True), x)
    graph.outputs = graph.add(dense(5, activation), x)
    classes = np.random.default_rng(2).integers(0, 5, size=(6, 7))
    target = classes.astype(np.int32) if name.startswith("sparse") else np.eye(5, dtype=np.float32)[classes]
    compare(finish(graph, [normal(6, 7, 4)], loss, target), device=ADAPTER)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropout_draws_the_bits_of_the_cpu(rate: float) -> None:
    graph = Graph()
    x = graph.input("x", (None, 7))
    (x,) = graph.add(dense(9, TANH), x)
    graph.outputs = graph.add({"kind": "dropout", "rate": rate, "seed": 2**40 + 5, "noise_shape": None}, x)
    compare(finish(graph, [normal(5, 3, 7)], MEAN_SQUARED_ERROR, normal(5, 3, 9)), step=7, device=ADAPTER)
