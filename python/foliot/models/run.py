"""A `fit` that runs, as far as a backup has to know it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import value_error
from foliot.callbacks import Callback, CallbackList

if TYPE_CHECKING:
    from foliot.models.batches import Feed
    from foliot.models.network import Compiled
    from foliot.models.trainer import Trainer

# Stands in JSON for an array, which is a tensor of the file.
_ARRAY = "tensor"


class Run:
    """What `fit` does now, and where it goes on after an interruption.

    Args:
        model: The model that is trained.
        feed: What it is trained on.
        hooks: All callbacks.
        first_epoch: The epoch to start at, unless a backup says another one.
    """

    def __init__(self, model: "Trainer", feed: "Feed", hooks: CallbackList, first_epoch: int) -> None:
        self._model, self._feed, self._hooks = model, feed, hooks
        self.first_epoch = first_epoch
        #: Whether an interrupted `fit` goes on.
        self.resumed = False
        #: Batches of the epoch that are done, and the values after the last one.
        self.done = 0
        self.logs: dict[str, float] = {}
        self._part: Compiled | None = None
        # What losses and metrics had gathered when the epoch was interrupted.
        self._gathered: list[list[float]] | None = None

    def enter(self, part: "Compiled") -> None:
        """An epoch begins, or goes on: its losses and metrics are gathered there."""
        self._part = part
        if self._gathered is not None:
            part.set_gathered(self._gathered)
        else:
            self.done, self.logs = 0, {}
        self._gathered = None

    def leave(self) -> None:
        """The batches of an epoch, and its validation, are over."""
        self._part, self.done = None, 0

    def state(self) -> tuple[str, dict[str, Array]]:
        """What is to be known beside the model itself: JSON, and the arrays that it names."""
        arrays: dict[str, Array] = {}
        names = (f"training/{number}" for number in range(1_000_000_000))
        state = {
            "feed": self._feed.state(),
            "done": self.done,
            "logs": self.logs,
            "gathered": None if self._part is None else self._part.gathered(),
            "stopped": self._model.stop_training,
            "states": [state.numpy() for layer in self._model.stateful_layers() for state in layer.carried_states()],
            "callbacks": {name: state for name, callback in self._named() if (state := callback.get_state())},
        }
        try:
            return json.dumps(_without_arrays(state, names.__next__, arrays)), arrays
        except TypeError as error:
            raise TypeError(f"`get_state`: expected numbers, texts, None and arrays of callbacks; {error}") from error

    def resume(self, epoch: int, state: str, arrays: Mapping[str, Array]) -> None:
        """Goes on from what `state` gave, with the epoch that was to begin or had begun.

        Raises:
            ValueError: It is of another training.
        """
        found = _with_arrays(json.loads(state), arrays)
        carried = [state for layer in self._model.stateful_layers() for state in layer.carried_states()]
        if len(carried) != len(found["states"]):
            raise value_error("states", f"{len(carried)} arrays of stateful layers", found["states"])
        for parameter, value in zip(carried, found["states"], strict=True):
            parameter.assign(value)
        self._feed.set_state(found["feed"])
        for name, callback in self._named():
            if name in found["callbacks"]:
                callback.set_state(found["callbacks"][name])
        self.first_epoch, self.resumed = epoch, True
        self.done, self.logs, self._gathered = found["done"], found["logs"], found["gathered"]
        self._model.stop_training = found["stopped"]

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """The callbacks by their classes, numbered where there are several: others may come between them."""
        counts: dict[str, int] = {}
        for callback in self._hooks.callbacks:
            kind = type(callback).__name__
            counts[kind] = counts.get(kind, 0) + 1
            yield f"{kind}/{counts[kind]}", callback


def _without_arrays(value: Any, name: Callable[[], str], arrays: dict[str, Array]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_arrays(item, name, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, name, arrays) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        key = name()
        arrays[key] = np.ascontiguousarray(value, dtype=np.float32)
        return {_ARRAY: key}
    return value


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value
