"""From users' arrays to what the native program takes: whole checked arrays, and the rows of each batch."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foliot import _arrays, _core, _nest
from foliot._arrays import Array
from foliot._checks import describe, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot._orders import exchanged, turned
from foliot.losses import CategoricalCrossentropy, Loss


@dataclass(frozen=True)
class Data:
    """Whole arrays, one per input and output of the model; equally long."""

    inputs: list[Array]
    targets: list[Array]
    sample_weights: list[Array | None]
    #: The targets as they were passed, for metrics of the user's.
    given_targets: list[Array] = field(default_factory=list)
    #: A mask (rows, time) for each input; none at all where no input has one.
    masks: list[Array | None] = field(default_factory=list)
    #: The lengths of the rows of inputs that are cut to each batch's longest; none at all where none is cut.
    ends: list[Array | None] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.inputs[0])

    @property
    def masked(self) -> tuple[bool, ...]:
        """Which inputs have a mask."""
        return tuple(mask is not None for mask in self.masks)

    def batch(self, rows: Array) -> "tuple[Data, Array | None]":
        """The arrays that hold a batch, and the numbers of its rows in them, None for all."""
        if not self.ends:
            return self, rows

        def taken(arrays: Sequence[Array | None]) -> list[Any]:
            return [None if array is None else array[rows] for array in arrays]

        longest = [None if end is None else int(end[rows].max(initial=0)) for end in self.ends]
        inputs = [
            np.ascontiguousarray(array[rows] if last is None else array[rows, :last])
            for array, last in zip(self.inputs, longest, strict=True)
        ]
        others = (taken(arrays) for arrays in (self.targets, self.sample_weights, self.given_targets, self.masks))
        return Data(inputs, *others), None


def split(
    argument: str, value: Any, form: Any, names: Sequence[str], is_one: Callable[[Any], bool]
) -> list[tuple[str, Any]]:
    """What a user passed for several inputs or outputs, as (name for messages, value) in their order.

    Args:
        argument: What messages call the whole.
        value: A value (for one name), a list of values, or a dict by name.
        form: The nest in which the model has its inputs or outputs.
        names: The inputs' or outputs' names.
        is_one: For a single name: whether the only item of a list is meant, and not the list as an array.
    """
    form = _nest.simplify(form)
    if _nest.is_nest(form) or isinstance(value, Mapping):
        return _nest.match(argument, value, form, names)
    if isinstance(value, (list, tuple)) and len(value) == 1 and hasattr(value[0], "__array__") and is_one(value[0]):
        value = value[0]
    return [(argument, value)]


def is_whole(item: Any, rows: int, output: Shape, time_major: bool = False) -> bool:
    """Whether the only item of a list holds the targets of all rows, and is not itself the only row.

    Args:
        item: An array.
        rows: How many rows the inputs have.
        output: The shape of the output that the targets belong to, samples first.
        time_major: Whether they have time before samples.
    """
    if time_major:
        shape = np.shape(item)
        return shape[:2] == (output[1], rows) or (1, shape[0]) != (output[1], rows)
    if len(item) != rows:
        return False
    shape = np.shape(item)
    if rows > 1:
        return True
    # Targets have at most the features less than the output.
    if len(shape) < len(output) - 1:
        return False
    forms = (output, output[:-1], (*output[:-1], 1))
    return shape in forms or (1, *shape) not in forms


def split_targets(
    argument: str,
    value: Any,
    form: Any,
    names: Sequence[str],
    judged: Sequence[int],
    is_one: Callable[[Any], bool],
) -> list[tuple[str, Any]]:
    """The targets (or sample weights) of the outputs that have a loss; those of the others may be left out or be None.

    Args:
        argument: What messages call the whole.
        value: What the user passed.
        form: The nest of the model's outputs.
        names: The outputs' names.
        judged: The positions of the outputs that have a loss.
        is_one: See `split`.
    """
    if len(judged) < len(names):
        if isinstance(value, Mapping) and set(value) <= set(names):
            value = {**dict.fromkeys(names), **value}
        elif not isinstance(value, (list, tuple)) or len(value) != len(names) or len(judged) == 1 == len(value):
            wanted = [names[position] for position in judged]
            return split(argument, value, list(wanted), wanted, is_one)
    found = split(argument, value, form, names, is_one)
    return [found[position] for position in judged]


def split_sample_weight(
    argument: str, value: Any, form: Any, names: Sequence[str], judged: Sequence[int], rows: int
) -> list[tuple[str, Any]]:
    """The sample weights of each output that has a loss: one array serves all, and None or a missing key means 1."""
    if len(judged) > 1 and not isinstance(value, Mapping):
        several = isinstance(value, (list, tuple)) and any(
            item is None or hasattr(item, "__array__") or isinstance(item, (list, tuple, Mapping)) for item in value
        )
        if not several:
            return [(argument, value)] * len(judged)
    if isinstance(value, Mapping) and set(value) <= set(names):
        value = {**dict.fromkeys(names), **value}
    return split_targets(argument, value, form, names, judged, lambda item: len(item) == rows)


def adjust_rank(array: Array, expected: Shape) -> Array:
    """Adds or drops a last axis of size 1 where the model's input has it the other way, as Keras does."""
    if array.ndim == len(expected) - 1 and expected[-1] == 1:
        return array[..., None]
    if array.ndim == len(expected) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def check_input_shape(argument: str, shape: Shape, tensor: SymbolicTensor, dtype: _arrays.DType) -> None:
    """Refuses an array that does not fit an input: its rank, and its features unless it holds token ids."""
    expected = tensor.shape
    features = None if dtype == "int32" else expected[-1]
    if len(shape) != len(expected) or features not in (None, shape[-1]):
        raise ValueError(
            f"`{argument}`: expected shape {expected} for the input {tensor.name!r}; received shape {shape}"
        )


