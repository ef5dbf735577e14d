"""Optimizers: old spellings, limits, the learning rate and the state in the core."""

import json
from typing import Any

import numpy as np
import pytest

from foliot import optimizers
from foliot._core import Parameter
from foliot._serialization import snake_case
from foliot.optimizers import schedules

CLASSES = optimizers._REGISTRY.classes
ADAM = {
    "kind": "adam",
    "learning_rate": 0.001,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "amsgrad": False,
    "decay": 0.0,
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "schedule": None,
    "ema_momentum": None,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
}


def test_specs() -> None:
    assert optimizers.Adam().to_spec() == ADAM
    own = ("kind", "learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad")
    common = {name: value for name, value in ADAM.items() if name not in own}
    assert optimizers.SGD().to_spec() == {
        "kind": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.0,
        "nesterov": False,
        **common,
    }
    assert optimizers.RMSprop().to_spec() == {
        "kind": "rmsprop",
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
        **common,
    }


@pytest.mark.parametrize("cls", CLASSES)
class TestEach:
    def test_old_spellings(self, cls: type[optimizers.Optimizer]) -> None:
        optimizer = cls(lr=0.25, decay=0.5)  # type: ignore[call-arg]
        assert optimizer.learning_rate == optimizer.lr == 0.25
        assert optimizer.to_spec()["decay"] == 0.5
        assert "lr" not in optimizer.get_config()
        assert cls.from_config({"lr": 0.125}).learning_rate == 0.125

    def test_two_spellings_of_the_learning_rate(self, cls: type[optimizers.Optimizer]) -> None:
        given = "`lr`, `learning_rate`: expected one of them.*received lr=0.25 and learning_rate=0.5"
        with pytest.raises(ValueError, match=given):
            cls(lr=0.25, learning_rate=0.5)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match=given):
            cls(0.5, lr=0.25)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match=given):
            cls.from_config({"lr": 0.25, "learning_rate": 0.5})
        assert cls(0.5, lr=None).learning_rate == 0.5  # type: ignore[call-arg]

    def test_name(self, cls: type[optimizers.Optimizer]) -> None:
        assert cls().name == snake_case(cls.__name__)  # type: ignore[call-arg]

    def test_zero_limits_are_off_as_in_keras(self, cls: type[optimizers.Optimizer]) -> None:
        for name in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay"):
            assert cls.from_config({name: 0}).to_spec()[name] is None

    def test_only_one_limit(self, cls: type[optimizers.Optimizer]) -> None:
        with pytest.raises(ValueError, match=r"`clipnorm`.*at most one.*clipvalue=2"):
            cls(clipnorm=1.0, clipvalue=2.0)  # type: ignore[call-arg]

    def test_learning_rate_at_any_time(self, cls: type[optimizers.Optimizer]) -> None:
        optimizer = cls()  # type: ignore[call-arg]
        optimizer.learning_rate = 0.5
        native = optimizer.native
        assert native.learning_rate == 0.5
        optimizer.lr = 0.25
        assert native.learning_rate == optimizer.learning_rate == 0.25
        assert optimizer.get_config()["learning_rate"] == 0.25
        for bad in (-1.0, float("nan")):
            with pytest.raises(ValueError, match="`learning_rate`"):
                optimizer.learning_rate = bad
        assert native.learning_rate == 0.25

    def test_other_arguments_are_fixed_once_the_core_has_them(self, cls: type[optimizers.Optimizer]) -> None:
        optimizer = cls()  # type: ignore[call-arg]
        optimizer.weight_decay = 0.5
        assert optimizer.native is optimizer.native
        with pytest.raises(AttributeError, match="`weight_decay`"):
            optimizer.weight_decay = 0.25

    def test_iterations(self, cls: type[optimizers.Optimizer]) -> None:
        optimizer = cls()  # type: ignore[call-arg]
        assert optimizer.iterations == 0
        optimizer.iterations = 7
        assert optimizer.iterations == optimizer.native.iterations == 7
        with pytest.raises(ValueError, match="`iterations`"):
            optimizer.iterations = -1

    def test_state(self, cls: type[optimizers.Optimizer]) -> None:
        shapes = [(2, 3), (4,)]
        parameters = [Parameter(f"w{index}", np.ones(shape, np.float32)) for index, shape in enumerate(shapes)]
        optimizer = cls.from_config({"momentum": 0.9} if cls is optimizers.SGD else {})
        assert not optimizer.built
        assert optimizer.build(parameters) is optimizer.native
        assert optimizer.built
        slots = optimizer.get_slots()
        assert len(slots) == len(optimizer.slot_names()) >= 1
        for name, arrays in zip(optimizer.slot_names(), slots, strict=True):
            if cls is not optimizers.Adafactor and (cls, name) != (optimizers.Muon, "velocity"):
                assert [array.shape for array in arrays] == shapes
            begin = 0.1 if name == "accumulator" else 0.0
            assert all((array == np.float32(begin)).all() for array in arrays)
        assert optimizer.native.size() == sum(array.size for arrays in slots for array in arrays)
        changed = [[array + 1 + index for index, array in enumerate(arrays)] for arrays in slots]
        optimizer.set_slots(changed)
        optimizer.build(parameters)  # the same weights: nothing is reset
        for arrays, expected in zip(optimizer.get_slots(), changed, strict=True):
            for array, value in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(array, value)
        with pytest.raises(ValueError, match=r"`optimizer`.*new optimizer"):
            optimizer.build(parameters[:1])
        with pytest.raises(ValueError, match="slots"):
            optimizer.set_slots([arrays[::-1] for arrays in changed])


