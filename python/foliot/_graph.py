"""From connected layers to the graph that `foliot._core.Program` runs.

Calling a layer on a `SymbolicTensor` records a `Node`; the tensors alone hold the graph, so a layer may appear in any
number of nodes (shared weights) and of graphs. A layer that is made of layers (a model inside a model) is one node with
a graph of its own. `assemble` opens those, puts the nodes between given inputs and outputs in order and writes them as
the JSON of the native module, each parameter once. Layers that take texts are not among them: they run before, and the
native graph begins with their numbers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, cast

from foliot import _core
from foliot._arrays import DType
from foliot._masks import SymbolicMask, masks_between
from foliot._orders import Orders, exchanged

if TYPE_CHECKING:
    from foliot.layers.base import Layer
    from foliot.layers.preprocessing.text_layer import TextLayer
    from foliot.layers.weights import Weight, Weighted

Shape = tuple[int | None, ...]

# Added to a layer's seed once for each further node of it, so that two uses of one layer drop different elements:
# 2^64 over the golden ratio spreads the sums evenly.
_SEED_STEP = 0x9E3779B97F4A7C15


class Node:
    """One application of a layer to tensors.

    Args:
        layer: The layer.
        inputs: What it reads.
        shapes: The shapes of what it returns.
        training: False if dropout is off in this application whatever the model does; None follows the model.
        body: For a layer made of layers: the graph that it stands for.
        options: What the call said beside that, as plain data, for layers whose calls take more.
    """

    def __init__(
        self,
        layer: Layer,
        inputs: Sequence[SymbolicTensor],
        shapes: Sequence[Shape],
        training: bool | None = None,
        body: Graph | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.layer = layer
        self.inputs = tuple(inputs)
        self.outputs = tuple(SymbolicTensor(self, index, shape) for index, shape in enumerate(shapes))
        self.training = training
        self.body = body
        self.options = dict(options or {})
        # Whether it or a node before it is of a time-major layer, for then orders have to be found.
        before = (*self.inputs, *(body.outputs if body else ()))
        self.sees_time_major: bool = layer.time_major or any(tensor.node.sees_time_major for tensor in before)
        # The option of layers that decides how many outputs there are.
        self._returned_state = getattr(layer, "return_state", None)
        takes = [layer.takes_text] * len(self.inputs) if body is None else [own.holds_text for own in body.inputs]
        for tensor, takes_text in zip(self.inputs, takes, strict=True):
            check_texts(layer, tensor, takes_text)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The outputs' shapes if the inputs have the given ones.

        Raises:
            ValueError: The layer cannot take such inputs, or gives another number of outputs than it did.
        """
        found = self.layer.infer(shapes, **self.options) if self.body is None else self.body.infer(shapes)
        if len(found) != len(self.outputs):
            raise self._other_count(len(found))
        return found

    def _other_count(self, found: int) -> ValueError:
        label, count = self.layer.label, f"{len(self.outputs)} output{'s'[: len(self.outputs) - 1]}"
        before, now = self._returned_state, getattr(self.layer, "return_state", None)
        if now != before:
            return ValueError(
                f"`return_state`: expected {before}, with which {label} was called and gave {count}; received {now}, "
                f"which gives {found}: call the layer anew"
            )
        return ValueError(f"expected {count} of {label}, as when it was called; received {found}: call the layer anew")


def check_texts(layer: Layer, tensor: SymbolicTensor, takes_text: bool) -> None:
    """Refuses texts for a layer that takes numbers, and the other way round."""
    if tensor.holds_text and not takes_text:
        raise ValueError(
            f"{layer.label} expects numbers; received the texts of {tensor.node.layer.label}: TextVectorization or "
            "StringLookup makes numbers of them"
        )
    if takes_text and not tensor.holds_text:
        raise ValueError(
            f'{layer.label} expects texts, those of an Input(..., dtype="string"); received the numbers of '
            f"{tensor.node.layer.label}"
        )


