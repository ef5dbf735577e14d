"""Zoneout: against the oracle with every mask and direction, how often it keeps, and the ends of its range."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.graphs import ALL_CELLS, LINEAR, MEAN_SQUARED_ERROR, Graph, recurrent, training, zoneout
from parity.native import Native, compare
from parity.problems import Problem, cell_problem

cells = pytest.mark.parametrize("cell", ALL_CELLS)
SIZES = st.sampled_from([1, 7, 8, 17, 33])
OPTIONS = st.fixed_dictionaries(
    {
        "activation": st.sampled_from([{"kind": "tanh"}, {"kind": "silu"}]),
        "mask": st.sampled_from([None, "right", "left", "interior"]),
        "learned": st.booleans(),
        "initial_state": st.booleans(),
        "go_backwards": st.booleans(),
        "return_sequences": st.booleans(),
        "zero_output_for_mask": st.booleans(),
        "recurrent_dropout": st.sampled_from([0.0, 0.4]),
    }
)
RATES = st.sampled_from([(0.5, 0.0), (0.0, 0.3), (0.25, 0.5), (1.0, 0.1), (0.1, 1.0)])


@cells
@given(
    batch=SIZES,
    time=st.sampled_from([1, 2, 7]),
    features=SIZES,
    units=SIZES,
    seed=st.integers(0, 2**32 - 1),
    rates=RATES,
    options=OPTIONS,
    step=st.sampled_from([None, 0, 5]),
)
def test_outputs_and_gradients(
    cell: str,
    batch: int,
    time: int,
    features: int,
    units: int,
    seed: int,
    rates: tuple[float, float],
    options: dict[str, Any],
    step: int | None,
) -> None:
    options = options | zoneout(cell, *rates)
    compare(cell_problem(cell, batch, time, features, units, seed=seed, **options), step=step)


@cells
def test_the_mean_in_training(cell: str) -> None:
    """What a call with `training=False` inside a model asks for."""
    options = zoneout(cell, 0.4, 0.3) | {"zoneout_mean": True}
    compare(cell_problem(cell, 9, 5, 4, 8, seed=3, **options), step=1)


def random_walk(rate: float, units: int, batch: int = 200, time: int = 30) -> Native:
    """Outputs that say when an element was last renewed: a linear cell without recurrence, whose input is the time."""
    graph = Graph()
    x = graph.input("x", (None, 1))
    spec = recurrent("simple_rnn", units, activation=LINEAR, use_bias=False, zoneout=rate, return_sequences=True)
    graph.outputs = graph.add(spec, x)
    moments = np.arange(1, time + 1, dtype=np.float32)
    problem = Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR]),
        weights=[np.ones((1, units), np.float32), np.zeros((units, units), np.float32)],
        inputs=[np.broadcast_to(moments[:, None], (batch, time, 1)).copy()],
        targets=[np.zeros((batch, time, units), np.float32)],
    )
    return Native(problem)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_elements_are_kept_as_often_as_the_rate_says(rate: float) -> None:
    """Within five standard deviations, and without a relation between rows, steps or units that are neighbours."""
    output = random_walk(rate, 10).forward(training=True)[0]
    kept = output != np.arange(1, output.shape[1] + 1, dtype=np.float32)[:, None]
    assert abs(kept.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
    centred = kept - kept.mean()
    for axis in range(3):
        moved = np.moveaxis(centred, axis, 0)
        pairs = moved[1:] * moved[:-1]
        assert abs(pairs.mean() / centred.var()) < 5 / np.sqrt(pairs.size)
    # A kept element has the very value that it had.
    before = np.concatenate([np.zeros_like(output[:, :1]), output[:, :-1]], axis=1)
    assert np.array_equal(output[kept], before[kept])


def test_the_ends_of_the_range() -> None:
    assert not random_walk(1.0, 3).forward(training=True)[0].any()
    assert not random_walk(1.0, 3).forward()[0].any()
    for run in ({"training": True}, {}):
        assert np.array_equal(random_walk(0.0, 3).forward(**run)[0], random_walk(0.0, 3).problem.inputs[0].repeat(3, 2))


def test_seed_and_step_decide() -> None:
    def bits(step: int) -> bytes:
        return random_walk(0.5, 4, 3).forward(training=True, step=step)[0].tobytes()

    assert bits(2) == bits(2)
    assert len({bits(step) for step in range(4)}) == 4


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_rate_outside_the_range_is_an_error(rate: float) -> None:
    with pytest.raises(ValueError, match="zoneout"):
        random_walk(rate, 3)
