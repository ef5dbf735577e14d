"""Which tensors of a graph have time before samples, because of recurrent layers with `time_major=True`.

Symbolic tensors have the shapes that users see. The native program knows one order, samples first, so a time-major
sequence is turned round where it enters a model and where it leaves one, and nowhere between: each layer says in which
order its tensors are, many say only that all theirs are alike, and the order goes from tensor to tensor until all that
hang together have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from foliot._arrays import Array

if TYPE_CHECKING:
    from foliot._graph import Node, Shape, SymbolicTensor
    from foliot.layers.base import Layer

#: True for a tensor with time first, False for one with samples first, None for one that is as the others of a layer.
Order = bool | None


def exchanged(shape: Shape, time_major: bool) -> Shape:
    """A shape of either order in the other one, if it is that of a time-major tensor."""
    return (shape[1], shape[0], *shape[2:]) if time_major else shape


def turned(array: Array, time_major: bool) -> Array:
    """An array of either order in the other one, as a view, if it is that of a time-major tensor."""
    return array.swapaxes(0, 1) if time_major else array


class Orders:
    """The orders of the tensors of a graph.

    Args:
        nodes: The nodes, none of which has a graph of its own.
        given: What is known of tensors from elsewhere.

    Raises:
        ValueError: A tensor would have to have both orders.
    """

    def __init__(self, nodes: Iterable[Node], given: Mapping[SymbolicTensor, bool] | None = None) -> None:
        # A forest, in which the tensors of a tree have one order, and what is known of each tree with who said so.
        self._parents: dict[SymbolicTensor, SymbolicTensor] = {}
        self._known: dict[SymbolicTensor, tuple[bool, Layer]] = {}
        for tensor, time_major in (given or {}).items():
            self._say(tensor, time_major, tensor.node.layer)
        for node in nodes:
            if node.inputs:
                self._add(node)

    def is_time_major(self, tensor: SymbolicTensor) -> bool:
        """Whether a tensor has time first; False where it does not matter."""
        order, _ = self._known.get(self._root(tensor), (False, None))
        return order

    def _add(self, node: Node) -> None:
        inputs, outputs = node.layer.orders([tensor.shape for tensor in node.inputs], len(node.outputs))
        alike: list[SymbolicTensor] = []
        for tensor, order in zip((*node.inputs, *node.outputs), (*inputs, *outputs), strict=True):
            if order is None:
                alike.append(tensor)
            else:
                self._say(tensor, order, node.layer)
        for tensor in alike[1:]:
            self._join(alike[0], tensor, node.layer)

    def _root(self, tensor: SymbolicTensor) -> SymbolicTensor:
        while (parent := self._parents.get(tensor)) is not None:
            tensor = parent
        return tensor

    def _say(self, tensor: SymbolicTensor, order: bool, layer: Layer) -> None:
        root = self._root(tensor)
        known, before = self._known.setdefault(root, (order, layer))
        if known != order:
            raise _conflict(before, layer, known)

    def _join(self, one: SymbolicTensor, other: SymbolicTensor, layer: Layer) -> None:
        first, second = self._root(one), self._root(other)
        if first is second:
            return
        self._parents[second] = first
        if second in self._known:
            order, before = self._known.pop(second)
            known, by = self._known.setdefault(first, (order, before))
            if known != order:
                raise _conflict(by, before, known, layer)


def _conflict(one: Layer, other: Layer, first_is_time_major: bool, between: Layer | None = None) -> ValueError:
    major, minor = (one, other) if first_is_time_major else (other, one)
    where = f" and meet in {between.label}" if between is not None and between not in (one, other) else ""
    advice = (
        "give both the same `time_major`"
        if "time_major" in type(minor).argument_names()
        else f"use `time_major=False`, for {minor.label} takes and gives samples first"
    )
    return ValueError(
        f"`time_major`: expected sequences of one order between layers that follow one another; received {major.label},"
        f" whose sequences are (time, batch, ...), and {minor.label}, whose are (batch, time, ...){where}: {advice}"
    )
