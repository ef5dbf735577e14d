"""foliot against the values that Keras computed: outputs, every gradient by name, and ten steps of training."""

from typing import Any

import numpy as np
import pytest

from golden import cases, store
from golden.cases import Case

from .native import Native, assert_close, assert_gradients_close, assert_outputs_close, make_optimizer

# Two float32 programs that add in different orders, ten steps apart; weights are of order 1.
LOSSES = 1e-5
WEIGHTS = 2e-5


def named(selected: list[Case]) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in selected]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return {name: store.load(name) for name in ("layers", "activations", "training")}


@pytest.mark.parametrize("case", named(cases.layer_cases()) + named(cases.activation_cases()))
def test_outputs_and_gradients(case: Case, golden: dict[str, Any]) -> None:
    expected = golden["layers" if "/" in case.name else "activations"][case.name]
    native = Native(case)
    for index, (output, values) in enumerate(zip(native.forward(), expected["outputs"], strict=True)):
        assert_outputs_close(output.ravel(), np.array(values), f"output {index}")
    loss, gradients = native.gradients()
    assert loss == pytest.approx(expected["loss"], rel=LOSSES)
    for name, gradient in zip(case.graph.names, gradients, strict=True):
        assert_gradients_close(gradient.ravel(), np.array(expected["gradients"][name]), name)


@pytest.mark.parametrize("case", named(cases.training_cases()))
def test_training(case: Case, golden: dict[str, Any]) -> None:
    expected = golden["training"][case.name]
    native = Native(case)
    assert case.optimizer is not None
    optimizer = make_optimizer(case.optimizer, native)
    losses = []
    for step in range(cases.STEPS):
        native.program.reset_metrics()
        losses.append(native.train(optimizer, cases.batch_rows(step))[0])
    np.testing.assert_allclose(losses, expected["losses"], rtol=LOSSES)
    assert optimizer.iterations == cases.STEPS
    for name, weight in zip(case.graph.names, native.weights(), strict=True):
        assert_close(weight.ravel(), np.array(expected["weights"][name]), WEIGHTS, name)
