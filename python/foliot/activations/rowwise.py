"""Functions of an axis: each value depends on the others."""

from __future__ import annotations

from numpy.typing import ArrayLike

from foliot.activations import specs as _specs
from foliot.activations.specs import Array


def softmax(x: ArrayLike, axis: int = -1) -> Array:
    """`exp(x) / sum(exp(x))`: positive values that add up to 1.

    Args:
        x: The array.
        axis: The axis that adds up to 1. Inside a layer it is the last.

    Returns:
        An array of the same shape.

    Example:

    >>> softmax([[1.0, 1.0], [-200.0, 200.0]])
    array([[0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(softmax))


def log_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """`log(softmax(x))`, computed without overflow.

    Args:
        x: The array.
        axis: The axis of the softmax. Inside a layer it is the last.

    Returns:
        An array of the same shape.

    Example:

    >>> log_softmax([[0.0, 1000.0]])
    array([[-1000.,     0.]], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(log_softmax))


def sparsemax(x: ArrayLike, axis: int = -1) -> Array:
    """The probabilities next to `x`: as softmax's they sum to 1, but small ones are 0 (Martins & Astudillo 2016).

    Keras 3.15's do not sum to 1 where more than one is left, because it adds up the wrong sums; these do.

    Args:
        x: The array.
        axis: The axis along which they sum to 1. Inside a layer it is the last one.

    Returns:
        An array of the same shape.

    Example:

    >>> sparsemax([1.0, 0.5, -1.0])
    array([0.75, 0.25, 0.  ], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(sparsemax))


def glu(x: ArrayLike, axis: int = -1) -> Array:
    """The gated linear unit: one half of an axis times the sigmoid of the other half, `a * sigmoid(b)`.

    As a layer it is `Activation("glu")`, over the last axis. Layers that have an `activation` of their own refuse it,
    for their output would be half as wide as their `units` say.

    Args:
        x: The array, whose first half along `axis` is `a` and whose second half is `b`.
        axis: The axis, of an even length.

    Returns:
        An array with an axis half as long.

    Raises:
        ValueError: There is no such axis, or its length is odd.

    Source: Dauphin et al. 2017, https://arxiv.org/abs/1612.08083.

    Example:

    >>> glu([[1.0, 2.0, 0.0, 100.0]])
    array([[0.5, 2. ]], dtype=float32)
    """
    return _specs.evaluate_along(axis, x, _specs.spec_with(glu))
