"""Layers without weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from foliot import activations
from foliot._checks import check_number, value_error
from foliot._graph import Shape
from foliot.layers.base import Layer, check_shape, draw_seed


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Name or function.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import Activation
        >>> Activation("relu")([[-1.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    passes_mask = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation, "activation")

    def activation_spec(self) -> dict[str, Any]:
        """The function as the core takes it; with it this layer may stand as another layer's `activation`."""
        return activations.spec_of(self.activation)

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "activation", "activation": self.activation_spec()}


class Dropout(Layer):
    """During training sets a random part of the inputs to 0 and scales the others by `1 / (1 - rate)`.

    Args:
        rate: The part to drop, in `[0, 1]`.
        noise_shape: Shape of the random mask, 1 where it is shared along an axis; None draws each element.
        seed: Seed of the mask; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: Any shape.
        training: True to drop; `fit` does.
    """

    passes_mask = True

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, minimum=0, maximum=1)
        self.noise_shape = None if noise_shape is None else check_shape("noise_shape", noise_shape)
        self.seed = seed
        self._seed = draw_seed(seed)

    def to_spec(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {"kind": "dropout", "rate": self.rate, "seed": self._seed, "noise_shape": shape}

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | {"rate": 0.0}

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


class Flatten(Layer):
    """Joins all axes but the batch into one.

    Args:
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Flatten
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    needs_fixed_shape = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last"):
            raise value_error("data_format", "None or 'channels_last'", data_format)
        self.data_format = data_format

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        sizes = [size for size in input_shape[1:] if size is not None]
        return [(input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "flatten"}
