"""Optimizers: how gradients change weights.

`compile` takes one as a name (`optimizer="rmsprop"`) or an object (`optimizer=optimizers.RMSprop(learning_rate=0.01)`).
The formulas are Keras's. The learning rate can be set at any time, also while a model trains:
`model.optimizer.learning_rate = 1e-4`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from foliot import _serialization
from foliot._checks import (
    check_flag,
    check_integer,
    check_number,
    check_off,
    check_text,
)
from foliot._serialization import Configurable, Registry, snake_case

if TYPE_CHECKING:
    from foliot import _core

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "deserialize", "get", "serialize"]

# Keras's `backend.epsilon()`, which `epsilon=None` meant in Keras 2.
_EPSILON = 1e-7


def _optional(argument: str, value: object) -> float | None:
    """A limit or factor that None turns off; 0 turns it off too, as in Keras."""
    return None if value is None else check_number(argument, value, minimum=0)


class Optimizer(Configurable):
    """What all optimizers have in common: in a step, gradients are clipped, weights decay, and the update follows.

    Args:
        learning_rate: The step's size, at least 0.
        weight_decay: Before the update every weight loses `weight_decay * learning_rate` of itself. None or 0 for none.
        clipnorm: The largest norm of the gradient of each weight array. None or 0 for no limit.
        clipvalue: The largest magnitude of each element of a gradient. None or 0 for no limit.
        global_clipnorm: The largest norm of all gradients together. None or 0 for no limit. Only one of the three
            limits may be set.
        use_ema: False: foliot keeps no moving averages of weights.
        ema_momentum: 0.99, which belongs to `use_ema`.
        ema_overwrite_frequency: None, which belongs to `use_ema`.
        loss_scale_factor: None: foliot computes in float32, which needs no scaling of the loss.
        gradient_accumulation_steps: None: foliot does not accumulate gradients over steps.
        name: The optimizer's name; None for the class's in lower case.
        lr: Keras 1's and 2's spelling of `learning_rate`.
        decay: Keras 1's and 2's decay of the learning rate, `learning_rate / (1 + decay * iterations)`. Keras 3 ignores
            it.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, both `lr` and `learning_rate` are given, or more than one limit of
            gradients is set.
    """

    _spellings: ClassVar[Mapping[str, str]] = {"lr": "learning_rate"}

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        self._native: _core.Optimizer | None = None
        self._parameters: tuple[_core.Parameter, ...] | None = None
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
        check_off("use_ema", use_ema, False)
        check_off("ema_momentum", ema_momentum, 0.99)
        check_off("ema_overwrite_frequency", ema_overwrite_frequency, None)
        check_off("loss_scale_factor", loss_scale_factor, None)
        check_off("gradient_accumulation_steps", gradient_accumulation_steps, None)
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
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
        return state | {"iterations": self.iterations, "slots": slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        iterations, slots = state.pop("iterations"), state.pop("slots")
        self.__dict__.update(state, _native=None)
        if self._parameters is not None:
            self.native.build(list(self._parameters))
            self.set_slots(slots)
        if iterations:
            self.iterations = iterations

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
        """The step's size, before `decay`. May be set at any time.

        Example:

        >>> optimizer = SGD(0.1)
        >>> optimizer.learning_rate = 0.01
        >>> optimizer.get_config()["learning_rate"]
        0.01
        """
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_number("learning_rate", value, minimum=0)
        if self._native is not None:
            self._native.learning_rate = self._learning_rate

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

        >>> SGD(0.1, momentum=0.9, clipnorm=1.0).to_spec()["clipnorm"]
        1.0
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} has no formula: use {', '.join(_REGISTRY.names)}")
        return {
            "kind": snake_case(type(self).__name__),
            "learning_rate": self.learning_rate,
            **self._numbers(),
            "decay": self.decay,
            "weight_decay": self.weight_decay or None,
            "clipnorm": self.clipnorm or None,
            "clipvalue": self.clipvalue or None,
            "global_clipnorm": self.global_clipnorm or None,
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

    def build(self, parameters: Sequence[_core.Parameter]) -> _core.Optimizer:
        """Makes the state of the given weights, all zeros. Called again with the same weights it changes nothing.

        Args:
            parameters: The trainable weights, in the order in which a program lists them.

        Returns:
            The core's optimizer.

        Raises:
            ValueError: The optimizer holds the state of other weights already.
        """
        if self._parameters is None:
            self.native.build(list(parameters))
            self._parameters = tuple(parameters)
        elif [id(parameter) for parameter in parameters] != [id(parameter) for parameter in self._parameters]:
            raise ValueError(
                "`optimizer`: expected one that has not trained other weights, for its state belongs to them; "
                f"received {self!r}: compile with a new optimizer"
            )
        return self.native

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
        """The number of steps so far. May be set, to go on where another run stopped."""
        return 0 if self._native is None else self._native.iterations

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.native.iterations = check_integer("iterations", value, minimum=0)

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


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Without momentum `w -= learning_rate * gradient`. With it
    `velocity = momentum * velocity - learning_rate * gradient` and `w += velocity`, or in Nesterov's form
    `w += momentum * velocity - learning_rate * gradient`.

    Args:
        learning_rate: The step's size, at least 0.
        momentum: From 0 to 1: how much of the last step goes on.
        nesterov: Whether momentum is Nesterov's.
        weight_decay: See `Optimizer`, as all that follow.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: False.
        ema_momentum: 0.99.
        ema_overwrite_frequency: None.
        loss_scale_factor: None.
        gradient_accumulation_steps: None.
        name: The optimizer's name.
        lr: An old spelling of `learning_rate`.
        decay: The decay of the learning rate.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> SGD(lr=0.1, momentum=0.9, nesterov=True)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=True, name='sgd')
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.nesterov = check_flag("nesterov", nesterov)

    def _numbers(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}


class RMSprop(Optimizer):
    """Gradient descent that divides each gradient by the root of a moving average of its square.

    `velocity = rho * velocity + (1 - rho) * gradient**2` and
    `w -= learning_rate * gradient / sqrt(velocity + epsilon)`: as in Keras, epsilon stands inside the root.

    Args:
        learning_rate: The step's size, at least 0.
        rho: How slowly the average moves, from 0 to below 1.
        momentum: From 0 to 1: how much of the last step goes on.
        epsilon: Keeps the root from 0; None for 1e-7.
        centered: Whether the square of the average gradient is taken off, so that the root is of a variance.
        weight_decay: See `Optimizer`, as all that follow.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: False.
        ema_momentum: 0.99.
        ema_overwrite_frequency: None.
        loss_scale_factor: None.
        gradient_accumulation_steps: None.
        name: The optimizer's name.
        lr: An old spelling of `learning_rate`.
        decay: The decay of the learning rate.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> get("rmsprop").learning_rate
    0.001
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.rho = check_number("rho", rho, minimum=0, below=1)
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.epsilon = _EPSILON if epsilon is None else check_number("epsilon", epsilon, minimum=0)
        self.centered = check_flag("centered", centered)

    def _numbers(self) -> dict[str, Any]:
        return {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}


