"""Hooks into training, evaluation and prediction."""

import errno
import itertools
import os
import string
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foliot._arrays import Array
from foliot._checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_text,
    check_writable_path,
    type_error,
    value_error,
)

if TYPE_CHECKING:
    from foliot.models.model import Model

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "ModelCheckpoint"]

Logs = Mapping[str, float] | None


class Callback:
    """Base of callbacks: override the hooks that you need.

    `self.model` is the model and `self.params` a dict with `verbose`, `epochs` and `steps`. Setting
    `self.model.stop_training = True` ends `fit` after the batch or epoch.

    Example:
        >>> from foliot.callbacks import Callback
        >>> class Announce(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, sorted(logs))
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Model | None = None

    @property
    def model(self) -> "Model":
        """The model that is trained, evaluated or asked."""
        if self._model is None:
            raise RuntimeError(
                f"{type(self).__name__} has no model: pass it to fit, evaluate or predict as callbacks=[...]"
            )
        return self._model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called with `verbose`, `epochs` and `steps` before anything else."""
        self.params = dict(params)

    def set_model(self, model: "Model") -> None:
        """Called with the model before anything else."""
        self._model = model

    def on_train_begin(self, logs: Logs = None) -> None:
        """Called when `fit` begins."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Called when `fit` ends, with the logs of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Called when an epoch begins; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Called when an epoch ends, after validation, with the epoch's loss and metrics."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a training step; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a training step with the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Called when `evaluate`, or the validation inside `fit`, begins."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Called when `evaluate`, or the validation inside `fit`, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of `evaluate`."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after a batch of `evaluate`."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Called when `predict` begins."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Called when `predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Called after a batch of `predict`; `logs["outputs"]` holds its outputs."""


