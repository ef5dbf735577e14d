"""Learning rates that change with the steps, for `learning_rate=` of any optimizer.

Called with a number of steps, a schedule gives the learning rate of the step after them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foliot import _custom, _serialization
from foliot._checks import check_flag, check_number, check_text, type_error, value_error
from foliot._custom import definer
from foliot._serialization import Registry, Value, snake_case, split_config

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]


class LearningRateSchedule(Value):
    """What all schedules have in common.

    A class of yours defines `__call__(self, step)`, which gets the number of steps so far, a NumPy integer, and returns
    the learning rate, a number. It is called before each step. To be saved with a model it needs a `get_config` that
    returns the constructor's arguments, unless each is an attribute of the same name.

    Example:

    >>> import numpy as np
    >>> from foliot.optimizers import Adam
    >>> class WarmUp(LearningRateSchedule):
    ...     def __init__(self, d_model, warmup_steps=4000):
    ...         self.d_model, self.warmup_steps = d_model, warmup_steps
    ...     def __call__(self, step):
    ...         return self.d_model**-0.5 * np.minimum(step**-0.5, step * self.warmup_steps**-1.5)
    >>> Adam(WarmUp(64, warmup_steps=4)).learning_rate
    0.0
    """

    def to_spec(self) -> dict[str, Any]:
        """The schedule as the core takes it.

        Example:

        >>> ExponentialDecay(0.1, 100, 0.5).to_spec()["decay_rate"]
        0.5
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use {', '.join(_REGISTRY.names)}")
        numbers = {name: value for name, value in self.get_config().items() if name != "name"}
        return {"kind": snake_case(type(self).__name__), **numbers}

    @property
    def is_own(self) -> bool:
        """Whether the class is a user's, whose `__call__` runs in Python."""
        return definer(type(self), "__call__") is not None

    def rate_at(self, step: int) -> float:
        """What a training takes after so many steps: the number that `__call__` returned, checked.

        Raises:
            ValueError: A user's `__call__` returned something else than a number of at least 0.
        """
        if not self.is_own:
            return self(step)
        # As tensors do, 0 to a negative power gives infinity, of which a minimum is taken.
        with np.errstate(divide="ignore", invalid="ignore"):
            returned: Any = self(np.int64(step))  # type: ignore[arg-type]
        rate = np.asarray(returned)
        if rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 <= float(rate.reshape(())) < np.inf:
            expected = f"a finite number of at least 0 from {type(self).__name__} for step {step}"
            raise value_error("learning_rate", expected, returned)
        return float(rate.reshape(()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>" if self.is_own else super().__repr__()

    def __call__(self, step: float) -> float:
        """The learning rate when so many steps have been made.

        Example:

        >>> ExponentialDecay(0.5, decay_steps=100, decay_rate=0.5)(200)
        0.125
        """
        from foliot import _core

        return _core.scheduled_rate(json.dumps(self.to_spec()), check_number("step", step, minimum=0))


def _rate(argument: str, value: object) -> float:
    return check_number(argument, value, minimum=0)


def _steps(argument: str, value: object) -> float:
    number = check_number(argument, value, above=0)
    return int(number) if number.is_integer() else number


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate**(step / decay_steps)`.

    Args:
        initial_learning_rate: The rate of the first step, at least 0.
        decay_steps: The steps in which the rate is multiplied with `decay_rate` once, above 0.
        decay_rate: At least 0.
        staircase: Whether `step / decay_steps` is rounded down.
        name: The schedule's name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> ExponentialDecay(1.0, 10, 0.5, staircase=True)(19)
    0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = _rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.decay_rate = _rate("decay_rate", decay_rate)
        self.staircase = check_flag("staircase", staircase)
        self.name = check_text("name", name)


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: The rate of the first step, at least 0.
        decay_steps: The steps in which the divisor grows by `decay_rate`, above 0.
        decay_rate: At least 0.
        staircase: Whether `step / decay_steps` is rounded down.
        name: The schedule's name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> InverseTimeDecay(1.0, 10, 1.0)(30)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = _rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.decay_rate = _rate("decay_rate", decay_rate)
        self.staircase = check_flag("staircase", staircase)
        self.name = check_text("name", name)


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` along `(1 - step / decay_steps)**power`.

    Args:
        initial_learning_rate: The rate of the first step, at least 0.
        decay_steps: The steps that the way takes, above 0.
        end_learning_rate: The rate at its end, at least 0.
        power: At least 0; 1 for a straight line.
        cycle: Whether to begin anew, each time with more steps, rather than to stay at the end.
        name: The schedule's name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> PolynomialDecay(1.0, 10, 0.0)(5)
    0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = _rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.end_learning_rate = _rate("end_learning_rate", end_learning_rate)
        self.power = _rate("power", power)
        self.cycle = check_flag("cycle", cycle)
        self.name = check_text("name", name)


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[0]` until step `boundaries[0]`, that one included, then `values[1]` and so on.

    Args:
        boundaries: Rising numbers of steps, at least one. As in Keras only their whole part counts.
        values: The rates, one more than there are boundaries.
        name: The schedule's name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The lengths do not fit, or a number is out of its range.

    Example:

    >>> rate = PiecewiseConstantDecay([100, 200], [0.5, 0.25, 0.125])
    >>> rate(100), rate(101), rate(1000)
    (0.5, 0.25, 0.125)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        for argument, given in (("boundaries", boundaries), ("values", values)):
            if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
                raise type_error(argument, "a list of numbers", given)
        self.boundaries = [check_number("boundaries", boundary) for boundary in boundaries]
        self.values = [_rate("values", value) for value in values]
        if not self.boundaries or len(self.values) != len(self.boundaries) + 1:
            expected = "at least one boundary, and one value more than boundaries"
            raise ValueError(
                f"`boundaries`, `values`: expected {expected}; received {len(boundaries)} and {len(values)} of them"
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise value_error("boundaries", "rising numbers", boundaries)
        self.name = check_text("name", name)


class CosineDecay(LearningRateSchedule):
    """Half a wave of the cosine down to `alpha` times the rate, after a straight way up if there is a `warmup_target`.

    Args:
        initial_learning_rate: The rate of the first step, at least 0.
        decay_steps: The steps of the way down, above 0.
        alpha: The share of the rate that is left at the end, at least 0.
        name: The schedule's name.
        warmup_target: The rate at which the way down begins; None for no warmup.
        warmup_steps: The steps of the way up, at least 0.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> rate = CosineDecay(0.0, 100, warmup_target=1.0, warmup_steps=10)
    >>> rate(5), rate(10), round(rate(60), 6), rate(110)
    (0.5, 1.0, 0.5, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = _rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.alpha = _rate("alpha", alpha)
        self.name = check_text("name", name)
        self.warmup_target = None if warmup_target is None else _rate("warmup_target", warmup_target)
        self.warmup_steps = _rate("warmup_steps", warmup_steps)


class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay` that begins anew when it has ended.

    Args:
        initial_learning_rate: The rate of the first step, at least 0.
        first_decay_steps: The steps of the first period, above 0.
        t_mul: How many times as long as the one before each period is, at least 1.
        m_mul: How many times as high as the one before each period begins, at least 0.
        alpha: The share of the rate that is left at the end of a period, at least 0.
        name: The schedule's name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> rate = CosineDecayRestarts(1.0, 10, m_mul=0.5)
    >>> rate(0), rate(5), rate(10), rate(30)
    (1.0, 0.5, 0.5, 0.25)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = _rate("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = _steps("first_decay_steps", first_decay_steps)
        self.t_mul = check_number("t_mul", t_mul, minimum=1)
        self.m_mul = _rate("m_mul", m_mul)
        self.alpha = _rate("alpha", alpha)
        self.name = check_text("name", name)


_REGISTRY: Registry[LearningRateSchedule] = Registry(
    "schedule",
    LearningRateSchedule,
    (ExponentialDecay, InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay, CosineDecayRestarts),
)


def get(identifier: object, argument: str | None = None) -> LearningRateSchedule:
    """The schedule that a dict with "class_name" and "config" stands for; a schedule itself stays.

    Args:
        identifier: The dict or the schedule.
        argument: What errors call the identifier; "schedule" when None.

    Raises:
        TypeError: The identifier is neither.
        ValueError: The class or a key is unknown.

    Example:

    >>> arguments = {"initial_learning_rate": 0.5, "decay_steps": 100, "decay_rate": 0.5}
    >>> get({"class_name": "ExponentialDecay", "config": arguments})(100)
    0.25
    """
    if isinstance(identifier, LearningRateSchedule) and identifier.is_own:
        return identifier
    if isinstance(identifier, Mapping):
        return _deserialized(identifier, argument)
    return _REGISTRY.get(identifier, argument)


def _deserialized(config: object, argument: str | None = None) -> LearningRateSchedule:
    name, arguments = split_config(argument or "schedule", config)
    own = _custom.find(name)
    if own is None:
        return _REGISTRY.deserialize(config, argument)
    if not isinstance(own, type) or not issubclass(own, LearningRateSchedule):
        raise type_error(f"custom_objects[{name!r}]", "a class derived from LearningRateSchedule", own)
    return own.from_config(arguments)


def serialize(learning_rate_schedule: LearningRateSchedule | None) -> dict[str, Any] | None:
    """The configuration of a schedule as plain data; None stays None.

    Example:

    >>> serialize(ExponentialDecay(0.5, 100, 0.5))["class_name"]
    'ExponentialDecay'
    """
    return _serialization.serialize(learning_rate_schedule)


def deserialize(config: object) -> LearningRateSchedule:
    """The schedule of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.

    Example:

    >>> deserialize(serialize(ExponentialDecay(0.5, 100, 0.5)))(100)
    0.25
    """
    return _deserialized(config)
