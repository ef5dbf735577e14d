"""The progress line of `fit`, `evaluate` and `predict`, in the look of Keras 3's.

On a terminal or in a notebook the line is redrawn in place; in a log file each epoch leaves one line.
"""

import math
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

from foliot.callbacks.base import Callback, Logs

# At most 20 redraws a second: more cannot be read and would cost time where a step takes microseconds.
_INTERVAL = 0.05
_WIDTH = 20


def is_live() -> bool:
    """Whether standard output can redraw a line: a terminal, or a notebook's stream."""
    return sys.stdout.isatty() or type(sys.stdout).__module__.startswith("ipykernel")


def resolve_verbose(verbose: Any, without_terminal: int = 2) -> int:
    """`'auto'` is a bar where one can be drawn and `without_terminal` (one line per epoch) elsewhere."""
    if verbose == "auto":
        return 1 if is_live() else without_terminal
    if isinstance(verbose, (bool, int)) and int(verbose) in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"`verbose`: expected 'auto', 0, 1 or 2; received {verbose!r}")


def format_value(value: float) -> str:
    """Four digits after the point, with an exponent for small numbers."""
    return f"{value:.4f}" if abs(value) > 1e-3 or math.isnan(value) else f"{value:.4e}"


def format_logs(logs: Mapping[str, float]) -> str:
    """` - acc: 0.5000 - loss: 0.6931`."""
    return "".join(f" - {name}: {format_value(value)}" for name, value in logs.items())


def format_seconds(seconds: float) -> str:
    """`7s`, `1:05`, `1:01:01`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_step(seconds: float) -> str:
    """The time per step with a unit that leaves a readable number."""
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


class ProgressLine(Callback):
    """Draws the line; `fit` drives it like any callback.

    Args:
        verbose: 1 for a bar, 2 for one line per epoch, 0 for nothing.
        epochs: The number of epochs to announce, None outside `fit`.
    """

    def __init__(self, verbose: int, epochs: int | None = None) -> None:
        super().__init__()
        self.verbose = verbose
        self.epochs = epochs
        self._live = is_live()
        self._fill = "━" if _can_print("━") else "="
        self._steps = 0
        self._step = 0
        self._started = 0.0
        self._drawn = 0.0
        self._length = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.verbose:
            _write(f"Epoch {epoch + 1}/{self.epochs}\n")
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._update(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if self.epochs is None:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.epochs is None:
            self._update(batch + 1, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if self.epochs is None:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch + 1, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(None)

    def interrupt(self) -> None:
        """Ends a half drawn line, so that a traceback begins on its own."""
        if self._length:
            _write("\n")
            self._length = 0

    def _begin(self) -> None:
        self._steps = self.params.get("steps") or 0
        self._step = 0
        self._started = time.perf_counter()
        self._drawn = 0.0

    def _update(self, step: int, logs: Logs) -> None:
        self._step = step
        if self.verbose != 1 or not self._live:
            return
        now = time.perf_counter()
        if now - self._drawn < _INTERVAL:
            return
        self._drawn = now
        elapsed = now - self._started
        self._draw(self._line(elapsed, elapsed / step * (self._steps - step), logs or {}))

    def _finish(self, logs: Logs) -> None:
        elapsed = time.perf_counter() - self._started
        self._steps = self._steps or self._step  # if it was not known before, it is now
        if self.verbose == 0:
            return
        if self.verbose == 1:
            line = self._line(elapsed, elapsed, logs or {})
        else:
            per_step = format_step(elapsed / max(self._step, 1))
            line = f"{self._step}/{self._steps} - {format_seconds(elapsed)} - {per_step}{format_logs(logs or {})}"
        if self._length:
            self._draw(line, cut=False)
            _write("\n")
            self._length = 0
        else:
            _write(line + "\n")

    def _line(self, elapsed: float, shown: float, logs: Mapping[str, float]) -> str:
        if not self._steps:
            count = f"{self._step}/Unknown"
            return f"{count} {format_seconds(elapsed)} {format_step(elapsed / max(self._step, 1))}{format_logs(logs)}"
        done = _WIDTH * self._step // self._steps
        bar = self._fill * done + " " * (_WIDTH - done)
        count = f"{self._step:>{len(str(self._steps))}}/{self._steps}"
        return f"{count} {bar} {format_seconds(shown)} {format_step(elapsed / max(self._step, 1))}{format_logs(logs)}"

    def _draw(self, line: str, cut: bool = True) -> None:
        if cut:
            # A line that wraps could not be redrawn: the carriage return only reaches its last row.
            line = line[: shutil.get_terminal_size().columns - 1]
        _write("\r" + line.ljust(self._length))
        self._length = len(line)


class ProgbarLogger(ProgressLine):
    """The progress line as a callback of the user's own: `fit`, `evaluate` and `predict` then add none.

    What it shows follows from `verbose` of `fit`, `evaluate` or `predict`.

    Example:
        >>> from foliot.callbacks import CallbackList, ProgbarLogger
        >>> callbacks = CallbackList([ProgbarLogger()])
    """

    def __init__(self) -> None:
        super().__init__(verbose=1)

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        self.verbose = resolve_verbose(self.params.get("verbose", 1))

    def on_train_begin(self, logs: Logs = None) -> None:
        # From here to the end tests are validations, which are silent.
        self.epochs = self.params.get("epochs", 1)

    def on_train_end(self, logs: Logs = None) -> None:
        self.epochs = None


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True
