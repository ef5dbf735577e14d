"""Embeddings that are folded into the recurrent layers that read them.

Tokens repeat; the oracle judges, and so does the plain way, which `FOLIOT_EXACT_ALGEBRA=0` brings back.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .graphs import (
    ALL_CELLS,
    MEAN_SQUARED_ERROR,
    TANH,
    Graph,
    dense,
    embedding,
    optimizer,
    recurrent,
    state_sizes,
    training,
)
from .native import Native, assert_gradients_close, compare, make_optimizer
from .problems import Problem, random_weights

cells = pytest.mark.parametrize("cell", ALL_CELLS)
OPTIONS = st.fixed_dictionaries(
    {
        "use_bias": st.booleans(),
        "go_backwards": st.booleans(),
        "return_sequences": st.booleans(),
        "return_state": st.booleans(),
        "zero_output_for_mask": st.booleans(),
    }
)


def problem_of(
    cells: list[str],
    *,
    batch: int = 5,
    time: int = 7,
    vocabulary: int = 4,
    features: int = 6,
    units: int = 9,
    mask_zero: bool = False,
    initial_state: bool = False,
    others: bool = False,
    seed: int = 0,
    **options: Any,
) -> Problem:
    """Recurrent layers on one embedding of random tokens, and with `others` a layer on it that is not recurrent."""
    random = np.random.default_rng(seed)
    graph = Graph()
    inputs = [random.integers(0, vocabulary, (batch, time)).astype(np.int32)]
    ids = graph.input("ids", (None,), dtype="int32")
    (x,) = graph.add(embedding(vocabulary, features, mask_zero), ids, name="embedding")
    for index, cell in enumerate(cells):
        spec = recurrent(cell, units + index, **options)
        states = []
        for state, size in enumerate(state_sizes(spec) if initial_state else []):
            states.append(graph.input(f"state_{index}_{state}", (size,)))
            inputs.append(random.normal(size=(batch, size)).astype(np.float32))
        graph.outputs += graph.add(spec, x, *states, name=f"cell_{index}")
    if others:
        graph.outputs += graph.add(dense(3), x)
    targets = []
    for output in graph.outputs:
        shape = (batch, *(time if axis is None else axis for axis in output.shape))
        targets.append(random.normal(size=shape).astype(np.float32))
    losses = training([MEAN_SQUARED_ERROR] * len(targets))
    weights = random_weights(graph, random)
    return Problem(graph=graph, training=losses, weights=weights, inputs=inputs, targets=targets)


def plain(problem: Problem, patch: pytest.MonkeyPatch) -> Native:
    with patch.context() as context:
        context.setenv("FOLIOT_EXACT_ALGEBRA", "0")
        return Native(problem)


def assert_same(problem: Problem, training: bool = False) -> None:
    """Equal bits forward; sums in another order backward."""
    folded, separate = Native(problem), plain(problem, pytest.MonkeyPatch())
    for actual, expected in zip(folded.forward(training), separate.forward(training), strict=True):
        np.testing.assert_array_equal(actual, expected)
    (loss, gradients), (expected_loss, expected_gradients) = folded.gradients(training), separate.gradients(training)
    assert loss == expected_loss
    for name, actual, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        assert_gradients_close(actual, expected, name)


@cells
@given(
    sizes=st.fixed_dictionaries(
        {
            "batch": st.sampled_from([1, 2, 7, 13, 33]),
            "time": st.sampled_from([0, 1, 2, 9]),
            "vocabulary": st.sampled_from([1, 2, 5, 300]),
            "features": st.sampled_from([1, 7, 16]),
            "units": st.sampled_from([1, 8, 17]),
        }
    ),
    mask_zero=st.booleans(),
    initial_state=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    options=OPTIONS,
)
def test_equals_the_oracle_and_the_plain_way(
    cell: str, sizes: dict[str, int], mask_zero: bool, initial_state: bool, seed: int, options: dict[str, Any]
) -> None:
    problem = problem_of([cell], mask_zero=mask_zero, initial_state=initial_state, seed=seed, **sizes, **options)
    if sizes["time"]:
        compare(problem)
    assert_same(problem)


@cells
@pytest.mark.parametrize("mask_zero", [False, True])
def test_larger_than_a_block(cell: str, mask_zero: bool) -> None:
    problem = problem_of(
        [cell], batch=70, time=21, vocabulary=900, features=45, units=131, mask_zero=mask_zero, return_sequences=True
    )
    compare(problem)
    assert_same(problem)


@cells
@pytest.mark.parametrize("mask_zero", [False, True])
def test_by_rows(cell: str, mask_zero: bool) -> None:
    """With an activation that is not compiled into the kernels."""
    problem = problem_of([cell], mask_zero=mask_zero, initial_state=True, activation={"kind": "mish"}, units=17)
    compare(problem)
    assert_same(problem)


@cells
@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("activation", [TANH, {"kind": "mish"}], ids=lambda spec: spec["kind"])
@pytest.mark.parametrize("dropout", [(0.0, 0.4), (0.3, 0.0), (0.3, 0.4)])
def test_dropout(cell: str, mask_zero: bool, activation: dict[str, Any], dropout: tuple[float, float]) -> None:
    """Dropout of states goes with folding; dropout of inputs makes a token's input differ between rows."""
    options = {"dropout": dropout[0], "recurrent_dropout": dropout[1], "activation": activation}
    assert_same(problem_of([cell], mask_zero=mask_zero, return_sequences=True, **options), training=True)


