"""Masks, lengths, the order of rows, and sequences cut in two."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.graphs import ALL_CELLS, MEAN_SQUARED_ERROR, Graph, recurrent, state_sizes, training
from parity.native import Native, assert_close, assert_gradients_close
from parity.problems import Problem, cell_problem, random_weights

SIZES = st.sampled_from([1, 3, 8, 9, 17, 33])
SEEDS = st.integers(0, 2**32 - 1)
cells = pytest.mark.parametrize("cell", ALL_CELLS)

# Two float32 runs of the same sums in another order.
SAME = 2e-6


def sequence_problem(
    cell: str, x: np.ndarray, units: int, seed: int, mask: np.ndarray | None = None, **options: Any
) -> Problem:
    """A recurrent layer on given inputs, last output and final states; weights depend on the seed only."""
    random = np.random.default_rng(seed)
    graph = Graph()
    tensor = graph.input("x", (None, x.shape[-1]), masked=mask is not None)
    graph.outputs = graph.add(recurrent(cell, units, return_state=True, **options), tensor, name="cell")
    weights = random_weights(graph, random)
    targets = []
    for output in graph.outputs:
        shape = (len(x), *(x.shape[1] if axis is None else axis for axis in output.shape))
        targets.append(random.normal(size=shape).astype(np.float32))
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(targets)),
        weights=weights,
        inputs=[x],
        targets=targets,
        masks=[mask],
    )


@cells
@given(time=st.integers(2, 9), features=SIZES, units=SIZES, seed=SEEDS, data=st.data())
def test_masked_equals_shortened(
    cell: str, time: int, features: int, units: int, seed: int, data: st.DataObject
) -> None:
    """A row with masked steps, wherever they are, gives what the row of its valid steps gives; so do the gradients."""
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=time, max_size=time)))
    x = np.random.default_rng(seed).normal(size=(1, time, features)).astype(np.float32)
    # What stands in masked steps must not matter, however large.
    x[0, ~valid] = 1e6
    masked = Native(sequence_problem(cell, x, units, seed, valid[None]))
    short = Native(sequence_problem(cell, np.ascontiguousarray(x[:, valid]), units, seed))
    for actual, expected in zip(masked.forward(), short.forward(), strict=True):
        assert_close(actual, expected, SAME, "output")
    loss, gradients = masked.gradients()
    short_loss, short_gradients = short.gradients()
    assert loss == pytest.approx(short_loss, rel=1e-5)
    for name, actual, expected in zip(masked.problem.graph.names, gradients, short_gradients, strict=True):
        assert_gradients_close(actual, expected, name)


@cells
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_mask_of_ones_changes_nothing(cell: str, go_backwards: bool) -> None:
    x = np.random.default_rng(3).normal(size=(9, 6, 5)).astype(np.float32)
    options: dict[str, Any] = {"go_backwards": go_backwards, "return_sequences": True}
    masked = Native(sequence_problem(cell, x, 17, 3, np.ones((9, 6), bool), **options))
    plain = Native(sequence_problem(cell, x, 17, 3, **options))
    for actual, expected in zip(masked.forward(), plain.forward(), strict=True):
        assert_close(actual, expected, SAME, "output")


@cells
@pytest.mark.parametrize("return_sequences", [False, True])
def test_rows_of_length_zero_hold_the_initial_state(cell: str, return_sequences: bool) -> None:
    problem = cell_problem(cell, 5, 4, 3, 9, seed=4, mask="right", learned=False, return_sequences=return_sequences)
    mask = np.array(problem.all_masks[0])
    mask[1] = mask[3] = False
    problem.masks = [mask, *problem.all_masks[1:]]
    native = Native(problem)
    output, *states = native.forward()
    for row in (1, 3):
        for state, initial in zip(states, problem.inputs[1:], strict=True):
            assert np.array_equal(state[row], initial[row])
        held = np.broadcast_to(problem.inputs[1][row], output[row].shape)
        assert np.array_equal(output[row], held)
    assert all(np.isfinite(gradient).all() for gradient in native.gradients()[1])


@cells
@pytest.mark.parametrize("value", [True, 1, 255])
def test_a_mask_of_integers_is_a_mask(cell: str, value: int) -> None:
    problem = cell_problem(cell, 5, 4, 3, 9, seed=5, mask="interior", learned=False)
    expected = Native(problem).forward()
    mask = np.array(problem.all_masks[0])
    problem.masks = [np.where(mask, value, 0).astype(np.uint8), *problem.all_masks[1:]]
    for a, b in zip(Native(problem).forward(), expected, strict=True):
        assert np.array_equal(a, b)


@cells
@given(
    batch=SIZES, time=st.integers(1, 7), features=SIZES, units=SIZES, seed=SEEDS, mask=st.sampled_from([None, "right"])
)
def test_the_order_of_rows_does_not_matter(
    cell: str, batch: int, time: int, features: int, units: int, seed: int, mask: str | None
) -> None:
    """Outputs follow their rows bit by bit; gradients, which add the rows up, by rounding."""
    problem = cell_problem(cell, batch, time, features, units, seed=seed, mask=mask, learned=False)
    order = np.random.default_rng(seed).permutation(batch)
    shuffled = replace(
        problem,
        inputs=[value[order] for value in problem.inputs],
        targets=[value[order] for value in problem.targets],
        masks=[None if value is None else value[order] for value in problem.all_masks],
    )
    first, second = Native(problem), Native(shuffled)
    for a, b in zip(first.forward(), second.forward(), strict=True):
        assert np.array_equal(a[order], b)
    loss, gradients = first.gradients()
    other_loss, other_gradients = second.gradients()
    assert loss == pytest.approx(other_loss, rel=1e-6)
    for name, a, b in zip(problem.graph.names, gradients, other_gradients, strict=True):
        assert_gradients_close(a, b, name)


@cells
def test_rows_pick_a_batch(cell: str) -> None:
    """Any rows of the whole arrays, in any order, several times."""
    problem = cell_problem(cell, 12, 5, 4, 9, seed=6, mask="right", learned=False, return_sequences=True)
    native = Native(problem)
    rows = np.array([7, 2, 2, 11, 0], np.int64)
    for picked, whole in zip(native.forward(rows=rows), native.forward(), strict=True):
        assert np.array_equal(picked, whole[rows])


@cells
@given(time=st.integers(0, 4), rest=st.integers(0, 5), batch=SIZES, features=SIZES, units=SIZES, seed=SEEDS)
def test_a_split_sequence_with_carried_state_equals_the_whole(
    cell: str, time: int, rest: int, batch: int, features: int, units: int, seed: int
) -> None:
    """Bit by bit: every step computes the same sums whichever part it is in. Parts may be empty."""
    random = np.random.default_rng(seed)
    graph = Graph()
    x = graph.input("x", (None, features))
    spec = recurrent(cell, units, return_state=True, return_sequences=True)
    states = [graph.input(f"state_{index}", (size,)) for index, size in enumerate(state_sizes(spec))]
    graph.outputs = graph.add(spec, x, *states)
    weights = random_weights(graph, random)
    values = random.normal(size=(batch, time + rest, features)).astype(np.float32)
    initial = [random.normal(size=(batch, size)).astype(np.float32) for size in state_sizes(spec)]

    def run(part: np.ndarray, start: list[np.ndarray]) -> list[np.ndarray]:
        problem = Problem(
            graph=graph,
            training=training([MEAN_SQUARED_ERROR] * len(graph.outputs)),
            weights=weights,
            inputs=[np.ascontiguousarray(part), *start],
            targets=[],
        )
        return Native(problem).forward()

    whole, *whole_states = run(values, initial)
    first, *carried = run(values[:, :time], initial)
    second, *final = run(values[:, time:], carried)
    assert np.array_equal(np.concatenate([first, second], axis=1), whole)
    for a, b in zip(final, whole_states, strict=True):
        assert np.array_equal(a, b)


@cells
def test_backwards_is_forwards_on_the_reversed_sequence(cell: str) -> None:
    x = np.random.default_rng(7).normal(size=(9, 6, 5)).astype(np.float32)
    mask = np.random.default_rng(8).random((9, 6)) < 0.7
    backwards = Native(sequence_problem(cell, x, 17, 9, mask, go_backwards=True, return_sequences=True))
    reversed_ = np.ascontiguousarray(x[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    forwards = Native(sequence_problem(cell, reversed_[0], 17, 9, reversed_[1], return_sequences=True))
    for a, b in zip(backwards.forward(), forwards.forward(), strict=True):
        assert np.array_equal(a, b)


@cells
def test_masked_steps_repeat_the_output_or_give_zero(cell: str) -> None:
    x = np.random.default_rng(10).normal(size=(33, 7, 5)).astype(np.float32)
    mask = np.random.default_rng(11).random((33, 7)) < 0.6
    held = Native(sequence_problem(cell, x, 9, 12, mask, return_sequences=True)).forward()[0]
    zeros = Native(sequence_problem(cell, x, 9, 12, mask, return_sequences=True, zero_output_for_mask=True)).forward()[
        0
    ]
    before = np.concatenate([np.zeros_like(held[:, :1]), held[:, :-1]], axis=1)
    assert np.array_equal(held[~mask], before[~mask])
    assert not zeros[~mask].any()
    assert np.array_equal(zeros[mask], held[mask])
