"""Optimizers that divide each gradient by what its squares were."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_flag, check_number
from foliot.optimizers.base import LearningRate, Optimizer, check_epsilon


class RMSprop(Optimizer):
    """Gradient descent that divides each gradient by the root of a moving average of its square.

    `velocity = rho * velocity + (1 - rho) * gradient**2` and
    `w -= learning_rate * gradient / sqrt(velocity + epsilon)`: as in Keras, epsilon stands inside the root.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        rho: How slowly the average moves, from 0 to below 1.
        momentum: From 0 to 1: how much of the last step goes on.
        epsilon: Keeps the root from 0; None for 1e-7.
        centered: Whether the square of the average gradient is taken off, so that the root is of a variance.
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

    >>> RMSprop(rho=0.8)
    RMSprop(rho=0.8, name='rmsprop')
    """

    _kind = "rmsprop"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
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
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.rho = check_number("rho", rho, minimum=0, below=1)
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.epsilon = check_epsilon(epsilon)
        self.centered = check_flag("centered", centered)

    def _numbers(self) -> dict[str, Any]:
        return {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}


class Adagrad(Optimizer):
    """Gradient descent that divides each gradient by the root of the sum of its squares so far.

    `accumulator += gradient**2` and `w -= learning_rate * gradient / sqrt(accumulator + epsilon)`: as in Keras, epsilon
    stands inside the root.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        initial_accumulator_value: What the sum of squares begins at, at least 0.
        epsilon: Keeps the root from 0; None for 1e-7.
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

    >>> Adagrad(0.1)
    Adagrad(learning_rate=0.1, name='adagrad')
    """

    _kind = "adagrad"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = check_number("initial_accumulator_value", initial_accumulator_value, minimum=0)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> dict[str, Any]:
        return {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}


class Adadelta(Optimizer):
    """Gradient descent whose steps are as long as those before, in root mean square.

    With moving averages `v` of squared gradients and `u` of squared changes,
    `change = sqrt(u + epsilon) / sqrt(v + epsilon) * gradient` and `w -= learning_rate * change`. The paper's method
    has a learning rate of 1.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        rho: How slowly the averages move, from 0 to 1.
        epsilon: Keeps the roots from 0; None for 1e-7.
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

    >>> Adadelta(1.0)
    Adadelta(learning_rate=1.0, name='adadelta')
    """

    _kind = "adadelta"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
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
        self.rho = check_number("rho", rho, minimum=0, maximum=1)
        self.epsilon = check_epsilon(epsilon)

    def _numbers(self) -> dict[str, Any]:
        return {"rho": self.rho, "epsilon": self.epsilon}


class Ftrl(Optimizer):
    """Follow the regularized leader: weights come anew from sums over all gradients, and L1 makes them exactly 0.

    With `n` the sum of squared gradients and `p = -learning_rate_power`:
    `z += gradient - (new_n**p - n**p) / learning_rate * w` and `w = (clip(z, -l1, l1) - z) / (new_n**p /
    learning_rate + 2 * l2 + beta / learning_rate)`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        learning_rate_power: At most 0: how the learning rate falls with the sum of squares.
        initial_accumulator_value: What the sum of squares begins at, at least 0.
        l1_regularization_strength: The weight of the sum of magnitudes, at least 0.
        l2_regularization_strength: The weight of the sum of squares, at least 0.
        l2_shrinkage_regularization_strength: The weight of squares as part of the gradient, at least 0.
        beta: Added to `l2_regularization_strength` as `beta / (2 * learning_rate)`.
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

    >>> Ftrl(0.1, l1_regularization_strength=0.01)
    Ftrl(learning_rate=0.1, l1_regularization_strength=0.01, name='ftrl')
    """

    _kind = "ftrl"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = check_number("learning_rate_power", learning_rate_power, maximum=0)
        self.initial_accumulator_value = check_number("initial_accumulator_value", initial_accumulator_value, minimum=0)
        self.l1_regularization_strength = check_number(
            "l1_regularization_strength", l1_regularization_strength, minimum=0
        )
        self.l2_regularization_strength = check_number(
            "l2_regularization_strength", l2_regularization_strength, minimum=0
        )
        self.l2_shrinkage_regularization_strength = check_number(
            "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength, minimum=0
        )
        self.beta = check_number("beta", beta)

    def _numbers(self) -> dict[str, Any]:
        return {
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }


class Adafactor(Optimizer):
    """Adam without momentum that keeps squared gradients of a matrix as the averages of its rows and columns only.

    Steps are in proportion to the root mean square of the weight. Of a matrix
    `v = rows / mean(rows) * columns`, and `w -= max(epsilon_2, rms(w)) * rate * u / max(1, rms(u) / clip_threshold)`
    with
    `u = gradient / sqrt(v)` and `rate = min(learning_rate, 1 / sqrt(step))`.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        beta_2_decay: At most 0: the power of the step's number that is new in the averages.
        epsilon_1: Added to squared gradients.
        epsilon_2: The least root mean square of a weight that a step is measured by.
        clip_threshold: The largest root mean square of an update.
        relative_step: Whether the learning rate is at most `1 / sqrt(step)`. As in Keras every step is held to that
            bound in any
            case.
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

    >>> Adafactor(0.01)
    Adafactor(learning_rate=0.01, name='adafactor')
    """

    _kind = "adafactor"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = check_number("beta_2_decay", beta_2_decay, maximum=0)
        self.epsilon_1 = check_number("epsilon_1", epsilon_1, minimum=0)
        self.epsilon_2 = check_number("epsilon_2", epsilon_2, minimum=0)
        self.clip_threshold = check_number("clip_threshold", clip_threshold, above=0)
        self.relative_step = check_flag("relative_step", relative_step)

    def _numbers(self) -> dict[str, Any]:
        return {
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
        }
