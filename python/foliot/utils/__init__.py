"""Helpers around data and randomness."""

import random
from typing import Any

import numpy as np

from foliot import _arrays, _random
from foliot._arrays import Array
from foliot._checks import check_integer
from foliot.layers.base import clear_names
from foliot.preprocessing.sequence import pad_sequences

__all__ = ["clear_session", "pad_sequences", "set_random_seed", "to_categorical"]


def set_random_seed(seed: int) -> None:
    """Makes what follows repeatable: initial weights, dropout, shuffling, and Python's and NumPy's own generators.

    Args:
        seed: An integer in `[0, 2**32)`.

    Example:
        >>> from foliot import initializers, utils
        >>> utils.set_random_seed(1)
        >>> first = initializers.RandomNormal()((2,))
        >>> utils.set_random_seed(1)
        >>> bool((initializers.RandomNormal()((2,)) == first).all())
        True
    """
    seed = check_integer("seed", seed, minimum=0, maximum=2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator of scripts that use np.random directly
    _random.set_seed(seed)


def clear_session() -> None:
    """Restarts the numbering of layers' automatic names."""
    clear_names()


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """One-hot rows for class indices.

    Args:
        x: Class indices, whole numbers of at least 0; a last axis of size 1 is dropped.
        num_classes: The length of a row; None is the greatest index plus 1.

    Returns:
        A float64 array of the shape of `x` with an axis for the classes added.

    Raises:
        ValueError: An index is negative or too large, or `x` is empty and `num_classes` None.

    Example:
        >>> from foliot.utils import to_categorical
        >>> to_categorical([0, 2, 1]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    indices = _arrays.numeric("x", x).astype(np.int64)
    shape = indices.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    flat = indices.reshape(-1)
    if num_classes is None:
        if flat.size == 0:
            raise ValueError("`num_classes`: expected the number of classes, for `x` is empty; received None")
        classes = int(flat.max()) + 1
    else:
        classes = check_integer("num_classes", num_classes, minimum=1)
    if flat.size and (flat.min() < 0 or flat.max() >= classes):
        raise ValueError(f"`x`: expected class indices in [0, {classes}); received {flat.min()} to {flat.max()}")
    rows = np.zeros((flat.size, classes))
    rows[np.arange(flat.size), flat] = 1.0
    return rows.reshape((*shape, classes))
