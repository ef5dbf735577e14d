"""Rows that begin with the same token, whose steps are run once for all of them.

The oracle judges, and so does the plain way, which `FOLIOT_EXACT_ALGEBRA=0` brings back.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .graphs import ALL_CELLS
from .native import Native, compare
from .problems import Problem
from .test_parity_folding import assert_same, problem_of

cells = pytest.mark.parametrize("cell", ALL_CELLS)


def padded(
    cell: str, lengths: list[int], time: int, *, backwards: bool = False, token: int = 0, **options: Any
) -> Problem:
    """Rows of tokens, each padded to `time` steps where it begins, in the order of processing, with `token`."""
    problem = problem_of([cell], batch=len(lengths), time=time, vocabulary=5, go_backwards=backwards, **options)
    for row, length in zip(problem.inputs[0], lengths, strict=True):
        if backwards:
            row[length:] = token
        else:
            row[: time - length] = token
    return problem


@cells
@given(
    lengths=st.lists(st.integers(0, 11), min_size=22, max_size=60),
    backwards=st.booleans(),
    token=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
    options=st.fixed_dictionaries(
        {
            "use_bias": st.booleans(),
            "return_state": st.booleans(),
            "zero_output_for_mask": st.booleans(),
            "units": st.sampled_from([1, 8, 17]),
        }
    ),
)
def test_equals_the_oracle_and_the_plain_way(
    cell: str, lengths: list[int], backwards: bool, token: int, seed: int, options: dict[str, Any]
) -> None:
    problem = padded(cell, lengths, 11, backwards=backwards, token=token, seed=seed, **options)
    compare(problem)
    assert_same(problem)


@cells
def test_rows_of_nothing_but_padding(cell: str) -> None:
    for lengths in ([0] * 30, [0] * 29 + [7], [7] * 6 + [0] * 24):
        problem = padded(cell, lengths, 7, return_state=True)
        compare(problem)
        assert_same(problem)


@cells
@pytest.mark.parametrize("activation", [{"kind": "tanh"}, {"kind": "mish"}], ids=lambda spec: spec["kind"])
def test_many_steps(cell: str, activation: dict[str, Any]) -> None:
    """More than are projected, or summed, at once."""
    lengths = [(37 * row) % 300 for row in range(48)]
    problem = padded(cell, lengths, 300, units=33, features=20, activation=activation)
    compare(problem)
    assert_same(problem)


@pytest.mark.parametrize("options", [{"proj_size": 5}, {"use_peepholes": True}], ids=str)
def test_more_than_the_plain_cell(options: dict[str, Any]) -> None:
    problem = padded("lstm", [(5 * row) % 12 for row in range(40)], 11, return_state=True, **options)
    compare(problem)
    assert_same(problem)


@cells
@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True},
        {"mask_zero": True},
        {"initial_state": True},
        {"dropout": 0.5},
        {"recurrent_dropout": 0.5},
    ],
    ids=str,
)
def test_what_tells_rows_apart(cell: str, options: dict[str, Any]) -> None:
    """States, masks and random numbers of their own, and outputs of each step, leave nothing to share."""
    problem = padded(cell, [row % 8 for row in range(30)], 8, **options)
    if "dropout" not in str(options):
        compare(problem)
    assert_same(problem, training=True)


@cells
def test_batches_that_follow_each_other(cell: str) -> None:
    """What one batch shares does not show in the next."""
    problem = padded(cell, [row % 9 for row in range(60)], 8)
    native = Native(problem)
    for rows in (np.arange(60), np.arange(10), np.arange(30, 60), np.arange(60)):
        expected = Native(problem).forward(rows=rows)[0]
        np.testing.assert_array_equal(native.forward(rows=rows)[0], expected)
