"""The hooks into training, evaluation and prediction."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foliot.models.model import Model

#: What hooks are told: values by name. All callbacks get one dict, so that one may add to what the next ones see.
Logs = dict[str, float] | None


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

    def get_state(self) -> dict[str, Any]:
        """What `BackupAndRestore` is to keep of the callback, so that a resumed `fit` goes on with it.

        Returns:
            A dict of numbers, texts, None, float32 arrays, and lists, and dicts with texts as keys, of such; empty for
            nothing. A backup refuses all else with a TypeError.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Called after `on_train_begin` of a resumed `fit` with what `get_state` gave, unless that was empty."""

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

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after a batch of `predict`; `logs["outputs"]` holds its outputs."""


def say(text: str) -> None:
    """Prints a line of a callback's."""
    sys.stdout.write(f"{text}\n")