class SymbolicTensor:
    """The result of a node before there are numbers: a shape with the batch axis first, None where any size goes.

    The sequences of recurrent layers with `time_major=True` have the batch axis second.

    Layers take it, and `x + y`, `x - y` and `x * y` of two make layers `Add`, `Subtract` and `Multiply`, which hand a
    mask on that both have (in Keras masks end at an operator, not at these layers). Other arithmetic, NumPy and `if` do
    not, and say so.
    """

    def __init__(self, node: Node, index: int, shape: Shape) -> None:
        self.node = node
        self.index = index
        self.shape = shape

    @property
    def name(self) -> str:
        """The name of the layer that gives it."""
        return self.node.layer.name

    @property
    def holds_text(self) -> bool:
        """Whether there will be texts, and not numbers."""
        return self.node.layer.makes_text

    @property
    def ndim(self) -> int:
        """The number of axes, with the batch axis."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape} from layer {self.node.layer.name!r}>"

    def __eq__(self, other: object) -> bool:
        if other is None or isinstance(other, SymbolicTensor):
            return self is other
        return self._refuse("compared")

    __hash__ = object.__hash__

    def _refuse(self, what: str) -> NoReturn:
        advice = _INSTEAD.get(what, "")
        raise TypeError(
            f"{self!r} holds no numbers and cannot be {what}: between the inputs and the outputs of a model there are "
            f"layers only, of foliot.layers.{advice} Do it to the arrays before or after the model, or call the model "
            "on an array to get numbers"
        )

    def __add__(self, other: object) -> SymbolicTensor:
        return self._merged("Add", other)

    def __sub__(self, other: object) -> SymbolicTensor:
        return self._merged("Subtract", other)

    def __mul__(self, other: object) -> SymbolicTensor:
        return self._merged("Multiply", other)

    def _merged(self, kind: str, other: object) -> SymbolicTensor:
        if not isinstance(other, SymbolicTensor):
            self._refuse("used in arithmetic")
        from foliot import layers

        merged: SymbolicTensor = getattr(layers, kind)()([self, other])
        return merged

    def mask(self) -> SymbolicMask | None:
        """The mask that comes with the tensor, None if there is none."""
        entrances: list[SymbolicTensor] = []
        met: set[Node] = set()
        pending = [self.node]
        while pending:
            node = pending.pop()
            if node in met:
                continue
            met.add(node)
            pending += [tensor.node for tensor in node.inputs]
            entrances += () if node.inputs else node.outputs
        return masks_between(nodes_between(entrances, [self]), {}).get(self)


_REFUSED = {
    "used in arithmetic": "radd rsub rmul truediv rtruediv itruediv floordiv rfloordiv mod "
    "rmod pow rpow matmul rmatmul neg pos abs and rand or ror xor rxor invert",
    "compared": "ne lt le gt ge",
    "asked for its truth (`if`, `while`, `and`, `not`)": "bool",
    "turned into a number": "float int complex index round",
    "indexed or sliced": "getitem setitem",
    "gone through (`for`, `in`, `len`)": "iter len contains",
    "turned into an array": "array array_ufunc array_function",
}

_INSTEAD = {
    "used in arithmetic": (
        " For two tensors there are x + y, x - y and x * y, or layers.add([x, y]), subtract, multiply, average and dot;"
        " x times a number is Dense(x.shape[-1], use_bias=False, trainable=False,"
        " kernel_initializer=initializers.Identity(number))."
    ),
    "indexed or sliced": (
        " For the last step of a recurrent layer, as in h[:, -1], leave its return_sequences=False; Cropping1D cuts"
        " steps off, and Reshape and Permute arrange axes."
    ),
}


def _refusing(what: str) -> Callable[..., NoReturn]:
    def method(self: SymbolicTensor, *_: object, **__: object) -> NoReturn:
        self._refuse(what)

    return method


for _what, _names in _REFUSED.items():
    for _name in _names.split():
        setattr(SymbolicTensor, f"__{_name}__", _refusing(_what))


class Graph:
    """What comes in, what goes out, and the nodes between: in Keras's order, which is that of `model.layers`.

    Args:
        inputs: What comes in.
        outputs: What goes out.
        leading: In the graph of a `call`, how many of the inputs are its first argument; None for all.

    Raises:
        ValueError: The outputs depend on an input that is not among the inputs.
    """

    def __init__(
        self, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor], leading: int | None = None
    ) -> None:
        self.leading = leading
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes = nodes_between(inputs, outputs)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, input layers included, each once."""
        return list(dict.fromkeys(node.layer for node in self.nodes))

    @functools.cached_property
    def weighted(self) -> list[Weighted]:
        """The layers that have weights of their own, those inside other layers included."""
        return list(dict.fromkeys(entry.layer for layer in self.layers for entry in layer.weight_entries()))

    @functools.cached_property
    def opened(self) -> list[Layer]:
        """The layers that run, those inside other layers included, each once."""
        return list(dict.fromkeys(_running(self.nodes)))

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The outputs' shapes if the inputs have the given ones."""
        return infer_shapes(self.nodes, shapes, self.outputs, self.inputs)


