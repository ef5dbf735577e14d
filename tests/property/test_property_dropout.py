"""Dropout: which elements are dropped, how often, for how long, and what that does to outputs and gradients."""

from typing import Any

import numpy as np
import pytest

from oracle.network import Network
from parity.graphs import ALL_CELLS, LINEAR, MEAN_SQUARED_ERROR, Graph, dense, embedding, recurrent, training
from parity.native import FORWARD, Native, assert_gradients_close, assert_outputs_close
from parity.problems import Problem, cell_problem, random_weights

cells = pytest.mark.parametrize("cell", ALL_CELLS)


def dropout(rate: float, seed: int = 3, noise_shape: list[int | None] | None = None) -> dict[str, Any]:
    return {"kind": "dropout", "rate": rate, "seed": seed, "noise_shape": noise_shape}


def ones_through(spec: dict[str, Any], batch: int, *shape: int) -> Native:
    """A single layer without weights on an input of ones."""
    graph = Graph()
    graph.outputs = graph.add(spec, graph.input("x", shape))
    return Native(
        Problem(
            graph=graph,
            training=training([MEAN_SQUARED_ERROR]),
            weights=[],
            inputs=[np.ones((batch, *shape), np.float32)],
            targets=[np.zeros((batch, *shape), np.float32)],
        )
    )


def compare_in_training(problem: Problem, step: int) -> None:
    """Outputs, loss and gradients by name with dropout on."""
    native, oracle = Native(problem), Network(problem.graph.to_dict(), problem.weights)
    expected_outputs = oracle.forward(problem.inputs, problem.masks, step)
    for actual, expected in zip(native.forward(training=True, step=step), expected_outputs, strict=True):
        assert_outputs_close(actual, expected)
    expected_loss, expected_gradients, _ = oracle.loss_and_gradients(
        problem.training, problem.inputs, problem.targets, problem.masks, problem.sample_weights, step
    )
    loss, gradients = native.gradients(training=True, step=step)
    assert abs(loss - expected_loss) <= FORWARD * max(1.0, abs(expected_loss))
    for name, actual, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        assert_gradients_close(actual, expected, name)


@cells
@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.3), (0.25, 0.5), (1.0, 0.0), (0.3, 1.0)])
@pytest.mark.parametrize("mask", [None, "interior"])
@pytest.mark.parametrize("learned", [False, True])
def test_recurrent_layers(cell: str, rates: tuple[float, float], mask: str | None, learned: bool) -> None:
    """The inputs have one set of factors, or one per gate when the state is dropped too; a rate of 1 counts as none."""
    options: dict[str, Any] = {"dropout": rates[0], "recurrent_dropout": rates[1], "return_sequences": True}
    compare_in_training(cell_problem(cell, 9, 5, 7, 17, seed=1, mask=mask, learned=learned, **options), step=5)


@cells
@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.3), (0.25, 0.5)])
@pytest.mark.parametrize("mask", [None, "interior"])
def test_recurrent_layers_by_rows(cell: str, rates: tuple[float, float], mask: str | None) -> None:
    """With an activation that is not compiled into the kernels."""
    options: dict[str, Any] = {"dropout": rates[0], "recurrent_dropout": rates[1], "return_sequences": True}
    options["activation"] = {"kind": "mish"}
    compare_in_training(cell_problem(cell, 9, 5, 7, 17, seed=1, mask=mask, learned=True, **options), step=5)


@cells
def test_recurrent_layers_backwards(cell: str) -> None:
    options: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.4, "go_backwards": True}
    compare_in_training(cell_problem(cell, 33, 4, 8, 9, seed=2, mask="right", **options), step=0)


@pytest.mark.parametrize("noise_shape", [None, [None, 1, 7], [1, None, None], [None, None, 1]])
def test_dropout_layer(noise_shape: list[int | None] | None) -> None:
    graph = Graph()
    x = graph.input("x", (4,), dtype="int32")
    (x,) = graph.add(embedding(11, 7), x)
    (x,) = graph.add(dropout(0.4, noise_shape=noise_shape), x)
    (x,) = graph.add({"kind": "flatten"}, x)
    (x,) = graph.add(dropout(0.2, seed=4), x)
    graph.outputs = graph.add(dense(3), x)
    random = np.random.default_rng(5)
    problem = Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 11, size=(9, 4)).astype(np.int32)],
        targets=[random.normal(size=(9, 3)).astype(np.float32)],
    )
    compare_in_training(problem, step=2)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_stays_the_same(rate: float) -> None:
    """Within five standard deviations of the mean of 60000 independent factors."""
    output = ones_through(dropout(rate), 200, 300).forward(training=True)[0]
    assert set(np.unique(output)) == {np.float32(0), np.float32(1) / (np.float32(1) - np.float32(rate))}
    deviation = np.sqrt(rate / (1 - rate) / output.size)
    assert abs(output.mean(dtype=np.float64) - 1) < 5 * deviation


def test_neighbours_are_independent() -> None:
    """Along rows and along columns: the correlation of 40000 pairs is within five standard deviations of 0."""
    kept = ones_through(dropout(0.5), 200, 200).forward(training=True)[0] > 0
    centred = kept - 0.5
    for a, b in ((centred[1:], centred[:-1]), (centred[:, 1:], centred[:, :-1])):
        assert abs((a * b).mean() * 4) < 5 / np.sqrt(a.size)


def test_seed_and_step_decide() -> None:
    def mask(seed: int, step: int) -> bytes:
        return ones_through(dropout(0.5, seed), 8, 8).forward(training=True, step=step)[0].tobytes()

    assert mask(1, 4) == mask(1, 4)
    assert len({mask(seed, step) for seed in (0, 1, 2**63) for step in range(4)}) == 12


def test_off_outside_training() -> None:
    native = ones_through(dropout(0.5), 8, 8)
    assert (native.forward()[0] == 1).all()
    assert (native.forward(step=3)[0] == 1).all()


@pytest.mark.parametrize(("rate", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ends_of_the_range(rate: float, value: float) -> None:
    assert (ones_through(dropout(rate), 8, 8).forward(training=True)[0] == value).all()


def test_the_factors_of_a_sequence_stay_the_same_through_time() -> None:
    """The output of a linear cell with an identity kernel and no recurrence is its input behind the dropout."""
    graph = Graph()
    x = graph.input("x", (None, 9))
    spec = recurrent("simple_rnn", 9, activation=LINEAR, use_bias=False, dropout=0.5, return_sequences=True)
    graph.outputs = graph.add(spec, x)
    problem = Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR]),
        weights=[np.eye(9, dtype=np.float32), np.zeros((9, 9), np.float32)],
        inputs=[np.ones((6, 5, 9), np.float32)],
        targets=[np.zeros((6, 5, 9), np.float32)],
    )
    output = Native(problem).forward(training=True)[0]
    assert set(np.unique(output)) == {0.0, 2.0}
    assert (output == output[:, :1]).all()
    assert len({row.tobytes() for row in output[:, 0]}) == 6
