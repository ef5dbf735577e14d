"""A callback that puts the averages of the weights in the weights' place."""

from typing import Any

from foliot._arrays import Array
from foliot._checks import check_flag
from foliot.callbacks.base import Callback, Logs


class SwapEMAWeights(Callback):
    """Evaluates, and on request saves, the model with the moving averages of its weights instead of the weights.

    The optimizer keeps the averages, with `use_ema=True`. Before evaluation (validation in `fit`, too) and prediction
    the weights take the averages' values, and afterwards they have their own again. In `predict` Keras forgets to put
    them back; foliot does not. What is set meanwhile by another callback is lost when they come back.

    Args:
        swap_on_epoch: Also have the averages in the model from an epoch's end to the next one's begin, for the
            callbacks that come after this one in the list, such as `ModelCheckpoint`. After the last epoch, also where
            training ends early, they stay, as `fit` leaves them with `use_ema=True` in any case.

    Raises:
        ValueError: When it is first needed: the optimizer keeps no averages, or the model has none.

    Example:
        >>> import numpy as np
        >>> from foliot.callbacks import ModelCheckpoint, SwapEMAWeights
        >>> from foliot.layers import Dense, Input
        >>> from foliot.models import Sequential
        >>> from foliot.optimizers import SGD
        >>> model = Sequential([Input((2,)), Dense(1)])
        >>> model.compile(SGD(0.1, use_ema=True), "mse")
        >>> swap = SwapEMAWeights(swap_on_epoch=True)
        >>> history = model.fit(np.ones((8, 2)), np.ones(8), callbacks=[swap], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = check_flag("swap_on_epoch", swap_on_epoch)
        # The weights' own values, while the averages are in their place.
        self._own: list[Array] | None = None

    def _take_averages(self) -> None:
        optimizer = self.model.optimizer
        if optimizer is None or not optimizer.use_ema:
            raise ValueError(
                "`callbacks`: SwapEMAWeights expected an optimizer with use_ema=True; received "
                f"{'a model without one' if optimizer is None else repr(optimizer)}"
            )
        # Before the first step there is nothing to average.
        if self._own is None and optimizer.built and optimizer.native.iterations:
            averages = optimizer.get_slots()[optimizer.slot_names().index("average")]
            self._own = [parameter.numpy() for parameter in optimizer.parameters]
            for parameter, average in zip(optimizer.parameters, averages, strict=True):
                parameter.assign(average)

    def _put_back(self) -> None:
        optimizer = self.model.optimizer
        if self._own is not None and optimizer is not None:
            for parameter, own in zip(optimizer.parameters, self._own, strict=True):
                parameter.assign(own)
            self._own = None

    def get_state(self) -> dict[str, Any]:
        return {} if self._own is None else {"own": self._own}

    def set_state(self, state: dict[str, Any]) -> None:
        self._own = state["own"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._own = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put_back()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._take_averages()

    def on_train_end(self, logs: Logs = None) -> None:
        # `fit` has given the weights their averages.
        self._own = None

    def on_test_begin(self, logs: Logs = None) -> None:
        self._take_averages()

    def on_test_end(self, logs: Logs = None) -> None:
        self._put_back()

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._take_averages()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put_back()
