"""What callbacks share that watch a value."""

from foliot._checks import check_choice, check_number, check_text, value_error
from foliot._warnings import warn
from foliot.callbacks.base import Callback, Logs


class MonitorCallback(Callback):
    """Base of the callbacks that watch one value of the logs and know when it is better than before."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        super().__init__()
        self.monitor = check_text("monitor", monitor)
        self.mode = check_choice("mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(check_number("min_delta", min_delta))

    def monitored(self, logs: Logs) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(f"{type(self).__name__} watches {self.monitor!r}, which is not among {', '.join(logs or ())}")
        return value

    def is_better(self, value: float, than: float | None) -> bool:
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
