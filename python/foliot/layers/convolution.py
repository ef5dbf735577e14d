"""The convolution over time."""

from collections.abc import Sequence
from typing import Any

from foliot import activations
from foliot._checks import check_choice, check_flag, check_integer, value_error
from foliot._graph import Shape
from foliot.activations.identifiers import get_keeping_shape
from foliot.layers.arguments import check_data_format, check_single
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options
from foliot.layers.windows import check_windows, window_count


class Conv1D(Layer):
    """`activation(sum over k of x[t * strides + k * dilation_rate] @ kernel[k] + bias)`: windows over time.

    Args:
        filters: Size of the output's last axis.
        kernel_size: Time steps in a window.
        strides: Steps from one window to the next.
        padding: `'valid'`: windows lie inside the sequence. `'same'`: zeros at both ends make `time / strides` of them,
            rounded up. `'causal'`: the zeros are all at the beginning, so that no output sees a later step.
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        dilation_rate: Steps from one element of a window to the next; more than 1 only with `strides=1`, as in Keras.
        groups: Into how many parts features and filters fall; each part of the filters sees its own features only.
        activation: Name or function; None is linear.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(kernel_size, features / groups, filters)`.
        bias_initializer: Initial values of `bias`, shape `(filters,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `input_shape`, `weights`.

    Call arguments:
        inputs: `(batch, time, features)`. As in Keras a mask ends here, and padding counts like any other step.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Conv1D
        >>> Conv1D(4, 3, padding="causal")(np.ones((2, 7, 5))).shape
        (2, 7, 4)
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
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
        self.filters = check_integer("filters", filters, minimum=1)
        self.kernel_size = check_single("kernel_size", kernel_size)
        self.strides = check_single("strides", strides)
        self.padding = check_choice("padding", padding, ("valid", "same", "causal"))
        self.data_format = check_data_format(data_format)
        self.dilation_rate = check_single("dilation_rate", dilation_rate)
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise value_error("dilation_rate", f"1 with strides={self.strides[0]}", dilation_rate)
        self.groups = check_integer("groups", groups, minimum=1)
        if self.filters % self.groups:
            raise value_error("groups", f"a divisor of filters={self.filters}", groups)
        self.activation = get_keeping_shape(activation, "activation")
        self.use_bias = check_flag("use_bias", use_bias)

    @property
    def _extent(self) -> int:
        """The time steps that a window spans."""
        return (self.kernel_size[0] - 1) * self.dilation_rate[0] + 1

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        if features == 0 or features % self.groups:
            raise ValueError(
                f"{self.label}: expected features that fall into groups={self.groups} parts; received {input_shape}"
            )
        shape = (self.kernel_size[0], features // self.groups, self.filters)
        self.kernel = self._add_weight("kernel", shape, "kernel")
        if self.use_bias:
            self.bias = self._add_weight("bias", (self.filters,), "bias")

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        check_windows(self, shape, self._extent, self.padding)
        if self.built:
            self._check_features(shape, self.kernel.shape[1] * self.groups)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, time, _ = input_shape
        return [(batch, window_count(time, self._extent, self.strides[0], self.padding), self.filters)]

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "conv1d",
            "filters": self.filters,
            "kernel_size": self.kernel_size[0],
            "strides": self.strides[0],
            "padding": self.padding,
            "dilation_rate": self.dilation_rate[0],
            "groups": self.groups,
            "activation": activations.spec_of(self.activation),
            "use_bias": self.use_bias,
        }
