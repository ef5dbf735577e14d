"""Functions of each element by itself."""

from __future__ import annotations

from numpy.typing import ArrayLike

from foliot.activations import specs as _specs
from foliot.activations.specs import Array


def linear(x: ArrayLike) -> Array:
    """Returns `x` unchanged, as float32.

    Example:

    >>> linear([-1.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(linear))


def tanh(x: ArrayLike) -> Array:
    """The hyperbolic tangent.

    Example:

    >>> tanh([0.0, 100.0])
    array([0., 1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(tanh))


def sigmoid(x: ArrayLike) -> Array:
    """`1 / (1 + exp(-x))`.

    Example:

    >>> sigmoid([0.0, 100.0])
    array([0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sigmoid))


def relu(x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """`max(x, 0)`, or a variant with a slope, a cap and a threshold.

    Args:
        x: The array.
        negative_slope: Below the threshold: `negative_slope * (x - threshold)`.
        max_value: The largest value, or None for no cap.
        threshold: The value from which `x` passes.

    Returns:
        An array of the same shape.

    Raises:
        TypeError: A parameter is no number.
        ValueError: A parameter is not finite, or `max_value` or `negative_slope` is negative.

    Example:

    >>> relu([-2.0, 0.5, 9.0])
    array([0. , 0.5, 9. ], dtype=float32)
    >>> relu([-2.0, 0.5, 9.0], negative_slope=0.5, max_value=6.0)
    array([-1. ,  0.5,  6. ], dtype=float32)
    """
    return _specs.evaluate(
        x, _specs.spec_with(relu, negative_slope=negative_slope, max_value=max_value, threshold=threshold)
    )


def relu6(x: ArrayLike) -> Array:
    """`min(max(x, 0), 6)`.

    Example:

    >>> relu6([-1.0, 7.0])
    array([0., 6.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(relu6))


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Array:
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        x: The array.
        negative_slope: The slope of the negative part, at least 0.

    Returns:
        An array of the same shape.

    Example:

    >>> leaky_relu([-1.0, 1.0], negative_slope=0.5)
    array([-0.5,  1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(leaky_relu, negative_slope=negative_slope))


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        x: The array.
        alpha: Minus the limit for large negative `x`.

    Returns:
        An array of the same shape.

    Example:

    >>> elu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(elu, alpha=alpha))


def selu(x: ArrayLike) -> Array:
    """`scale * elu(x, alpha)` with the constants that keep mean and variance of normalized inputs.

    Example:

    >>> selu([0.0, 1.0]).round(4)
    array([0.    , 1.0507], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(selu))


def celu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))`.

    Args:
        x: The array.
        alpha: Minus the limit for large negative `x`; not 0.

    Returns:
        An array of the same shape.

    Example:

    >>> celu([-100.0, 2.0], alpha=0.5)
    array([-0.5,  2. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(celu, alpha=alpha))


def softplus(x: ArrayLike) -> Array:
    """`log(1 + exp(x))`, computed without overflow.

    Example:

    >>> softplus([-200.0, 200.0])
    array([  0., 200.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(softplus))


def softsign(x: ArrayLike) -> Array:
    """`x / (1 + abs(x))`.

    Example:

    >>> softsign([-1.0, 3.0])
    array([-0.5 ,  0.75], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(softsign))


def silu(x: ArrayLike) -> Array:
    """`x * sigmoid(x)`, also called swish.

    Example:

    >>> silu([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(silu))


def gelu(x: ArrayLike, approximate: bool = False) -> Array:
    """`x` times the probability that a normal variable is below `x`.

    Args:
        x: The array.
        approximate: Whether tanh approximates that probability.

    Returns:
        An array of the same shape.

    Example:

    >>> gelu([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(gelu, approximate=approximate))


def mish(x: ArrayLike) -> Array:
    """`x * tanh(softplus(x))`.

    Example:

    >>> mish([0.0, 100.0])
    array([  0., 100.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(mish))


def exponential(x: ArrayLike) -> Array:
    """`exp(x)`.

    Example:

    >>> exponential([0.0])
    array([1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(exponential))


def hard_sigmoid(x: ArrayLike) -> Array:
    """`x / 6 + 1/2`, cut to lie between 0 and 1. Keras 2 had the slope 0.2 here.

    Example:

    >>> hard_sigmoid([-3.0, 0.0, 3.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_sigmoid))


def hard_tanh(x: ArrayLike) -> Array:
    """`x`, cut to lie between -1 and 1.

    Example:

    >>> hard_tanh([-3.0, 0.5])
    array([-1. ,  0.5], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_tanh))


def hard_silu(x: ArrayLike) -> Array:
    """`x * hard_sigmoid(x)`, also called hard swish.

    Example:

    >>> hard_silu([-3.0, 0.0, 3.0])
    array([-0.,  0.,  3.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_silu))


def log_sigmoid(x: ArrayLike) -> Array:
    """`log(sigmoid(x))`, computed without overflow.

    Example:

    >>> log_sigmoid([-200.0])
    array([-200.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(log_sigmoid))


def tanh_shrink(x: ArrayLike) -> Array:
    """`x - tanh(x)`.

    Example:

    >>> tanh_shrink([0.0, 100.0])
    array([ 0., 99.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(tanh_shrink))


def soft_shrink(x: ArrayLike, threshold: float = 0.5) -> Array:
    """`x` moved towards 0 by the threshold; 0 where that would cross it.

    Args:
        x: The array.
        threshold: How far.

    Returns:
        An array of the same shape.

    Example:

    >>> soft_shrink([-2.0, 0.25, 2.0])
    array([-1.5,  0. ,  1.5], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(soft_shrink, threshold=threshold))


def hard_shrink(x: ArrayLike, threshold: float = 0.5) -> Array:
    """`x` where its magnitude exceeds the threshold, 0 elsewhere.

    Args:
        x: The array.
        threshold: The magnitude.

    Returns:
        An array of the same shape.

    Example:

    >>> hard_shrink([-2.0, 0.25, 2.0])
    array([-2.,  0.,  2.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(hard_shrink, threshold=threshold))


def threshold(x: ArrayLike, threshold: float, default_value: float) -> Array:
    """`x` where it exceeds the threshold, `default_value` elsewhere.

    Args:
        x: The array.
        threshold: What `x` has to exceed.
        default_value: The value elsewhere.

    Returns:
        An array of the same shape.

    Example:

    >>> threshold([0.0, 3.0], 1.0, -5.0)
    array([-5.,  3.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(_threshold, threshold=threshold, default_value=default_value))


# Inside the function its name is that of a parameter.
_threshold = threshold


def squareplus(x: ArrayLike, b: float = 4) -> Array:
    """`(x + sqrt(x**2 + b)) / 2`.

    Args:
        x: The array.
        b: How round the corner at 0 is, at least 0.

    Returns:
        An array of the same shape.

    Example:

    >>> squareplus([0.0])
    array([1.], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(squareplus, b=b))


def sparse_plus(x: ArrayLike) -> Array:
    """0 below -1, `x` above 1, and `(x + 1)**2 / 4` between them.

    Example:

    >>> sparse_plus([-2.0, 0.0, 2.0])
    array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sparse_plus))


def sparse_sigmoid(x: ArrayLike) -> Array:
    """0 below -1, 1 above 1, and `(x + 1) / 2` between them (Blondel et al. 2019, arXiv 1901.02324).

    Example:

    >>> sparse_sigmoid([-2.0, 0.0, 2.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _specs.evaluate(x, _specs.spec_with(sparse_sigmoid))


swish = silu
hard_swish = hard_silu