class CallbackList(Callback):
    """Several callbacks as one, called in their order.

    Args:
        callbacks: A callback, a list of callbacks, or None.
        model: The model to hand to them.
        **params: What `set_params` is called with.
    """

    def __init__(
        self, callbacks: Callback | Iterable[Callback] | None = None, model: "Model | None" = None, **params: Any
    ) -> None:
        super().__init__()
        if isinstance(callbacks, Callback):
            callbacks = [callbacks]
        self.callbacks = [] if callbacks is None else list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise type_error("callbacks", "objects of classes derived from foliot.callbacks.Callback", callback)
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Adds a callback at the end."""
        self.callbacks.append(callback)

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        self._call("set_params", params)

    def set_model(self, model: "Model") -> None:
        super().set_model(model)
        self._call("set_model", model)

    def _call(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._call("on_predict_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._call("on_predict_batch_end", batch, logs)


class History(Callback):
    """What `fit` returns: the losses and metrics of each epoch.

    Attributes:
        history: A dict from name to one value per epoch, such as `{"acc": [...], "loss": [...], "val_acc": [...]}`.
        epoch: The epochs' numbers.
        params: A dict with `verbose`, `epochs` and `steps`.
        model: The model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class _Monitor(Callback):
    """What EarlyStopping and ModelCheckpoint share: which value to watch and when it is better than before."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        super().__init__()
        self.monitor = check_text("monitor", monitor)
        self.mode = check_choice("mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(check_number("min_delta", min_delta))

    def _value(self, logs: Logs) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not among {', '.join(logs or ())}",
                stacklevel=2,
            )
        return value

    def _is_better(self, value: float, than: float | None) -> bool:
        if than is None:
            return True
        if self._direction() == "max":
            return value - self.min_delta > than
        return value + self.min_delta < than

    def _direction(self) -> str:
        if self.mode != "auto":
            return self.mode
        direction = self.model.metric_direction(self.monitor.removeprefix("val_"))
        if direction is None:
            raise value_error(
                "mode", f"'min' or 'max', for it does not follow from the monitor {self.monitor!r}", self.mode
            )
        return direction


class EarlyStopping(_Monitor):
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

    def on_train_begin(self, logs: Logs = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self._value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # If no epoch is ever better (a loss of NaN), the first one counted is the one to go back to.
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self._is_better(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            _say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                _say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(_Monitor):
    """Saves the model, or its weights, while it is trained.

    Args:
        filepath: Where to save. May hold fields: `"{epoch:02d}-{val_loss:.2f}.foliot"`; epochs count from 1 here.
        monitor: The value to watch for `save_best_only`.
        verbose: 1 prints a line when a file is written.
        save_best_only: Save only when the value is better than ever before.
        save_weights_only: Save the weights without the model's description and the optimizer.
        mode: `'min'`, `'max'`, or `'auto'` to go by the monitor.
        save_freq: `'epoch'`, or an integer to save every so many batches.
        initial_value_threshold: The value that counts as the best so far at the start.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, or `filepath` has one of Keras's extensions or a nameless field.
        OSError: When training begins: the folder cannot be made or written, or `filepath` is a folder.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = check_writable_path("filepath", filepath)
        _check_fields(self.filepath)
        self.verbose = check_integer("verbose", verbose, minimum=0, maximum=1)
        self.save_best_only = check_flag("save_best_only", save_best_only)
        self.save_weights_only = check_flag("save_weights_only", save_weights_only)
        self.save_freq: str | int = "epoch"
        if save_freq != "epoch":
            self.save_freq = check_integer("save_freq", save_freq, minimum=1)
        self.best = (
            None
            if initial_value_threshold is None
            else check_number("initial_value_threshold", initial_value_threshold)
        )
        self._epoch = 0
        self._batches = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        # What the first epoch has learnt must not be lost to a path that nothing can be written to. A folder that is
        # named by a field is not known before that epoch's end.
        path = Path(self.filepath)
        folder = Path(*itertools.takewhile(lambda part: "{" not in part, path.parent.parts))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(error.errno, folder) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _unwritable(errno.EACCES, folder)
        if path.is_dir():
            raise _unwritable(errno.EISDIR, path)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(batch, logs)
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(None, logs)

    def _save(self, batch: int | None, logs: Logs) -> None:
        path = self._path(batch, logs)
        if self.save_best_only:
            value = self._value(logs)
            if value is None:
                return
            if not self._is_better(value, self.best):
                self._say(f"{self.monitor} did not improve from {self.best:.5f}")
                return
            best = "inf" if self.best is None else f"{self.best:.5f}"
            self._say(f"{self.monitor} improved from {best} to {value:.5f}, saving model to {path}")
            self.best = value
        else:
            self._say(f"saving model to {path}")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save: Callable[..., None] = self.model.save_weights if self.save_weights_only else self.model.save
        save(path)

    def _say(self, text: str) -> None:
        if self.verbose:
            _say(f"\nEpoch {self._epoch + 1}: {text}")

    def _path(self, batch: int | None, logs: Logs) -> str:
        fields: dict[str, Any] = {"epoch": self._epoch + 1, **(logs or {})}
        if batch is not None:
            fields["batch"] = batch + 1
        try:
            return self.filepath.format(**fields)
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(
                f"`filepath`: expected fields among {', '.join(fields)}; received {self.filepath!r} ({error!r})"
            ) from error


def _check_fields(filepath: str) -> None:
    expected = "fields with names, such as {epoch:02d} or {val_loss:.2f}"
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(filepath) if name is not None]
    except ValueError as error:
        raise ValueError(f"`filepath`: expected {expected}; received {filepath!r} ({error})") from error
    if any(not name.isidentifier() for name in fields):
        raise value_error("filepath", expected, filepath)


def _unwritable(number: int | None, path: Path) -> OSError:
    # With a number Python picks the subclass: PermissionError, NotADirectoryError, ...
    reason = os.strerror(number or errno.EIO)
    return OSError(number, f"`filepath`: expected a file in a folder that can be written ({reason})", str(path))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
