"""Where the batches of an epoch come from: whole arrays, or a source that gives them one by one."""

import functools
import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from foliot import _core
from foliot._arrays import Array
from foliot._checks import check_integer, describe, value_error
from foliot._warnings import warn
from foliot.models.data import Batches, Data

#: A batch: arrays, and the numbers of its rows in them, None for all.
Batch = tuple[Data, Array | None]

#: A batch as a source gives it: inputs, targets, sample weights.
Parts = tuple[Any, Any, Any]

# Batches that are fetched while the model trains, where the source does not say how many.
_AHEAD = 2
_END = object()
# The arguments of `fit` that decide what goes by another name in a feed's state.
_ARGUMENTS = {"rows": "x", "steps": "steps_per_epoch"}


class Feed(ABC):
    """What `fit`, `evaluate` and `predict` take batches from."""

    #: Batches per epoch, None if that is not known before.
    steps: int | None
    #: Which inputs have a mask, in every batch.
    masked: tuple[bool, ...]

    @abstractmethod
    def epoch(self, done: int = 0) -> Iterator[Batch]:
        """The batches of the next epoch, or what remains of one of which `done` batches are done."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Where the next batch lies, as plain data."""

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Refuses a state within a pass over other data, or over other batches of them.

        Raises:
            ValueError: It is such.
        """
        if not state["taken"]:
            return
        own = self.state()
        if set(state) != set(own):
            raise value_error("x", "data of the kind that the interrupted training had", sorted(own))
        for name, value in own.items():
            if name not in ("order", "taken") and state[name] != value:
                expected = f"the {name.replace('_', ' ')} that the interrupted training had, {state[name]}"
                raise value_error(_ARGUMENTS.get(name, name), expected, value)

    @abstractmethod
    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was asked for, before the first epoch."""

    @abstractmethod
    def restart(self) -> None:
        """Lets the next epoch begin with the first batch, as far as the source can."""

    def close(self) -> None:  # noqa: B027 - most have no threads
        """Ends threads that fetch batches."""

    def has_more(self) -> bool:
        """Whether there is a batch for another epoch; warns if not."""
        return True


