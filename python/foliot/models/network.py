"""A layer that is a graph of layers: its form, its native programs, and the arrays that go through it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from foliot import _arrays, _copies, _core, _nest
from foliot._arrays import Array
from foliot._checks import value_error
from foliot._graph import Assembly, Graph, Node, Shape, SymbolicTensor, assemble
from foliot.layers.base import BUILDING, Layer, drops, has_symbolic
from foliot.layers.recurrent import Recurrent
from foliot.layers.tracing import split_shapes
from foliot.models import data as datasets


class Compiled:
    """A part of a model's graph as a native program, with what the program was last told to train on."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.program: _core.Program = assembly.program()
        self.training: str | None = None

    def set_training(self, training: str) -> None:
        """Sets losses and metrics, unless they are the ones that the program has."""
        if self.training != training:
            self.program.compile(training)
            self.training = training


class Network(Layer):
    """What a model is before it is trained: inputs and outputs, from which all else follows.

    Sequential, functional and subclassed models differ in how these come about.
    """

    inputs: list[SymbolicTensor]
    outputs: list[SymbolicTensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._clear_graph()

    # The graph

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        """Takes the nests in which the model takes inputs and gives outputs."""
        self._input_form, self._output_form = inputs, outputs
        self.inputs, self.outputs = _nest.flatten(inputs), _nest.flatten(outputs)
        self._forget_graph()

    def _clear_graph(self) -> None:
        """Leaves the model without a graph."""
        self._input_form, self._output_form = None, None
        self.inputs, self.outputs = [], []
        self._forget_graph()

    def _forget_graph(self) -> None:
        """Drops what follows from inputs and outputs; called when they change."""
        self._graph: Graph | None = None
        # By the positions of the outputs, for an output without a loss takes no part in training.
        self._compiled_parts: dict[tuple[int, ...], Compiled] = {}
        self._trainable_when_compiled: list[bool] = []

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("inputs", "outputs", "_graph", "_compiled_parts", "_trainable_when_compiled"):
            del state[name]
        forms = [state.pop(name) for name in ("_input_form", "_output_form")]
        if not self.inputs:
            return state | {"graph": None}
        hollow = [_nest.pack(form, range(len(_nest.flatten(form)))) for form in forms]
        return state | {"graph": (*hollow, _copies.flatten(self.inputs, self.outputs))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        graph = state.pop("graph")
        self.__dict__.update(state)
        if graph is None:
            self._clear_graph()
            return
        input_form, output_form, flat = graph
        inputs, outputs = _copies.restore(flat)
        self._set_graph(_nest.pack(input_form, inputs), _nest.pack(output_form, outputs))

    @property
    def graph(self) -> Graph:
        """The nodes from the inputs to the outputs."""
        if self._graph is None:
            self._graph = Graph(self.inputs, self.outputs)
        return self._graph

    def stateful_layers(self) -> list[Recurrent]:
        """The layers that carry states from batch to batch, those inside other layers included."""
        layers = self.graph.weighted if self.inputs else []
        return [layer for layer in layers if isinstance(layer, Recurrent) and layer.stateful]

    def _part(self, outputs: Sequence[int] | None = None) -> Compiled:
        """The native program for the outputs at the given positions, all by default.

        It is a new one if a layer's `trainable` has changed.
        """
        with BUILDING:
            trainable = [layer.trainable for layer in self.graph.weighted]
            if trainable != self._trainable_when_compiled:
                self._compiled_parts.clear()
                self._trainable_when_compiled = trainable
            positions = tuple(range(len(self.outputs)) if outputs is None else outputs)
            if positions not in self._compiled_parts:
                # The same arrays go into every part, so what the inputs hold is said by the whole.
                dtypes = None if len(positions) == len(self.outputs) else self._part().assembly.input_dtypes
                chosen = [self.outputs[position] for position in positions]
                self._compiled_parts[positions] = Compiled(assemble(self.inputs, chosen, dtypes=dtypes))
            return self._compiled_parts[positions]

    def _form_for(self, x: Any) -> Any:
        """The nest in which a model without inputs yet takes the given arrays: a single one."""
        return None

    def _build_for(self, form: Any, shapes: Sequence[Shape], keeps_batch: bool = False) -> None:
        """Builds a model whose inputs were not declared, for arrays of the given shapes in a nest of the given form.

        Their batch axis counts with `keeps_batch` only.
        """
        raise NotImplementedError

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs: their keys if the model takes a dict, else those of the input layers."""
        return _names(self._input_form, self.inputs) or ["input"]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: their keys if the model returns a dict, else those of the layers that give them."""
        return _names(self._output_form, self.outputs) or ["output"]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The outputs' shapes, in the form that the model gives, for inputs of the given shapes."""
        form, shapes = split_shapes("input_shape", input_shape)
        if not self.inputs:
            self._build_for(form, shapes)
        found = self.graph.infer(shapes)
        return found[0] if len(found) == 1 and not isinstance(self._output_form, dict) else self._pack(found)

    # Symbolic tensors

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        """Inside another model this one is a single node, with its graph as it is now."""
        if self.is_traced():
            return super().connect(inputs, training)
        if not self.inputs:
            self._build_for(None, [tensor.shape for tensor in inputs])
        if len(inputs) != len(self.inputs):
            raise ValueError(f"`inputs`: expected {len(self.inputs)} tensors for {self.label}; received {len(inputs)}")
        shapes = self.graph.infer([tensor.shape for tensor in inputs])
        return self.record(Node(self, inputs, shapes, training, self.graph))

    def __call__(
        self, inputs: Any, /, *args: Any, mask: Any = None, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Applies the model: to arrays at once, to symbolic tensors as a step of another model.

        Args:
            inputs: Arrays or symbolic tensors, in the form that the model takes.
            *args: Further arguments of a `call` of your own.
            mask: Must be None: masks come from `Embedding(mask_zero=True)`.
            training: True to apply dropout. In a model None follows that model and False turns dropout off.
            **kwargs: See `*args`.

        Returns:
            The outputs in the form that the model gives.
        """
        self.check_begun()
        if args or kwargs or (self.is_traced() and has_symbolic(inputs)):
            return super().__call__(inputs, *args, mask=mask, training=training, **kwargs)
        if mask is not None:
            raise value_error("mask", "None for a model, whose masks come from Embedding(mask_zero=True)", mask)
        if not has_symbolic(inputs):
            return self._pack(self._run(inputs, training=drops(training)))
        form = self._input_form if self.inputs else self._form_for(inputs)
        given = datasets.split("inputs", inputs, form, self.input_names, lambda _: True)
        if form is None or not _nest.is_nest(_nest.simplify(form)):
            given = [("inputs", _nest.simplify(given[0][1]))]
        for name, tensor in given:
            if not isinstance(tensor, SymbolicTensor):
                raise TypeError(f"`{name}`: expected a symbolic tensor, as the other inputs are; received {tensor!r}")
        return self._pack(self.connect([tensor for _, tensor in given], self.mode_in_model(training)))

    def _pack(self, results: Sequence[Any]) -> Any:
        """Outputs in the form that the model gives; the only item of a list stands for itself."""
        return _nest.simplify(_nest.pack(self._output_form, results))

    # Arrays

    def _run(self, inputs: Any, mask: Any = None, training: bool = False) -> list[Array]:
        named, _ = self._input_arrays("inputs", inputs)
        arrays = [array for _, array in named]
        self._eager_step += training
        return self._part().program.forward(arrays, [None] * len(arrays), None, training, self._eager_step)

    def _input_arrays(self, argument: str, x: Any) -> tuple[list[tuple[str, Array]], list[Shape]]:
        """The converted inputs with their names for messages, and the shapes of the outputs."""
        self.check_begun()
        form = self._input_form if self.inputs else self._form_for(x)
        names = self.input_names if self.inputs else _names(form, _nest.flatten(form)) or ["input"]
        rank = len(self.inputs[0].shape) if self.inputs else 2
        given = datasets.split(argument, x, form, names, lambda item: np.ndim(item) >= rank)
        named = [(name, _arrays.numeric(name, value)) for name, value in given]
        datasets.check_same_length(named)
        if not self.inputs:
            self._build_for(form, [array.shape for _, array in named])
        dtypes = self._part().assembly.input_dtypes
        named = [
            (name, datasets.adjust_rank(array, tensor.shape))
            for (name, array), tensor in zip(named, self.inputs, strict=True)
        ]
        if len(named) > 1:
            # A layer's own complaint would not say which of the inputs it is about.
            for (name, array), tensor, dtype in zip(named, self.inputs, dtypes, strict=True):
                datasets.check_input_shape(name, array.shape, tensor, dtype)
        shapes: list[Shape] = [array.shape for _, array in named]
        outputs = self.graph.infer(shapes)
        converted = [
            (name, _arrays.convert(name, array, dtype)) for (name, array), dtype in zip(named, dtypes, strict=True)
        ]
        return converted, outputs


def _names(form: Any, tensors: Sequence[Any]) -> list[str]:
    if isinstance(form, dict) and len(form) == len(tensors):
        return sorted(form)
    return [
        tensor.name if isinstance(tensor, SymbolicTensor) else f"input_{position}"
        for position, tensor in enumerate(tensors)
        if tensor is not None or len(tensors) > 1
    ]
