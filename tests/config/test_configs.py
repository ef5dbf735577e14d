"""What all configurable classes have in common: signatures, configurations, equality, refusals."""

import inspect
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import _serialization, constraints, initializers, losses, metrics, optimizers, regularizers
from foliot._serialization import Configurable, Registry

MODULES = [constraints, initializers, losses, metrics, optimizers, regularizers]
CLASSES = [(module, cls) for module in MODULES for cls in module._REGISTRY.classes]
IDS = [f"{module.__name__.split('.')[-1]}.{cls.__name__}" for module, cls in CLASSES]

# Arguments that differ from the defaults, one value for each name that occurs in any constructor.
CHANGED: dict[str, Any] = {
    "adam_beta_1": 0.8,
    "adam_beta_2": 0.98,
    "adam_lr_ratio": 0.5,
    "adam_weight_decay": 0.02,
    "alpha": 0.75,
    "amsgrad": True,
    "apply_class_balancing": True,
    "average": "macro",
    "axis": 1,
    "beta": 0.25,
    "beta_1": 0.8,
    "beta_2": 0.98,
    "beta_2_decay": -0.5,
    "centered": True,
    "class_aggregation": "variance_weighted_average",
    "class_id": 1,
    "clip_threshold": 2.0,
    "clipnorm": 2.0,
    "curve": "PR",
    "decay": 0.01,
    "delta": 0.5,
    "distribution": "uniform",
    "dtype": "float32",
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 5,
    "epsilon": 1e-5,
    "epsilon_1": 1e-20,
    "epsilon_2": 0.01,
    "exclude_embeddings": False,
    "exclude_layers": ["output"],
    "factor": 0.25,
    "from_logits": True,
    "gain": 2.0,
    "gamma": 1.5,
    "gradient_accumulation_steps": 4,
    "ignore_class": 3,
    "initial_accumulator_value": 0.25,
    "k": 3,
    "l1": 0.25,
    "l1_regularization_strength": 0.25,
    "l2": 0.125,
    "l2_regularization_strength": 0.125,
    "l2_shrinkage_regularization_strength": 0.5,
    "label_smoothing": 0.1,
    "label_weights": [0.5, 2.0],
    "learning_rate": 0.5,
    "margin": 0.25,
    "q": 0.25,
    "remove_diagonal": False,
    "warmup_steps": 9,
    "learning_rate_power": -0.25,
    "max_value": 3.0,
    "maxval": 2.0,
    "mean": 1.0,
    "min_value": 0.5,
    "minval": -2.0,
    "mode": "fan_out",
    "momentum": 0.5,
    "multi_label": True,
    "muon_a": 3.0,
    "muon_b": -4.0,
    "muon_c": 2.0,
    "name": "mine",
    "nesterov": True,
    "ns_steps": 3,
    "num_labels": 2,
    "num_regressors": 2,
    "num_thresholds": 50,
    "precision": 0.25,
    "rate": 0.5,
    "recall": 0.25,
    "reduction": "sum",
    "relative_step": False,
    "rho": 0.8,
    "rms_rate": 0.3,
    "scale": 2.0,
    "seed": 7,
    "sensitivity": 0.25,
    "specificity": 0.25,
    "stddev": 0.5,
    "summation_method": "majoring",
    "threshold": 0.25,
    "thresholds": [0.25, 0.75],
    "top_k": 2,
    "use_ema": True,
    "value": 4.0,
    "weight_decay": 0.01,
}
# Arguments that only their default is accepted for, and limits of which only one may be set.
FIXED = {
    "from_sorted_ids",
    "label_weights",
    "clipvalue",
    "global_clipnorm",
    "input_axes",
    "loss_scale_factor",
    "output_axes",
}


def changed_arguments(cls: type[Configurable]) -> dict[str, Any]:
    arguments = {name: CHANGED[name] for name in cls.argument_names() if name not in FIXED}
    if cls.__module__.startswith(("foliot.losses", "foliot.metrics")):
        arguments.pop("axis", None)  # the last axis only
    if cls is regularizers.OrthogonalRegularizer:
        arguments["mode"] = "columns"
    if cls is optimizers.Muon:
        arguments["nesterov"] = False  # the default is the other way round
    return arguments


def required(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]


def plain(cls: Any) -> Any:
    """An object with the defaults; what has none is one half."""
    return cls(**dict.fromkeys(required(cls), 0.5))


def signature_names(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls).parameters if name != "lr"]


