"""Arrays made ready for a model."""

import random
from typing import Any

import numpy as np

from foliot import _arrays
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, type_error, value_error


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Divides an array by its norms along an axis; what has the norm 0 stays.

    Args:
        x: The array.
        axis: The axis.
        order: The norm's order: 2 for the Euclidean norm.

    Returns:
        A new array of the shape of `x`.

    Example:
        >>> from foliot.utils import normalize
        >>> normalize([[3.0, 4.0], [0.0, 0.0]]).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    array = _arrays.numeric("x", x)
    axis = check_integer("axis", axis, minimum=-array.ndim, maximum=array.ndim - 1)
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Splits arrays by rows into two parts, for example for training and testing.

    Args:
        dataset: An array, or a list, tuple or dict of arrays with as many rows.
        left_size: Rows of the first part: a number, or as a float below 1 a fraction. None is what the second leaves.
        right_size: Rows of the second part.
        shuffle: Put the rows in a random order before.
        seed: Seed of the order. None draws one.

    Returns:
        Two of what `dataset` is, with NumPy arrays. (Keras returns TensorFlow's or PyTorch's datasets of rows.)

    Raises:
        TypeError: `dataset` holds no arrays, or a size is no number.
        ValueError: No size is given, a part would be empty, or both ask for more rows than there are.

    Example:
        >>> import numpy as np
        >>> from foliot.utils import split_dataset
        >>> (x, y), (x_test, y_test) = split_dataset((np.zeros((10, 2)), np.arange(10)), left_size=0.8)
        >>> x.shape, y_test.tolist()
        ((8, 2), [8, 9])
    """
    if isinstance(dataset, dict):
        keys: list[Any] | None = list(dataset)
        arrays = [_rows(f"dataset[{key!r}]", value) for key, value in dataset.items()]
    elif isinstance(dataset, (list, tuple)) and dataset and hasattr(dataset[0], "__array__"):
        keys = None
        arrays = [_rows(f"dataset[{position}]", value) for position, value in enumerate(dataset)]
    else:
        keys, arrays = None, [_rows("dataset", dataset)]
        dataset = None
    total = len(arrays[0]) if arrays else 0
    if any(len(array) != total for array in arrays):
        raise value_error("dataset", "arrays of as many rows", [array.shape for array in arrays])
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if check_flag("shuffle", shuffle):
        random.Random(random.randint(0, 10**6) if seed is None else check_integer("seed", seed)).shuffle(order)

    def part(rows: list[int]) -> Any:
        chosen = [array[rows] for array in arrays]
        if dataset is None:
            return chosen[0]
        return dict(zip(keys, chosen, strict=True)) if keys is not None else type(dataset)(chosen)

    return part(order[:left]), part(order[total - right :])


def _rows(argument: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.ndim == 0:
        raise type_error(argument, "an array with the rows in its first axis", value)
    return array


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("`left_size`, `right_size`: expected at least one of them; received None for both")
    given: dict[str, int | None] = {"left_size": None, "right_size": None}
    for argument, size in (("left_size", left), ("right_size", right)):
        if isinstance(size, float):
            given[argument] = round(check_number(argument, size, above=0, below=1) * total)
        elif size is not None:
            given[argument] = check_integer(argument, size, minimum=1, maximum=total - 1)
    first, second = given["left_size"], given["right_size"]
    first = total - (second or 0) if first is None else first
    second = total - first if second is None else second
    if first + second > total or not first or not second:
        raise ValueError(
            f"`left_size`, `right_size`: expected two parts of {total} rows that are not empty; received "
            f"{left!r} and {right!r}, {first} and {second} rows"
        )
    return first, second
