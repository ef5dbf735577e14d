"""What `pickle` and `copy` need to know about weights and graphs; everything else of a model is plain Python.

Native objects hold memory of their own, so a copy is made from their values. A graph is written as a flat list of its
nodes: followed from tensor to tensor it would nest as deep as the model has layers, and meet Python's recursion limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from foliot import _core
from foliot._arrays import Array
from foliot._graph import Graph, Node, Shape, SymbolicTensor, nodes_between

if TYPE_CHECKING:
    from foliot.layers.base import Layer


def reduce_parameter(parameter: _core.Parameter) -> tuple[Callable[..., Any], tuple[str, Array]]:
    """A weight as `pickle` wants it: a function and its arguments."""
    return _parameter, (parameter.name, parameter.numpy())


def _parameter(name: str, value: Array) -> _core.Parameter:
    return _core.Parameter(name, value)


@dataclass(frozen=True)
class FlatNode:
    """A node without references to others."""

    layer: Layer
    #: The tensors that it reads, as (position of the node that gives it, index of its output).
    reads: list[tuple[int, int]]
    shapes: list[Shape]
    training: bool | None
    body: FlatGraph | None
    options: dict[str, Any]


@dataclass(frozen=True)
class FlatGraph:
    """The nodes between inputs and outputs, each after the ones that it reads."""

    nodes: list[FlatNode]
    inputs: list[tuple[int, int]]
    outputs: list[tuple[int, int]]
    leading: int | None = None


def flatten(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> FlatGraph:
    """The graph between tensors, without references from node to node."""
    between = nodes_between(inputs, outputs)
    # A graph may begin at tensors that other nodes give: these nodes come without what they read.
    begun = [node for node in dict.fromkeys(tensor.node for tensor in inputs) if node not in between]
    nodes = [*begun, *between]
    places = {tensor: (position, tensor.index) for position, node in enumerate(nodes) for tensor in node.outputs}

    def flat(node: Node) -> FlatNode:
        reads = [] if node in begun else [places[tensor] for tensor in node.inputs]
        body = None
        if node.body is not None:
            body = replace(flatten(node.body.inputs, node.body.outputs), leading=node.body.leading)
        shapes = [tensor.shape for tensor in node.outputs]
        return FlatNode(node.layer, reads, shapes, node.training, body, node.options)

    return FlatGraph(
        [flat(node) for node in nodes], [places[tensor] for tensor in inputs], [places[tensor] for tensor in outputs]
    )


def restore(graph: FlatGraph) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """The inputs and outputs of a graph that `flatten` wrote."""
    from foliot.layers.input import InputLayer

    nodes: list[Node] = []
    for flat in graph.nodes:
        if isinstance(flat.layer, InputLayer):
            # It has one node for life.
            nodes.append(flat.layer.output.node)
            continue
        body = None if flat.body is None else Graph(*restore(flat.body), flat.body.leading)
        reads = [nodes[position].outputs[index] for position, index in flat.reads]
        nodes.append(Node(flat.layer, reads, flat.shapes, flat.training, body, flat.options))
        flat.layer.record(nodes[-1])
    inputs, outputs = (
        [nodes[position].outputs[index] for position, index in places] for places in (graph.inputs, graph.outputs)
    )
    return inputs, outputs
