"""What a training leaves behind: its losses and metrics."""

from typing import Any

from foliot.callbacks.base import Callback, Logs


class History(Callback):
    """What `fit` returns: the losses and metrics of each epoch.

    Attributes:
        history: A dict from name to one value per epoch, such as `{"acc": [...], "loss": [...], "val_acc": [...]}`.
        epoch: The epochs' numbers.
        params: A dict with `verbose`, `epochs` and `steps`.
        model: The model.

    Example:
        >>> import numpy as np
        >>> import foliot
        >>> from foliot.layers import LSTM, Dense, Input
        >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
        >>> x, y = np.ones((8, 5, 3), "float32"), np.zeros((8, 1), "float32")
        >>> model.compile("sgd", loss="mse", metrics=["mae"])
        >>> history = model.fit(x, y, epochs=3, validation_split=0.25, verbose=0)
        >>> sorted(history.history), len(history.history["val_loss"])
        (['loss', 'mae', 'val_loss', 'val_mae'], 3)
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def get_state(self) -> dict[str, Any]:
        return {"history": self.history, "epoch": self.epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        self.history, self.epoch = state["history"], state["epoch"]

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
