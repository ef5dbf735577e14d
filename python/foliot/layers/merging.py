"""Layers that make one tensor of several, and the functions that make such a layer and apply it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from foliot._checks import check_flag, check_integer, type_error, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot._masks import SymbolicMask
from foliot._orders import Order
from foliot.layers.base import Layer


class Merge(Layer):
    """What the layers that take a list of tensors share.

    Masks in a model are Keras's: of an element-wise merge a step is masked if all inputs have masks and all are masked
    there; `Multiply`, `Maximum` and `Minimum` leave masked steps out, as if they were not there.
    """

    #: The native name of what is done element by element.
    operation: ClassVar[str]
    #: How many inputs there must be; None for any number.
    count: ClassVar[int | None] = None
    takes_any_order = True

    def build(self, input_shape: Any) -> None:
        """Does nothing but check the shapes, for there are no weights."""
        if input_shape and isinstance(input_shape[0], (list, tuple)):
            self.infer([tuple(shape) for shape in input_shape])
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for inputs of the given shapes."""
        if not input_shape or not isinstance(input_shape[0], (list, tuple)):
            raise value_error("input_shape", f"a list of shapes for {self.label}", input_shape)
        return self.infer([tuple(shape) for shape in input_shape])[0]

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if self.count is not None and len(shapes) != self.count:
            raise ValueError(
                f"`inputs`: expected exactly {self.count} tensors for {self.label}; received {len(shapes)}"
            )
        return [self._merged_shape([tuple(shape) for shape in shapes])]

    def _merged_shape(self, shapes: list[Shape]) -> Shape:
        rank = max(map(len, shapes))
        # A tensor with fewer axes has axes of 1 after the batch axis, as in Keras.
        padded = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
        merged: list[int | None] = []
        for index, sizes in enumerate(zip(*padded, strict=True)):
            known = {size for size in sizes if size is not None and (index == 0 or size != 1)}
            if len(known) > 1:
                what = "the same batch size" if index == 0 else "shapes that fit one another, with axes of 1 repeated"
                raise self._misfit(what, shapes)
            free = None in sizes
            merged.append(known.pop() if known and not (free and index == 0) else None if free else 1)
        return tuple(merged)

    def _misfit(self, expected: str, shapes: Sequence[Shape]) -> ValueError:
        listed = ", ".join(map(str, shapes))
        return ValueError(f"`inputs`: expected tensors of {expected} for {self.label}; received shapes {listed}")

    def __call__(self, inputs: Any, /, *args: Any, mask: Any = None, training: bool | None = None, **_: Any) -> Any:
        """Merges the tensors.

        Args:
            inputs: A list of arrays, or of symbolic tensors.
            *args: None.
            mask: Must be None: in a model masks come along by themselves.
            training: Changes nothing.
        """
        if not isinstance(inputs, (list, tuple)) or not inputs:
            raise type_error("inputs", f"a list of tensors for {self.label}", inputs)
        if args or _:
            raise TypeError(f"{self.label} expects a list of inputs, and nothing else")
        if mask is not None:
            raise value_error("mask", "None: in a model masks come along by themselves", mask)
        return self._apply(list(inputs), None, training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, from a list of the inputs' masks: where any counts, if all have one."""
        masks = self._masks(inputs, mask)
        if any(isinstance(item, SymbolicMask) for item in masks):
            return self.symbolic_mask(inputs, masks)
        if any(item is None for item in masks):
            return None
        merged = masks[0]
        for item in masks[1:]:
            merged = np.logical_or(merged, item)
        return merged

    def _masks(self, inputs: Any, mask: Any) -> list[Any]:
        if mask is None:
            return [None]
        for argument, value in (("inputs", inputs), ("mask", mask)):
            if not isinstance(value, (list, tuple)):
                raise value_error(argument, f"a list for {self.label}", value)
        if len(mask) != len(inputs):
            raise value_error("mask", f"a list as long as `inputs`, {len(inputs)}", len(mask))
        return [item if item is None or isinstance(item, SymbolicMask) else np.asarray(item, bool) for item in mask]

    def symbolic_mask(
        self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]
    ) -> SymbolicMask | None:
        if None in masks:
            return None
        return masks[0] if len(set(masks)) == 1 else SymbolicMask("where any counts", frozenset(masks))

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "merge", "operation": self.operation}


class Add(Merge):
    """The sum of its inputs, element by element; axes of 1 are repeated.

    Args:
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`.

    Call arguments:
        inputs: A list of tensors of one shape, or of shapes that become one by repeating axes of 1.

    Raises:
        TypeError: The inputs are no list.
        ValueError: Their shapes do not fit.

    Example:
        >>> from foliot.layers import Add
        >>> Add()([[[1.0, 2.0]], [[10.0, 20.0]]]).tolist()
        [[11.0, 22.0]]
    """

    operation = "add"


