"""Data that are made batch by batch."""

import itertools
from collections.abc import Iterator
from typing import Any

from foliot._checks import check_flag, check_integer


class PyDataset:
    """Base of datasets for `fit`, `evaluate` and `predict`: `ds[i]` is a batch and `len(ds)` the number of batches.

    A batch is `(x,)`, `(x, y)` or `(x, y, sample_weight)`. Batches are fetched ahead in threads while the model trains,
    in the order in which they are used; an error in `__getitem__` reaches the caller of `fit`. `fit(shuffle=True)` puts
    the batches in a new order for each epoch. A dataset without an end has no `__len__` and a property `num_batches`
    that is None; `steps_per_epoch` is needed then.

    Args:
        workers: Threads that fetch batches; 0 fetches each batch when it is needed, in the caller's thread.
        use_multiprocessing: Accepted for Keras's scripts: threads do the work.
        max_queue_size: How many batches may wait.

    Example:
        >>> import numpy as np
        >>> from foliot.utils import PyDataset
        >>> class Halves(PyDataset):
        ...     def __init__(self, x, y, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.x, self.y = np.array_split(x, 2), np.array_split(y, 2)
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         return self.x[index], self.y[index]
        >>> [x.shape for x, y in Halves(np.zeros((5, 3)), np.zeros(5))]
        [(3, 3), (2, 3)]
    """

    # Of the class, for subclasses that do not call the constructor.
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = check_integer("workers", workers, minimum=0)
        self.use_multiprocessing = check_flag("use_multiprocessing", use_multiprocessing)
        self.max_queue_size = check_integer("max_queue_size", max_queue_size, minimum=1)

    def __getitem__(self, index: int) -> Any:
        """The batch at a position."""
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__(index), which returns a batch")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None for no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} needs __len__, or a property num_batches that may be None")

    def __iter__(self) -> Iterator[Any]:
        length = self.num_batches
        return (self[index] for index in (itertools.count() if length is None else range(length)))

    def on_epoch_begin(self) -> None:
        """Called before the batches of an epoch are fetched."""

    def on_epoch_end(self) -> None:
        """Called when the batches of an epoch have been used."""


#: Keras 2's name.
Sequence = PyDataset
