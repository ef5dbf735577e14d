"""Helpers around data and randomness."""

import random
from typing import Any

import numpy as np

from foliot import _arrays, _random
from foliot._arrays import Array
from foliot._checks import check_integer
from foliot._py_dataset import PyDataset, Sequence
from foliot.layers.base import clear_names
from foliot.preprocessing.sequence import pad_sequences
from foliot.preprocessing.timeseries import timeseries_dataset_from_array
from foliot.utils.arrays import normalize, split_dataset
from foliot.utils.plotting import model_to_dot, plot_history, plot_model

__all__ = [
    "PyDataset",
    "Sequence",
    "clear_session",
    "model_to_dot",
    "normalize",
    "pad_sequences",
    "plot_history",
    "plot_model",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
]


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
    """Restarts the numbering of layers' automatic names.

    Example:
        >>> import foliot
        >>> foliot.utils.clear_session()
        >>> foliot.layers.Dense(1).name, foliot.layers.Dense(1).name
        ('dense', 'dense_1')
    """
    clear_names()


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """One-hot rows for class indices.

    Args:
        x: Class indices, whole numbers of at least 0; a last axis of size 1 is dropped.
        num_classes: The length of a row; None is the greatest index plus 1.

    Returns:
        A float64 array of the shape of `x` with an axis for the classes added.

    Raises:
        TypeError: `x` holds no numbers, or `num_classes` is no integer.
        ValueError: An index is negative, too large or no whole number, the rows do not fit into memory, or `x` is empty
            and `num_classes` None.

    Example:
        >>> from foliot.utils import to_categorical
        >>> to_categorical([0, 2, 1]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    indices = _arrays.numeric("x", x)
    # Keras cuts fractions off; labels that hold some are seldom labels.
    _arrays.check_whole("x", indices, "whole numbers, the indices of classes")
    shape = indices.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    flat = indices.reshape(-1)
    least, greatest = (int(flat.min()), int(flat.max())) if flat.size else (0, -1)
    if num_classes is not None:
        classes = check_integer("num_classes", num_classes, minimum=1)
    elif flat.size:
        classes = max(greatest + 1, 1)
    else:
        raise ValueError("`num_classes`: expected the number of classes, for `x` is empty; received None")
    if least < 0 or greatest >= classes:
        raise ValueError(f"`x`: expected class indices in [0, {classes}); received {least} to {greatest}")
    try:
        rows = np.zeros((flat.size, classes))
    except (MemoryError, OverflowError, ValueError) as error:  # the last two for sizes beyond any memory
        argument, received = ("x", f"the index {greatest}") if num_classes is None else ("num_classes", f"{classes}")
        raise ValueError(
            f"`{argument}`: expected class indices whose one-hot rows fit into memory; received {received}, for which "
            f"{flat.size} rows of {classes} numbers take {8 * flat.size * classes} bytes"
        ) from error
    rows[np.arange(flat.size), flat.astype(np.int64)] = 1.0
    return rows.reshape((*shape, classes))