@pytest.mark.parametrize(("module", "cls"), CLASSES, ids=IDS)
class TestEveryClass:
    def test_config_has_the_signatures_parameters_in_order(self, module: Any, cls: type[Configurable]) -> None:
        assert list(plain(cls).get_config()) == signature_names(cls)

    def test_defaults_are_in_the_config(self, module: Any, cls: type[Configurable]) -> None:
        config = plain(cls).get_config()
        for name, parameter in inspect.signature(cls).parameters.items():
            if name not in ("lr", "name") and parameter.default is not inspect.Parameter.empty:
                assert config[name] == parameter.default

    def test_every_argument_survives_json(self, module: Any, cls: type[Configurable]) -> None:
        arguments = changed_arguments(cls)
        value = cls(**arguments)
        data = json.loads(json.dumps(module.serialize(value), allow_nan=False))
        again = module.deserialize(data)
        assert type(again) is cls
        assert again.get_config() == value.get_config()
        assert {name: again.get_config()[name] for name in arguments} == arguments

    def test_changed_arguments_reach_the_spec(self, module: Any, cls: type[Configurable]) -> None:
        if cls in (metrics.Mean, metrics.Sum):
            pytest.skip("computed in Python, of values that no model has")
        spec: dict[str, Any] = cls(**changed_arguments(cls)).to_spec()  # type: ignore[attr-defined]
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec
        numbers = {**spec, **spec.get("loss", {})}
        unseen = {"dtype", "name", "reduction", "relative_step", "seed", "use_ema"}
        # They are part of a goal or a list of thresholds, which the tests of values look at.
        unseen |= {"curve", "num_thresholds", "precision", "recall", "sensitivity", "specificity", "summation_method"}
        unseen |= {"thresholds"}
        # Muon's say which weights go by it, or are written as a list.
        unseen |= {"exclude_layers", "exclude_embeddings", "muon_a", "muon_b", "muon_c"}
        # A penalty of its own, which test_regularizers_constraints looks at.
        unseen |= {"factor", "mode"} if cls is regularizers.OrthogonalRegularizer else set()
        for name, value in changed_arguments(cls).items():
            if name not in unseen:
                assert numbers[name] == value

    def test_all_spellings_of_the_name_give_the_class(self, module: Any, cls: type[Configurable]) -> None:
        name = cls.__name__
        for spelling in (name, name.lower(), name.upper(), _serialization.snake_case(name)):
            assert module._REGISTRY.find(spelling) is cls

    def test_get_takes_class_object_and_keras_dict(self, module: Any, cls: type[Configurable]) -> None:
        value = plain(cls)
        assert module.get(value) is value
        if not required(cls):
            assert type(module.get(cls)) is cls
        keras = {"module": f"keras.{module.__name__}", "registered_name": None, **module.serialize(value)}
        assert type(module.get(keras)) is cls

    def test_repr_shows_what_differs_from_the_defaults(self, module: Any, cls: type[Configurable]) -> None:
        arguments = changed_arguments(cls)
        shown = repr(cls(**arguments))
        assert shown.startswith(f"{cls.__name__}(")
        for name, value in arguments.items():
            assert f"{name}={value!r}" in shown

    def test_unknown_argument_is_refused_with_the_known_ones(self, module: Any, cls: type[Configurable]) -> None:
        names = cls.argument_names()
        with pytest.raises(TypeError, match="unheard_of" if names else "takes no arguments"):
            cls(unheard_of=1)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="unheard_of") as error:
            module.deserialize({"class_name": cls.__name__, "config": {"unheard_of": 1}})
        assert all(name in str(error.value) for name in names)

    def test_every_public_name_is_exported(self, module: Any, cls: type[Configurable]) -> None:
        assert cls.__name__ in module.__all__


