"""Where a model's data come in."""

from typing import Any

from foliot._checks import check_integer, value_error
from foliot._graph import Node, Shape, SymbolicTensor
from foliot.layers.arguments import check_shape
from foliot.layers.base import Layer


class InputLayer(Layer):
    """Declares the shape of a model's input; usually written as `Input(shape)`.

    Args:
        shape: The shape without the batch axis; None in it stands for any size.
        batch_size: The size of the batch axis, None for any.
        dtype: `'float32'`, `'int32'` (token ids) or `'string'`, for TextVectorization and StringLookup. Arrays are
            converted to what the next layer needs in any case.
        batch_shape: The shape with the batch axis, instead of `shape` and `batch_size`.
        name: The layer's name.

    Example:
        >>> from foliot.layers import LSTM, InputLayer
        >>> from foliot.models import Sequential
        >>> Sequential([InputLayer((5, 3)), LSTM(4)]).output_shape
        (None, 4)
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        *,
        batch_shape: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        for option in ("sparse", "ragged", "optional", "input_tensor", "tensor"):  # Keras writes some into its files
            if kwargs.pop(option, None):
                raise ValueError(
                    f"`{option}` of Input: expected None or False, for foliot takes dense arrays; received it set"
                )
        old_batch_shape = kwargs.pop("batch_input_shape", None)
        batch_shape = old_batch_shape if batch_shape is None else batch_shape
        shape = kwargs.pop("input_shape", None) if shape is None else shape
        dtype = getattr(dtype, "name", dtype)  # TensorFlow's `tf.string` has one
        if dtype not in (None, "float32", "int32", "int64", "bool", "string"):
            raise value_error("dtype", "'float32', 'int32' or 'string'", dtype)
        super().__init__(name=name, **kwargs)
        self.dtype = dtype or "float32"
        if batch_shape is not None:
            self.batch_shape = check_shape("batch_shape", batch_shape)
        elif shape is not None:
            batch = None if batch_size is None else check_integer("batch_size", batch_size, minimum=1)
            self.batch_shape = (batch, *check_shape("shape", shape))
        else:
            raise value_error("shape", "a tuple such as (10, 3), without the batch axis", shape)
        self.declared_shape = self.batch_shape
        self.built = True
        # Kept always: this node is what the layer is.
        self._nodes.append(Node(self, (), [self.batch_shape]))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._nodes = [Node(self, (), [self.batch_shape])]

    @classmethod
    def like(cls, tensor: SymbolicTensor, name: str | None = None) -> "InputLayer":
        """An input for what the tensor holds."""
        return cls(batch_shape=tensor.shape, dtype="string" if tensor.holds_text else None, name=name)

    def set_shape(self, shape: Shape) -> None:
        """Another shape, with all axes, for an input that was declared by the first arrays."""
        self.batch_shape = self.declared_shape = self.output.shape = shape

    @property
    def makes_text(self) -> bool:
        return bool(self.dtype == "string")

    @property
    def output(self) -> SymbolicTensor:
        return self._nodes[0].outputs[0]

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return ("batch_shape", "dtype", "name")


def Input(  # noqa: N802 - Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    *,
    batch_shape: Any = None,
    name: str | None = None,
    **kwargs: Any,
) -> SymbolicTensor:
    """The symbolic input of a model.

    Args:
        shape: The shape without the batch axis; None in it stands for any size. As in tf.keras 2 it is the shape
            without the first axis also where layers with `time_major=True` read the input, whose first axis is time;
            `batch_shape` says it more plainly there.
        batch_size: The size of the batch axis, None for any.
        dtype: `'float32'`, `'int32'` (token ids) or `'string'`, for TextVectorization and StringLookup.
        batch_shape: The shape with all axes, instead of `shape` and `batch_size`.
        name: The name of the input.
        **kwargs: Keras's further options, which must have the values that turn them off.

    Returns:
        A tensor that layers can be called on, or the first item of a `Sequential`.

    Example:
        >>> from foliot.layers import Dense, Input
        >>> from foliot.models import Sequential
        >>> Sequential([Input((4,)), Dense(2)]).output_shape
        (None, 2)
    """
    return InputLayer(shape, batch_size, dtype, batch_shape=batch_shape, name=name, **kwargs).output
