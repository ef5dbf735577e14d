"""The epochs' values as a table in a file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from foliot._checks import check_flag, check_path, check_text
from foliot.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Writes each epoch's values to a CSV file.

    The columns are `epoch` and the names of the first epoch's values in alphabetical order; if none of them is of a
    validation, columns with `val_` before each name follow. What an epoch lacks is `NA`.

    Args:
        filename: The file.
        separator: What stands between two values, one character.
        append: Go on with a file that exists, instead of replacing it.

    Raises:
        TypeError: An argument has the wrong type.
        OSError: When training begins: the file cannot be opened.

    Example:
        >>> from foliot.callbacks import CSVLogger
        >>> log = CSVLogger("training.csv", append=True)
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = check_path("filename", filename)
        self.sep = check_text("separator", separator)
        if len(self.sep) != 1:
            raise ValueError(f"`separator`: expected one character; received {self.sep!r}")
        self.append = check_flag("append", append)
        self.append_header = True
        self.keys: list[str] | None = None
        self.writer: Any = None
        self.csv_file: TextIO | None = None
        # Where an earlier content is to be cut off when training has really begun anew, and is not resumed.
        self._cut: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"writer": None, "csv_file": None}

    def on_train_begin(self, logs: Logs = None) -> None:
        self._close()
        path = Path(self.filename)
        self.append_header = not (self.append and path.is_file() and path.stat().st_size > 0)
        self.csv_file = path.open("a", encoding="utf-8", newline="")
        self.keys = None
        self._cut = None if self.append else 0

    def get_state(self) -> dict[str, Any]:
        if self.csv_file is None:
            return {}
        return {"size": Path(self.filename).stat().st_size, "keys": self.keys, "header": self.append_header}

    def set_state(self, state: dict[str, Any]) -> None:
        self.keys, self._cut = state["keys"], state["size"]
        # A file that was lost begins with a header again.
        self.append_header = state["header"] and self.keys is None
        if Path(self.filename).stat().st_size < state["size"]:
            self.append_header, self._cut = True, 0

    def _begin(self) -> None:
        if self.csv_file is not None and self._cut is not None:
            if Path(self.filename).is_file():  # and no device
                self.csv_file.truncate(self._cut)
            self._cut = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.csv_file is None:
            raise RuntimeError("CSVLogger has no open file: on_train_begin was not called")
        self._begin()
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
        if self.writer is None:
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch, **{name: _cell(logs.get(name, "NA")) for name in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._begin()
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self.writer = None


def _cell(value: Any) -> Any:
    """A value as a table's cell; an array's numbers in brackets."""
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and not value.ndim):
        return value
    return f'"[{", ".join(map(str, value))}]"'
