"""Activation functions with numbers of their own, as layers."""

from collections.abc import Sequence
from typing import Any

from foliot import activations
from foliot._checks import check_integer, check_number, value_error
from foliot._graph import Shape
from foliot.activations.specs import spec_with
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options


class ReLU(Layer):
    """x above `threshold`, at most `max_value`; `negative_slope * (x - threshold)` below.

    Args:
        max_value: The largest output; None is no limit.
        negative_slope: The slope below the threshold, at least 0.
        threshold: At least 0.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import ReLU
        >>> ReLU(max_value=1.0)([[-1.0, 0.5, 2.0]]).tolist()
        [[0.0, 0.5, 1.0]]
    """

    passes_mask = True
    takes_any_order = True

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else check_number("max_value", max_value, minimum=0)
        self.negative_slope = check_number("negative_slope", negative_slope, minimum=0)
        self.threshold = check_number("threshold", threshold, minimum=0)

    def to_spec(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("max_value", "negative_slope", "threshold")}
        return {"kind": "activation", "activation": spec_with(activations.relu, **numbers)}


class LeakyReLU(Layer):
    """x where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: At least 0.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`, and Keras's older `alpha` for
            `negative_slope`.

    Example:
        >>> from foliot.layers import LeakyReLU
        >>> LeakyReLU(0.5)([[-1.0, 2.0]]).tolist()
        [[-0.5, 2.0]]
    """

    passes_mask = True
    takes_any_order = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        self.negative_slope = check_number("negative_slope", negative_slope, minimum=0)

    def to_spec(self) -> dict[str, Any]:
        spec = spec_with(activations.leaky_relu, negative_slope=self.negative_slope)
        return {"kind": "activation", "activation": spec}


class ELU(Layer):
    """x where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: Minus the limit at minus infinity.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import ELU
        >>> ELU()([[2.0]]).tolist()
        [[2.0]]
    """

    passes_mask = True
    takes_any_order = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = check_number("alpha", alpha)

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "activation", "activation": spec_with(activations.elu, alpha=self.alpha)}


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` over the last axis.

    Args:
        axis: Only -1. Permute exchanges axes.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import Softmax
        >>> Softmax()([[1.0, 1.0]]).tolist()
        [[0.5, 0.5]]
    """

    passes_mask = True
    takes_any_order = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if check_integer("axis", axis) != -1:
            raise value_error("axis", "-1, the last axis", axis)
        self.axis = -1

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "activation", "activation": {"kind": "softmax"}}


class PReLU(Layer):
    """x where positive, `alpha * x` elsewhere, with a weight `alpha` for each place.

    The method is He et al., "Delving deep into rectifiers" (2015).

    Args:
        alpha_initializer: Initial values of `alpha`, of the input's shape without the batch axis, 1 along shared axes.
        alpha_regularizer: Penalty on `alpha`.
        alpha_constraint: Applied to `alpha` after each training step.
        shared_axes: The axes along which `alpha` is the same, 1 being the first behind the batch axis: `[1]` for a
            sequence of any length.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import PReLU
        >>> PReLU(alpha_initializer="ones")([[-1.0, 2.0]]).tolist()
        [[-1.0, 2.0]]
    """

    passes_mask = True

    axes = "(batch, ..., features)"
    ranks = (2, float("inf"))

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        super().__init__(**kwargs)
        listed = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes = None if listed is None else [check_integer("shared_axes", a, minimum=1) for a in listed]

    def _alpha_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        shared = self.shared_axes or []
        if any(axis >= len(input_shape) for axis in shared):
            raise ValueError(f"{self.label}: expected an input with the shared_axes {shared}; received {input_shape}")
        return tuple(1 if axis in shared else input_shape[axis] for axis in range(1, len(input_shape)))

    def _build(self, input_shape: Shape) -> None:
        shape = self._alpha_shape(input_shape)
        known = tuple(size for size in shape if size is not None)
        if len(known) < len(shape):
            raise ValueError(f"{self.label} needs known axes, but for shared_axes; received {input_shape}")
        # A weight for each step of an axis fixes its length.
        unshared = set(range(1, len(input_shape) - 1)) - set(self.shared_axes or [])
        self.needs_fixed_shape = bool(unshared)  # type: ignore[misc]
        self.alpha = self._add_weight("alpha", known, "alpha")

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        wanted = self._alpha_shape(shape)
        fits = self.built and len(wanted) == len(self.alpha.shape)
        if self.built and not (
            fits and all(a is None or a == b for a, b in zip(wanted, self.alpha.shape, strict=True))
        ):
            raise ValueError(f"{self.label} was built with alpha of shape {self.alpha.shape}; received {shape}")

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "p_relu", "shared_axes": self.shared_axes or []}
