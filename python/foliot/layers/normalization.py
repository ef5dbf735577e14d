"""Layers that bring values to a common size."""

from collections.abc import Mapping, Sequence
from typing import Any

from foliot._checks import check_flag, check_integer, check_number, check_off, value_error
from foliot._graph import Shape
from foliot._warnings import warn
from foliot.initializers import Ones
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options


class _Normalization(Layer):
    """What the normalizations have in common: they work along the last axis and keep the shape."""

    passes_mask = True
    takes_any_order = True

    axes = "(batch, ..., features)"
    ranks = (2, float("inf"))

    axis: int | list[int]

    def _set_axis(self, axis: Any) -> None:
        """Keeps `axis` as Keras does: a number, or a list of one."""
        listed = isinstance(axis, Sequence) and not isinstance(axis, str)
        given = list(axis) if listed else [axis]
        numbers = [check_integer("axis", number) for number in given]
        if len(numbers) != 1:
            raise value_error("axis", "one axis, the last", axis)
        self.axis = numbers if listed else numbers[0]

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        axis = self.axis[0] if isinstance(self.axis, list) else self.axis
        if axis not in (-1, len(shape) - 1):
            expected = f"axis=-1 or {len(shape) - 1}, the last axis, which foliot normalizes along"
            raise ValueError(f"{self.label}: expected {expected}, for an input {shape}; received axis={self.axis}")
        if self.built and self.weights:
            self._check_features(shape, self.weights[0].shape[0])

    def _features(self, input_shape: Shape) -> int:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        return features


