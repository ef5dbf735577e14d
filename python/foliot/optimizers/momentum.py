"""Optimizers whose steps are the gradient, its momentum, or their sign."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_flag, check_number
from foliot.optimizers.base import LearningRate, Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Without momentum `w -= learning_rate * gradient`. With it
    `velocity = momentum * velocity - learning_rate * gradient` and `w += velocity`, or in Nesterov's form
    `w += momentum * velocity - learning_rate * gradient`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        momentum: From 0 to 1: how much of the last step goes on.
        nesterov: Whether momentum is Nesterov's.
        weight_decay: See `Optimizer`, as all that follow.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep moving averages of the weights.
        ema_momentum: How slowly they move.
        ema_overwrite_frequency: Every so many steps the weights take them over.
        loss_scale_factor: None.
        gradient_accumulation_steps: How many batches make one update.
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

    _kind = "sgd"

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        super().__init__(**self._shared(locals()))
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.nesterov = check_flag("nesterov", nesterov)

    def _numbers(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}


class Lion(Optimizer):
    """Gradient descent by the sign of a momentum: every step moves every weight by the learning rate.

    `w -= learning_rate * sign(beta_1 * momentum + (1 - beta_1) * gradient)`, and then
    `momentum = beta_2 * momentum + (1 - beta_2) * gradient`. Learning rates are some times smaller than Adam's.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: The share of the momentum in the direction, above 0 and at most 1.
        beta_2: How slowly the momentum moves, from 0 to 1.
        weight_decay: See `Optimizer`, as all that follow.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep moving averages of the weights.
        ema_momentum: How slowly they move.
        ema_overwrite_frequency: Every so many steps the weights take them over.
        loss_scale_factor: None.
        gradient_accumulation_steps: How many batches make one update.
        name: The optimizer's name.
        lr: An old spelling of `learning_rate`.
        decay: The decay of the learning rate.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> Lion(1e-4)
    Lion(learning_rate=0.0001, name='lion')
    """

    _kind = "lion"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        super().__init__(**self._shared(locals()))
        self.beta_1 = check_number("beta_1", beta_1, above=0, maximum=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, maximum=1)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2}
