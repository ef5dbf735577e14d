"""`checkpoint_every`: the bits of training that keeps every step, with less memory."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import _core
from parity.graphs import (
    ALL_CELLS,
    MEAN_SQUARED_ERROR,
    SOFTMAX,
    TANH,
    Graph,
    dense,
    embedding,
    optimizer,
    recurrent,
    training,
    zoneout,
)
from parity.native import Native, compare, make_optimizer
from parity.problems import Problem, cell_problem, random_weights

cells = pytest.mark.parametrize("cell", ALL_CELLS)
SIZES = st.sampled_from([1, 3, 8, 17])
EVERY = st.one_of(st.just("auto"), st.integers(1, 12).map(lambda steps: {"steps": steps}))


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


def checkpointed(problem: Problem, every: Any) -> Problem:
    """The problem with checkpoints in all recurrent layers."""
    other = copy.deepcopy(problem)
    for node in other.graph.nodes:
        if "units" in node["layer"] and "recurrent_dropout" in node["layer"]:
            node["layer"]["checkpoint_every"] = every
    return other


def assert_same_bits(problem: Problem, every: Any, train: bool, step: int = 0) -> None:
    plain, less = Native(problem), Native(checkpointed(problem, every))
    for actual, expected in zip(less.forward(train, step), plain.forward(train, step), strict=True):
        np.testing.assert_array_equal(actual, expected)
    loss, gradients, d_inputs = less.all_gradients(train, step)
    expected_loss, expected_gradients, expected_d_inputs = plain.all_gradients(train, step)
    assert loss == expected_loss
    for name, actual, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        np.testing.assert_array_equal(actual, expected, err_msg=name)
    for actual_input, expected_input in zip(d_inputs, expected_d_inputs, strict=True):
        assert (actual_input is None) == (expected_input is None)
        if actual_input is not None and expected_input is not None:
            np.testing.assert_array_equal(actual_input, expected_input)


@cells
@given(
    sizes=st.tuples(SIZES, st.sampled_from([1, 2, 5, 9, 13]), SIZES, SIZES),
    every=EVERY,
    train=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    options=st.fixed_dictionaries(
        {
            "activation": st.sampled_from([TANH, TANH, SOFTMAX]),
            "mask": st.sampled_from([None, "right", "left", "interior"]),
            "initial_state": st.booleans(),
            "learned": st.booleans(),
            "use_bias": st.booleans(),
            "go_backwards": st.booleans(),
            "return_sequences": st.booleans(),
            "zero_output_for_mask": st.booleans(),
            "dropout": st.sampled_from([0.0, 0.3]),
            "recurrent_dropout": st.sampled_from([0.0, 0.4]),
        }
    ),
    rates=st.tuples(st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.2])),
)
def test_the_bits_of_plain_backpropagation(
    cell: str,
    sizes: tuple[int, int, int, int],
    every: Any,
    train: bool,
    threads: int,
    seed: int,
    options: dict[str, Any],
    rates: tuple[float, float],
) -> None:
    _core.set_num_threads(threads)
    problem = cell_problem(cell, *sizes, seed=seed, **options, **zoneout(cell, *rates))
    assert_same_bits(problem, every, train, step=seed % 7)


@cells
@pytest.mark.parametrize("mask", [None, "right", "interior"])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_sums_in_pieces(cell: str, mask: str | None, return_sequences: bool) -> None:
    """So many rows that the sums over time are made of several pieces, which the parts between checkpoints cross."""
    options: dict[str, Any] = {"mask": mask, "learned": False, "return_sequences": return_sequences}
    problem = cell_problem(cell, 21, 150, 5, 35, seed=3, **options)
    assert_same_bits(problem, {"steps": 7}, train=False)
    assert_same_bits(problem, "auto", train=False)


@cells
@pytest.mark.parametrize("mask", [None, "right", "interior"])
@pytest.mark.parametrize("learned", [False, True])
def test_equals_the_oracle(cell: str, mask: str | None, learned: bool) -> None:
    options: dict[str, Any] = {"mask": mask, "learned": learned, "return_sequences": True}
    compare(cell_problem(cell, 5, 11, 4, 9, seed=4, checkpoint_every={"steps": 3}, **options))
    compare(cell_problem(cell, 5, 11, 4, 9, seed=4, checkpoint_every="auto", dropout=0.2, **options), step=3)


@cells
def test_rows_without_a_step(cell: str) -> None:
    problem = cell_problem(cell, 5, 6, 3, 9, seed=4, mask="right", learned=False, return_sequences=True)
    for rows in ([1, 3], [0, 1, 2, 3, 4]):
        mask = np.array(problem.all_masks[0])
        mask[rows] = False
        problem.masks = [mask, *problem.all_masks[1:]]
        assert_same_bits(problem, {"steps": 2}, train=False)


def model_problem(time: int, sequences: bool, every: Any, mask: bool = False, units: int = 16) -> Problem:
    """An embedding, two recurrent layers, a dense one."""
    random = np.random.default_rng(1)
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(50, 8, mask_zero=mask), x)
    (x,) = graph.add(recurrent("gru", units, return_sequences=sequences, checkpoint_every=every), x)
    if sequences:
        (x,) = graph.add(recurrent("lstm", units, recurrent_dropout=0.2, checkpoint_every=every), x)
    graph.outputs = graph.add(dense(1), x)
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 50, size=(4, time)).astype(np.int32)],
        targets=[random.normal(size=(4, 1)).astype(np.float32)],
    )


@pytest.mark.parametrize("mask", [False, True])
def test_training_of_a_model_for_any_number_of_threads(mask: bool) -> None:
    results: list[list[np.ndarray]] = []
    for threads, every in ((1, None), (1, "auto"), (2, {"steps": 5}), (4, {"steps": 40})):
        _core.set_num_threads(threads)
        native = Native(model_problem(30, True, every, mask))
        adam = make_optimizer(optimizer("adam", 0.01, global_clipnorm=0.1), native)
        reports = [native.train(adam) for _ in range(3)]
        results.append([np.array(reports), *native.weights()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mask", [False, True])
def test_memory_grows_as_the_root_of_time(mask: bool) -> None:
    def memory(time: int, every: Any) -> int:
        """Of a step, without what a token id takes: four bytes, and one more for its flag."""
        native = Native(model_problem(time, False, every, mask))
        return native.program.memory([[4, time]], training=True) - 4 * time * (5 if mask else 4)

    short, long = 10_000, 1_000_000
    weights = 200_000  # the sums that become their gradients
    assert memory(long, None) > 0.9 * (long / short) * (memory(short, None) - weights)
    assert memory(long, "auto") < 1.1 * 10 * memory(short, "auto")
    assert memory(long, "auto") < memory(long, None) / 100
    # Every step between checkpoints, or almost none: both take more than the root does.
    for steps in (10, 100_000):
        assert memory(long, "auto") < memory(long, {"steps": steps}) < memory(long, None)
    assert memory(long, {"steps": 2 * long}) == memory(long, None)


@pytest.mark.parametrize("every", [{"steps": 0}, {"steps": -1}, {"steps": 2**40}, "root", 3, {"time": 2}, 1.5])
def test_senseless_distances_are_errors(every: Any) -> None:
    problem = model_problem(3, False, every)
    with pytest.raises((ValueError, TypeError)) as error:
        Native(problem)
    assert str(error.value)
    assert json.dumps(problem.graph.to_dict())
