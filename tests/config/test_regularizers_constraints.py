"""Regularizers and constraints: names and what the core gets."""

from typing import Any

import numpy as np
import pytest

from foliot import Input, Sequential, constraints, regularizers
from foliot.layers import Conv1D, Dense


@pytest.mark.parametrize(
    ("identifier", "spec"),
    [
        ("l1", {"l1": 0.01, "l2": 0.0}),
        ("L2", {"l1": 0.0, "l2": 0.01}),
        ("l1_l2", {"l1": 0.0, "l2": 0.0}),
        ("l1l2", {"l1": 0.0, "l2": 0.0}),
        (regularizers.l2, {"l1": 0.0, "l2": 0.01}),
        (regularizers.l1(0.5), {"l1": 0.5, "l2": 0.0}),
        (regularizers.l1_l2(0.5, 0.25), {"l1": 0.5, "l2": 0.25}),
        (regularizers.l1_l2(l2=0.25), {"l1": 0.0, "l2": 0.25}),
        ("orthogonal_regularizer", {"l1": 0.0, "l2": 0.0, "orthogonal": {"factor": 0.01, "columns": False}}),
        (
            regularizers.OrthogonalRegularizer(0.5, "columns"),
            {"l1": 0.0, "l2": 0.0, "orthogonal": {"factor": 0.5, "columns": True}},
        ),
    ],
)
def test_regularizers(identifier: Any, spec: dict[str, float]) -> None:
    found = regularizers.get(identifier)
    assert found is not None
    assert found.to_spec() == spec


@pytest.mark.parametrize(
    ("identifier", "spec"),
    [
        ("max_norm", {"kind": "max_norm", "max_value": 2.0, "axis": 0}),
        ("maxnorm", {"kind": "max_norm", "max_value": 2.0, "axis": 0}),
        ("MaxNorm", {"kind": "max_norm", "max_value": 2.0, "axis": 0}),
        ("non_neg", {"kind": "non_neg"}),
        ("nonneg", {"kind": "non_neg"}),
        ("unit_norm", {"kind": "unit_norm", "axis": 0}),
        ("unitnorm", {"kind": "unit_norm", "axis": 0}),
        ("minmaxnorm", {"kind": "min_max_norm", "min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
        (constraints.max_norm(3, axis=(0, 1)), {"kind": "max_norm", "max_value": 3.0, "axis": [0, 1]}),
        (constraints.non_neg, {"kind": "non_neg"}),
        (constraints.unit_norm(axis=-1), {"kind": "unit_norm", "axis": -1}),
    ],
)
def test_constraints(identifier: Any, spec: dict[str, Any]) -> None:
    found = constraints.get(identifier)
    assert found is not None
    assert found.to_spec() == spec


def test_several_axes_survive_a_round_trip() -> None:
    value = constraints.UnitNorm(axis=(0, 1))
    assert constraints.deserialize(constraints.serialize(value)) == value


def test_functions_cannot_stand_for_them() -> None:
    with pytest.raises(TypeError, match=r"^`kernel_regularizer`"):
        regularizers.get(lambda w: 0, "kernel_regularizer")
    with pytest.raises(TypeError, match=r"^`kernel_constraint`"):
        constraints.get(abs, "kernel_constraint")


def test_the_bases_have_no_rule() -> None:
    with pytest.raises(NotImplementedError):
        regularizers.Regularizer().to_spec()
    with pytest.raises(NotImplementedError):
        constraints.Constraint().to_spec()


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_the_orthogonal_penalty_is_of_pairs(mode: str) -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 3))
    model = Sequential([Input((4,)), Dense(3, kernel_regularizer=regularizers.OrthogonalRegularizer(0.5, mode))])
    model.set_weights([kernel, np.zeros(3)])
    model.compile("sgd", "mse")
    x = np.ones((2, 4))
    penalty = model.evaluate(x, model.predict(x, verbose=0), verbose=0)
    vectors = kernel if mode == "rows" else kernel.T
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    products = [abs(units[i] @ units[j]) for i in range(len(units)) for j in range(i)]
    np.testing.assert_allclose(penalty, 0.5 * np.mean(products), rtol=1e-6)


def test_what_the_orthogonal_penalty_is_not_for() -> None:
    with pytest.raises(ValueError, match=r"`kernel_regularizer`: expected a weight of two axes.*\(2, 3, 4\)"):
        Sequential([Input((5, 3)), Conv1D(4, 2, kernel_regularizer="orthogonal_regularizer")])
    with pytest.raises(ValueError, match="`activity_regularizer`: expected L1, L2 or L1L2"):
        Dense(2, activity_regularizer=regularizers.OrthogonalRegularizer())
    with pytest.raises(ValueError, match="`mode`: expected"):
        regularizers.OrthogonalRegularizer(mode="diagonals")