def _met(nodes: Sequence[Node]) -> Iterator[Layer]:
    """The layers of the nodes, those inside other layers after the ones around them."""
    for node in nodes:
        yield node.layer
        if node.body is not None:
            yield from _met(node.body.nodes)


def _running(nodes: Sequence[Node]) -> list[Layer]:
    return [layer for node in nodes for layer in ([node.layer] if node.body is None else _running(node.body.nodes))]


@dataclass(frozen=True)
class Entrance:
    """What an input of the native program takes."""

    #: Which of the graph's inputs it comes from.
    position: int
    #: The layer that makes numbers of that input's texts; None for numbers, which go in as they are.
    layer: TextLayer | None
    dtype: DType
    #: Whether the user's arrays have time before samples; the program's have samples first.
    time_major: bool = False


@dataclass(frozen=True)
class Assembly:
    """A graph in the native module's terms."""

    graph: str
    weights: list[Weight]
    #: The layers of its nodes as messages call them, by the nodes' names.
    labels: dict[str, str]
    #: What goes into the native program.
    entrances: list[Entrance]
    #: Which of the outputs have time before samples where users see them.
    time_major: list[bool]
    #: What stateful layers carry from batch to batch.
    states: list[_core.Parameter]
    # The native part of the graph: where it begins (in several places, if a text layer was called again on the same
    # texts), its nodes, and where it ends.
    _begins: list[list[SymbolicTensor]]
    _nodes: list[Node]
    _ends: list[SymbolicTensor]
    #: The outputs' shapes for shapes that a single input of numbers has had: whoever calls for a few microseconds of
    #: work does not want to wait for the same checks again.
    accepted: dict[Shape, list[Shape]] = field(default_factory=dict)

    @property
    def input_dtypes(self) -> list[DType]:
        """What the inputs of the native program hold."""
        return [entrance.dtype for entrance in self.entrances]

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The outputs' shapes if the inputs of the native program have the given ones, all with samples first."""
        begins = [tensor for tensors in self._begins for tensor in tensors]
        seen = [exchanged(shape, entrance.time_major) for shape, entrance in zip(shapes, self.entrances, strict=True)]
        known = [shape for shape, tensors in zip(seen, self._begins, strict=True) for _ in tensors]
        found = infer_shapes(self._nodes, known, self._ends, begins)
        return [exchanged(shape, time_major) for shape, time_major in zip(found, self.time_major, strict=True)]

    def trainable_parameters(self) -> list[_core.Parameter]:
        return [weight.parameter for weight in self.weights if weight.trainable]

    def identity(self) -> tuple[Any, ...]:
        """Equal for assemblies whose programs compute the same on the same weights and states, compared by identity."""
        orders = [*(entrance.time_major for entrance in self.entrances), *self.time_major]
        return self.graph, [weight.parameter for weight in self.weights], self.states, orders

    def program(self, device: int | None = None) -> _core.Program:
        """What runs it: on the CPU, or on the device with a number."""
        return _core.Program(self.graph, [weight.parameter for weight in self.weights], self.states, device)