class Adam(Optimizer):
    """Gradient descent by moving averages of the gradient and of its square.

    With the averages `m` and `v`, both begun at 0, and the step's number `t`:
    `w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)`.

    Args:
        learning_rate: The step's size, at least 0.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
        amsgrad: Whether `v` is replaced with the largest one so far.
        weight_decay: See `Optimizer`, as all that follow.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: False.
        ema_momentum: 0.99.
        ema_overwrite_frequency: None.
        loss_scale_factor: None.
        gradient_accumulation_steps: None.
        name: The optimizer's name.
        lr: An old spelling of `learning_rate`.
        decay: The decay of the learning rate.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> Adam(lr=0.1).learning_rate
    0.1
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.beta_1 = check_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = _EPSILON if epsilon is None else check_number("epsilon", epsilon, minimum=0)
        self.amsgrad = check_flag("amsgrad", amsgrad)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}


_REGISTRY: Registry[Optimizer] = Registry("optimizer", Optimizer, (SGD, RMSprop, Adam))


def get(identifier: object, argument: str | None = None) -> Optimizer | None:
    """The optimizer that an identifier stands for.

    Args:
        identifier: A name ("sgd", "rmsprop", "adam"), a dict with "class_name" and "config", an optimizer, one of the
            classes, or None.
        argument: What errors call the identifier; "optimizer" when None.

    Returns:
        The optimizer, or None.

    Raises:
        TypeError: The identifier is of none of these kinds.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get({"class_name": "Adam", "config": {"learning_rate": 0.01}}).learning_rate
    0.01
    """
    return None if identifier is None else _REGISTRY.get(identifier, argument)


def serialize(optimizer: Optimizer | None) -> dict[str, Any] | None:
    """The configuration of an optimizer as plain data; None stays None."""
    return _serialization.serialize(optimizer)


def deserialize(config: object) -> Optimizer:
    """The optimizer of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.
    """
    return _REGISTRY.deserialize(config)
