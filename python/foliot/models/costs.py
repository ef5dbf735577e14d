"""What a batch costs: operations and memory, for `summary(batch_size=..., time=...)`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foliot._checks import check_integer, value_error
from foliot._graph import Graph, Node, Shape, SymbolicTensor, find_time_major
from foliot._orders import exchanged
from foliot.layers import RNN, AdditiveAttention, Conv1D, Dense, Dot, Embedding, Layer, PReLU
from foliot.layers.attention import BaseAttention
from foliot.layers.cell import Cell
from foliot.layers.heads import Projection

if TYPE_CHECKING:
    from foliot.models.model import Model

# Of a float32.
_BYTES = 4


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs, in all its calls."""

    layer: Layer
    #: The shapes of the outputs of its last call.
    shapes: list[Shape]
    #: Operations, None if they are not known.
    operations: int | None
    #: The bytes of its outputs.
    outputs: int


@dataclass(frozen=True)
class Costs:
    """What a model costs."""

    layers: list[LayerCost]
    #: Bytes for a prediction and for a training step, without weights and the optimizer's state.
    predicting: int
    training: int
    #: Whether training runs steps of a layer again, those between checkpoints: not where there are no steps between.
    checkpoints: bool


def costs(model: "Model", batch_size: int | None, time: int | None) -> Costs:
    """The costs of a batch.

    Args:
        model: The model, built.
        batch_size: Its rows; None is 1.
        time: The length of the axes whose length is free.

    Raises:
        TypeError: A size is no integer.
        ValueError: The model is not built, or `time` is missing.
    """
    batch = 1 if batch_size is None else check_integer("batch_size", batch_size, minimum=1)
    length = None if time is None else check_integer("time", time, minimum=0)
    if not model.inputs:
        raise ValueError(f"`batch_size`: expected a model that is built; received {model.name!r}, which is not")
    shapes: list[Shape] = []
    for tensor, time_major in zip(model.inputs, find_time_major(model.inputs, model.outputs), strict=True):
        _, *axes = exchanged(tensor.shape, time_major)
        if length is None and None in axes:
            raise value_error("time", f"an integer, for the input {tensor.name!r} has the shape {tensor.shape}", time)
        shapes.append(exchanged((batch, *(length if size is None else size for size in axes)), time_major))
    found: dict[Layer, LayerCost] = {}
    runs_again = False
    for node, read, outputs in _calls(model.graph, shapes, length):
        operations = _operations(node, read, outputs, length)
        size = _BYTES * sum(_elements(shape) for shape in outputs)
        before = found.get(node.layer)
        if before is not None:
            both = None if operations is None or before.operations is None else operations + before.operations
            operations, size = both, size + before.outputs
        found[node.layer] = LayerCost(node.layer, outputs, operations, size)
        runs_again = runs_again or _runs_again(node, read, length)
    sizes = [[size or 0 for size in shape] for shape in model.entrance_shapes(shapes, length)]
    predicting, training = (model.batch_memory(sizes, training=training) for training in (False, True))
    return Costs(list(found.values()), predicting, training, runs_again)


def _calls(graph: Graph, shapes: Sequence[Shape], time: int | None) -> Iterator[tuple[Node, list[Shape], list[Shape]]]:
    """The nodes of a graph with the shapes of what each reads and gives, for inputs of the given shapes."""
    known: dict[SymbolicTensor, Shape] = dict(zip(graph.inputs, shapes, strict=True))
    for node in graph.nodes:
        if node.inputs:
            read = [known[tensor] for tensor in node.inputs]
            given = _inferred(node, read, time)
            known.update(zip(node.outputs, given, strict=True))
            yield node, read, given


def _runs_again(node: Node, inputs: Sequence[Shape], length: int | None) -> bool:
    """Whether a step of training runs some time steps of the node again: those between checkpoints."""
    if node.body is not None:
        return any(_runs_again(inner, read, length) for inner, read, _ in _calls(node.body, inputs, length))
    every = node.layer.checkpoint_every if isinstance(node.layer, RNN) else None
    if every is None:
        return False
    steps = exchanged(inputs[0], node.layer.time_major)[1] or 0
    return (math.isqrt(max(steps - 1, 0)) + 1 if isinstance(every, str) else every) < steps


def _elements(shape: Shape) -> int:
    return math.prod(size or 0 for size in shape)


def _inferred(node: Node, inputs: Sequence[Shape], time: int | None) -> list[Shape]:
    """The outputs' shapes; `time` is the length of rows that are as long as their texts."""
    outputs = node.infer(inputs)
    if node.layer.takes_text and node.body is None:
        if time is None and None in outputs[0]:
            raise value_error("time", f"an integer, for the rows of {node.layer.label} are as long as the texts", time)
        return [tuple(time if size is None else size for size in shape) for shape in outputs]
    return outputs


def _operations(node: Node, inputs: Sequence[Shape], outputs: Sequence[Shape], time: int | None) -> int | None:
    """Multiplications and additions in products of matrices, forward; None for a layer that is not known here."""
    if node.body is not None:
        total = 0
        for inner, read, given in _calls(node.body, inputs, time):
            operations = _operations(inner, read, given, time)
            if operations is None:
                return None
            total += operations
        return total
    layer = node.layer
    matrices = [math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1]
    if isinstance(layer, (RNN, Cell, Dense, Projection)):
        # Every weight matrix at every step; a bias may have two axes.
        kernels = [math.prod(weight.shape) for weight in layer.weights if weight.name.endswith("kernel")]
        return 2 * _elements(inputs[0][:-1]) * sum(kernels)
    if isinstance(layer, BaseAttention):
        (batch, queries, width), (_, keys, value_width) = inputs[:2]
        # Additive scores are no product of matrices.
        compared = 0 if isinstance(layer, AdditiveAttention) else width or 0
        return 2 * _elements((batch, queries, keys)) * (compared + (value_width or 0))
    if isinstance(layer, Conv1D):
        return 2 * _elements(outputs[0][:-1]) * matrices[0]
    if isinstance(layer, Dot):
        axes: Any = layer.axes
        first = axes[0] if isinstance(axes, (list, tuple)) else axes
        return 2 * _elements(outputs[0]) * (inputs[0][first] or 0)
    # A look-up multiplies nothing, and what is elementwise is not counted.
    return 0 if isinstance(layer, (Embedding, PReLU)) or not matrices else None
