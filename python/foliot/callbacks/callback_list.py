"""Several callbacks as one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from foliot._checks import check_flag, type_error
from foliot.callbacks.base import Callback, Logs
from foliot.callbacks.history import History
from foliot.callbacks.progress import ProgbarLogger, ProgressLine

if TYPE_CHECKING:
    from foliot.models.model import Model


class CallbackList(Callback):
    """Several callbacks as one, called in their order.

    Args:
        callbacks: A callback, a nest of lists of callbacks, or None.
        add_history: Add a `History` if there is none.
        add_progbar: Add a `ProgbarLogger` if there is none.
        model: The model to hand to them.
        **params: What `set_params` is called with.

    Example:
        >>> from foliot.callbacks import CallbackList, History, LambdaCallback
        >>> said = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> callbacks = CallbackList([said, History()], epochs=1)
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_end(0, {"loss": 0.5})
        0 0.5
        >>> callbacks.callbacks[1].history
        {'loss': [0.5]}
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: "Model | None" = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = [] if callbacks is None else list(_flatten(callbacks))
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise type_error("callbacks", "objects of classes derived from foliot.callbacks.Callback", callback)
        if check_flag("add_history", add_history) and not any(isinstance(item, History) for item in self.callbacks):
            self.callbacks.append(History())
        if check_flag("add_progbar", add_progbar) and not any(
            isinstance(item, ProgressLine) for item in self.callbacks
        ):
            self.callbacks.append(ProgbarLogger())
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

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_end", batch, logs)

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

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call("on_predict_batch_end", batch, logs)


def _flatten(callbacks: Any) -> Iterator[Any]:
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, Iterable) and not isinstance(callbacks, (str, bytes)):
        for item in callbacks:
            yield from _flatten(item)
    else:
        yield callbacks
