"""The shipped kernels on a host that is not ours: plans as plain data, run by wgpu-py, against the float64 oracle. Its
shader compiler is naga as well, in another version; what binds, orders and moves is its own."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import _core
from oracle.network import Network
from oracle.optimizers import Optimizer
from parity.graphs import (
    ALL_ACTIVATIONS,
    MEAN_SQUARED_ERROR,
    Graph,
    Spec,
    dense,
    embedding,
    optimizer,
    recurrent,
    training,
)
from parity.layer_table import CASES, Case, problem
from parity.native import FORWARD, Native, assert_close, assert_gradients_close, assert_outputs_close, make_optimizer
from parity.problems import Array, Problem, cell_problem, random_weights

from .test_gpu_layers import has_kernel
from .test_gpu_losses import LOSSES, sequences
from .test_gpu_parity import CELLS, OPTIONS, SIZES

pytest.importorskip("wgpu", reason="wgpu-py is not installed (pip install wgpu)")

from .webgpu import HOST


def batch_first(values: Array, shape: tuple[int, ...]) -> Array:
    """Sequences lie time first."""
    if len(shape) < 3:
        return values.reshape(shape)
    return values.reshape((shape[1], shape[0], *shape[2:])).swapaxes(0, 1)


def plan_of(made: Problem, native: Native, differentiates: bool, **options: Any) -> dict[str, Any]:
    graph, masks = json.dumps(made.graph.to_dict()), made.all_masks
    if differentiates:
        options |= {"targets": made.targets, "sample_weights": made.all_sample_weights}
        options["training"] = json.dumps(made.training)
    return _core.plan(graph, native.parameters, made.inputs, masks, **options)


def check(made: Problem, step: int | None = None, floor: float = 1e-7) -> None:
    """What `parity.native.compare` compares, on the other host."""
    native = Native(made)
    oracle = Network(made.graph.to_dict(), made.weights)
    seen, _ = HOST.run(plan_of(made, native, differentiates=False, step=step))
    expected = oracle.forward(made.inputs, made.masks, step)
    for actual, output in zip(seen, expected, strict=True):
        assert_outputs_close(batch_first(actual, output.shape), output)
    ((sums, *gradients), _) = HOST.run(plan_of(made, native, differentiates=True, step=step))
    loss, expected_gradients, d_inputs = oracle.loss_and_gradients(
        made.training, made.inputs, made.targets, made.masks, made.sample_weights, step
    )
    if len(expected) == 1:
        rows = np.prod(expected[0].shape[:-1])
        assert abs(sums.sum(dtype=np.float64) / rows - loss) <= FORWARD * max(1.0, abs(loss))
    inputs = [array for array in made.inputs if array.dtype == np.float32]
    d_inputs = [gradient for gradient, array in zip(d_inputs, made.inputs, strict=True) if array.dtype == np.float32]
    assert len(gradients) == len(expected_gradients) + len(inputs)
    for actual, gradient, name in zip(gradients, expected_gradients, made.graph.names, strict=False):
        assert_gradients_close(actual.reshape(gradient.shape), gradient, name, floor)
    for actual, gradient in zip(gradients[len(expected_gradients) :], d_inputs, strict=True):
        assert_gradients_close(batch_first(actual, gradient.shape), gradient, "input", floor)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=8)
@given(
    batch=SIZES, time=st.sampled_from([1, 2, 7]), features=SIZES, units=SIZES, seed=st.integers(0, 99), options=OPTIONS
)
def test_cells(cell: str, batch: int, time: int, features: int, units: int, seed: int, options: dict[str, Any]) -> None:
    options["learned"] = False
    check(cell_problem(cell, batch, time, features, units, seed=seed, **options))


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_in_cells(cell: str) -> None:
    options = {"learned": False, "dropout": 0.4, "recurrent_dropout": 0.3, "go_backwards": True}
    check(cell_problem(cell, 6, 4, 7, 9, seed=8, mask="right", return_sequences=True, **options), step=3)


KERNELS = [case for case in CASES if has_kernel(case)]


@pytest.mark.parametrize("case", KERNELS, ids=str)
@settings(max_examples=3)
@given(
    batch=st.sampled_from([2, 7, 70]), seed=st.integers(0, 99), masked=st.booleans(), step=st.sampled_from([None, 2])
)
def test_layers(case: Case, batch: int, seed: int, masked: bool, step: int | None) -> None:
    # The gradients of a batch normalization cancel where few rows count.
    made = problem(case, batch, seed, "right" if masked and case.takes_masks else None)
    check(made, step, floor=max(case.floor, 1e-6))


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])
def test_activations(activation: Spec) -> None:
    random = np.random.default_rng(3)
    graph = Graph()
    x = graph.input("x", (7,))
    graph.outputs = graph.add(dense(70, activation), x)
    inputs, targets = ([random.normal(size=(9, width)).astype(np.float32)] for width in (7, 70))
    weights = random_weights(graph, random)
    check(
        Problem(graph=graph, training=training([MEAN_SQUARED_ERROR]), weights=weights, inputs=inputs, targets=targets)
    )


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "log_cosh"])
@pytest.mark.parametrize("units", [3, 130])
def test_losses(name: str, units: int) -> None:
    check(sequences(name, units, weighted=True))


OPTIMIZERS: list[Spec] = [
    optimizer("sgd", 0.1),
    optimizer("sgd", 0.05, momentum=0.9, nesterov=True),
    optimizer("rmsprop", 0.01),
    optimizer("adam", 0.01, amsgrad=True, epsilon=1e-4),
    optimizer("sgd", 0.5, clipnorm=0.05),
    optimizer("sgd", 0.5, global_clipnorm=0.05),
    optimizer("sgd", 0.5, clipvalue=0.01),
]


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=str)
def test_training_steps(spec: Spec) -> None:
    random = np.random.default_rng(7)
    graph = Graph()
    x = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(13, 9, mask_zero=True), x)
    graph.outputs = graph.add(dense(2), *graph.add(recurrent("gru", 17), x))
    made = Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR]),
        weights=random_weights(graph, random),
        inputs=[random.integers(0, 13, size=(20, 6)).astype(np.int32)],
        targets=[random.normal(size=(20, 2)).astype(np.float32)],
    )
    native = Native(made)
    plan = plan_of(made, native, differentiates=True, optimizer=make_optimizer(spec, native))
    _, weights = HOST.run(plan)
    oracle = Network(graph.to_dict(), made.weights)
    _, gradients, _ = oracle.loss_and_gradients(made.training, made.inputs, made.targets)
    expected = Optimizer(spec).step([weight.astype(np.float64) for weight in made.weights], gradients)
    for actual, weight, name in zip(weights, expected, graph.names, strict=True):
        assert_close(actual.reshape(weight.shape), weight, 1e-5, name)


def test_a_plan_is_plain_data() -> None:
    """Numbers, strings and arrays, of which shaders need no more than every adapter has."""
    made = cell_problem("lstm", 3, 4, 5, 6, seed=1, mask="right", learned=False)
    plan = plan_of(made, Native(made), differentiates=True)
    kinds = {kind for kind, *_ in plan["events"]}
    assert kinds == {"hold", "write", "dispatch", "read"}
    for kind, *event in plan["events"]:
        if kind == "dispatch":
            (dispatch,) = event
            assert f"fn {dispatch['entry']}(" in dispatch["wgsl"]
            assert all(1 <= groups <= 65535 for groups in dispatch["workgroups"])
            assert len(dispatch["bindings"]) <= 8
            assert dispatch["sizes"].nbytes <= 256