class LayerNormalization(_Normalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the mean and variance of each time step's features.

    The method is Ba, Kiros and Hinton, "Layer normalization" (2016).

    Args:
        axis: The last axis: -1, its number, or a list of one of them.
        epsilon: Keeps the divisor from 0.
        center: Whether to add the weight `beta`.
        scale: Whether to multiply with the weight `gamma`.
        beta_initializer: Initial values of `beta`, shape `(features,)`.
        gamma_initializer: Initial values of `gamma`, shape `(features,)`.
        beta_regularizer: Penalty on `beta`.
        gamma_regularizer: Penalty on `gamma`.
        beta_constraint: Applied to `beta` after each training step.
        gamma_constraint: Applied to `gamma` after each training step.
        rms_scaling: Deprecated in Keras: `x / sqrt(variance + epsilon) * gamma`, with the mean left in.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, ..., features)`. A mask is handed on; masked steps are normalized like the others.

    Example:
        >>> from foliot.layers import LayerNormalization
        >>> LayerNormalization(epsilon=0.0)([[1.0, 3.0]]).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        super().__init__(**kwargs)
        self._set_axis(axis)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)
        self.center = check_flag("center", center)
        self.scale = check_flag("scale", scale)
        self.rms_scaling = check_flag("rms_scaling", rms_scaling)
        if rms_scaling:
            warn(
                "`rms_scaling=True` divides by the standard deviation, not by the root mean square, and is deprecated "
                "in Keras: use RMSNormalization",
                DeprecationWarning,
            )

    def _has_gamma(self) -> bool:
        return self.scale or self.rms_scaling

    def _has_beta(self) -> bool:
        return self.center and not self.rms_scaling

    def _build(self, input_shape: Shape) -> None:
        features = self._features(input_shape)
        if self._has_gamma():
            self.gamma = self._add_weight("gamma", (features,), "gamma")
        if self._has_beta():
            self.beta = self._add_weight("beta", (features,), "beta")

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "row_normalization",
            "method": "layer_rms" if self.rms_scaling else "layer",
            "epsilon": self.epsilon,
            "center": self._has_beta(),
            "scale": self._has_gamma(),
        }


class RMSNormalization(_Normalization):
    """`x / sqrt(mean(x ** 2) + epsilon) * scale`, with the mean over each time step's features.

    The method is Zhang and Sennrich, "Root mean square layer normalization" (2019).

    Args:
        axis: The last axis: -1, its number, or a list of one of them.
        epsilon: Keeps the divisor from 0.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, ..., features)`. As in Keras a mask ends here, other than at `LayerNormalization`.

    Example:
        >>> from foliot.layers import RMSNormalization
        >>> RMSNormalization(epsilon=0.0)([[3.0, 3.0]]).tolist()
        [[1.0, 1.0]]
    """

    passes_mask = False  # as in Keras

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_axis(axis)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)

    def _build(self, input_shape: Shape) -> None:
        self.scale = self._add_weight("scale", (self._features(input_shape),), "scale", Ones())

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "row_normalization",
            "method": "rms",
            "epsilon": self.epsilon,
            "center": False,
            "scale": True,
        }


class UnitNormalization(_Normalization):
    """`x / norm`, with the Euclidean norm of each time step's features; zeros stay zeros.

    The gradient of zeros is 0 here, so that padding does no harm; in Keras it is NaN.

    Args:
        axis: The last axis: -1, its number, or a list of one of them.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, ..., features)`.

    Example:
        >>> from foliot.layers import UnitNormalization
        >>> UnitNormalization()([[0.0, 2.0]]).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_axis(axis)

    def to_spec(self) -> dict[str, Any]:
        # Keras's own bound on the norm.
        return {"kind": "row_normalization", "method": "unit", "epsilon": 1e-12, "center": False, "scale": False}


class BatchNormalization(_Normalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the mean and variance of each feature.

    In training these are the batch's, over all its unmasked time steps, and the weights `moving_mean` and
    `moving_variance` keep `momentum` of themselves and take the rest from the batch. Otherwise, and always with
    `trainable=False`, the moving ones are used. The method is Ioffe and Szegedy, "Batch normalization" (2015).

    Args:
        axis: The last axis: -1 or its number.
        momentum: The share that the moving weights keep in a training step, in `[0, 1]`.
        epsilon: Keeps the divisor from 0.
        center: Whether to add the weight `beta`.
        scale: Whether to multiply with the weight `gamma`.
        beta_initializer: Initial values of `beta`, shape `(features,)`.
        gamma_initializer: Initial values of `gamma`, shape `(features,)`.
        moving_mean_initializer: Initial values of `moving_mean`, shape `(features,)`.
        moving_variance_initializer: Initial values of `moving_variance`, shape `(features,)`.
        beta_regularizer: Penalty on `beta`.
        gamma_regularizer: Penalty on `gamma`.
        beta_constraint: Applied to `beta` after each training step.
        gamma_constraint: Applied to `gamma` after each training step.
        renorm: Only False.
        renorm_clipping: Only None.
        renorm_momentum: Only 0.99, which without `renorm` means nothing.
        synchronized: Only False; there is one device.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, ..., features)`.
        mask: `(batch, time)`: padding counts for neither mean nor variance, and the mask is handed on.
        training: True to use and count the batch; `fit` does.

    Example:
        >>> from foliot.layers import BatchNormalization
        >>> layer = BatchNormalization(momentum=0.5, epsilon=0.0)
        >>> layer([[1.0], [3.0]], training=True).tolist()
        [[-1.0], [1.0]]
        >>> layer.moving_mean.numpy().tolist()
        [1.0]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        super().__init__(**kwargs)
        self._set_axis(check_integer("axis", axis))
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)
        self.center = check_flag("center", center)
        self.scale = check_flag("scale", scale)
        for argument, value, off in (
            ("renorm", renorm, False),
            ("renorm_clipping", renorm_clipping, None),
            ("renorm_momentum", renorm_momentum, 0.99),
            ("synchronized", synchronized, False),
        ):
            check_off(argument, value, off)
            setattr(self, argument, off)

    def _build(self, input_shape: Shape) -> None:
        features = self._features(input_shape)
        if self.scale:
            self.gamma = self._add_weight("gamma", (features,), "gamma")
        if self.center:
            self.beta = self._add_weight("beta", (features,), "beta")
        self.moving_mean = self._add_weight("moving_mean", (features,), "moving_mean", learned=False)
        self.moving_variance = self._add_weight("moving_variance", (features,), "moving_variance", learned=False)

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "batch_normalization",
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "frozen": not self.trainable,
        }
