"""From connected layers to the graph that `foliot._core.Program` runs.

Calling a layer on a `SymbolicTensor` records a `Node`; the tensors alone hold the graph, so a layer may appear in any
number of nodes (shared weights) and of graphs. `assemble` puts the nodes between given inputs and outputs in order and
writes them as the JSON of the native module, each parameter once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foliot import _core
from foliot._arrays import DType

if TYPE_CHECKING:
    from foliot.layers.base import Layer, Weight

Shape = tuple[int | None, ...]


class Node:
    """One application of a layer to tensors."""

    def __init__(self, layer: Layer, inputs: Sequence[SymbolicTensor], shapes: Sequence[Shape]) -> None:
        self.layer = layer
        self.inputs = tuple(inputs)
        self.outputs = tuple(SymbolicTensor(self, index, shape) for index, shape in enumerate(shapes))


class SymbolicTensor:
    """The result of a node before there are numbers: a shape with the batch axis first, None where any size goes."""

    def __init__(self, node: Node, index: int, shape: Shape) -> None:
        self.node = node
        self.index = index
        self.shape = shape

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape} from layer {self.node.layer.name!r}>"


@dataclass(frozen=True)
class Assembly:
    """A graph in the native module's terms."""

    graph: str
    weights: list[Weight]
    input_dtypes: list[DType]

    def trainable_parameters(self) -> list[_core.Parameter]:
        return [weight.parameter for weight in self.weights if weight.trainable]

    def program(self) -> _core.Program:
        return _core.Program(self.graph, [weight.parameter for weight in self.weights])


def nodes_between(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> list[Node]:
    """The input nodes in their order, then every other node after the ones that it reads."""
    ordered = [tensor.node for tensor in inputs]
    seen = set(ordered)
    for output in outputs:
        # Depth first without recursion: a deep model must not meet Python's recursion limit.
        path: list[tuple[Node, Iterator[SymbolicTensor]]] = []
        if output.node not in seen:
            seen.add(output.node)
            path.append((output.node, iter(output.node.inputs)))
        while path:
            node, pending = path[-1]
            tensor = next(pending, None)
            if tensor is not None:
                if tensor.node not in seen:
                    seen.add(tensor.node)
                    path.append((tensor.node, iter(tensor.node.inputs)))
                continue
            if not node.inputs:
                raise ValueError(
                    f"the outputs depend on the input {node.layer.name!r}, which is not among the model's inputs"
                )
            ordered.append(node)
            path.pop()
    return ordered


def infer_shapes(nodes: Sequence[Node], inputs: Sequence[Shape], outputs: Sequence[SymbolicTensor]) -> list[Shape]:
    """The outputs' shapes if the model's inputs have the given ones.

    Raises:
        ValueError: a layer cannot take such an input; the layer says why.
    """
    known: dict[SymbolicTensor, Shape] = {}
    for node, shape in zip(nodes, inputs, strict=False):
        known[node.outputs[0]] = shape
    for node in nodes[len(inputs) :]:
        shapes = node.layer.infer([known[tensor] for tensor in node.inputs])
        known.update(zip(node.outputs, shapes, strict=True))
    return [known[tensor] for tensor in outputs]


def assemble(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor], masked: Sequence[bool] | None = None
) -> Assembly:
    """Writes the graph between `inputs` and `outputs`; `masked` says for which inputs a mask will be passed."""
    ordered = nodes_between(inputs, outputs)
    masked = masked or [False] * len(inputs)
    dtypes = [_input_dtype(tensor, ordered) for tensor in inputs]
    fixed = any(node.layer.needs_fixed_shape for node in ordered)
    entries: list[dict[str, Any]] = []
    places: dict[SymbolicTensor, list[int]] = {}
    weights: dict[Weight, int] = {}
    names: dict[str, int] = {}

    def add(name: str, layer: dict[str, Any], reads: list[list[int]], parameters: list[int]) -> int:
        count = names[name] = names.get(name, 0) + 1
        entries.append(
            {
                "name": name if count == 1 else f"{name}:{count}",
                "layer": layer,
                "inputs": reads,
                "parameters": parameters,
            }
        )
        return len(entries) - 1

    for position, node in enumerate(ordered):
        layer = node.layer
        if position < len(inputs):
            tensor = inputs[position]
            spec = {
                "kind": "input",
                "dtype": dtypes[position],
                "shape": _input_shape(tensor.shape[1:], dtypes[position], fixed),
                "masked": masked[position],
            }
            places[tensor] = [add(layer.name, spec, [], []), 0]
            continue
        parameters = [weights.setdefault(weight, len(weights)) for weight in layer.weight_entries()]
        index = add(layer.name, layer.to_spec(), [places[tensor] for tensor in node.inputs], parameters)
        for tensor in node.outputs:
            places[tensor] = [index, tensor.index]
            if layer.activity_regularizer is not None:
                penalty = {"kind": "activity_regularization", **layer.activity_regularizer.to_spec()}
                places[tensor] = [add(f"{layer.name}_activity", penalty, [places[tensor]], []), 0]

    graph = {
        "nodes": entries,
        "outputs": [places[tensor] for tensor in outputs],
        "parameters": [weight.to_spec() for weight in weights],
    }
    return Assembly(json.dumps(graph), list(weights), dtypes)


def _input_dtype(tensor: SymbolicTensor, nodes: Sequence[Node]) -> DType:
    wanted = {node.layer.input_dtype for node in nodes if tensor in node.inputs}
    if len(wanted) > 1:
        raise ValueError(
            f"the input {tensor.node.layer.name!r} feeds both an Embedding, which wants token ids, and a layer that "
            "wants numbers: give each an Input of its own"
        )
    return wanted.pop() if wanted else "float32"


def _input_shape(shape: Shape, dtype: DType, fixed: bool) -> list[int | None]:
    """A sequence may have any length, as in Keras, unless a layer such as Flatten ties weights to it.

    The last axis of numbers holds the features, which the weights fix; token ids have no such axis.
    """
    if fixed:
        return list(shape)
    free = len(shape) if dtype == "int32" else len(shape) - 1
    return [None] * free + list(shape[free:])
