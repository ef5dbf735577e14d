"""The table of vectors that token ids look up."""

from collections.abc import Sequence
from typing import Any

from foliot._arrays import Array, numeric
from foliot._checks import check_flag, check_integer
from foliot._graph import Shape, SymbolicTensor
from foliot._masks import SymbolicMask
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options


class Embedding(Layer):
    """Turns token ids into vectors: row `id` of the weight `embeddings`.

    Args:
        input_dim: Number of rows: the greatest id plus 1.
        output_dim: Length of a vector.
        embeddings_initializer: Initial values of `embeddings`, shape `(input_dim, output_dim)`.
        embeddings_regularizer: Penalty on `embeddings`.
        embeddings_constraint: Applied to `embeddings` after each training step.
        mask_zero: True if id 0 is padding, which recurrent layers then skip.
        weights: The values to start with, as an array or a list that holds it.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, and Keras's older `input_length`, `input_shape`.

    Call arguments:
        inputs: Whole numbers in `[0, input_dim)`, `(batch, time)`.

    Example:
        >>> from foliot.layers import Embedding
        >>> Embedding(100, 8)([[4, 7, 1], [2, 9, 0]]).shape
        (2, 3, 8)
    """

    input_dtype = "int32"
    takes_any_order = True
    axes = "(batch, time) token ids"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        # Keras 2 took the sequence length for the shape of the first layer's input.
        length = kwargs.pop("input_length", None)
        super().__init__(weights=weights, **kwargs)
        if self.declared_shape is None and length is not None:
            self.declared_shape = (None, check_integer("input_length", length, minimum=1))
        self.input_dim = check_integer("input_dim", input_dim, minimum=1)
        self.output_dim = check_integer("output_dim", output_dim, minimum=1)
        self.mask_zero = check_flag("mask_zero", mask_zero)

    def _build(self, input_shape: Shape) -> None:
        self.embeddings = self._add_weight("embeddings", (self.input_dim, self.output_dim), "embeddings")

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(*input_shape, self.output_dim)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Array | SymbolicMask | None:
        """True where the id is not 0, or None without `mask_zero`; for a symbolic tensor the same as a symbol."""
        if isinstance(inputs, SymbolicTensor):
            return self.symbolic_mask([inputs], [previous_mask])
        return numeric("inputs", inputs) != 0 if self.mask_zero else None

    def symbolic_mask(
        self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]
    ) -> SymbolicMask | None:
        return SymbolicMask("ids but 0", inputs[0]) if self.mask_zero else masks[0]

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "embedding",
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "mask_zero": self.mask_zero,
        }

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        # The weights of a model are stored as tensors, not in its configuration.
        return tuple(name for name in super().argument_names() if name != "weights")