class Subtract(Merge):
    """The first of two inputs less the second, element by element.

    Args:
        **kwargs: See `Add`.

    Call arguments:
        inputs: A list of two tensors, as of `Add`.

    Raises:
        TypeError: The inputs are no list.
        ValueError: There are not two, or their shapes do not fit.

    Example:
        >>> from foliot.layers import Subtract
        >>> Subtract()([[[1.0, 2.0]], [[10.0, 20.0]]]).tolist()
        [[-9.0, -18.0]]
    """

    operation = "subtract"
    count = 2


class Multiply(Merge):
    """The product of its inputs, element by element. Masked steps count as 1; where all are masked it is 0.

    Args:
        **kwargs: See `Add`.

    Call arguments:
        inputs: A list of tensors, as of `Add`.

    Raises:
        TypeError: The inputs are no list.
        ValueError: Their shapes do not fit.

    Example:
        >>> from foliot.layers import Multiply
        >>> Multiply()([[[1.0, 2.0]], [[10.0, 20.0]]]).tolist()
        [[10.0, 40.0]]
    """

    operation = "multiply"


class Average(Merge):
    """The mean of its inputs, element by element.

    Args:
        **kwargs: See `Add`.

    Call arguments:
        inputs: A list of tensors, as of `Add`.

    Raises:
        TypeError: The inputs are no list.
        ValueError: Their shapes do not fit.

    Example:
        >>> from foliot.layers import Average
        >>> Average()([[[1.0, 2.0]], [[10.0, 20.0]]]).tolist()
        [[5.5, 11.0]]
    """

    operation = "average"


class Maximum(Merge):
    """The greatest of its inputs, element by element. Masked steps do not count. Equal ones share the gradient.

    Args:
        **kwargs: See `Add`.

    Call arguments:
        inputs: A list of tensors, as of `Add`.

    Raises:
        TypeError: The inputs are no list.
        ValueError: Their shapes do not fit.

    Example:
        >>> from foliot.layers import Maximum
        >>> Maximum()([[[1.0, 20.0]], [[10.0, 2.0]]]).tolist()
        [[10.0, 20.0]]
    """

    operation = "maximum"


class Minimum(Merge):
    """The least of its inputs, element by element. Masked steps do not count. Equal ones share the gradient.

    Args:
        **kwargs: See `Add`.

    Call arguments:
        inputs: A list of tensors, as of `Add`.

    Raises:
        TypeError: The inputs are no list.
        ValueError: Their shapes do not fit.

    Example:
        >>> from foliot.layers import Minimum
        >>> Minimum()([[[1.0, 20.0]], [[10.0, 2.0]]]).tolist()
        [[1.0, 2.0]]
    """

    operation = "minimum"


class Concatenate(Merge):
    """Its inputs one after another along an axis.

    Args:
        axis: The axis; negative ones count from the last. Not the batch axis.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`.

    Call arguments:
        inputs: A list of tensors of the same shape but for the axis.

    Raises:
        TypeError: The inputs are no list.
        ValueError: The axis is that of the batch or does not exist, or the shapes do not fit.

    If any input has a mask, one without counts as unmasked throughout. Along the last axis a step is masked if it is in
    all inputs; along another axis the masks are joined.

    Example:
        >>> from foliot.layers import Concatenate
        >>> Concatenate()([[[1.0, 2.0]], [[3.0]]]).tolist()
        [[1.0, 2.0, 3.0]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_integer("axis", axis)

    def _merged_shape(self, shapes: list[Shape]) -> Shape:
        rank = len(shapes[0])
        axis = _inner_axis("axis", self.axis, rank)
        if any(len(shape) != rank for shape in shapes):
            raise self._misfit("as many axes each", shapes)
        merged: list[int | None] = []
        for index, sizes in enumerate(zip(*shapes, strict=True)):
            known = [size for size in sizes if size is not None]
            if index == axis:
                merged.append(sum(known) if len(known) == len(sizes) else None)
            elif len(set(known)) > 1:
                raise self._misfit(f"the same shape but for axis {axis}", shapes)
            else:
                merged.append(known[0] if known and (index or len(known) == len(sizes)) else None)
        return tuple(merged)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, from a list of the inputs' masks; None if no input has one."""
        masks = self._masks(inputs, mask)
        if any(isinstance(item, SymbolicMask) for item in masks):
            return self.symbolic_mask(inputs, masks)
        if all(item is None for item in masks):
            return None
        # Keras's: a flag for each element, and a step counts if any of its elements does.
        full = [
            np.ones(tensor.shape, bool) if item is None else np.broadcast_to(item[..., None], tensor.shape)
            for tensor, item in zip(inputs, masks, strict=True)
        ]
        return np.concatenate(full, axis=self.axis).any(axis=-1)

    def orders(self, shapes: Sequence[Shape], outputs: int) -> tuple[list[Order], list[Order]]:
        if self.axis in (-1, len(shapes[0]) - 1):
            return super().orders(shapes, outputs)
        return [False] * len(shapes), [False] * outputs

    def symbolic_mask(
        self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]
    ) -> SymbolicMask | None:
        if all(mask is None for mask in masks):
            return None
        return SymbolicMask(("concatenated", self.axis), (tuple(inputs), tuple(masks)))

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "concatenate", "axis": self.axis}


