"""Activation, dropout and masking: layers without weights that keep their input's shape."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foliot import activations, regularizers
from foliot._arrays import Array, convert, numeric
from foliot._checks import check_number, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot._masks import SymbolicMask
from foliot.activations.specs import layer_of
from foliot.layers.arguments import Seed, check_shape
from foliot.layers.base import Layer


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Name or function. With "glu" the last axis becomes half as long.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import Activation
        >>> Activation("relu")([[-1.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    passes_mask = True
    takes_any_order = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation, "activation")

    def activation_spec(self) -> dict[str, Any]:
        """The function as the core takes it; with it this layer may stand as another layer's `activation`."""
        return activations.spec_of(self.activation)

    def to_spec(self) -> dict[str, Any]:
        return layer_of(self.activation_spec())

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        *axes, features = input_shape
        if self.activation_spec()["kind"] != "glu":
            return [input_shape]
        if not axes:
            raise ValueError(
                f"{self.label}: glu wants an input of shape (batch, ..., features); received {input_shape}"
            )
        if features is None:
            return [input_shape]
        if features % 2:
            raise ValueError(f"{self.label}: glu halves the last axis, which has to be even; received {input_shape}")
        return [(*axes, features // 2)]


class Identity(Layer):
    """Returns what it gets: a place holder.

    Args:
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Example:
        >>> from foliot.layers import Identity
        >>> Identity()([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    passes_mask = True
    takes_any_order = True

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "activation", "activation": {"kind": "linear"}}


class ActivityRegularization(Identity):
    """Returns what it gets, and adds a penalty on it to the loss: `(l1 * sum(|x|) + l2 * sum(x²)) / batch`.

    Args:
        l1: Factor of the sum of magnitudes, at least 0.
        l2: Factor of the sum of squares, at least 0.
        **kwargs: `name`, `trainable`, `dtype`, `input_shape`.

    Example:
        >>> from foliot.layers import ActivityRegularization
        >>> ActivityRegularization(l1=0.1)([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.l1, self.l2 = check_number("l1", l1, minimum=0), check_number("l2", l2, minimum=0)
        if self.activity_regularizer is not None:
            raise value_error("activity_regularizer", "None beside `l1` and `l2`", self.activity_regularizer)
        self.activity_regularizer = regularizers.L1L2(self.l1, self.l2)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "activity_regularizer": None}


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

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Dropout
        >>> x = np.ones((2, 100), "float32")
        >>> bool((Dropout(0.5)(x) == x).all())
        True
        >>> sorted(set(Dropout(0.5, seed=1)(x, training=True).ravel().tolist()))
        [0.0, 2.0]
    """

    passes_mask = True
    seed = Seed()
    _seed: int

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, minimum=0, maximum=1)
        self.noise_shape = None if noise_shape is None else check_shape("noise_shape", noise_shape)
        self.seed = seed

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]  # others always or never
        return self.noise_shape is None

    def to_spec(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {"kind": "dropout", "rate": self.rate, "seed": self._seed, "noise_shape": shape}

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | {"rate": 0.0}

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


class SpatialDropout1D(Dropout):
    """Dropout of whole features: a feature of a sample is dropped at all time steps or at none.

    Args:
        rate: The part to drop, in `[0, 1]`.
        seed: Seed of the mask; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`.
        training: True to drop; `fit` does.

    The method is Tompson et al., "Efficient object localization using convolutional networks" (2015).

    Example:
        >>> import numpy as np
        >>> from foliot.layers import SpatialDropout1D
        >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((2, 3, 4)), training=True)
        >>> bool((y == y[:, :1]).all())
        True
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, noise_shape=(None, 1, None), seed=seed, **kwargs)


class Masking(Layer):
    """Makes a mask: a time step whose features all equal `mask_value` is padding, which later layers skip.

    Args:
        mask_value: The value that stands for padding.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`, or any other number of axes from two on.

    The features of padding come out as 0. A mask that the inputs had is replaced, as in Keras.

    Example:
        >>> from foliot.layers import Masking
        >>> layer = Masking(mask_value=-1.0)
        >>> layer.compute_mask([[[1.0, -1.0], [-1.0, -1.0]]]).tolist()
        [[True, False]]
        >>> layer([[[1.0, -1.0], [-1.0, -1.0]]]).tolist()
        [[[1.0, -1.0], [0.0, 0.0]]]
    """

    axes = "(batch, time, features)"
    ranks = (2, math.inf)
    takes_any_order = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = check_number("mask_value", mask_value)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Array | SymbolicMask:
        """True where a time step has a value other than `mask_value`; for a symbolic tensor the same as a symbol."""
        if isinstance(inputs, SymbolicTensor):
            return self.symbolic_mask([inputs], [previous_mask])
        array = convert("inputs", numeric("inputs", inputs), "float32")
        return np.asarray((array != np.float32(self.mask_value)).any(axis=-1))

    def symbolic_mask(self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]) -> SymbolicMask:
        return SymbolicMask(("steps but", self.mask_value), inputs[0])

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "masking", "mask_value": self.mask_value}
