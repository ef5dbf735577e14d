"""Callbacks that change the learning rate while a model trains."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from foliot._checks import check_integer, check_number, type_error, value_error
from foliot.callbacks.base import Callback, Logs, say
from foliot.callbacks.monitor import MonitorCallback


def _report(callback: Callback, logs: Logs) -> None:
    """Adds the learning rate to an epoch's values, where the callbacks that follow, and `History`, find it."""
    if logs is not None:
        logs["learning_rate"] = float(_optimizer(callback).learning_rate)


def _optimizer(callback: Callback) -> Any:
    optimizer = callback.model.optimizer
    if optimizer is None:
        raise RuntimeError(f"{type(callback).__name__} needs a compiled model: call model.compile(...) first")
    return optimizer


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    The epochs' logs, and so `history.history`, hold it as `learning_rate`.

    Args:
        schedule: A function of the epoch (from 0) and the current learning rate, or of the epoch alone, that returns
            the new learning rate, a float.
        verbose: 1 prints a line per epoch.

    Raises:
        TypeError: `schedule` cannot be called.
        ValueError: While training, `schedule` returns no float.

    Example:
        >>> from foliot.callbacks import LearningRateScheduler
        >>> halve = LearningRateScheduler(lambda epoch, lr: lr if epoch < 10 else lr * 0.5)
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise type_error("schedule", "a function of the epoch and the learning rate", schedule)
        self.schedule = schedule
        self.verbose = check_integer("verbose", verbose, minimum=0)
        # The epoch that runs, whose learning rate is set.
        self._begun: int | None = None

    def get_state(self) -> dict[str, Any]:
        return {} if self._begun is None else {"begun": self._begun}

    def set_state(self, state: dict[str, Any]) -> None:
        self._begun = state["begun"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._begun = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if epoch == self._begun:
            return
        self._begun = epoch
        optimizer = _optimizer(self)
        rate = (
            self.schedule(epoch, float(optimizer.learning_rate)) if _takes_two(self.schedule) else self.schedule(epoch)
        )
        if not isinstance(rate, (float, np.floating)):
            raise value_error("schedule", "a function that returns a float", rate)
        optimizer.learning_rate = float(rate)
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._begun = None
        _report(self, logs)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # functions of extension modules may have no signature
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a value has stopped getting better.

    The epochs' logs, and so `history.history`, hold it as `learning_rate`: the one that the epoch was trained with.

    Args:
        monitor: The value to watch.
        factor: What the learning rate is multiplied by, below 1.
        patience: How many epochs may pass without a better value.
        verbose: 1 prints a line when the learning rate changes.
        mode: `'min'`, `'max'`, or `'auto'` to go by the monitor.
        min_delta: A change counts as better only if it is larger than this.
        cooldown: How many epochs to wait after a change before counting again.
        min_lr: The least learning rate.
        epsilon: Older name of `min_delta`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> from foliot.callbacks import ReduceLROnPlateau
        >>> reduce = ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=5, min_lr=1e-3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        *,
        epsilon: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta if epsilon is None else epsilon)
        self.factor = check_number("factor", factor, minimum=0, below=1)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = check_integer("verbose", verbose, minimum=0)
        self.cooldown = check_integer("cooldown", cooldown, minimum=0)
        self.min_lr = check_number("min_lr", min_lr, minimum=0)
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.cooldown_counter = 0
        self.wait = 0

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "cooldown": self.cooldown_counter, "wait": self.wait}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self.cooldown_counter, self.wait = state["best"], state["cooldown"], state["wait"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def in_cooldown(self) -> bool:
        """Whether epochs pass without being counted."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _report(self, logs)
        value = self.monitored(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        optimizer = _optimizer(self)
        old = float(optimizer.learning_rate)
        # Compared as float32, in which training uses them.
        if np.float32(old) <= np.float32(self.min_lr):
            return False
        optimizer.learning_rate = new = max(old * self.factor, self.min_lr)
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True
