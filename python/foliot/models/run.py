"""A `fit` that runs, as far as a backup has to know it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import type_error, value_error
from foliot.callbacks import Callback, CallbackList

if TYPE_CHECKING:
    from foliot.models.batches import Feed
    from foliot.models.network import Compiled
    from foliot.models.trainer import Trainer

# Stands in JSON for an array, which is a tensor of the file.
_ARRAY = "__array__"


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
        # What gathers in the part, and what it had gathered when the epoch was interrupted.
        self._measures: list[str] = []
        self._gathered: list[list[float]] | None = None
        # What `go_on` is to hand out.
        self._found: dict[str, Any] = {}

    def enter(self, part: "Compiled") -> None:
        """An epoch begins, or goes on: its losses and metrics are gathered there."""
        self._part, self._measures = part, self._model.measures
        if self._gathered is not None:
            part.set_gathered(self._gathered)
        else:
            self.done, self.logs = 0, {}
        self._gathered = None

    def leave(self) -> None:
        """The batches of an epoch, and its validation, are over."""
        self._part, self.done = None, 0

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What is to be known beside the model itself: plain data, and the arrays that they name."""
        arrays: dict[str, Array] = {}
        states = {name: _without_arrays(callback.get_state(), name, arrays) for name, callback in self._named()}
        carried = [state.numpy() for layer in self._model.stateful_layers() for state in layer.carried_states()]
        return {
            "feed": self._feed.state(),
            "done": self.done,
            "logs": self.logs,
            "measures": self._measures,
            "gathered": None if self._part is None else self._part.gathered(),
            "stopped": self._model.stop_training,
            "states": _without_arrays(carried, "states", arrays),
            "callbacks": {name: state for name, state in states.items() if state},
        }, arrays

    def resume(self, epoch: int, state: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Takes over what `state` gave, with the epoch that was to begin or had begun.

        Raises:
            ValueError: It is of another training.
        """
        found = _with_arrays(state, arrays)
        self._feed.check_state(found["feed"])
        if found["gathered"] is not None and found["measures"] != self._model.measures:
            expected = "the losses and metrics with which the interrupted epoch began"
            raise value_error("metrics", expected, self._model.metrics_names)
        carried = [state for layer in self._model.stateful_layers() for state in layer.carried_states()]
        if len(carried) != len(found["states"]):
            raise value_error("states", f"{len(carried)} arrays of stateful layers", found["states"])
        for parameter, value in zip(carried, found["states"], strict=True):
            parameter.assign(value)
        self.first_epoch, self.resumed = epoch, True
        self.done, self.logs, self._gathered = found["done"], found["logs"], found["gathered"]
        self._model.stop_training = found["stopped"]
        self._found = found

    def go_on(self) -> None:
        """Brings the data and the callbacks to where they were, after `resume`.

        This runs what the user wrote, whose errors say nothing about the backup.
        """
        self._feed.set_state(self._found["feed"])
        for name, callback in self._named():
            if name in self._found["callbacks"]:
                callback.set_state(self._found["callbacks"][name])

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """The callbacks by their classes, numbered where there are several: others may come between them."""
        counts: dict[str, int] = {}
        for callback in self._hooks.callbacks:
            kind = type(callback).__name__
            counts[kind] = counts.get(kind, 0) + 1
            yield f"{kind}/{counts[kind]}", callback


def _without_arrays(value: Any, owner: str, arrays: dict[str, Array]) -> Any:
    """What a callback keeps as plain data, whose arrays are put among the others and named."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _without_arrays(item, owner, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, owner, arrays) for item in value]
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        key = f"training/{len(arrays)}"
        arrays[key] = np.ascontiguousarray(value)
        return {_ARRAY: key}
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is not None and not isinstance(plain, (bool, int, float, str)):
        expected = "numbers, texts, None, float32 arrays, and lists, and dicts with texts as keys, of such"
        raise type_error(f"get_state of {owner}", expected, value)
    return plain


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value
