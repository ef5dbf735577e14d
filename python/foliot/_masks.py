"""Masks of symbolic tensors, before there are numbers: what each follows from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foliot._graph import Node, SymbolicTensor


@dataclass(frozen=True)
class SymbolicMask:
    """A mask that there will be. Equal ones stand for equal masks.

    Attributes:
        rule: How it comes about.
        of: The tensors or masks that it comes from, of the same kinds for the same rule.
    """

    rule: Any
    of: Any


def masks_between(
    nodes: Sequence[Node], given: Mapping[SymbolicTensor, SymbolicMask]
) -> dict[SymbolicTensor, SymbolicMask]:
    """The masks of those tensors that have one, by the rules of the native graph.

    Args:
        nodes: The nodes, each after the ones that it reads. Masks end at one with a graph of its own.
        given: The masks of inputs.
    """
    masks = dict(given)
    for node in nodes:
        if node.inputs and node.body is None:
            mask = node.layer.symbolic_mask(node.inputs, [masks.get(tensor) for tensor in node.inputs])
            if mask is not None:
                masks[node.outputs[0]] = mask
    return masks