class ArrayFeed(Feed):
    """Batches of whole arrays.

    Args:
        data: The arrays.
        batches: The rows of each batch.
    """

    def __init__(self, data: Data, batches: Batches) -> None:
        self._data, self._batches = data, batches
        self.steps = len(batches)
        self.masked = data.masked

    def epoch(self, done: int = 0) -> Iterator[Batch]:
        return (self._data.batch(rows) for rows in (self._batches.epoch(done) if self._data.rows else ()))

    def state(self) -> dict[str, Any]:
        return {"rows": self._data.rows, **self._batches.state(), "steps": self.steps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._batches.set_state(state)

    def restart(self) -> None:
        self._batches.restart()


class StreamFeed(Feed):
    """Batches from a dataset, an iterable or a generator.

    What can be iterated again begins anew for each epoch; with `steps` an epoch goes on where the last one stopped. A
    generator goes on from epoch to epoch until it ends, and never gives a batch twice. (Keras looks at its first two
    beforehand, and begins every validation, and what follows the generator's end, with these again.) Datasets and
    iterables are read ahead in threads; a generator runs in the caller's thread between two steps, for it may look at
    what training has done so far.

    Args:
        argument: What messages call the source.
        source: See `is_stream`.
        convert: Makes checked arrays of a batch; called with what messages call the batch.
        prepare: Does what of that can be done in the thread that reads ahead.
        steps: Batches per epoch; None is all that the source gives.
        seed_and_pass: For shuffling the batches of a dataset: the seed and number of a pass. None keeps the order.

    Raises:
        ValueError: The source gives nothing, or is endless and `steps` is None.
    """

    def __init__(
        self,
        argument: str,
        source: Any,
        convert: Callable[[str, Parts], Data],
        prepare: Callable[[str, Parts], Parts],
        steps: int | None = None,
        seed_and_pass: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._argument, self._source, self._convert, self._prepare = argument, source, convert, prepare
        self._given_steps, self._seed_and_pass = steps, seed_and_pass
        self._is_dataset = _is_dataset(source)
        # A generator is its own and only pass.
        self._once = hasattr(source, "__next__")
        self._over = False
        self._number = 0
        length, endless = (None, False) if self._once else _length(argument, source)
        if endless and steps is None:
            raise value_error(argument, "the number of steps for a dataset without an end", source)
        self.steps = steps if steps is not None else length
        self._open: Generator[Any] | None = None
        # The seed and number of the open pass, and how many of its batches were trained on.
        self._order: tuple[int, int] | None = None
        self._taken = 0
        # Of an interrupted pass: what is to be passed over.
        self._skipped = 0
        self._begun = self._warned = False
        # Fetched before the first epoch, for models are built for what the data look like. A dataset's is fetched
        # again, because the order of its first pass may still change.
        self._waiting: deque[Data] = deque()
        first = (_END if length == 0 else source[0]) if self._is_dataset else next(self._current(), _END)
        if first is _END:
            raise ValueError(f"`{argument}`: expected at least one batch; received {describe(source)}, which gave none")
        data = self._converted(first)
        self.masked = data.masked
        if self._is_dataset:
            self._number = 0
        else:
            self._waiting.append(data)

    def has_more(self) -> bool:
        if not self._over or self._waiting:
            return True
        self._warn()
        return False

    def state(self) -> dict[str, Any]:
        shuffle = self._is_dataset and self._seed_and_pass is not None
        return {"shuffle": shuffle, "order": self._order, "taken": self._taken}

    def set_state(self, state: Mapping[str, Any]) -> None:
        taken, order = state["taken"], state["order"]
        if self._once or not taken:
            return  # what a generator would have given is not known here
        if self._is_dataset:
            self._order = None if order is None else (order[0], order[1])
            self._skipped = taken
        else:
            for _ in range(taken):
                if self._next() is None:
                    break
        self._taken = taken

    def epoch(self, done: int = 0) -> Iterator[Batch]:
        self._begun = True
        taken = done
        while self._given_steps is None or taken < self._given_steps:
            data = self._next()
            if data is None:
                if taken == 0 or self._given_steps is not None:
                    self._warn()
                break
            taken += 1
            self._taken += 1
            yield data, None
        if self._given_steps is None:
            self.close()
        if self._is_dataset:
            _call(self._source, "on_epoch_end")

    def restart(self) -> None:
        if self._begun:
            self.close()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()  # its threads, too
            self._open = None
            self._taken = 0
            self._waiting.clear()

    def _warn(self) -> None:
        if not self._warned:
            # Once for a generator, which stays at its end.
            self._warned = self._once
            _warn_of_end()

    def _next(self) -> Data | None:
        if self._waiting:
            return self._waiting.popleft()
        batch = next(self._current(), _END)
        if batch is _END:
            self._over = self._once
            self.close()
            return None
        return self._converted(batch)

    def _converted(self, batch: Any) -> Data:
        self._number += 1
        name = self._name(self._number)
        return self._convert(name, unpack(name, batch))

    def _name(self, number: int) -> str:
        return f"batch {number} of {self._argument}"

    def _preparing(self, calls: Iterable[Callable[[], Any]]) -> Iterator[Callable[[], Any]]:
        """The calls, of which each also prepares the batch that it fetches."""

        def prepared(call: Callable[[], Any], name: str) -> Any:
            batch = call()
            return batch if batch is _END else self._prepare(name, unpack(name, batch))

        for number, call in enumerate(calls, self._number + 1):
            yield functools.partial(prepared, call, self._name(number))

    def _current(self) -> Iterator[Any]:
        """The open pass over the source, a new one if there is none."""
        if self._once:
            return self._source  # type: ignore[no-any-return]
        if self._open is None:
            self._open = self._fetch()
        return self._open

    def _fetch(self) -> Generator[Any]:
        if not self._is_dataset:
            batches = iter(self._source)
            yield from _ahead(self._preparing(itertools.repeat(lambda: next(batches, _END))), 1, _AHEAD)
            return
        source = self._source
        _call(source, "on_epoch_begin")
        length, _ = _length(self._argument, source)
        if length is None:
            order: Iterable[int] = itertools.count()
        elif self._seed_and_pass is None:
            order = range(length)
        else:
            self._order = (self._order if self._skipped else None) or self._seed_and_pass()
            order = _core.permutation(length, *self._order).tolist()
        order, self._skipped = itertools.islice(order, self._skipped, None), 0
        workers = int(getattr(source, "workers", 1))
        calls = (functools.partial(source.__getitem__, index) for index in order)
        if workers == 0:
            yield from (call() for call in calls)
        else:
            yield from _ahead(self._preparing(calls), workers, max(int(getattr(source, "max_queue_size", _AHEAD)), 1))


def _ahead(calls: Iterable[Callable[[], Any]], workers: int, window: int) -> Iterator[Any]:
    """The calls' results in order up to the first `_END`, made in threads ahead of their use; so are their errors."""
    from concurrent.futures import Future, ThreadPoolExecutor  # not for those who train on arrays

    pending: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="foliot-batches") as pool:
        try:
            remaining = iter(calls)
            while True:
                pending.extend(pool.submit(call) for call in itertools.islice(remaining, window - len(pending)))
                if not pending:
                    return
                result = pending.popleft().result()
                if result is _END:
                    return
                yield result
        finally:
            for future in pending:
                future.cancel()


def is_stream(x: Any) -> bool:
    """Whether `x` gives batches: a generator, a dataset with `len` and `[]`, or an iterable that is no array.

    Arrays are also lists, frames and whatever else has `__array__`.
    """
    if hasattr(x, "__next__"):
        return True
    # SciPy's sparse matrices, which are no arrays to NumPy, have `toarray`.
    if (
        x is None
        or hasattr(x, "__array__")
        or hasattr(x, "toarray")
        or isinstance(x, (Mapping, Sequence, bytes, set, frozenset, type))
    ):
        return False
    return hasattr(x, "__iter__") or _is_dataset(x)


def _is_dataset(x: Any) -> bool:
    """`PyDataset` and `Sequence`, foliot's, Keras's, or a class with their methods."""
    named = any(base.__name__ in ("PyDataset", "Sequence") for base in type(x).__mro__)
    return named or (hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "__iter__"))