def check_axes(arrays: Sequence[tuple[str, Array]]) -> None:
    """Refuses arrays without a batch axis."""
    for argument, array in arrays:
        if array.ndim == 0:
            raise value_error(argument, "an array with the rows in its first axis", array.item())


def check_same_length(arrays: Sequence[tuple[str, Array]], time_major: Sequence[bool] = ()) -> None:
    """Refuses arrays of different or no length along the batch axis.

    Args:
        arrays: The arrays with their names.
        time_major: Which of them have time before samples; none by default.
    """
    check_axes(arrays)
    rows: list[tuple[str, int]] = []
    for (argument, array), is_major in zip(arrays, time_major or [False] * len(arrays), strict=True):
        if is_major and array.ndim < 2:
            raise ValueError(f"`{argument}`: expected an array (time, batch, ...); received shape {array.shape}")
        rows.append((argument, array.shape[is_major]))
    first_name, first = rows[0]
    for argument, count in rows[1:]:
        if count != first:
            raise ValueError(
                f"`{argument}`: expected as many rows as `{first_name}` has, {first}; received {count} rows"
            )


def check_no_batches(argument: str, x: Any, y: Any) -> None:
    """Refuses a list that holds nothing, or batches where it is no source of them."""
    if not isinstance(x, (list, tuple)):
        return
    if not x:
        raise value_error(argument, "at least one row", x)
    if y is None and all(isinstance(item, tuple) and hasattr(item[:1] and item[0], "__array__") for item in x):
        raise value_error(argument, "arrays, or batches (x, y) from an iterable such as iter([(x, y)])", x)


def check_not_empty(arrays: Sequence[tuple[str, Array]]) -> None:
    """Refuses a data set without rows."""
    for argument, array in arrays:
        if len(array) == 0:
            raise ValueError(f"`{argument}`: expected at least one row; received an empty array of shape {array.shape}")


def convert_target(argument: str, array: Array, output: Shape, loss: Loss, time_major: bool = False) -> Array:
    """Targets in the form that the loss compares with an output of shape `output` (the real batch size first).

    Both have samples first; `time_major` says that users see time first. `(N,)` stands for `(N, 1)` and the other way
    round; class indices lose a last axis of size 1.
    """
    if loss.labels:
        if array.ndim != 2:
            expected = f"labels of shape ({output[0]}, length) for {loss.name}"
            raise ValueError(f"`{argument}`: expected {expected}; received shape {array.shape}")
        return _arrays.convert(argument, array, "int32")
    wanted = output[:-1] if loss.sparse else output
    if array.ndim == len(wanted) - 1 and wanted[-1] == 1:
        array = array[..., None]
    elif array.ndim == len(wanted) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.shape != wanted:
        hint = ""
        if isinstance(loss, CategoricalCrossentropy) and array.shape in (wanted[:-1], (*wanted[:-1], 1)):
            hint = "; for class indices use loss='sparse_categorical_crossentropy' or foliot.utils.to_categorical(y)"
        elif loss.sparse and array.shape == output:
            hint = "; for one-hot rows use loss='categorical_crossentropy'"
        seen, received = (exchanged(shape, time_major) for shape in (wanted, array.shape))
        raise ValueError(f"`{argument}`: expected shape {seen} for {loss.name}; received shape {received}{hint}")
    return _arrays.convert(argument, array, "int32" if loss.sparse else "float32")


def as_given(targets: Array) -> Array:
    """Targets as Keras shows them to a metric: in the user's shape, of 32 bits."""
    wanted = {"f": np.float32, "i": np.int32, "u": np.int32}.get(targets.dtype.kind)
    return targets if wanted is None else targets.astype(wanted)


