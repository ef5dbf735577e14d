"""Callbacks that end training."""

import math
from typing import Any

from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number
from foliot.callbacks.base import Callback, Logs, say
from foliot.callbacks.monitor import MonitorCallback

# What a backup keeps of EarlyStopping.
_KEPT = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")


class EarlyStopping(MonitorCallback):
    """Ends training when a value has stopped getting better.

    Args:
        monitor: The value to watch.
        min_delta: A change counts as better only if it is larger than this.
        patience: How many epochs may pass without a better value.
        verbose: 1 prints a line when training ends.
        mode: `'min'`, `'max'`, or `'auto'` to go by the monitor.
        baseline: The value must get better than this within the patience.
        restore_best_weights: Go back to the weights of the best epoch in the end.
        start_from_epoch: Epochs before this one do not count.

    Example:
        >>> from foliot.callbacks import EarlyStopping
        >>> stop = EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = check_integer("verbose", verbose, minimum=0, maximum=1)
        self.baseline = None if baseline is None else check_number("baseline", baseline)
        self.restore_best_weights = check_flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = check_integer("start_from_epoch", start_from_epoch, minimum=0)
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEPT}

    def set_state(self, state: dict[str, Any]) -> None:
        for name in _KEPT:
            setattr(self, name, state[name])

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.monitored(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # If no epoch is ever better (a loss of NaN), the first one counted is the one to go back to.
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Ends training as soon as the loss is NaN or infinite, and says where the first such value came from.

    It names the layer, the time step and the sample, for which the batch is run through the layers once more. What goes
    well costs nothing.

    Args:
        raise_error: Raise a RuntimeError at once, so that `on_train_end` of other callbacks is not called, instead of
            setting `model.stop_training`.

    Raises:
        RuntimeError: While training, the loss is NaN or infinite and `raise_error` is True.

    Example:
        >>> from foliot.callbacks import TerminateOnNaN
        >>> guard = TerminateOnNaN()
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = check_flag("raise_error", raise_error)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        found = self.model.describe_failure()
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
                f"{'' if found is None else f' Cause: {found}.'}"
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        if found is not None:
            say(f"Batch {batch}: {found}")
        self.model.stop_training = True
