"""Layers around other layers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from foliot import _arrays
from foliot._checks import type_error, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot._orders import Order
from foliot.layers.attention import BaseAttention
from foliot.layers.base import Layer
from foliot.layers.core import Activation
from foliot.layers.dense import Dense
from foliot.layers.embedding import Embedding
from foliot.layers.heads import ManyHeads
from foliot.layers.merging import Merge
from foliot.layers.normalization import BatchNormalization, LayerNormalization, UnitNormalization
from foliot.layers.recurrent_cells import with_layers


class _FoldTime(Layer):
    """`(batch, time, ...)` becomes `(batch * time, ...)`."""

    def __init__(self, owner: Layer) -> None:
        super().__init__(name=f"{owner.name}_fold")
        self.owner = owner

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, time, *rest = input_shape
        return [(None if batch is None or time is None else batch * time, *rest)]

    def orders(self, shapes: Sequence[Shape], outputs: int) -> tuple[list[Order], list[Order]]:
        return [None], [False]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "fold_time"}


class _UnfoldTime(Layer):
    """The way back: reads what was folded, for its shape and mask, and what a layer made of it."""

    passes_mask = True

    def __init__(self, owner: Layer) -> None:
        super().__init__(name=f"{owner.name}_unfold", activity_regularizer=owner.activity_regularizer)
        self.owner = owner

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(*shapes[0][:2], *shapes[1][1:])]

    def orders(self, shapes: Sequence[Shape], outputs: int) -> tuple[list[Order], list[Order]]:
        return [None, False], [None]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "unfold_time"}


def _parts(layer: Layer) -> list[Any]:
    """The layer, and those that it is made of, however deep."""
    inner: list[Layer] = [*getattr(layer, "layers", ()), *layer.sublayers()]
    return [layer, *(part for one in dict.fromkeys(inner) for part in _parts(one))]


class TimeDistributed(Layer):
    """Applies a layer to each time step by itself.

    Args:
        layer: A layer, or a Sequential, with one output. Its random numbers differ from step to step. It cannot hold a
            `BatchNormalization`, whose statistics Keras takes for each step apart: use one outside.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, ...)`. A mask is handed on; the layer does not see it.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTM, TimeDistributed
        >>> TimeDistributed(LSTM(4))(np.ones((2, 3, 5, 6))).shape
        (2, 3, 4)
    """

    axes = "(batch, time, ...)"
    ranks = (3, math.inf)

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise type_error("layer", "a layer of foliot.layers", layer)
        if isinstance(layer, (BaseAttention, ManyHeads, Merge)):
            raise value_error("layer", "a layer of one input", layer)
        super().__init__(**kwargs)
        for part in _parts(layer):
            if isinstance(part, BatchNormalization):
                raise value_error("layer", "a layer without BatchNormalization, which belongs outside", layer)
            if isinstance(part, Embedding) and (part.mask_zero or part is not layer):
                raise value_error("layer", "an Embedding without mask_zero, or a layer of numbers", layer)
            if getattr(part, "stateful", False):
                raise value_error("layer", "a layer that is not stateful: each time step is a sample of its own", layer)
            if part.activity_regularizer is not None:
                raise value_error("layer", "a layer without activity_regularizer: TimeDistributed takes it", layer)
        self.layer = layer
        self.input_dtype: _arrays.DType = layer.input_dtype  # type: ignore[misc]
        if not self._trainable:
            layer.trainable = False

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        self.layer.check_input((None, *shape[2:]))

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        self.check_input(input_shape)
        inner = self.layer.compute_output_shape((None, *input_shape[2:]))
        if isinstance(inner, list):
            raise ValueError(f"{self.label} takes a layer with one output; {self.layer.label} has {len(inner)}")
        return [(*input_shape[:2], *inner[1:])]

    def call(self, inputs: SymbolicTensor) -> Any:
        """The layers that this one is made of."""
        self._output_shapes(inputs.shape)
        # These take each row by itself and hand a mask on, so that time may stay where it is.
        by_rows = type(self.layer) in (Activation, Dense, Embedding, LayerNormalization, UnitNormalization)
        if by_rows and self.activity_regularizer is None and getattr(self.layer, "axis", -1) in (-1, [-1]):
            return self.layer(inputs)
        return _UnfoldTime(self)([inputs, self.layer(_FoldTime(self)(inputs))])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output, which is that of the input."""
        return previous_mask

    def check_options(self) -> None:
        pass  # its only one is the layer, which is checked by itself

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return super().from_config(with_layers(config, "layer"))
