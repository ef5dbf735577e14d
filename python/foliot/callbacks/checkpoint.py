"""Callbacks that save the model while it is trained."""

import errno
import itertools
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foliot._checks import check_flag, check_integer, check_number, check_writable_path, value_error
from foliot.callbacks.base import Logs, say
from foliot.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
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

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import foliot
        >>> from foliot.layers import LSTM, Dense, Input
        >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
        >>> x, y = np.ones((8, 5, 3), "float32"), np.zeros((8, 1), "float32")
        >>> model.compile("sgd", loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoint = foliot.callbacks.ModelCheckpoint(Path(folder) / "epoch{epoch}.foliot")
        ...     history = model.fit(x, y, epochs=2, callbacks=[checkpoint], verbose=0)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['epoch1.foliot', 'epoch2.foliot']
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

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": self._batches}

    def set_state(self, state: dict[str, Any]) -> None:
        self.best, self._batches = state["best"], state["batches"]

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
            value = self.monitored(logs)
            if value is None:
                return
            if not self.is_better(value, self.best):
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
            say(f"\nEpoch {self._epoch + 1}: {text}")

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
