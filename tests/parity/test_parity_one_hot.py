"""One-hot inputs, which recurrent layers take for tokens.

The oracle judges, and so does the plain way, which `FOLIOT_EXACT_ALGEBRA=0` brings back.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .graphs import ALL_CELLS, MEAN_SQUARED_ERROR, Graph, optimizer, recurrent, training
from .native import Native, assert_gradients_close, compare, make_optimizer
from .problems import Array, Problem, random_mask, random_weights

cells = pytest.mark.parametrize("cell", ALL_CELLS)


def one_hot(batch: int, time: int, features: int, random: np.random.Generator) -> Array:
    """Rows of the unit matrix, and one in five of zeros."""
    places = random.integers(0, features, (batch, time))
    rows = np.eye(features, dtype=np.float32)[places]
    rows[random.random((batch, time)) < 0.2] = 0
    return rows


def problem_of(
    cell: str,
    *,
    batch: int = 5,
    time: int = 7,
    features: int = 19,
    units: int = 12,
    mask: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Problem:
    """A layer on one-hot rows; those that a mask takes out are none."""
    random = np.random.default_rng(seed)
    graph = Graph()
    rows = one_hot(batch, time, features, random)
    flags = None if mask is None else random_mask(mask, batch, time, random)
    if flags is not None:
        rows[~flags] = -1
    x = graph.input("x", (None, features))
    if flags is not None:
        (x,) = graph.add({"kind": "masking", "mask_value": -1.0}, x)
    graph.outputs = graph.add(recurrent(cell, units, **options), x)
    shapes = [(batch, *(time if axis is None else axis for axis in output.shape)) for output in graph.outputs]
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(shapes)),
        weights=random_weights(graph, random),
        inputs=[rows],
        targets=[random.normal(size=shape).astype(np.float32) for shape in shapes],
    )


def results(problem: Problem, training: bool) -> tuple[list[Array], float, list[Array]]:
    """The outputs, the loss and the gradients of the weights: where that of the input is asked for, it is no token."""
    outputs = Native(problem).forward(training)
    native = Native(problem)
    [loss, *_] = native.train(make_optimizer(optimizer("sgd", 1.0), native))
    changes = [before - after for before, after in zip(problem.weights, native.weights(), strict=True)]
    return outputs, loss, changes


def assert_same(problem: Problem, training: bool = False) -> None:
    """Equal bits forward; sums in another order backward."""
    actual = results(problem, training)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLIOT_EXACT_ALGEBRA", "0")
        expected = results(problem, training)
    for output, plain in zip(actual[0], expected[0], strict=True):
        np.testing.assert_array_equal(output, plain)
    assert actual[1] == expected[1]
    for name, change, plain in zip(problem.graph.names, actual[2], expected[2], strict=True):
        # The change of a weight is rounded as the weight is.
        assert_gradients_close(change, plain, name, floor=1e-5)


@cells
@given(
    sizes=st.fixed_dictionaries(
        {
            "batch": st.sampled_from([1, 2, 7, 13, 33]),
            "time": st.sampled_from([1, 2, 9]),
            "features": st.sampled_from([7, 8, 16, 71]),
            "units": st.sampled_from([4, 8, 20]),
        }
    ),
    mask=st.sampled_from([None, "right", "left", "interior"]),
    seed=st.integers(0, 2**32 - 1),
    options=st.fixed_dictionaries(
        {
            "use_bias": st.booleans(),
            "go_backwards": st.booleans(),
            "return_sequences": st.booleans(),
            "return_state": st.booleans(),
            "checkpoint_every": st.sampled_from([None, {"steps": 2}]),
        }
    ),
)
def test_equals_the_oracle_and_the_plain_way(
    cell: str, sizes: dict[str, int], mask: str | None, seed: int, options: dict[str, Any]
) -> None:
    problem = problem_of(cell, mask=mask, seed=seed, **sizes, **options)
    compare(problem)
    assert_same(problem)


@cells
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout(cell: str, dropout: float) -> None:
    """Dropout of the state works on tokens too; rows that dropout of the input has scaled are none."""
    assert_same(problem_of(cell, dropout=dropout, recurrent_dropout=0.4, mask="interior"), training=True)


@pytest.mark.parametrize("value", [2.0, 0.5, -1.0, 1e-40, np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0, 3), (4, 6, 18), (2, 3, 10)])
def test_a_single_other_value_makes_it_no_one_hot_input(value: float, place: tuple[int, int, int]) -> None:
    problem = problem_of("lstm", return_sequences=True)
    [x] = problem.inputs
    x[place] = value
    outputs = Native(problem).forward()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLIOT_EXACT_ALGEBRA", "0")
        plain = Native(problem).forward()
    np.testing.assert_array_equal(outputs, plain)
    changed = np.isfinite(value) and value > 1e-30
    x[place] = 0
    assert not changed or not np.array_equal(Native(problem).forward(), outputs)


def test_batches_alternate_and_weights_change() -> None:
    """What is known of tokens belongs to the weights and the batch that it was made of."""
    random = np.random.default_rng(3)
    tokens = problem_of("gru", batch=6, return_sequences=True)
    other = Problem(**{**vars(tokens), "inputs": [random.normal(size=tokens.inputs[0].shape).astype(np.float32)]})

    def run() -> list[Array]:
        native = Native(tokens)
        sgd, seen = make_optimizer(optimizer("sgd", 0.5), native), []
        for problem in (tokens, other, tokens, tokens, other):
            native.problem = problem
            native.train(sgd)
            seen += native.forward()
        return seen

    exact = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLIOT_EXACT_ALGEBRA", "0")
        plain = run()
    for one, two in zip(exact, plain, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
