"""Running a problem in foliot's native module, below the Python API, and comparing it with the oracle."""

import json
from typing import Any

import numpy as np

from foliot import _core
from oracle.network import Network

from .graphs import Spec
from .problems import Array, Problem

# Outputs agree with float64 to this, absolute where below 1 and relative above.
FORWARD = 1e-5
# Gradients agree with float64 to this times the largest element of the gradient.
GRADIENT = 1e-4
# A gradient that vanishes altogether (behind a mask, say) may be off by this.
GRADIENT_FLOOR = 1e-7


def assert_close(actual: Array, expected: Array, tolerance: float | Array, name: str) -> None:
    """|actual - expected| <= tolerance everywhere; a failure names the worst element."""
    assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
    error = np.abs(actual.astype(np.float64) - expected)
    bad = ~(error <= tolerance)
    if bad.any():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        place = tuple(int(axis) for axis in worst)
        limit = float(np.broadcast_to(tolerance, error.shape)[worst])
        raise AssertionError(
            f"{name}: {int(bad.sum())} of {error.size} elements differ; worst at {place}: "
            f"{actual[worst]!r}, expected {expected[worst]!r}, off by {error[worst]:.3g}, allowed {limit:.3g}"
        )


def assert_outputs_close(actual: Array, expected: Array, name: str = "output") -> None:
    """Agreement of outputs."""
    assert_close(actual, expected, FORWARD * np.maximum(1, np.abs(expected)), name)


def assert_gradients_close(actual: Array, expected: Array, name: str, floor: float = GRADIENT_FLOOR) -> None:
    """Agreement of gradients, by the size of the whole gradient."""
    largest = float(np.abs(expected).max()) if expected.size else 0.0
    assert_close(actual, expected, GRADIENT * largest + floor, name)


class Native:
    """A program with its parameters."""

    def __init__(self, problem: Problem, device: int | None = None) -> None:
        self.problem = problem
        names = problem.graph.names
        self.parameters = [_core.Parameter(name, w) for name, w in zip(names, problem.weights, strict=True)]
        self.program = _core.Program(json.dumps(problem.graph.to_dict()), self.parameters, device=device)
        self.program.compile(json.dumps(problem.training))

    def forward(self, training: bool = False, step: int = 0, rows: Array | None = None) -> list[Array]:
        """The outputs."""
        return self.program.forward(self.problem.inputs, self.problem.all_masks, rows, training, step)

    def gradients(self, training: bool = False, step: int = 0) -> tuple[float, list[Array]]:
        """The loss and the gradients of all parameters in order."""
        loss, gradients, _ = self.all_gradients(training, step)
        return loss, gradients

    def all_gradients(self, training: bool = False, step: int = 0) -> tuple[float, list[Array], list[Array | None]]:
        """The loss, the gradients of all parameters in order, and those of the inputs."""
        problem = self.problem
        return self.program.gradients(
            problem.inputs, problem.all_masks, problem.targets, problem.all_sample_weights, training, step
        )

    def train(self, optimizer: Any, rows: Array | None = None) -> list[float]:
        """One training step; the running means of loss and metrics."""
        problem = self.problem
        return self.program.train_batch(optimizer, problem.inputs, problem.targets, problem.all_sample_weights, rows)

    def evaluate(self, rows: Array | None = None) -> list[float]:
        """One evaluation step; the running means of loss and metrics."""
        problem = self.problem
        return self.program.test_batch(problem.inputs, problem.targets, problem.all_sample_weights, rows)

    def weights(self) -> list[Array]:
        """The parameters' values."""
        return [parameter.numpy() for parameter in self.parameters]


def make_optimizer(spec: Spec, native: Native) -> Any:
    """A native optimizer with slots for the trained parameters of a program."""
    optimizer = _core.Optimizer(json.dumps(spec))
    specs = native.problem.graph.parameters
    optimizer.build([p for p, s in zip(native.parameters, specs, strict=True) if s["trainable"]])
    return optimizer


def compare(
    problem: Problem, step: int | None = None, floor: float = GRADIENT_FLOOR, device: int | None = None
) -> None:
    """Outputs, loss, every gradient by name and those of the inputs: native against oracle. With a `step`, in
    training. `floor` is how far a gradient may be off whose parts cancel one another; without a `device` it is the CPU
    that runs."""
    training = step is not None
    native = Native(problem, device)
    oracle = Network(problem.graph.to_dict(), problem.weights)
    expected_outputs = oracle.forward(problem.inputs, problem.masks, step)
    outputs = native.forward(training, step or 0)
    assert len(outputs) == len(expected_outputs)
    for index, (actual, expected) in enumerate(zip(outputs, expected_outputs, strict=True)):
        assert actual.dtype == np.float32
        assert_outputs_close(actual, expected, f"output {index}")
    expected_loss, expected_gradients, expected_d_inputs = oracle.loss_and_gradients(
        problem.training, problem.inputs, problem.targets, problem.masks, problem.sample_weights, step
    )
    native = Native(problem, device)  # a forward pass in training moves weights such as moving means
    loss, gradients, d_inputs = native.all_gradients(training, step or 0)
    assert abs(loss - expected_loss) <= FORWARD * max(1.0, abs(expected_loss)), (loss, expected_loss)
    for name, gradient, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        assert_gradients_close(gradient, expected, name, floor)
    for index, (d_input, expected, value) in enumerate(zip(d_inputs, expected_d_inputs, problem.inputs, strict=True)):
        if value.dtype == np.int32:
            assert d_input is None
        else:
            assert d_input is not None
            assert_gradients_close(d_input, expected, f"input {index}", floor)
