"""The oracle against Keras's golden values, and the golden files against their manifest."""

import json
from typing import Any

import numpy as np
import pytest

from golden import cases, store
from golden.cases import Case
from oracle.network import Network
from oracle.optimizers import Optimizer

# Keras computed in float32: a few roundings of numbers of order 1.
FORWARD = 2e-6
GRADIENT = 5e-6
LOSS = 3e-6

SUITES = {
    "layers": cases.layer_cases(),
    "activations": cases.activation_cases(),
    "training": cases.training_cases(),
}


def named(suite: str) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in SUITES[suite]]


@pytest.fixture(scope="module")
def golden() -> dict[str, dict[str, Any]]:
    return {name: store.load(name) for name in SUITES}


@pytest.mark.parametrize("suite", SUITES)
def test_manifest(suite: str) -> None:
    manifest = json.loads(store.MANIFEST.read_text(encoding="utf-8"))
    assert set(manifest["versions"]) == {"keras", "backend", "numpy", "python"}
    assert manifest["files"][suite]["sha256"] == store.file_hash(store.FOLDER / f"{suite}.json")
    assert manifest["files"][suite]["cases"] == store.case_hash(SUITES[suite]), "the cases changed: run golden.generate"
    assert list(store.load(suite)) == [case.name for case in SUITES[suite]]


@pytest.mark.parametrize("case", named("layers") + named("activations"))
def test_outputs_and_gradients(case: Case, golden: dict[str, dict[str, Any]]) -> None:
    suite = "layers" if "/" in case.name else "activations"
    expected = golden[suite][case.name]
    network = Network(case.graph.to_dict(), case.weights)
    outputs = network.forward(case.inputs, case.masks)
    for output, values in zip(outputs, expected["outputs"], strict=True):
        np.testing.assert_allclose(output.ravel(), values, rtol=FORWARD, atol=FORWARD)
    loss, gradients, _ = network.loss_and_gradients(case.training, case.inputs, case.targets, case.masks)
    assert loss == pytest.approx(expected["loss"], rel=LOSS)
    for name, gradient in zip(case.graph.names, gradients, strict=True):
        np.testing.assert_allclose(
            gradient.ravel(), expected["gradients"][name], rtol=GRADIENT, atol=GRADIENT, err_msg=name
        )


@pytest.mark.parametrize("case", named("training"))
def test_training(case: Case, golden: dict[str, dict[str, Any]]) -> None:
    expected = golden["training"][case.name]
    network = Network(case.graph.to_dict(), case.weights)
    assert case.optimizer is not None
    optimizer = Optimizer(case.optimizer)
    losses = []
    for step in range(cases.STEPS):
        rows = cases.batch_rows(step)
        sample_weights = case.sample_weights and [None if w is None else w[rows] for w in case.sample_weights]
        inputs, targets = [x[rows] for x in case.inputs], [y[rows] for y in case.targets]
        losses.append(network.train(case.training, optimizer, inputs, targets, sample_weights))
    np.testing.assert_allclose(losses, expected["losses"], rtol=1e-5)
    for name, weight in zip(case.graph.names, network.weights, strict=True):
        np.testing.assert_allclose(weight.ravel(), expected["weights"][name], rtol=0, atol=2e-5, err_msg=name)
