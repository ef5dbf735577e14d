"""The smallest shapes, the largest values, and what must be refused."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import _core
from parity.graphs import (
    ALL_CELLS,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    Graph,
    binary_crossentropy,
    dense,
    embedding,
    optimizer,
    recurrent,
    training,
)
from parity.native import Native, compare, make_optimizer
from parity.problems import Problem, cell_problem, random_weights

cells = pytest.mark.parametrize("cell", ALL_CELLS)


@cells
def test_one_of_everything(cell: str) -> None:
    compare(cell_problem(cell, 1, 1, 1, 1, seed=1, return_sequences=True))


@cells
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_no_steps(cell: str, go_backwards: bool, return_sequences: bool) -> None:
    """The initial state comes back, the sequence is empty, the weights have no gradient, the initial state has one."""
    options: dict[str, Any] = {"go_backwards": go_backwards, "return_sequences": return_sequences}
    problem = cell_problem(cell, 3, 0, 4, 9, seed=2, learned=False, **options)
    native = Native(problem)
    output, *states = native.forward()
    for state, initial in zip(states, problem.inputs[1:], strict=True):
        assert np.array_equal(state, initial)
    if return_sequences:
        assert output.shape == (3, 0, 9)
    else:
        assert np.array_equal(output, problem.inputs[1])
    _, gradients = native.gradients()
    assert not any(gradient.any() for gradient in gradients)
    compare(cell_problem(cell, 3, 0, 4, 9, seed=2, learned=True, **options))


@cells
def test_no_rows(cell: str) -> None:
    problem = cell_problem(cell, 3, 5, 4, 9, seed=3, learned=False, return_sequences=True)
    output, *states = Native(problem).forward(rows=np.zeros(0, np.int64))
    assert output.shape == (0, 5, 9)
    assert all(state.shape == (0, 9) for state in states)


@cells
@given(scale=st.sampled_from([1e-40, 1e-20, 50.0, 1e10, 1e30]), seed=st.integers(0, 99))
def test_extreme_inputs_give_finite_results(cell: str, scale: float, seed: int) -> None:
    """Saturated gates and denormal inputs: outputs within [-1, 1], no NaN anywhere."""
    problem = cell_problem(cell, 9, 4, 3, 8, seed=seed, initial_state=False, learned=False, return_sequences=True)
    problem.inputs[0] = (problem.inputs[0] * scale).astype(np.float32)
    native = Native(problem)
    output = native.forward()[0]
    assert np.isfinite(output).all()
    # The shares of minLSTM add up to 1 but for rounding, and again at each of the four steps.
    assert np.abs(output).max() <= (1 + 1e-6 if cell == "min_lstm" else 1)
    # Gradients of a kernel are multiplied by the input, so they may overflow where the input is near the largest float.
    if scale < 1e20:
        assert all(np.isfinite(gradient).all() for gradient in native.gradients()[1])


def text_problem() -> Problem:
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(10, 4, mask_zero=True), x, name="embedding")
    (x,) = graph.add(recurrent("lstm", 5), x, name="lstm")
    graph.outputs = graph.add(dense(1, SIGMOID), x, name="dense")
    random = np.random.default_rng(4)
    return Problem(
        graph=graph,
        training=training([binary_crossentropy()], metrics=[[{"kind": "binary_accuracy", "threshold": 0.5}]]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 10, size=(6, 5)).astype(np.int32)],
        targets=[random.integers(0, 2, size=(6, 1)).astype(np.float32)],
    )


@pytest.mark.parametrize("token", [10, -1, 2**31 - 1, -(2**31)])
def test_a_token_outside_the_embedding_is_an_error(token: int) -> None:
    problem = text_problem()
    problem.inputs[0][2, 3] = token
    native = Native(problem)
    for run in (native.forward, native.gradients, lambda: native.train(make_optimizer(optimizer("sgd", 0.1), native))):
        with pytest.raises(ValueError, match=str(token)):
            run()
    assert all(np.array_equal(a, b) for a, b in zip(native.weights(), problem.weights, strict=True))


@pytest.mark.parametrize("rows", [[6], [-1], [0, 1, 2**40]])
def test_rows_outside_the_arrays_are_an_error(rows: list[int]) -> None:
    with pytest.raises((ValueError, IndexError)):
        Native(text_problem()).forward(rows=np.array(rows, np.int64))


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [np.zeros((2, 3), np.int32)] * 2,
        [np.zeros(3, np.int32)],
        [np.zeros((2, 3, 4), np.int32)],
        [np.zeros((2, 3), np.float32)],
        [np.zeros((2, 6), np.int32)[:, ::2]],
    ],
    ids=["none", "two", "rank 1", "rank 3", "float", "strided"],
)
def test_inputs_of_another_number_shape_or_type_are_refused(inputs: list[np.ndarray]) -> None:
    problem = text_problem()
    native = Native(problem)
    problem.inputs = inputs
    problem.masks = [None] * len(inputs)
    with pytest.raises((ValueError, TypeError)):
        native.forward()


@pytest.mark.parametrize("shape", [(5, 1), (6, 2), (7, 1), (6, 5, 1)])
def test_targets_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    problem = text_problem()
    problem.targets = [np.zeros(shape, np.float32)]
    with pytest.raises(ValueError, match="`y`"):
        Native(problem).gradients()


def test_a_parameter_of_another_shape_is_refused() -> None:
    problem = text_problem()
    problem.weights[1] = problem.weights[1].T
    with pytest.raises(ValueError, match="lstm"):
        Native(problem)


def test_a_parameter_keeps_its_shape() -> None:
    parameter = _core.Parameter("kernel", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="kernel"):
        parameter.assign(np.zeros((3, 2)))
    assert not parameter.numpy().any()


def mutations(value: Any) -> st.SearchStrategy[Any]:
    """A value of JSON with one place in it replaced."""
    junk: st.SearchStrategy[Any] = st.sampled_from(
        [None, -1, 0, 1, 2**63, 1e300, math.pi, "", "lstm", [], {}, True, [[0, 0]], [9]]
    )
    if isinstance(value, dict) and value:
        return st.one_of(
            junk,
            st.sampled_from(sorted(value)).flatmap(
                lambda key: mutations(value[key]).map(lambda new: value | {key: new})
            ),
            st.sampled_from(sorted(value)).map(lambda key: {k: v for k, v in value.items() if k != key}),
            junk.map(lambda new: value | {"unknown": new}),
        )
    if isinstance(value, list) and value:
        return st.one_of(
            junk,
            st.integers(0, len(value) - 1).flatmap(
                lambda i: mutations(value[i]).map(lambda new: [*value[:i], new, *value[i + 1 :]])
            ),
            st.integers(0, len(value) - 1).map(lambda i: value[:i] + value[i + 1 :]),
            st.just(value + value),
        )
    return junk


PROBLEM = text_problem()


def message(run: Callable[[], object]) -> str | None:
    """The text of a refusal, None where there is none. A panic would come as an exception of neither kind."""
    try:
        run()
    except (ValueError, TypeError) as error:
        return str(error)
    return None


@given(graph=mutations(PROBLEM.graph.to_dict()))
def test_a_graph_with_a_fault_is_refused_or_runs(graph: Any) -> None:
    def run() -> None:
        parameters = [_core.Parameter(n, w) for n, w in zip(PROBLEM.graph.names, PROBLEM.weights, strict=True)]
        program = _core.Program(json.dumps(graph), parameters)
        program.compile(json.dumps(PROBLEM.training))
        program.gradients(PROBLEM.inputs, [None], PROBLEM.targets, [None], training=True, step=0)

    assert message(run) != ""


@given(plan=mutations(PROBLEM.training))
def test_a_faulty_compile_is_refused_or_runs(plan: Any) -> None:
    assert message(lambda: Native(replace(PROBLEM, training=plan)).gradients()) != ""


@given(spec=mutations(optimizer("adam", 0.1, clipnorm=1.0)))
def test_a_faulty_optimizer_is_refused_or_runs(spec: Any) -> None:
    native = Native(PROBLEM)
    assert message(lambda: native.train(make_optimizer(spec, native))) != ""


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"nodes": []}', "\x00", "[" * 100_000])
def test_text_that_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="graph"):
        _core.Program(text, [])
    with pytest.raises(ValueError, match="optimizer"):
        _core.Optimizer(text)


def test_a_loss_for_every_output() -> None:
    problem = cell_problem("lstm", 3, 2, 2, 2, seed=1, learned=False)
    problem.training = training([MEAN_SQUARED_ERROR])
    with pytest.raises(ValueError, match="an entry for each of 3 outputs"):
        Native(problem)