def test_several_readers() -> None:
    """Their gradients meet in one table."""
    problem = problem_of(["lstm", "simple_rnn", "gru"], mask_zero=True, return_sequences=True)
    compare(problem)
    assert_same(problem)


def test_a_reader_that_needs_the_vectors() -> None:
    problem = problem_of(["lstm"], others=True, return_sequences=True)
    compare(problem)
    assert_same(problem)


@pytest.mark.parametrize("frozen", ["embedding/embeddings", "cell_0/kernel", "cell_0/recurrent_kernel", "cell_0/bias"])
def test_frozen_weights(frozen: str) -> None:
    """A training step changes the others, by the same amounts either way."""
    problem = problem_of(["gru"], return_sequences=True)
    position = problem.graph.names.index(frozen)
    problem.graph.parameters[position]["trainable"] = False
    natives = [Native(problem), plain(problem, pytest.MonkeyPatch())]
    for native in natives:
        native.train(make_optimizer(optimizer("sgd", 1.0), native))
    for index, (name, before) in enumerate(zip(problem.graph.names, problem.weights, strict=True)):
        changes = [native.weights()[index] - before for native in natives]
        assert (np.abs(changes[0]).max() == 0) == (index == position)
        assert_gradients_close(changes[0], changes[1], name)


@cells
def test_records_follow_the_weights_and_the_batch(cell: str) -> None:
    """Projections are kept between batches as long as no weight changes."""
    problem = problem_of([cell], batch=6, vocabulary=30)
    folded, separate = Native(problem), plain(problem, pytest.MonkeyPatch())
    for rows in ([0], [1, 2], [0, 3], [5, 4, 0]):
        picked = np.array(rows)
        np.testing.assert_array_equal(folded.forward(rows=picked)[0], separate.forward(rows=picked)[0])
    for index in range(len(problem.weights)):
        for native in (folded, separate):
            native.parameters[index].assign(problem.weights[index] + np.float32(0.25))
        np.testing.assert_array_equal(folded.forward()[0], separate.forward()[0])


def test_a_token_outside_the_table_is_named() -> None:
    problem = problem_of(["lstm"])
    problem.inputs[0][2, 3] = 4
    with pytest.raises(ValueError, match=r"embedding.*input_dim=4.*4 in row 2"):
        Native(problem).forward()


@pytest.mark.parametrize("value", ["", "2", "on"])
def test_the_switch_is_checked(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOT_EXACT_ALGEBRA", value)
    with pytest.raises(ValueError, match="FOLIOT_EXACT_ALGEBRA"):
        Native(problem_of(["lstm"]))