def convert_sample_weight(argument: str, value: Any, target: Array, time_major: bool = False) -> Array:
    """One weight per row, or per row and time step; with `time_major` per time step and row."""
    array = _arrays.numeric(argument, value)
    array = turned(array, time_major and array.ndim > 1)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0 or array.shape != target.shape[: array.ndim]:
        received = exchanged(array.shape, time_major and array.ndim > 1)
        raise ValueError(
            f"`{argument}`: expected one weight per row, shape {target.shape[:1]}, or one per time step; "
            f"received shape {received}"
        )
    return _arrays.convert(argument, array, "float32")


def class_weights_by_row(class_weight: Any, target: Array) -> Array:
    """The weight of each row's class; classes that the dict leaves out count 1."""
    if not isinstance(class_weight, Mapping) or not class_weight:
        raise value_error("class_weight", "a dict {class index: weight}", class_weight)
    for key, weight in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or key < 0:
            raise value_error("class_weight", "class indices (integers of at least 0) as keys", key)
        if not isinstance(weight, (int, float, np.number)) or not math.isfinite(weight):
            raise ValueError(f"`class_weight[{key}]`: expected a finite number; received {describe(weight)}")
    if target.ndim > 2:
        raise ValueError(
            f"`class_weight`: expected targets of shape (rows,) or (rows, classes); received shape {target.shape}"
        )
    one_hot = target.ndim == 2 and target.shape[1] > 1
    classes = target.argmax(axis=1) if one_hot else np.rint(target).astype(np.int64).reshape(len(target))
    known, positions = np.unique(classes, return_inverse=True)
    weights = np.array([class_weight.get(int(index), 1.0) for index in known], dtype=np.float32)
    return weights[positions.reshape(len(target))]


class Batches:
    """The rows of each batch, epoch after epoch.

    Args:
        first: The first row.
        last: One past the last row.
        batch_size: Rows per batch; the last batch of a pass holds what is left.
        steps: Batches per epoch; an epoch goes on where the last one stopped. None: an epoch is one pass.
        seed_and_pass: For shuffling: gives the seed and the number of the pass that begins. None keeps the order.
        lengths: The lengths of all rows, to put rows of similar length into one batch.
    """

    def __init__(
        self,
        first: int,
        last: int,
        batch_size: int,
        steps: int | None = None,
        seed_and_pass: Callable[[], tuple[int, int]] | None = None,
        lengths: Array | None = None,
    ) -> None:
        self._first, self._last = first, last
        self._lengths = lengths
        self._batch_size = batch_size
        self._steps = steps
        self._seed_and_pass = seed_and_pass
        self._open: Iterator[Array] = iter(())
        # The seed and number of the open pass, and how many of its batches were taken.
        self._order: tuple[int, int] | None = None
        self._taken = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        return self._steps or -((self._first - self._last) // self._batch_size)

    def restart(self) -> None:
        """Lets the next epoch begin with the first row, where `steps` cut the last one short."""
        self._open, self._taken = iter(()), 0

    def state(self) -> dict[str, Any]:
        """Where in a pass the next batch lies, for `set_state`, and what passes are like."""
        return {
            "batch_size": self._batch_size,
            "shuffle": self._seed_and_pass is not None,
            "bucket_by_length": self._lengths is not None,
            "order": self._order,
            "taken": self._taken,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was asked for."""
        if state["taken"]:
            order = state["order"]
            self._order, self._taken = None if order is None else (order[0], order[1]), state["taken"]
            self._open = self._pass(self._order, self._taken)

    def epoch(self, done: int = 0) -> Iterator[Array]:
        """The row numbers of each batch of the next epoch, or of one of which `done` batches are done."""
        if self._steps is None:
            if not done:
                self._open = self._pass()
            yield from self._open
            self._taken = 0
            return
        for _ in range(done, self._steps):
            batch = next(self._open, None)
            if batch is None:
                self._open = self._pass()
                batch = next(self._open)
            yield batch

    def _pass(self, order: tuple[int, int] | None = None, taken: int = 0) -> Iterator[Array]:
        count = self._last - self._first
        starts = np.arange(0, count, self._batch_size)
        if self._seed_and_pass is None:
            rows = np.arange(self._first, self._last, dtype=np.int64)
        else:
            seed_and_pass = order or self._seed_and_pass()
            self._order = seed_and_pass
            rows = _core.permutation(count, *seed_and_pass) + self._first
            if self._lengths is not None:
                starts = starts[_core.permutation(len(starts), *seed_and_pass)]
        if self._lengths is not None:
            rows = rows[np.argsort(self._lengths[rows], kind="stable")]
        for self._taken, start in enumerate(starts[taken:], taken + 1):
            yield rows[start : start + self._batch_size]
