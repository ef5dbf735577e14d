"""The fully connected layer."""

from typing import Any

from foliot import activations
from foliot._checks import check_flag, check_integer
from foliot._graph import Shape
from foliot.activations.identifiers import get_keeping_shape
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options


class Dense(Layer):
    """`activation(x @ kernel + bias)` over the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name or function; None is linear.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, units)`.
        bias_initializer: Initial values of `bias`, shape `(units,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `input_shape`, `input_dim`, `weights`.

    Call arguments:
        inputs: `(batch, ..., features)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Dense
        >>> Dense(3, activation="relu")(np.ones((2, 5))).shape
        (2, 3)
    """

    axes = "(batch, features)"
    ranks = (2, float("inf"))
    passes_mask = True
    takes_any_order = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = check_integer("units", units, minimum=1)
        self.activation = get_keeping_shape(activation, "activation")
        self.use_bias = check_flag("use_bias", use_bias)

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        self.kernel = self._add_weight("kernel", (features, self.units), "kernel")
        if self.use_bias:
            self.bias = self._add_weight("bias", (self.units,), "bias")

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built:
            self._check_features(shape, self.kernel.shape[0])

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(*input_shape[:-1], self.units)]

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "dense",
            "units": self.units,
            "activation": activations.spec_of(self.activation),
            "use_bias": self.use_bias,
        }
