"""The same bits for every number of threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from foliot import _core
from parity.graphs import (
    ALL_CELLS,
    SIGMOID,
    SOFTMAX,
    TANH,
    Graph,
    binary_crossentropy,
    dense,
    embedding,
    optimizer,
    recurrent,
    state_sizes,
    training,
)
from parity.native import Native, make_optimizer
from parity.problems import Problem, cell_problem, random_weights


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


def text_problem(cell: str, batch: int, time: int) -> Problem:
    """A text model with everything that draws random numbers or reduces over rows."""
    random = np.random.default_rng(1)
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(50, 16, mask_zero=True), x)
    (x,) = graph.add({"kind": "dropout", "rate": 0.3, "seed": 5, "noise_shape": None}, x)
    (x,) = graph.add(recurrent(cell, 24, return_sequences=True, dropout=0.2, recurrent_dropout=0.2), x)
    (x,) = graph.add(recurrent(cell, 16), x)
    graph.outputs = graph.add(dense(1, SIGMOID), x)
    return Problem(
        graph=graph,
        training=training([binary_crossentropy()], metrics=[[{"kind": "binary_accuracy", "threshold": 0.5}]]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 50, size=(batch, time)).astype(np.int32)],
        targets=[random.integers(0, 2, size=(batch, 1)).astype(np.float32)],
    )


@pytest.mark.parametrize(("batch", "activation"), [(1, TANH), (3, TANH), (37, TANH), (128, TANH), (37, SOFTMAX)])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_outputs_and_gradients(cell: str, batch: int, activation: dict[str, Any]) -> None:
    options: dict[str, Any] = {"mask": "interior", "activation": activation, "return_sequences": True}
    problem = cell_problem(cell, batch, 11, 19, 40, seed=2, **options)
    results: list[list[np.ndarray]] = []
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        assert _core.get_num_threads() == threads
        native = Native(problem)
        loss, gradients = native.gradients()
        results.append([np.array(loss), *native.forward(), *gradients])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("mask", [None, "right", "interior"])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_threads_do_not_disturb_each_other(cell: str, mask: str | None) -> None:
    """Inference again and again: rows of one thread must never lie in memory that another one still reads. A batch
    below 48 is projected several steps at a time."""
    problem = cell_problem(cell, 33, 30, 3, 33, seed=3, mask=mask, learned=False, return_sequences=True)
    _core.set_num_threads(1)
    expected = Native(problem).forward()
    _core.set_num_threads(4)
    native = Native(problem)
    for _ in range(200):
        for a, b in zip(native.forward(), expected, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_training_with_dropout(cell: str) -> None:
    problem = text_problem(cell, 70, 9)
    results: list[list[np.ndarray]] = []
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        native = Native(problem)
        adam = make_optimizer(optimizer("adam", 0.01, global_clipnorm=0.1), native)
        reports = [native.train(adam, np.arange(step, 70, 2)) for step in (0, 1, 0)]
        results.append([np.array(reports), *native.weights()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def branches_problem(cell: str, batch: int, time: int, masked: bool) -> Problem:
    """Two directions over an embedding, which is folded into both, two over another input, and a layer that begins with
    given states: five that do not need each other, and one that needs the last."""
    random = np.random.default_rng(4)
    graph = Graph()
    ids = graph.input("ids", (None,), dtype="int32")
    x = graph.input("x", (None, 5))
    (vectors,) = graph.add(embedding(30, 16, mask_zero=masked), ids)
    directions = [{}, {"go_backwards": True}]
    ends = [graph.add(recurrent(cell, 24, **options), source)[0] for source in (vectors, x) for options in directions]
    first = recurrent(cell, 24, return_sequences=True)
    states = [graph.input(f"state{index}", (size,)) for index, size in enumerate(state_sizes(first))]
    (sequence,) = graph.add(first, x, *states)
    (again,) = graph.add(recurrent(cell, 12, go_backwards=True), sequence)
    graph.outputs = [graph.add(dense(1, SIGMOID), end)[0] for end in (*ends, again)]
    inputs = [
        random.integers(0, 30, size=(batch, time)).astype(np.int32),
        random.normal(size=(batch, time, 5)).astype(np.float32),
        *(random.normal(size=(batch, size)).astype(np.float32) for size in state_sizes(first)),
    ]
    return Problem(
        graph=graph,
        training=training([binary_crossentropy()] * len(graph.outputs)),
        weights=random_weights(graph, random),
        inputs=inputs,
        targets=[random.integers(0, 2, size=(batch, 1)).astype(np.float32) for _ in graph.outputs],
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("batch", [1, 13, 40])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_layers_at_once(cell: str, batch: int, masked: bool) -> None:
    """One after the other on one thread, at once on several."""
    problem = branches_problem(cell, batch, 30, masked)
    results: list[list[np.ndarray]] = []
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        native = Native(problem)
        loss, gradients = native.gradients()
        adam = make_optimizer(optimizer("adam", 0.01), native)
        reports = [native.train(adam, np.arange(batch)) for _ in range(2)]
        results.append([np.array([loss, *np.ravel(reports)]), *gradients, *native.forward(), *native.weights()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def test_a_run_repeats_itself() -> None:
    """Two programs made alike and run alike give the same bits."""
    first, second = Native(text_problem("lstm", 40, 7)), Native(text_problem("lstm", 40, 7))
    for step in range(2):
        a, b = first.gradients(training=True, step=step), second.gradients(training=True, step=step)
        assert a[0] == b[0]
        assert all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))


@pytest.mark.parametrize("threads", [0, -1])
def test_a_senseless_number_of_threads_is_an_error(threads: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        _core.set_num_threads(threads)