class Dot(Merge):
    """The products of two inputs summed along an axis of each, sample by sample.

    The result has the axes of the first that are left, then those of the second: for inputs of shape `(batch, 3, 5)`
    and `(batch, 10, 3)` and `axes=(1, 2)` it has the shape `(batch, 5, 10)`.

    Args:
        axes: The axis to sum along, or one for each input; negative ones count from the last. Not the batch axis.
        normalize: Divide both by their Euclidean norms along the axis first, which gives the cosine of their angle.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`.

    Call arguments:
        inputs: A list of two tensors of at least two axes, of equal length along the axes.

    Raises:
        TypeError: `axes` is neither an integer nor a list; the inputs are no list.
        ValueError: An axis is that of the batch or does not exist, or the lengths differ.

    Example:
        >>> from foliot.layers import Dot
        >>> Dot(axes=1)([[[1.0, 2.0]], [[3.0, 4.0]]]).tolist()
        [[11.0]]
    """

    count = 2
    takes_any_order = False
    # The length of a time axis may become the number of features.
    needs_fixed_shape = True

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(axes, (list, tuple))
        given = list(axes) if isinstance(axes, (list, tuple)) else [axes]
        if several and len(given) != 2:
            raise value_error("axes", "an integer or two of them", axes)
        checked = [check_integer("axes", axis) for axis in given]
        # Keras's name; the base keeps under it what a check of shapes says, which a merge does not use.
        self.axes = tuple(checked) if isinstance(axes, tuple) else checked if several else checked[0]  # type: ignore[misc,assignment]
        self.normalize = check_flag("normalize", normalize)

    def _pair(self) -> list[int]:
        axes: Any = self.axes
        return list(axes) if isinstance(axes, (list, tuple)) else [axes, axes]

    def _merged_shape(self, shapes: list[Shape]) -> Shape:
        (first, second), ranks = shapes, (len(shapes[0]), len(shapes[1]))
        if min(ranks) < 2:
            raise self._misfit("at least two axes", shapes)
        here, there = (_inner_axis("axes", axis, rank) for axis, rank in zip(self._pair(), ranks, strict=True))
        if None not in (first[0], second[0]) and first[0] != second[0]:
            raise self._misfit("the same batch size", shapes)
        if None not in (first[here], second[there]) and first[here] != second[there]:
            raise self._misfit(f"equal length along axis {here} of the first and {there} of the second", shapes)
        merged = (*first[:here], *first[here + 1 :], *second[1:there], *second[there + 1 :])
        return merged if len(merged) > 1 else (*merged, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """None: masks end here."""

    def symbolic_mask(self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]) -> None:
        return None

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "dot", "axes": self._pair(), "normalize": self.normalize}


def _inner_axis(argument: str, axis: int, rank: int) -> int:
    """An axis counted from the first, which is not the batch axis."""
    inner = axis + rank if axis < 0 else axis
    if not 1 <= inner < rank:
        expected = f"an axis from 1 to {rank - 1}, or a negative one, of inputs with {rank} axes (0 is the batch axis)"
        raise value_error(argument, expected, axis)
    return inner


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import add
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> add([a, b]).tolist()
        [[4.0, 6.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import subtract
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> subtract([a, b]).tolist()
        [[-2.0, -2.0]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import multiply
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> multiply([a, b]).tolist()
        [[3.0, 8.0]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import average
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> average([a, b]).tolist()
        [[2.0, 3.0]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import maximum
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> maximum([a, b]).tolist()
        [[3.0, 4.0]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import minimum
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> minimum([a, b]).tolist()
        [[1.0, 2.0]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import concatenate
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> concatenate([a, b]).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import dot
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
        >>> dot([a, b]).tolist()
        [[11.0]]
    """
    return Dot(axes, **kwargs)(inputs)
