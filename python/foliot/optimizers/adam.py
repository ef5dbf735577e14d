"""Adam and what came of it."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_flag, check_integer, check_number
from foliot.optimizers.base import LearningRate, Optimizer, check_epsilon


class Adam(Optimizer):
    """Gradient descent by moving averages of the gradient and of its square.

    With the averages `m` and `v`, both begun at 0, and the step's number `t`:
    `w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
        amsgrad: Whether `v` is replaced with the largest one so far.
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

    >>> Adam(lr=0.1).learning_rate
    0.1
    """

    _kind = "adam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
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
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.beta_1 = check_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_epsilon(epsilon)
        self.amsgrad = check_flag("amsgrad", amsgrad)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}


class AdamW(Adam):
    """Adam with a weight decay by default: before each step `w -= w * weight_decay * learning_rate`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        weight_decay: How much of itself, times the learning rate, each weight loses at each step.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
        amsgrad: Whether `v` is replaced with the largest one so far.
        clipnorm: See `Optimizer`, as all that follow.
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

    >>> AdamW().weight_decay
    0.004
    """

    _kind = "adam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
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
        super().__init__(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, amsgrad=amsgrad, **self._shared(locals()))
        if weight_decay is None:
            raise ValueError("`weight_decay`: expected a number, at least 0; received None")


class Adamax(Optimizer):
    """Adam with a decaying maximum of the gradient's magnitude in place of the root of its average square.

    `u = max(beta_2 * u, abs(gradient))` and `w -= learning_rate / (1 - beta_1**t) * m / (u + epsilon)`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the largest magnitude is forgotten, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
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

    >>> Adamax(0.002)
    Adamax(learning_rate=0.002, name='adamax')
    """

    _kind = "adamax"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
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
        self.beta_1 = check_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Nadam(Optimizer):
    """Adam with Nesterov's momentum, and a momentum that warms up as `beta_1 * (1 - 0.5 * 0.96**t)`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
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

    >>> Nadam(0.002)
    Nadam(learning_rate=0.002, name='nadam')
    """

    _kind = "nadam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
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
        self.beta_1 = check_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Lamb(Optimizer):
    """Adam whose step for each weight array is as long as the array, times the learning rate: made for large batches.

    With Adam's bias-corrected direction `d`, `w -= learning_rate * norm(w) / norm(d) * d`; where a norm is 0 the ratio
    is 1.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: How slowly the gradient's average moves, from 0 to below 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
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

    >>> Lamb(0.01)
    Lamb(learning_rate=0.01, name='lamb')
    """

    _kind = "lamb"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
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
        self.beta_1 = check_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class ScheduleFreeAdamW(Optimizer):
    """Adam that needs no falling learning rate (Defazio et al., 2024): gradients move `z`, the weights follow its mean.

    With the average `v` of squared gradients, begun at 0, and the step's number `t`:
    `z -= rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon)`; `x`, the mean of all `z` so far, begins with `z` as the
    weight; and the weight becomes `(1 - beta_1) * z + beta_1 * x`. As in Keras it stays so for evaluation.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_1: How near the weights are to the mean, between 0 and 1.
        beta_2: How slowly the square's average moves, from 0 to below 1.
        epsilon: Keeps the divisor from 0; None for 1e-7.
        warmup_steps: Over so many steps the learning rate rises to its value.
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

    >>> ScheduleFreeAdamW(warmup_steps=100).learning_rate
    0.0025
    """

    _kind = "schedule_free_adamw"

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-8,
        warmup_steps: int = 0,
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
        self.beta_1 = check_number("beta_1", beta_1, above=0, below=1)
        self.beta_2 = check_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_epsilon(epsilon)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, minimum=0, maximum=2**31 - 1)

    def _numbers(self) -> dict[str, Any]:
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "warmup_steps": self.warmup_steps,
        }
