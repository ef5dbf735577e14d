"""What `pickle` and `copy` need to know about weights and graphs; everything else of a model is plain Python.

Native objects hold memory of their own, so a copy is made from their values. A graph is written as a flat list of its
nodes: followed from tensor to tensor it would nest as deep as the model has layers, and meet Python's recursion limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foliot import _core
from foliot._arrays import Array
from foliot._graph import Node, Shape, SymbolicTensor, nodes_between

if TYPE_CHECKING:
    from foliot.layers.base import Layer


def reduce_parameter(parameter: _core.Parameter) -> tuple[Callable[..., Any], tuple[str, Array]]:
    """A weight as `pickle` wants it: a function and its arguments."""
    return _parameter, (parameter.name, parameter.numpy())


def _parameter(name: str, value: Array) -> _core.Parameter:
    return _core.Parameter(name, value)


@dataclass(frozen=True)
class FlatGraph:
    """The nodes between inputs and outputs, each after the ones that it reads."""

    layers: list[Layer]
    #: The tensors that each node reads, as (position of the node that gives it, index of its output).
    reads: list[list[tuple[int, int]]]
    #: The shapes of each node's outputs.
    shapes: list[list[Shape]]
    #: How many of the nodes, from the first, are the inputs.
    inputs: int
    outputs: list[tuple[int, int]]


def flatten(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> FlatGraph:
    """The graph between tensors, without references from node to node."""
    nodes = nodes_between(inputs, outputs)
    places = {tensor: (position, tensor.index) for position, node in enumerate(nodes) for tensor in node.outputs}
    return FlatGraph(
        [node.layer for node in nodes],
        [[places[tensor] for tensor in node.inputs] for node in nodes],
        [[tensor.shape for tensor in node.outputs] for node in nodes],
        len(inputs),
        [places[tensor] for tensor in outputs],
    )


def restore(graph: FlatGraph) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """The inputs and outputs of a graph that `flatten` wrote."""
    nodes: list[Node] = []
    for layer, reads, shapes in zip(graph.layers, graph.reads, graph.shapes, strict=True):
        # An input layer has one node for life, which its `output` names.
        own: SymbolicTensor | None = getattr(layer, "output", None) if len(nodes) < graph.inputs else None
        read = [nodes[position].outputs[index] for position, index in reads]
        nodes.append(Node(layer, read, shapes) if own is None else own.node)
    outputs = [nodes[position].outputs[index] for position, index in graph.outputs]
    return [node.outputs[0] for node in nodes[: graph.inputs]], outputs
