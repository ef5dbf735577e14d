"""Windows over time series as batches."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from foliot import _arrays, _random
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, value_error
from foliot._py_dataset import PyDataset


class TimeseriesDataset:
    """What `timeseries_dataset_from_array` returns: iterate over it as often as you like, or pass it to `fit`."""

    def __init__(
        self,
        data: Array,
        targets: Array | None,
        starts: Array,
        offsets: Array,
        batch_size: int | None,
        seed: int | None,
    ) -> None:
        self._data, self._targets = data, targets
        self._starts, self._offsets = starts, offsets
        self._batch_size = batch_size
        self._seed = seed
        self._passes = 0

    def __len__(self) -> int:
        """The number of batches, or of windows if there are no batches."""
        return len(self._starts) if self._batch_size is None else -(-len(self._starts) // self._batch_size)

    def __iter__(self) -> Iterator[Any]:
        starts = self._starts
        if self._seed is not None:
            # Another order in each pass, which the seed repeats.
            starts = np.random.default_rng([self._seed, self._passes]).permutation(starts)
            self._passes += 1
        size = 1 if self._batch_size is None else self._batch_size
        for first in range(0, len(starts), size):
            rows = starts[first] if self._batch_size is None else starts[first : first + size]
            windows = self._data[rows[..., None] + self._offsets]
            yield windows if self._targets is None else (windows, self._targets[rows])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> TimeseriesDataset:
    """Windows over a time series, with the target of each, in batches.

    Args:
        data: The series, time first: `(time, ...)`.
        targets: `targets[i]` belongs to the window that begins at step `i`. None gives windows alone.
        sequence_length: Steps of a window.
        sequence_stride: Steps from the beginning of a window to that of the next.
        sampling_rate: A window takes every so many steps.
        batch_size: Windows per batch; the last batch holds what is left. None gives single windows.
        shuffle: Give the windows in a random order, another one in each pass.
        seed: Seed of the order.
        start_index: Steps before this one are left out.
        end_index: This step and those after it are left out.

    Returns:
        An iterable of `(windows, targets)`, of shapes `(batch, sequence_length, ...)` and `(batch, ...)`, or of windows
        if there are no targets. `len` is the number of batches.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from foliot.utils import timeseries_dataset_from_array
        >>> series = np.arange(6)
        >>> for x, y in timeseries_dataset_from_array(series[:-3], series[3:], sequence_length=3, batch_size=2):
        ...     print(x.tolist(), y.tolist())
        [[0, 1, 2]] [3]
    """
    series = _arrays.numeric("data", data)
    if series.ndim == 0 or not len(series):
        raise value_error("data", "a series of at least one step", data)
    last = len(series) - 1
    first = 0 if start_index is None else check_integer("start_index", start_index, minimum=0, maximum=last)
    # Keras takes 0 for None.
    end = len(series) if not end_index else check_integer("end_index", end_index, minimum=first + 1, maximum=last)
    length = check_integer("sequence_length", sequence_length, minimum=1)
    rate = check_integer("sampling_rate", sampling_rate, minimum=1, maximum=max(last, 1))
    stride = check_integer("sequence_stride", sequence_stride, minimum=1, maximum=max(last, 1))
    size = None if batch_size is None else check_integer("batch_size", batch_size, minimum=1)
    windows = end - first - (length - 1) * rate
    answers = None if targets is None else _arrays.numeric("targets", targets)
    if answers is not None:
        windows = min(windows, len(answers))
        answers = answers[first:end]
    starts = np.arange(0, windows, stride)
    if answers is not None and len(starts) and starts[-1] >= len(answers):
        raise ValueError(
            f"`targets`: expected one for each step from `start_index` on at which a window begins, {starts[-1] + 1}; "
            f"received {len(answers)} from step {first} on"
        )
    order = None
    if check_flag("shuffle", shuffle):
        order = _random.next_seed() if seed is None else check_integer("seed", seed, minimum=0)
    return TimeseriesDataset(series[first:end], answers, starts, np.arange(length) * rate, size, order)


class TimeseriesGenerator(PyDataset):
    """Keras 2's windows over a time series: the target of a window is the one of the step after it.

    Args:
        data: The series, `(time, ...)`.
        targets: One for each step.
        length: The window's length in steps of `data`.
        sampling_rate: A window takes every so many steps.
        stride: Steps from a window to the next.
        start_index: Steps before this one are left out.
        end_index: Steps after this one are left out.
        shuffle: Windows at random places, instead of in order.
        reverse: Each window backwards in time.
        batch_size: Windows per batch.
        **kwargs: See `PyDataset`.

    Raises:
        ValueError: An argument is out of its range, or no window fits.

    Example:
        >>> import numpy as np
        >>> from foliot.preprocessing.sequence import TimeseriesGenerator
        >>> series = np.arange(5)
        >>> x, y = TimeseriesGenerator(series, series, length=2)[0]
        >>> x.tolist(), y.tolist()
        ([[0, 1], [1, 2], [2, 3]], [2, 3, 4])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data, self.targets = data, targets
        self._series, self._answers = _arrays.numeric("data", data), _arrays.numeric("targets", targets)
        if len(self._series) != len(self._answers):
            raise ValueError(
                f"`targets`: expected one for each of the {len(self._series)} steps of `data`; "
                f"received {len(self._answers)}"
            )
        self.length = check_integer("length", length, minimum=1)
        self.sampling_rate = check_integer("sampling_rate", sampling_rate, minimum=1)
        self.stride = check_integer("stride", stride, minimum=1)
        # The first step that can be a target, as in Keras.
        self.start_index = check_integer("start_index", start_index, minimum=0) + self.length
        last = len(self._series) - 1
        self.end_index = last if end_index is None else check_integer("end_index", end_index, minimum=0, maximum=last)
        self.shuffle = check_flag("shuffle", shuffle)
        self.reverse = check_flag("reverse", reverse)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index`, `length`: expected a sum of at most `end_index`, {self.end_index}, for a window needs "
                f"a step after it; received {self.start_index}"
            )
        self._seed = _random.next_seed()
        self._epoch = 0

    def __len__(self) -> int:
        block = self.batch_size * self.stride
        return (self.end_index - self.start_index + block) // block

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        if self.shuffle:
            # By number, so that it does not matter which thread asks first.
            draw = np.random.default_rng([self._seed, self._epoch, index])
            rows = draw.integers(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        offsets = np.arange(-self.length, 0, self.sampling_rate)
        samples = self._series[rows[:, None] + offsets]
        return (samples[:, ::-1] if self.reverse else samples), self._answers[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; `data` and `targets` as JSON."""
        return {
            "data": json.dumps(self._series.tolist()),
            "targets": json.dumps(self._answers.tolist()),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, for `timeseries_generator_from_json`; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def timeseries_generator_from_json(json_string: str) -> TimeseriesGenerator:
    """The generator that `TimeseriesGenerator.to_json` described.

    Args:
        json_string: What `to_json` returned.

    Example:
        >>> import numpy as np
        >>> from foliot.preprocessing.sequence import TimeseriesGenerator, timeseries_generator_from_json
        >>> generator = TimeseriesGenerator(np.arange(6), np.arange(6), length=3)
        >>> inputs, targets = timeseries_generator_from_json(generator.to_json())[0]
        >>> inputs.tolist(), targets.tolist()
        ([[0, 1, 2], [1, 2, 3], [2, 3, 4]], [3, 4, 5])
    """
    config = dict(json.loads(json_string)["config"])
    return TimeseriesGenerator(json.loads(config.pop("data")), json.loads(config.pop("targets")), **config)