def nodes_between(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> list[Node]:
    """All nodes from the inputs to the outputs, each after the ones that it reads.

    The order is Keras's: by depth, which is the greatest number of steps to an output over all nodes of the layer, and
    within a depth as the layers are met on the way back from the outputs.
    """
    finished: list[Node] = []
    met: dict[Layer, int] = {}
    given = set(inputs)
    seen: set[Node] = set()

    def meet(node: Node) -> tuple[Node, Iterator[SymbolicTensor]]:
        seen.add(node)
        met.setdefault(node.layer, len(met))
        if not node.inputs:
            raise ValueError(
                f"the outputs depend on the input {node.layer.name!r}, which is not among the model's inputs"
            )
        return node, iter(node.inputs)

    for output in outputs:
        # Depth first without recursion: a deep model must not meet Python's recursion limit.
        path = [] if output in given or output.node in seen else [meet(output.node)]
        while path:
            node, pending = path[-1]
            tensor = next(pending, None)
            if tensor is None:
                finished.append(node)
                path.pop()
            elif tensor in given:
                met.setdefault(tensor.node.layer, len(met))
            elif tensor.node not in seen:
                path.append(meet(tensor.node))

    depths: dict[Node, int] = {}
    layer_depths: dict[Layer, int] = {}
    entrances = dict.fromkeys(tensor.node for tensor in inputs if not tensor.node.inputs)
    for node in [*reversed(finished), *entrances]:
        depth = max(depths.get(node, 0), layer_depths.get(node.layer, 0))
        depths[node] = layer_depths[node.layer] = depth
        for tensor in node.inputs:
            depths[tensor.node] = max(depth + 1, depths.get(tensor.node, 0))
    # An input that nothing reads comes before what was met at its depth, as in Keras.
    return sorted([*entrances, *finished], key=lambda node: (-depths[node], met.get(node.layer, -1)))


def infer_shapes(
    nodes: Sequence[Node],
    shapes: Sequence[Shape],
    outputs: Sequence[SymbolicTensor],
    inputs: Sequence[SymbolicTensor] | None = None,
) -> list[Shape]:
    """The outputs' shapes if the inputs (by default the nodes without inputs, in order) have the given ones.

    Raises:
        ValueError: a layer cannot take such an input; the layer says why.
    """
    if inputs is None:
        inputs = [node.outputs[0] for node in nodes if not node.inputs]
    known = dict(zip(inputs, shapes, strict=True))
    for node in nodes:
        if node.inputs:
            known.update(zip(node.outputs, node.infer([known[tensor] for tensor in node.inputs]), strict=True))
    return [known[tensor] for tensor in outputs]


def refresh_shapes(nodes: Sequence[Node]) -> None:
    """Lets the tensors have the shapes that their layers' options give now, also those inside other layers.

    Raises:
        ValueError: A layer cannot take what it gets now, and no shape has changed.
    """
    found: dict[SymbolicTensor, Shape] = {}
    for node in nodes:
        if node.inputs:
            shapes = node.infer([found.get(tensor, tensor.shape) for tensor in node.inputs])
            found.update(zip(node.outputs, shapes, strict=True))
    for tensor, shape in found.items():
        tensor.shape = shape
    for node in nodes:
        if node.body is not None:
            refresh_shapes(node.body.nodes)


@dataclass(frozen=True)
class Application:
    """A node and what it reads and gives in a graph in which copies of nodes have taken its place."""

    node: Node
    inputs: Sequence[SymbolicTensor]
    outputs: Sequence[SymbolicTensor]


def copy_between(
    nodes: Sequence[Node],
    known: dict[SymbolicTensor, SymbolicTensor],
    training: bool | None = None,
    *,
    open_bodies: bool = True,
    applied: list[Application] | None = None,
) -> list[Node]:
    """Copies of the nodes that read what `known` maps their inputs to; it learns where their outputs went.

    Args:
        nodes: The nodes, each after the ones that it reads.
        known: From the tensors that the nodes read to those that the copies read.
        training: What all copies have for `training`; None takes it from each node.
        open_bodies: Put copies of its nodes in the place of a node with a graph of its own.
        applied: Takes in where the copies are that came in the place of a node.
    """
    copies: list[Node] = []
    for node in nodes:
        if not node.inputs:
            continue
        read = [known[tensor] for tensor in node.inputs]
        mode = node.training if training is None else training
        if node.body is None or not open_bodies:
            shapes = node.infer([tensor.shape for tensor in read])
            copy = Node(node.layer, read, shapes, mode, node.body, node.options)
            copies.append(copy)
            results: Sequence[SymbolicTensor] = copy.outputs
        else:
            inner = dict(zip(node.body.inputs, read, strict=True))
            copies += copy_between(node.body.nodes, inner, mode, applied=applied)
            results = [inner[tensor] for tensor in node.body.outputs]
            if applied is not None:
                applied.append(Application(node, read, results))
        known.update(zip(node.outputs, results, strict=True))
    return copies


def _opened(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> tuple[list[Node], list[SymbolicTensor], list[Application]]:
    """The nodes between tensors, those with graphs of their own opened; where they end; what was opened."""
    nodes = [node for node in nodes_between(inputs, outputs) if node.inputs]
    applied: list[Application] = []
    if not any(node.body is not None for node in nodes):
        return nodes, list(outputs), applied
    known = {tensor: tensor for tensor in inputs}
    nodes = copy_between(nodes, known, applied=applied)
    return nodes, [known[tensor] for tensor in outputs], applied


def find_time_major(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> list[bool]:
    """Which inputs of a graph have time before samples, because time-major layers read them.

    Raises:
        ValueError: Layers of both orders follow one another, or one that wants samples first follows a time-major one.
    """
    if not any(tensor.node.sees_time_major for tensor in outputs):
        return [False] * len(inputs)
    nodes, _, _ = _opened(inputs, outputs)
    orders = Orders(nodes)
    return [orders.is_time_major(tensor) for tensor in inputs]


def assemble(
    inputs: Sequence[SymbolicTensor],
    outputs: Sequence[SymbolicTensor],
    masked: Sequence[bool] | None = None,
    entrances: Sequence[Entrance] | None = None,
) -> Assembly:
    """Writes the graph between `inputs` and `outputs`.

    Args:
        inputs: The tensors of input layers.
        outputs: Tensors that depend on nothing else.
        masked: For which inputs of the native program a mask will be passed.
        entrances: What these inputs take; None takes it from the layers that read them.

    Raises:
        TypeError: A class of the user's says something else of a mask than what becomes of it.
    """
    from foliot.layers import overrides  # which come after this module

    nodes, ends, applied = _opened(inputs, outputs)
    for layer in dict.fromkeys(_met(nodes_between(inputs, outputs))):
        layer.check_options()
    # A part of a model takes the arrays of the whole.
    orders = Orders(nodes, {inputs[entrance.position]: entrance.time_major for entrance in entrances or ()})
    begins = _begins(inputs, nodes)
    if entrances is None:
        entrances = [
            Entrance(*key, _input_dtype(tensors, nodes), orders.is_time_major(inputs[key[0]]))
            for key, tensors in begins.items()
        ]
    masked = masked or [False] * len(entrances)
    flags = {
        begin: SymbolicMask("given", begin)
        for entrance, with_mask in zip(entrances, masked, strict=True)
        if with_mask
        for begin in begins.get((entrance.position, entrance.layer), ())
    }
    applied += [Application(node, node.inputs, node.outputs) for node in nodes]
    overrides.check_masks(applied, masks_between(nodes, flags))
    nodes = [node for node in nodes if not node.layer.takes_text]
    fixed = any(node.layer.needs_fixed_shape for node in nodes)
    entries: list[dict[str, Any]] = []
    places: dict[SymbolicTensor, list[int]] = {}
    weights: dict[Weight, int] = {}
    states: dict[_core.Parameter, int] = {}
    names: dict[str, int] = {}
    labels: dict[str, str] = {}

    def add(
        name: str,
        layer: dict[str, Any],
        reads: list[list[int]],
        parameters: list[int],
        carried: Sequence[int] = (),
        label: str | None = None,
    ) -> int:
        count = names[name] = names.get(name, 0) + 1
        unique = name if count == 1 else f"{name}:{count}"
        labels[unique] = label or name
        entries.append(
            {"name": unique, "layer": layer, "inputs": reads, "parameters": parameters, "states": list(carried)}
        )
        return len(entries) - 1

    dtypes: dict[SymbolicTensor, DType] = {}
    for entrance, with_mask in zip(entrances, masked, strict=True):
        tensor, dtype = inputs[entrance.position], entrance.dtype
        (whole,) = [tensor.shape] if entrance.layer is None else entrance.layer.infer([tensor.shape])
        whole = exchanged(whole, entrance.time_major)
        spec = {"kind": "input", "dtype": dtype, "shape": _input_shape(whole[1:], dtype, fixed), "masked": with_mask}
        index = add(tensor.name if entrance.layer is None else entrance.layer.name, spec, [], [])
        for begin in begins.get((entrance.position, entrance.layer), ()):
            places[begin], dtypes[begin] = [index, 0], dtype
    uses: dict[Layer, int] = {}
    for node in nodes:
        layer = node.layer
        if layer.does_nothing():
            places[node.outputs[0]] = places[node.inputs[0]]
            continue
        use = uses[layer] = uses.get(layer, -1) + 1
        describe = layer.to_spec if node.training is None else layer.to_inference_spec
        described = describe(**node.options)
        if use and "seed" in described:
            described["seed"] = (described["seed"] + use * _SEED_STEP) % 2**64
        parameters = [weights.setdefault(weight, len(weights)) for weight in layer.weight_entries()]
        carried = [states.setdefault(state, len(states)) for state in layer.carried_states()]
        reads = [places[tensor] for tensor in node.inputs]
        index = add(layer.native_name, described, reads, parameters, carried, layer.label)
        for tensor in node.outputs:
            places[tensor] = [index, tensor.index]
            if layer.activity_regularizer is not None:
                penalty = {"kind": "activity_regularization", **layer.activity_regularizer.to_spec()}
                name = f"{layer.native_name}_activity"
                places[tensor] = [add(name, penalty, [places[tensor]], [], label=layer.label), 0]

    returned: list[list[int]] = []
    for tensor in ends:
        if tensor.holds_text:
            raise ValueError(f"the input {tensor.name!r} holds texts, which cannot be an output of the model")
        place = places[tensor]
        if dtypes.get(tensor) == "int32":
            raise ValueError(f"the input {tensor.name!r} holds token ids, which cannot be an output of the model")
        if place in returned:
            # Each loss writes the gradient of an output of its own.
            linear = {"kind": "activation", "activation": {"kind": "linear"}}
            place = [add(f"{tensor.name}_again", linear, [place], []), 0]
        returned.append(place)
    graph = {"nodes": entries, "outputs": returned, "parameters": [weight.to_spec() for weight in weights]}
    starts = [begins.get((entrance.position, entrance.layer), []) for entrance in entrances]
    time_major = [orders.is_time_major(tensor) for tensor in ends]
    return Assembly(
        json.dumps(graph), list(weights), labels, list(entrances), time_major, list(states), starts, nodes, ends
    )


def _begins(
    inputs: Sequence[SymbolicTensor], nodes: Sequence[Node]
) -> dict[tuple[int, TextLayer | None], list[SymbolicTensor]]:
    """The tensors with which the native graph begins, by the input and the text layer that they come from."""
    found: dict[tuple[int, TextLayer | None], list[SymbolicTensor]] = {}
    for position, tensor in enumerate(inputs):
        if not tensor.holds_text:
            found[position, None] = [tensor]
            continue
        for node in nodes:
            if tensor in node.inputs:
                found.setdefault((position, cast("TextLayer", node.layer)), []).append(node.outputs[0])
    return found


def _input_dtype(tensors: Sequence[SymbolicTensor], nodes: Sequence[Node]) -> DType:
    wanted = {node.layer.input_dtype for node in nodes if any(tensor in node.inputs for tensor in tensors)}
    if len(wanted) > 1:
        raise ValueError(
            f"the input {tensors[0].node.layer.name!r} feeds both an Embedding, which wants token ids, and a "
            "layer that wants numbers: give each an Input of its own"
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
