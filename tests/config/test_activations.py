"""Activations: names, parameters, values and refusals."""

import functools
import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foliot import Input, activations, layers
from foliot.activations import specs
from foliot.activations.identifiers import FUNCTIONS

NAMES = sorted(FUNCTIONS)
# `threshold` is the one function without defaults.
ARGUMENTS: dict[str, dict[str, Any]] = {"threshold": {"threshold": 0.5, "default_value": -1.0}}


def config(name: str) -> dict[str, Any]:
    return {"class_name": name, "config": ARGUMENTS.get(name, {})}


def sigmoid(x: np.ndarray) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))


def softplus(x: np.ndarray) -> Any:
    return np.logaddexp(0, x)


def softmax(x: np.ndarray) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def elu(x: np.ndarray, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def normal(x: np.ndarray) -> Any:
    """The normal distribution function."""
    return np.vectorize(lambda value: (1 + math.erf(value / math.sqrt(2))) / 2)(x)


def sparsemax(x: np.ndarray) -> np.ndarray:
    """The point of the simplex next to each row, by bisection of the shift."""
    low, high = x.max(axis=-1, keepdims=True) - 1, x.max(axis=-1, keepdims=True)
    for _ in range(60):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis=-1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


# Straight from the definitions, in float64.
REFERENCES: dict[str, Any] = {
    "celu": lambda x: np.maximum(x, 0) + np.minimum(0, np.expm1(x)),
    "elu": elu,
    "exponential": np.exp,
    "gelu": lambda x: x * normal(x),
    "glu": lambda x: x[:, :2] * sigmoid(x[:, 2:]),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": lambda x: np.log(softmax(x)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softmax": softmax,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparsemax": sparsemax,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "threshold": lambda x: np.where(x > 0.5, x, -1.0),
}


def test_every_function_has_a_reference() -> None:
    assert sorted(REFERENCES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str) -> None:
    x = np.array([[-3.0, -1.0, -0.3, 0.0], [0.3, 1.0, 3.0, -1.0]])
    got = activations.get(config(name))(x)
    assert got.dtype == np.float32
    # float32 rounding of values up to 21 (exp 3), with a few operations each.
    np.testing.assert_allclose(got, REFERENCES[name](x.astype(np.float32).astype(np.float64)), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", NAMES)
def test_an_arrays_shape_does_not_matter(name: str) -> None:
    function = activations.get(config(name))
    x = np.linspace(-4, 4, 24, dtype=np.float32).reshape(2, 3, 4)
    rows = function(x.reshape(6, 4))
    np.testing.assert_array_equal(function(x), rows.reshape(2, 3, -1))
    np.testing.assert_array_equal(function(np.asfortranarray(x)), rows.reshape(2, 3, -1))
    np.testing.assert_array_equal(function(x[0, 0]), rows[0])
    if "max" not in name and name != "glu":  # those need an axis
        assert function(np.float32(0.25)) == function([0.25])[0]
    assert function(np.zeros((0, 4))).shape == (0, 2 if name == "glu" else 4)


@given(
    arrays(np.float32, array_shapes(max_dims=3, max_side=9), elements=st.floats(-50, 50, width=32)), st.integers(-3, 2)
)
def test_softmax_along_any_axis_adds_up_to_one(x: np.ndarray, axis: int) -> None:
    if not -x.ndim <= axis < x.ndim:
        with pytest.raises(ValueError, match="axis"):
            activations.softmax(x, axis)
        return
    np.testing.assert_allclose(activations.softmax(x, axis).sum(axis), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(activations.log_softmax(x, axis)).sum(axis), 1, rtol=1e-5)


def test_sparsemax_of_large_numbers() -> None:
    largest = float(np.finfo(np.float32).max)
    x = [[1e38, 1e38, 0.0], [1e20, -1e20, 5.0], [largest, -largest, -np.inf], [-1e38, -1e38, -largest]]
    expected = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
    np.testing.assert_array_equal(activations.sparsemax(x), expected)
    # As softmax: there is no probability of infinity.
    odd = np.array([[np.inf, 1.0], [-np.inf, -np.inf], [np.nan, 1.0]], np.float32)
    for function in (activations.sparsemax, activations.softmax):
        assert np.isnan(function(odd)).all()


def test_the_input_is_not_changed() -> None:
    x = np.array([[-1.0, 2.0]], np.float32)
    activations.relu(x)
    np.testing.assert_array_equal(x, [[-1, 2]])


@pytest.mark.parametrize("name", NAMES)
def test_defaults_when_called_are_the_specs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers that a call passes on are those of the signature: neither is written twice with different values."""
    seen: list[dict[str, Any]] = []

    def record(x: Any, spec: dict[str, Any]) -> Any:
        seen.append(spec)
        return np.asarray(x)

    monkeypatch.setattr(specs, "evaluate", record)
    activations.get(config(name))(np.zeros(2))
    assert seen == [activations.spec_of(config(name))]


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_reaches_the_spec(name: str) -> None:
    function = FUNCTIONS[name]
    for parameter in list(inspect.signature(function).parameters)[1:]:
        if parameter != "axis":
            value: object = True if parameter == "approximate" else 0.75
            others = {key: item for key, item in ARGUMENTS.get(name, {}).items() if key != parameter}
            spec = activations.spec_of({"class_name": name, "config": {**others, parameter: value}})
            assert spec[parameter] == value
            assert type(spec[parameter]) is type(value)


@pytest.mark.parametrize("name", NAMES)
def test_specs_are_json_with_the_kind_first(name: str) -> None:
    spec = activations.spec_of(config(name))
    assert next(iter(spec)) == "kind"
    assert spec["kind"] == name
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(ARGUMENTS)))
def test_name_function_and_serialized_form_are_one(name: str) -> None:
    function = getattr(activations, name)
    assert activations.get(name) is function
    assert activations.get(name.upper()) is function
    assert activations.get(function) is function
    assert activations.serialize(function) == name
    assert activations.deserialize(activations.serialize(name)) is function


def test_aliases() -> None:
    assert activations.get("swish") is activations.silu is activations.swish
    assert activations.get("hard_swish") is activations.hard_silu is activations.hard_swish
    assert activations.get(None) is activations.linear
    assert activations.serialize(None) == "linear"


def test_parameters_survive_json() -> None:
    for value in (
        functools.partial(activations.relu, max_value=6, negative_slope=0.1),
        {"class_name": "elu", "config": {"alpha": 0.5}},
        functools.partial(activations.threshold, threshold=1.0, default_value=0),
        functools.partial(activations.gelu, approximate=True),
    ):
        data = json.loads(json.dumps(activations.serialize(value)))
        assert activations.spec_of(activations.deserialize(data)) == activations.spec_of(value)


def test_parameters_at_their_defaults_leave_the_plain_name() -> None:
    assert activations.serialize(functools.partial(activations.relu, threshold=0)) == "relu"


@pytest.mark.parametrize("as_method", [True, False])
def test_an_object_with_an_activation_spec_may_be_passed(as_method: bool) -> None:
    spec = {"kind": "elu", "alpha": 0.25}

    class Layer:
        activation_spec: Any = (lambda self: spec) if as_method else spec

    assert activations.spec_of(Layer()) == spec
    assert activations.serialize(Layer()) == {"class_name": "elu", "config": {"alpha": 0.25}}


@pytest.mark.parametrize("identifier", [np.tanh, lambda x: x, max, functools.partial(np.clip, a_min=0)])
def test_functions_of_pythons_own_are_refused(identifier: object) -> None:
    with pytest.raises(TypeError, match="cannot run inside a training step") as error:
        activations.get(identifier)
    assert "'relu'" in str(error.value)


@pytest.mark.parametrize("identifier", [3, 1.5, ["relu"], b"relu"])
def test_other_types_are_refused(identifier: object) -> None:
    with pytest.raises(TypeError, match=r"^`activation`: expected a name"):
        activations.get(identifier)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("sigmoyd", "did you mean 'sigmoid'"),
        ("", "expected one of"),
        ({"class_name": "relu", "config": {"max_valeu": 6}}, "did you mean 'max_value'"),
        ({"class_name": "unheard_of", "config": {}}, "unheard_of"),
        ({"class_name": "relu", "config": {"max_value": -1}}, r"relu\(max_value\)"),
        ({"class_name": "relu", "config": {"negative_slope": -0.1}}, r"relu\(negative_slope\)"),
        ({"class_name": "elu", "config": {"alpha": float("nan")}}, r"elu\(alpha\)"),
        ({"class_name": "celu", "config": {"alpha": 0}}, r"celu\(alpha\)"),
        ({"class_name": "squareplus", "config": {"b": -4}}, r"squareplus\(b\)"),
        ({"class_name": "softmax", "config": {"axis": 0}}, r"softmax\(axis\)"),
        ("threshold", "no default"),
    ],
)
def test_bad_names_and_numbers(identifier: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        activations.get(identifier)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("relu", {"max_value": "6"}), ("gelu", {"approximate": 1}), ("elu", {"alpha": None}), ("relu", [6])],
)
def test_bad_types_of_parameters(name: str, arguments: Any) -> None:
    with pytest.raises(TypeError, match=name if isinstance(arguments, dict) else "'config'"):
        activations.get({"class_name": name, "config": arguments})


def test_arrays_of_text_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^`x`: expected an array of numbers"):
        activations.tanh(["a"])


def test_glu_wants_features_and_does_not_halve_the_batch():
    with pytest.raises(ValueError, match=r"an input of shape \(batch, \.\.\., features\)"):
        layers.Activation("glu")(Input(()))
