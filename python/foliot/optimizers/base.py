"""What all optimizers have in common: clipping, decay, running means of weights, and the state in the core."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from foliot._checks import (
    check_flag,
    check_integer,
    check_number,
    check_off,
    check_text,
)
from foliot._serialization import Configurable, snake_case
from foliot.optimizers import schedules
from foliot.optimizers.schedules import LearningRateSchedule

if TYPE_CHECKING:
    from foliot import _core

# What sets a step's size.
LearningRate = float | LearningRateSchedule

# Keras's `backend.epsilon()`, which `epsilon=None` meant in Keras 2.
EPSILON = 1e-7


def check_epsilon(value: object) -> float:
    """The argument `epsilon`, of which None means Keras's default."""
    return EPSILON if value is None else check_number("epsilon", value, minimum=0)


def _optional(argument: str, value: object) -> float | None:
    """A limit or factor that None turns off; 0 turns it off too, as in Keras."""
    return None if value is None else check_number(argument, value, minimum=0)


def _optional_integer(argument: str, value: object, minimum: int) -> int | None:
    return None if value is None else check_integer(argument, value, minimum=minimum)


class Optimizer(Configurable):
    """What all optimizers have in common: in a step, gradients are clipped, weights decay, and the update follows.

    Args:
        learning_rate: The step's size, at least 0, or a schedule of `foliot.optimizers.schedules`.
        weight_decay: Before the update every weight loses `weight_decay * learning_rate` of itself. None or 0 for none.
        clipnorm: The largest norm of the gradient of each weight array. None or 0 for no limit.
        clipvalue: The largest magnitude of each element of a gradient. None or 0 for no limit.
        global_clipnorm: The largest norm of all gradients together. None or 0 for no limit. Only one of the three
            limits may be set.
        use_ema: Whether to keep exponential moving averages of the weights, which they take over when `fit` ends.
        ema_momentum: From 0 to 1: how slowly they move, `average = momentum * average + (1 - momentum) * weight`
            after each step.
        ema_overwrite_frequency: Every so many steps the weights take over their averages; None for at the end only.
        loss_scale_factor: None: foliot computes in float32, which needs no scaling of the loss.
        gradient_accumulation_steps: The mean gradient of so many batches, at least 2, makes one update; None for
            one update a batch. As in Keras `iterations` counts updates, and a schedule goes by batches.
        name: The optimizer's name; None for the class's in lower case.
        lr: Keras 1's and 2's spelling of `learning_rate`.
        decay: Keras 1's and 2's decay of the learning rate, `learning_rate / (1 + decay * iterations)`. Keras 3 ignores
            it.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, both `lr` and `learning_rate` are given, or more than one limit of
            gradients is set.

    Example:

    >>> from foliot import optimizers
    >>> optimizer = optimizers.get("adam")
    >>> isinstance(optimizer, optimizers.Optimizer)
    True
    >>> optimizer.learning_rate = 0.01  # counts from the next step on
    """

    _spellings: ClassVar[Mapping[str, str]] = {"lr": "learning_rate"}
    # What the core calls the formula.
    _kind: ClassVar[str]

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        self._native: _core.Optimizer | None = None
        self._parameters: tuple[_core.Parameter, ...] | None = None
        self._undecayed: tuple[tuple[_core.Parameter, ...], tuple[str, ...]] = ((), ())
        self._undecayed_positions: list[int] = []
        self._excluded_positions: list[int] = []
        if lr is not None:
            learning_rate = check_number("lr", lr, minimum=0)
        self.learning_rate = learning_rate
        self.weight_decay = _optional("weight_decay", weight_decay)
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [argument for argument, limit in limits.items() if limit is not None]
        if len(given) > 1:
            raise ValueError(
                "`clipnorm`, `clipvalue`, `global_clipnorm`: expected at most one of them; "
                f"received {', '.join(f'{argument}={limits[argument]!r}' for argument in given)}"
            )
        self.clipnorm = _optional("clipnorm", clipnorm)
        self.clipvalue = _optional("clipvalue", clipvalue)
        self.global_clipnorm = _optional("global_clipnorm", global_clipnorm)
        check_off("loss_scale_factor", loss_scale_factor, None)
        self.use_ema = check_flag("use_ema", use_ema)
        self.ema_momentum = check_number("ema_momentum", ema_momentum, minimum=0, maximum=1)
        self.ema_overwrite_frequency = _optional_integer("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = _optional_integer(
            "gradient_accumulation_steps", gradient_accumulation_steps, 2
        )
        self.name = snake_case(type(self).__name__) if name is None else check_text("name", name)
        self.decay = check_number("decay", decay, minimum=0)

    @staticmethod
    def _shared(scope: Mapping[str, Any]) -> dict[str, Any]:
        """Of a constructor's `locals()` the arguments that all optimizers have, so that none lists them again."""
        return {name: scope[name] for name in (*Optimizer.argument_names(), *Optimizer._spellings)}

    def __getstate__(self) -> dict[str, Any]:
        """The arguments, the weights that are trained, and the state: native objects are made anew from these."""
        state = {name: value for name, value in self.__dict__.items() if name != "_native"}
        slots = self.get_slots() if self.built else None
        return state | {"batches": self._batches, "slots": slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        batches, slots = state.pop("batches"), state.pop("slots")
        self.__dict__.update(state, _native=None)
        if self._parameters is not None:
            self.native.build(list(self._parameters), self._undecayed_positions, self._excluded_positions)
            self.set_slots(slots)
        if batches:
            self._batches = batches

    def __copy__(self) -> Self:
        """A copy with a state of its own: a state belongs to one training."""
        return copy.deepcopy(self)

    def __setattr__(self, name: str, value: object) -> None:
        # The core read these when it was given them: a later change would do nothing, in silence.
        if name in self.argument_names() and name not in ("learning_rate", "name") and self._native is not None:
            raise AttributeError(f"`{name}` of {type(self).__name__} is fixed once training has begun")
        super().__setattr__(name, value)

    @property
    def learning_rate(self) -> float:
        """The size of the next step, before `decay`; a schedule's value for the batches so far.

        May be set at any time, to a number or to a schedule, but as in Keras not to a number after a schedule.

        Raises:
            TypeError: The value is no number and no schedule, or it is a number where a schedule was.

        Example:

        >>> from foliot.optimizers import SGD
        >>> optimizer = SGD(0.1)
        >>> optimizer.learning_rate = 0.01
        >>> optimizer.get_config()["learning_rate"]
        0.01
        """
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate.rate_at(self._batches)
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if isinstance(value, (LearningRateSchedule, Mapping)):
            schedule = schedules.get(value, "learning_rate")
            had = getattr(self, "_learning_rate", None)
            if (
                self._native is not None
                and schedule.is_own
                and isinstance(had, LearningRateSchedule)
                and not had.is_own
            ):
                raise TypeError(
                    f"`learning_rate`: expected a schedule of foliot's, for {self.name} was made with one; received "
                    f"{value!r}. Make the optimizer with yours"
                )
            self._learning_rate: LearningRate = schedule
            if self._native is not None and not schedule.is_own:
                self._native.set_schedule(json.dumps(schedule.to_spec()))
            return
        if isinstance(getattr(self, "_learning_rate", None), LearningRateSchedule):
            raise TypeError(
                f"`learning_rate`: expected a schedule, for {self.name} was made with one; received {value!r}. Make "
                "the optimizer with a number to set it to numbers"
            )
        self._learning_rate = check_number("learning_rate", value, minimum=0)
        if self._native is not None:
            self._native.learning_rate = self._learning_rate

    @property
    def schedule_runs_in_python(self) -> bool:
        """Whether the learning rate comes from a schedule of the user's, so that each step has to be given its own."""
        return isinstance(self._learning_rate, LearningRateSchedule) and self._learning_rate.is_own

    def begin_step(self) -> None:
        """Takes the learning rate of the next step from a schedule of the user's; nothing for others."""
        if self.schedule_runs_in_python:
            self.native.learning_rate = self.learning_rate

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data; see `Configurable.get_config`."""
        config = super().get_config()
        if isinstance(self._learning_rate, LearningRateSchedule):
            config["learning_rate"] = schedules.serialize(self._learning_rate)
        return config

    @property
    def lr(self) -> float:
        """Keras 1's and 2's spelling of `learning_rate`."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: float) -> None:
        self.learning_rate = value

    def to_spec(self) -> dict[str, Any]:
        """The optimizer as the core takes it.

        Example:

        >>> from foliot.optimizers import SGD
        >>> SGD(0.1, momentum=0.9, clipnorm=1.0).to_spec()["clipnorm"]
        1.0
        """
        kind = type(self).__dict__.get("_kind")
        if kind is None:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use one of foliot's optimizers")
        schedule = self._learning_rate if isinstance(self._learning_rate, LearningRateSchedule) else None
        if schedule is not None and schedule.is_own:
            schedule = None  # which gives each step its rate
        return {
            "kind": kind,
            "learning_rate": self._learning_rate if isinstance(self._learning_rate, float) else 0.0,
            "schedule": schedule and schedule.to_spec(),
            **self._numbers(),
            "decay": self.decay,
            "weight_decay": self.weight_decay or None,
            "clipnorm": self.clipnorm or None,
            "clipvalue": self.clipvalue or None,
            "global_clipnorm": self.global_clipnorm or None,
            "ema_momentum": self.ema_momentum if self.use_ema else None,
            "ema_overwrite_frequency": self.ema_overwrite_frequency if self.use_ema else None,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    def _numbers(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def native(self) -> _core.Optimizer:
        """The core's optimizer, which holds the state; made when it is first asked for."""
        if self._native is None:
            from foliot import _core

            self._native = _core.Optimizer(json.dumps(self.to_spec()))
        return self._native

    def build(
        self, parameters: Sequence[_core.Parameter], paths: Mapping[_core.Parameter, str] | None = None
    ) -> _core.Optimizer:
        """Makes the state of the given weights, as before the first step. A second call with the same changes nothing.

        Args:
            parameters: The trainable weights, in the order in which a program lists them.
            paths: For each the names of the layers around it and its own, as in "lstm/lstm_cell/kernel"; None takes
                its own.

        Returns:
            The core's optimizer.

        Raises:
            ValueError: The optimizer holds the state of other weights already.
        """
        if self._parameters is None:
            self._undecayed_positions = [
                position for position, parameter in enumerate(parameters) if not self._decays(parameter)
            ]
            known = paths or {}
            named = [known.get(parameter, parameter.name) for parameter in parameters]
            self._excluded_positions = [position for position, path in enumerate(named) if self._leaves_out(path)]
            self.native.build(list(parameters), self._undecayed_positions, self._excluded_positions)
            self._parameters = tuple(parameters)
        elif [id(parameter) for parameter in parameters] != [id(parameter) for parameter in self._parameters]:
            raise ValueError(
                "`optimizer`: expected one that has not trained other weights, for its state belongs to them; "
                f"received {self!r}: compile with a new optimizer"
            )
        return self.native

    def exclude_from_weight_decay(
        self, var_list: Sequence[_core.Parameter] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leaves weights out of `weight_decay`; a second call replaces the first.

        Args:
            var_list: The weights, such as a layer's `bias`, or entries of `trainable_weights`.
            var_names: Regular expressions; a weight is left out if one is found in its name, such as "bias".

        Raises:
            ValueError: Training has begun.

        Example:

        >>> from foliot.optimizers import SGD
        >>> optimizer = SGD(weight_decay=0.01)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        """
        if self.built:
            raise ValueError("exclude_from_weight_decay() can be called only before training begins")
        names = tuple(check_text("var_names", name) for name in var_names or ())
        self._undecayed = (tuple(var_list or ()), names)

    def _leaves_out(self, path: str) -> bool:
        """Whether the weight of this path goes by another rule than the optimizer's own."""
        return False

    def _decays(self, parameter: _core.Parameter) -> bool:
        listed, names = self._undecayed
        return not (
            any(parameter is other for other in listed) or any(re.search(name, parameter.name) for name in names)
        )

    def finalize_variable_values(self, var_list: object = None) -> None:
        """With `use_ema` the weights take over their averages, as at the end of `fit`; else nothing changes.

        Args:
            var_list: Unused, as in Keras, where the weights of the optimizer are taken.
        """
        if self.use_ema and self._native is not None:
            self._native.take_averages()

    def state(self) -> dict[str, Any]:
        """What a file keeps beside the slots: the batches so far, and the positions of weights that do not decay."""
        return {"iterations": self._batches, "undecayed": list(self._undecayed_positions)}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Takes over the iteration of what `state` gave, after `build`."""
        self._batches = check_integer("iterations", state["iterations"], minimum=0)

    @property
    def built(self) -> bool:
        """Whether the optimizer holds the state of a model's weights."""
        return self._parameters is not None

    @property
    def parameters(self) -> tuple[_core.Parameter, ...]:
        """The weights that the state belongs to, none before training."""
        return self._parameters or ()

    @property
    def iterations(self) -> int:
        """The number of updates so far. May be set, to go on where another run stopped."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._batches = check_integer("iterations", value, minimum=0) * (self.gradient_accumulation_steps or 1)

    @property
    def _batches(self) -> int:
        return 0 if self._native is None else self._native.iterations

    @_batches.setter
    def _batches(self, value: int) -> None:
        self.native.iterations = value

    def slot_names(self) -> list[str]:
        """The names of the arrays that are kept for each weight, such as "momentum"."""
        return self.native.slot_names()

    def get_slots(self) -> list[list[NDArray[np.float32]]]:
        """Copies of the state: for each slot name, an array for each weight."""
        return self.native.get_slots()

    def set_slots(self, slots: Sequence[Sequence[NDArray[np.float32]]]) -> None:
        """Restores a state that `get_slots` gave, after `build`.

        Args:
            slots: For each slot name, an array for each weight.

        Raises:
            ValueError: The number or the shapes of the arrays do not fit.
        """
        self.native.set_slots([list(arrays) for arrays in slots])
