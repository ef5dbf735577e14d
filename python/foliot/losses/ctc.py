"""The loss of sequences whose labels have no known times."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot._checks import value_error
from foliot._rows import as_numbers
from foliot.losses.overlap import WholeLoss


class CTC(WholeLoss):
    """Connectionist temporal classification (Graves et al., 2006): minus the log-likelihood of a sequence of labels.

    The predictions are logits `(batch, time, classes)`, all steps of which count; the targets are labels
    `(batch, length)`, integers. Class 0 is the blank, and pads the labels at their end: a row has as many labels as
    numbers other than 0. Where a row has more labels than can come in its time, the loss is around 100000, Keras's
    logarithm of 0. An output of a model must have no mask, which Keras cannot bring together with this loss.

    Args:
        reduction: See `Loss`.
        name: The loss's name.
        dtype: None or "float32".

    Example:

    >>> import numpy as np
    >>> round(CTC()([[1, 2]], np.zeros((1, 3, 3))), 4)  # 5 of 27 paths
    1.6864
    """

    labels = True
    _kind = "ctc"

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "ctc", dtype: str | None = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
        """The loss of each sample.

        Args:
            y_true: The labels, `(batch, length)`.
            y_pred: The logits, `(batch, time, classes)`.

        Returns:
            float32 of shape `(batch,)`.

        Raises:
            TypeError: An argument holds no numbers.
            ValueError: The shapes do not fit, or a label is no class.
        """
        from foliot import _core

        labels, logits = as_numbers("y_true", y_true), as_numbers("y_pred", y_pred)
        if logits.ndim != 3:
            raise value_error("y_pred", "logits of shape (batch, time, classes)", logits.shape)
        if labels.ndim != 2 or len(labels) != len(logits):
            raise value_error("y_true", f"labels of shape ({len(logits)}, length)", labels.shape)
        whole = labels.astype(np.int32)
        if (whole != labels).any():
            raise value_error("y_true", "labels that are whole numbers", labels[whole != labels][0].item())
        rows = np.ascontiguousarray(logits.swapaxes(0, 1).reshape(-1, logits.shape[2]), dtype=np.float32)
        return _core.evaluate_loss(json.dumps(self.to_spec()), whole.reshape(-1), rows, len(logits))


def ctc(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float32]:
    """The CTC loss of each sample: see `CTC`.

    Example:

    >>> import numpy as np
    >>> ctc([[1, 0], [1, 1]], np.zeros((2, 3, 2))).round(4)
    array([0.2877, 2.0794], dtype=float32)
    """
    return CTC().call(y_true, y_pred)