@pytest.mark.parametrize("module", MODULES)
class TestEveryModule:
    def test_exports_exist(self, module: Any) -> None:
        assert all(hasattr(module, name) for name in module.__all__)

    def test_none_stays_none(self, module: Any) -> None:
        assert module.get(None) is None
        assert module.serialize(None) is None

    def test_unknown_name_lists_the_known_and_suggests(self, module: Any) -> None:
        registry: Registry[Any] = module._REGISTRY
        known = registry.names[0]
        with pytest.raises(ValueError, match="did you mean") as error:
            module.get(known + "x")
        assert all(repr(name) in str(error.value) for name in registry.names)

    def test_argument_names_the_error(self, module: Any) -> None:
        with pytest.raises(ValueError, match=r"^`my_argument`"):
            module.get("unheard of", "my_argument")

    @pytest.mark.parametrize("identifier", [3, 2.5, ["l2"], b"l2", object, True])
    def test_other_types_are_refused(self, module: Any, identifier: object) -> None:
        with pytest.raises(TypeError, match=f"^`{module._REGISTRY.argument}`: expected"):
            module.get(identifier)

    @pytest.mark.parametrize(
        ("config", "named"),
        [
            ({}, "class_name"),
            ({"class_name": 3}, "class_name"),
            ({"class_name": "L2", "config": {}, "build": 1}, "build"),
            ({"class_name": "unheard_of", "config": {}}, "unheard_of"),
            ({"class_name": "L2", "module": "os.path"}, "os.path.L2"),
            ({"class_name": "L2", "registered_name": "mine>L2"}, "mine>L2"),
        ],
    )
    def test_bad_configs_are_refused(self, module: Any, config: dict[str, Any], named: str) -> None:
        with pytest.raises(ValueError, match=named):
            module.deserialize(config)

    @pytest.mark.parametrize("config", [None, "l2", 3, [("class_name", "L2")]])
    def test_a_config_is_a_dict(self, module: Any, config: object) -> None:
        with pytest.raises(TypeError, match="expected a dict"):
            module.deserialize(config)

    def test_inner_config_is_a_dict(self, module: Any) -> None:
        with pytest.raises(TypeError, match=r"^`config`"):
            module.deserialize({"class_name": module._REGISTRY.classes[0].__name__, "config": [1]})


# The module, the class, the argument and a value that is refused.
BAD_VALUES = [
    *[
        (cls, name, value)
        for cls in (regularizers.L1L2,)
        for name in ("l1", "l2")
        for value in (-1, math.nan, math.inf)
    ],
    (regularizers.L1, "l1", -0.5),
    (regularizers.L2, "l2", 1e300),
    (constraints.MaxNorm, "max_value", -1.0),
    (constraints.MinMaxNorm, "min_value", 2.0),
    (constraints.MinMaxNorm, "rate", 1.5),
    (initializers.RandomNormal, "stddev", -0.1),
    (initializers.TruncatedNormal, "stddev", math.nan),
    (initializers.RandomUniform, "minval", 1.0),
    (initializers.VarianceScaling, "scale", 0.0),
    (initializers.VarianceScaling, "mode", "fan_middle"),
    (initializers.VarianceScaling, "distribution", "gaussian"),
    (initializers.VarianceScaling, "input_axes", [0]),
    (initializers.GlorotUniform, "output_axes", [0]),
    (initializers.GlorotUniform, "seed", -1),
    (initializers.Orthogonal, "seed", 2**64),
    (initializers.Orthogonal, "gain", math.inf),
    (initializers.Identity, "gain", math.nan),
    (initializers.Constant, "value", math.nan),
    (losses.MeanSquaredError, "reduction", "average"),
    (losses.MeanSquaredError, "dtype", "float16"),
    (losses.MeanAbsoluteError, "name", ""),
    (losses.BinaryCrossentropy, "label_smoothing", 1.5),
    (losses.BinaryCrossentropy, "axis", 1),
    (losses.Huber, "delta", -1.0),
    (losses.BinaryFocalCrossentropy, "gamma", -0.5),
    (losses.CosineSimilarity, "axis", 0),
    (metrics.BinaryAccuracy, "threshold", math.nan),
    (metrics.Accuracy, "dtype", "float64"),
    (metrics.AUC, "curve", "XY"),
    (metrics.AUC, "num_thresholds", 1),
    (metrics.AUC, "num_labels", 2),
    (metrics.Precision, "thresholds", 1.5),
    (metrics.Recall, "top_k", 0),
    (metrics.F1Score, "average", "samples"),
    (metrics.TopKCategoricalAccuracy, "k", 0),
    (metrics.CategoricalCrossentropy, "label_smoothing", -0.1),
    (metrics.SparseCategoricalCrossentropy, "axis", 0),
    *[
        (cls, name, value)
        for cls in optimizers._REGISTRY.classes
        for name, value in [
            ("learning_rate", -0.1),
            ("lr", math.nan),
            ("decay", -1e-4),
            ("weight_decay", -0.1),
            ("clipnorm", -1.0),
            ("clipvalue", math.inf),
            ("global_clipnorm", -1.0),
            ("ema_momentum", 1.5),
            ("ema_overwrite_frequency", 0),
            ("loss_scale_factor", 2.0),
            ("gradient_accumulation_steps", 1),
            ("name", ""),
        ]
    ],
    (optimizers.SGD, "momentum", 1.5),
    (optimizers.RMSprop, "rho", 1.0),
    (optimizers.RMSprop, "momentum", -0.5),
    (optimizers.RMSprop, "epsilon", -1e-7),
    (optimizers.Adam, "beta_1", 1.0),
    (optimizers.Adam, "beta_2", -0.1),
    (optimizers.Adam, "epsilon", math.inf),
    (optimizers.AdamW, "weight_decay", None),
    (optimizers.Adagrad, "initial_accumulator_value", -0.1),
    (optimizers.Adadelta, "rho", 1.5),
    (optimizers.Ftrl, "learning_rate_power", 0.5),
    (optimizers.Ftrl, "l1_regularization_strength", -1.0),
    (optimizers.Lion, "beta_1", 0.0),
    (optimizers.Adafactor, "beta_2_decay", 0.5),
    (optimizers.Adafactor, "clip_threshold", 0.0),
]
BAD_TYPES = [
    (regularizers.L2, "l2", "0.01"),
    (regularizers.L1, "l1", None),
    (constraints.MaxNorm, "max_value", True),
    (constraints.UnitNorm, "axis", 0.0),
    (constraints.MaxNorm, "axis", "0"),
    (initializers.RandomUniform, "maxval", [1.0]),
    (initializers.GlorotUniform, "seed", 1.0),
    (initializers.VarianceScaling, "mode", 3),
    (initializers.Constant, "value", ["a"]),
    (initializers.Constant, "value", 1j),
    (losses.BinaryCrossentropy, "from_logits", 1),
    (losses.MeanSquaredError, "name", 3),
    (losses.SparseCategoricalCrossentropy, "ignore_class", 0.5),
    (metrics.Precision, "thresholds", "0.5"),
    (losses.MeanSquaredError, "reduction", 3),
    (metrics.BinaryAccuracy, "threshold", "0.5"),
    (metrics.BinaryCrossentropy, "from_logits", "yes"),
    (optimizers.SGD, "learning_rate", "0.1"),
    (optimizers.SGD, "nesterov", 1),
    (optimizers.RMSprop, "centered", None),
    (optimizers.Adam, "amsgrad", "no"),
    (optimizers.Adam, "beta_1", [0.9]),
]