def unpack(argument: str, batch: Any) -> Parts:
    """A batch's inputs, targets and sample weights, None where it has none; a list counts as a tuple, as in Keras.

    Raises:
        ValueError: A tuple of another length.
    """
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise value_error(argument, "(x,), (x, y) or (x, y, sample_weight)", batch)
    return (*batch, None, None)[:3]


def refuse_beside_stream(argument: str, source: Any, **parts: Any) -> None:
    """Refuses targets and weights beside a source of batches, which holds them itself."""
    for name, value in parts.items():
        if value is not None:
            raise ValueError(
                f"`{name}`: expected None, for `{argument}` is a {type(source).__name__} and gives batches of "
                f"(x, y, sample_weight); received {describe(value)}"
            )


def _length(argument: str, source: Any) -> tuple[int | None, bool]:
    """The number of batches of a pass, None if it is not known, and whether there is no end."""
    try:
        length = source.num_batches if hasattr(source, "num_batches") else len(source)
    except TypeError as error:  # tf.data's says which it is
        return None, "infinite" in str(error)
    return (None, True) if length is None else (check_integer(f"len({argument})", length, minimum=0), False)


def _call(source: Any, hook: str) -> None:
    method = getattr(source, hook, None)
    if method is not None:
        method()


def _warn_of_end() -> None:
    warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at "
        "least `steps_per_epoch * epochs` batches. You may need to use the `.repeat()` function when building your "
        "dataset.",
    )