def test_epsilon_none_is_kerass_default() -> None:
    for cls in CLASSES:
        if "epsilon" not in cls.argument_names():
            continue
        assert cls(epsilon=None).get_config()["epsilon"] == 1e-7


def test_keras_2_positions() -> None:
    assert optimizers.SGD(0.1, 0.9, True).to_spec()["nesterov"] is True
    assert optimizers.RMSprop(0.1, 0.8, 0.5, 1e-6, True).get_config()["centered"] is True
    assert optimizers.Adam(0.1, 0.8, 0.5, 1e-6, True).get_config()["amsgrad"] is True


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_numpy_numbers(value: Any) -> None:
    learning_rate = optimizers.SGD(value).learning_rate
    assert type(learning_rate) is float
    assert learning_rate == value


def test_misspelt_argument_is_suggested() -> None:
    with pytest.raises(TypeError, match="did you mean 'learning_rate'"):
        optimizers.Adam(learning_rte=0.1)  # type: ignore[call-arg]


SCHEDULE = schedules.ExponentialDecay(0.5, 2, 0.25)


class TestSchedules:
    def test_the_learning_rate_is_the_schedules_at_the_iteration(self) -> None:
        optimizer = optimizers.SGD(SCHEDULE)
        assert optimizer.learning_rate == 0.5
        optimizer.iterations = 2
        assert optimizer.learning_rate == optimizer.native.learning_rate == 0.125

    def test_configuration(self) -> None:
        optimizer = optimizers.Adam(SCHEDULE)
        config = json.loads(json.dumps(optimizers.serialize(optimizer)))
        assert config["config"]["learning_rate"] == schedules.serialize(SCHEDULE)
        again = optimizers.deserialize(config)
        assert again.get_config() == optimizer.get_config()
        assert again.learning_rate == 0.5

    def test_a_number_after_a_schedule_is_refused_as_in_keras(self) -> None:
        optimizer = optimizers.SGD(SCHEDULE)
        with pytest.raises(TypeError, match="`learning_rate`: expected a schedule"):
            optimizer.learning_rate = 0.1

    def test_a_schedule_after_a_number(self) -> None:
        optimizer = optimizers.SGD(0.1)
        assert optimizer.native.learning_rate == np.float32(0.1)
        optimizer.learning_rate = SCHEDULE
        assert optimizer.learning_rate == optimizer.native.learning_rate == 0.5

    def test_no_schedule(self) -> None:
        for wrong in ("exponential_decay", [0.1]):
            with pytest.raises(TypeError, match="`learning_rate`"):
                optimizers.SGD(wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize("cls", schedules._REGISTRY.classes)
    def test_every_class_survives_json(self, cls: Any) -> None:
        first = {"boundaries": [1, 5.0], "values": [0.5, 0.25, 0.125]}
        given = {"initial_learning_rate": 0.5, "decay_steps": 7, "first_decay_steps": 3, "decay_rate": 0.25, **first}
        given |= {"end_learning_rate": 0.01, "power": 2.0, "cycle": True, "staircase": True, "alpha": 0.25}
        given |= {"warmup_target": 2.0, "warmup_steps": 4, "t_mul": 3.0, "m_mul": 0.5, "name": "mine"}
        arguments = {name: given[name] for name in cls.argument_names()}
        schedule = cls(**arguments)
        again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
        assert again == schedule
        assert again.get_config() == arguments
        assert [again(step) for step in range(20)] == [schedule(step) for step in range(20)]

    @pytest.mark.parametrize(
        ("make", "named"),
        [
            (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps"),
            (lambda: schedules.PolynomialDecay(-0.1, 5), "initial_learning_rate"),
            (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "boundaries"),
            (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "boundaries"),
            (lambda: schedules.CosineDecayRestarts(0.1, 5, t_mul=0.5), "t_mul"),
            (lambda: schedules.CosineDecay(0.1, 5, warmup_steps=-1), "warmup_steps"),
            (lambda: SCHEDULE(-1), "step"),
        ],
    )
    def test_bad_numbers(self, make: Any, named: str) -> None:
        with pytest.raises(ValueError, match=f"`{named}`"):
            make()


def test_weights_that_do_not_decay() -> None:
    kernel, bias = Parameter("kernel", np.ones(2, np.float32)), Parameter("bias", np.ones(2, np.float32))
    optimizer = optimizers.SGD(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build([kernel, bias])
    assert optimizer.state() == {"iterations": 0, "undecayed": [1]}
    with pytest.raises(ValueError, match="before training"):
        optimizer.exclude_from_weight_decay(var_list=[kernel])
    other = optimizers.SGD(weight_decay=0.5)
    other.exclude_from_weight_decay(var_list=[kernel])
    other.build([kernel, bias])
    assert other.state()["undecayed"] == [0]