@pytest.mark.parametrize(("cls", "name", "value"), BAD_VALUES)
def test_bad_values_name_argument_and_value(cls: type, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"`{name}`: expected .*; received") as error:
        cls(**{name: value})
    assert repr(value)[:20] in str(error.value)


@pytest.mark.parametrize(("cls", "name", "value"), BAD_TYPES)
def test_bad_types_name_argument_and_value(cls: type, name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"`{name}`: expected .*; received") as error:
        cls(**{name: value})
    assert repr(value)[:20] in str(error.value)


@pytest.mark.parametrize(("module", "cls"), CLASSES, ids=IDS)
def test_values_are_equal_by_arguments_and_states_by_identity(module: Any, cls: type[Configurable]) -> None:
    first, second, other = plain(cls), plain(cls), cls(**changed_arguments(cls))
    if issubclass(cls, _serialization.Value):
        assert first == second
        assert hash(first) == hash(second)
        assert (first != other) == bool(cls.argument_names())
    else:
        assert first != second
        assert len({first, second}) == 2


@given(l1=st.floats(0, 1e30), l2=st.floats(0, 1e30))
def test_regularizer_round_trip_keeps_every_bit(l1: float, l2: float) -> None:
    value = regularizers.L1L2(l1, l2)
    again = regularizers.deserialize(json.loads(json.dumps(regularizers.serialize(value))))
    assert again == value
    assert again.to_spec() == {"l1": l1, "l2": l2}


@given(st.text(max_size=30))
def test_any_text_is_a_known_name_or_a_value_error(name: str) -> None:
    for module in MODULES:
        if name in module._REGISTRY:
            assert module._REGISTRY.find(name) in module._REGISTRY.classes
        else:
            with pytest.raises(ValueError, match="expected one of"):
                module.get(name)


def test_a_class_outside_the_table_is_refused() -> None:
    class Mine(losses.MeanSquaredError):
        pass

    with pytest.raises(TypeError, match=r"^`loss`"):
        losses.get(Mine())
    with pytest.raises(NotImplementedError, match="Mine"):
        Mine().to_spec()


def test_arguments_after_a_catch_all_are_the_subclass_authors() -> None:
    class Open(Configurable):
        def __init__(self, size: int = 1, **kwargs: int) -> None:
            self.size = size
            self.rest = kwargs

    assert Open(size=2, more=3).rest == {"more": 3}
    assert Open.argument_names() == ("size",)
    assert Open.from_config({"size": 5}).get_config() == {"size": 5}
