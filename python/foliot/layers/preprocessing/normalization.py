"""Numbers brought to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from foliot import _arrays
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_text, type_error, value_error
from foliot._serialization import Configurable

# Keras's `backend.epsilon()`: the least standard deviation to divide by.
_EPSILON = 1e-7


class Normalization(Configurable):
    """`(x - mean) / sqrt(variance)` for each feature. Called on arrays; not part of a model.

    Args:
        axis: The axis, or axes, that have a mean of their own: -1 for one per feature; None for one mean of all.
        mean: The mean; None learns it in `adapt`.
        variance: The variance, together with `mean`.
        invert: Undo it: `x * sqrt(variance) + mean`.
        name: A name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Only one of `mean` and `variance` is given, or their shapes differ.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Normalization
        >>> normalize = Normalization()
        >>> normalize.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> normalize([[2.0, 40.0]]).tolist()
        [[0.0, 2.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        name: str | None = None,
    ) -> None:
        chosen = () if axis is None else tuple(axis) if isinstance(axis, Sequence) else (axis,)
        self.axis = tuple(check_integer("axis", item) for item in chosen)
        if (mean is None) != (variance is None):
            raise ValueError(f"`mean`, `variance`: expected both or none; received {mean!r} and {variance!r}")
        self.mean = None if mean is None else _arrays.numeric("mean", mean).astype(np.float64)
        self.variance = None if variance is None else _arrays.numeric("variance", variance).astype(np.float64)
        if self.mean is not None and self.variance is not None and self.mean.shape != self.variance.shape:
            raise ValueError(
                f"`variance`: expected the shape {self.mean.shape} of `mean`; received {self.variance.shape}"
            )
        self.invert = check_flag("invert", invert)
        self.name = "normalization" if name is None else check_text("name", name)
        self._is_given = mean is not None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object of a configuration, of foliot's or Keras's."""
        return super().from_config({key: value for key, value in config.items() if key not in ("trainable", "dtype")})

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data, with what `adapt` has learnt."""
        found = {name: None if value is None else value.tolist() for name, value in self._statistics().items()}
        return super().get_config() | found

    def _statistics(self) -> dict[str, Array | None]:
        return {"mean": self.mean, "variance": self.variance}

    def adapt(self, data: Any, mask: Any = None, *, lengths: Any = None) -> None:
        """Learns mean and variance. Where padding is said it counts for nothing; Keras counts it.

        Args:
            data: An array; a list of rows, of which sequences `(time, features)` may have different lengths; or an
                iterable of such batches, each of which may be a tuple `(data, mask)`.
            mask: For an array of sequences: `(batch, time)`, False where a step is padding.
            lengths: For an array of sequences, instead of `mask`: how many steps of each row count.

        Raises:
            TypeError: `data` is nothing of these, or holds no numbers.
            ValueError: The constructor was given a mean, there are no values, or `mask` or `lengths` do not fit the
                data or stand where nothing is padding.

        Example:
            >>> import numpy as np
            >>> from foliot.layers import Normalization
            >>> normalize = Normalization()
            >>> normalize.adapt([np.ones((4, 1)), np.full((2, 1), 4.0)])
            >>> normalize.mean.tolist()
            [2.0]
            >>> normalize.adapt(np.array([[[1.0], [3.0], [0.0]]]), lengths=[2])
            >>> normalize.mean.tolist()
            [2.0]
        """
        if self._is_given:
            raise ValueError("Normalization: expected no `mean` in the constructor where adapt is called")
        is_array = isinstance(data, (list, tuple)) or hasattr(data, "__array__")
        if isinstance(data, tuple) and _has_mask(data):
            raise value_error("data", "the data alone, and their mask as mask=", data)
        if not is_array and not isinstance(data, Iterable):
            raise type_error("data", "an array, a list of rows or an iterable of batches", data)
        for name, value in (("mask", mask), ("lengths", lengths)):
            if value is not None and not is_array:
                raise value_error(name, "None for an iterable of batches: let it give tuples (data, mask)", value)
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in [data] if is_array else data:
            own, own_mask = (batch, mask) if is_array else _parts(batch)
            array, steps = _padded(own, own_mask, lengths)
            said_by = "lengths" if lengths is not None else "data" if own_mask is None else "mask"
            rows = self._kept_last(array, steps, said_by)
            if not len(rows):
                continue
            # Chan's update: the parts' means and sums of squares are those of the whole, without cancellation.
            part = rows.mean(axis=0)
            if count and part.shape != mean.shape:
                raise ValueError(f"`data`: expected batches alike, of means {mean.shape}; received {part.shape}")
            difference = part - mean
            total = count + len(rows)
            squares = squares + ((rows - part) ** 2).sum(axis=0) + difference**2 * (count * len(rows) / total)
            mean = mean + difference * (len(rows) / total)
            count = total
        if not count:
            raise value_error("data", "at least one value that is not masked", data)
        self.mean, self.variance = mean, squares / count

    def _axes(self, ndim: int) -> list[int]:
        for axis in self.axis:
            check_integer("axis", axis, minimum=-ndim, maximum=ndim - 1)
        return sorted(axis % ndim for axis in self.axis)

    def _kept_last(self, array: Array, mask: Any, said_by: str) -> Array:
        """`(values, ...)`: what a mean is taken of comes first. `said_by` is the argument that `mask` comes from."""
        kept = self._axes(array.ndim)
        if mask is not None:
            if array.ndim < 3 or any(axis < 2 for axis in kept):
                allowed = "rows of one length" if said_by == "data" else "None"
                raise ValueError(
                    f"`{said_by}`: expected {allowed} unless means are per feature of (batch, time, features), or one "
                    f"of all; received data of shape {array.shape} with axis={self.axis}"
                )
            array = array[_arrays.mask("mask", mask, array.shape[:2])]
            kept = [axis - 1 for axis in kept]
        rest = [axis for axis in range(array.ndim) if axis not in kept]
        return array.transpose([*rest, *kept]).reshape(-1, *(array.shape[axis] for axis in kept))

    def __call__(self, inputs: Any) -> Array:
        """The normalized values, float32, of the inputs' shape."""
        if self.mean is None or self.variance is None:
            raise RuntimeError("Normalization has no mean yet: call adapt first")
        array = _arrays.numeric("inputs", inputs).astype(np.float64)
        kept = self._axes(array.ndim)
        shape = [1] * array.ndim
        for axis, size in zip(kept[len(kept) - self.mean.ndim :], self.mean.shape, strict=False):
            if size not in (1, array.shape[axis]):
                raise ValueError(
                    f"`inputs`: expected {size} values along axis {axis}, as adapt met; received shape {array.shape}"
                )
            shape[axis] = size
        mean, deviation = self.mean.reshape(shape), np.maximum(np.sqrt(self.variance), _EPSILON).reshape(shape)
        result = array * deviation + mean if self.invert else (array - mean) / deviation
        return result.astype(np.float32)


def _parts(batch: Any) -> tuple[Any, Any]:
    """A batch's data, and its mask or None."""
    if not isinstance(batch, tuple):
        return batch, None
    if _has_mask(batch):
        return batch[0], batch[1]
    if len({_ndim(item) for item in batch}) > 1:
        raise value_error("data", "batches that are arrays, lists of rows or tuples (data, mask)", batch)
    return batch, None


def _has_mask(batch: tuple[Any, ...]) -> bool:
    """Whether a batch is `(data, mask)`, and not two rows."""
    return len(batch) == 2 and _ndim(batch[1]) == 2 and _ndim(batch[0]) != 2


def _ndim(value: Any) -> int:
    """The number of axes, of rows of different lengths too."""
    from foliot.models import sequences

    ragged = sequences.ragged_rows(value)
    return np.ndim(value) if ragged is None else 1 + _ndim(ragged[0])


def _padded(data: Any, mask: Any, lengths: Any) -> tuple[Array, Array | None]:
    """The rows as one array, and what of it counts, None for all."""
    from foliot.models import sequences  # which layers come before

    ragged = sequences.ragged_rows(data)
    if ragged is not None:
        for name, value in (("mask", mask), ("lengths", lengths)):
            if value is not None:
                raise value_error(name, "None for rows of different lengths, which say it themselves", value)
        array, ends = sequences.pad("data", ragged)
        return array.astype(np.float64), sequences.steps(ends, array.shape[1])
    array = _arrays.numeric("data", data).astype(np.float64)
    if lengths is None:
        return array, mask
    if mask is not None:
        raise value_error("lengths", "None together with `mask`", lengths)
    if array.ndim < 2:
        raise value_error("lengths", "None unless `data` has a time axis", lengths)
    return array, sequences.steps(sequences.check_lengths("lengths", lengths, "data", array.shape), array.shape[1])
