"""A layer that is a graph of layers: its form, its native programs, and the arrays that go through it."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from foliot import _arrays, _copies, _core, _devices, _nest
from foliot._arrays import Array
from foliot._checks import value_error
from foliot._graph import Assembly, Graph, Node, Shape, SymbolicTensor, assemble, find_time_major, refresh_shapes
from foliot._orders import exchanged, turned
from foliot.layers.base import BUILDING, Layer, drops, has_symbolic
from foliot.layers.input import InputLayer
from foliot.layers.preprocessing.strings import holds_texts, to_texts
from foliot.layers.preprocessing.text_layer import TextLayer
from foliot.layers.rnn import RNN
from foliot.layers.tracing import split_shapes
from foliot.models import data as datasets
from foliot.models import sequences, texts
from foliot.models.batches import Parts
from foliot.models.compiling import OwnMetric, Resolved
from foliot.models.data import Data

# Arrays of these types hold numbers, whatever their shape.
_PLAIN_DTYPES = frozenset(map(np.dtype, (np.float32, np.float64, np.int32, np.int64)))
# Lengths of sequences, of which many may come in turn, whose shapes are remembered.
_ACCEPTED_SHAPES = 256


class Compiled:
    """A part of a model's graph as a native program, with what the program was last told to train on."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.choice = _devices.CPU
        self._program: _core.Program | None = None
        self.training: str | None = None
        self._own: list[OwnMetric] = []

    @property
    def program(self) -> _core.Program:
        """The native program, made at its first use: some parts are only asked what their inputs hold."""
        if self._program is None:
            with BUILDING:
                self._program = self._program or self._make()
        return self._program

    def _make(self) -> _core.Program:
        """A program where models run now."""
        sizes = [math.prod(weight.parameter.shape) for weight in self.assembly.weights]
        weights = _devices.weights_of_steps(self.assembly.graph, sizes)
        self.choice = _devices.choose(self.assembly.graph, weights, self.assembly.labels)
        return self.assembly.program(self.choice.index)

    def set_training(self, resolved: Resolved) -> None:
        """Sets losses and metrics, unless they are the ones that the program has."""
        if self.training != resolved.training:
            self.program.compile(resolved.training)
            self.training = resolved.training
        if [_asked(own) for own in self._own] != [_asked(own) for own in resolved.own]:
            self._own = [OwnMetric(own.metric.fresh(), own.output, own.weighted) for own in resolved.own]
            self.program.watch(bool(self._own))

    def reset_metrics(self) -> None:
        """Lets the means of losses and metrics begin anew."""
        if self._program is not None:
            self._program.reset_metrics()
        for own in self._own:
            own.metric.reset_state()

    def gathered(self) -> list[list[float]]:
        """What losses and metrics have gathered since `reset_metrics`."""
        return self.program.gathered() + self.gathered_in_python()

    def set_gathered(self, gathered: list[list[float]]) -> None:
        """Goes on from what `gathered` gave."""
        own = len(gathered) - len(self._own)
        self.program.set_gathered(gathered[:own])
        self.set_gathered_in_python(gathered[own:])

    def gathered_in_python(self) -> list[list[float]]:
        """What of that the user's metrics have gathered."""
        return [own.metric.gathered() for own in self._own]

    def set_gathered_in_python(self, gathered: list[list[float]]) -> None:
        """Goes on from what `gathered_in_python` gave."""
        for own, state in zip(self._own, gathered, strict=True):
            own.metric.set_gathered(state)

    def train(
        self, optimizer: _core.Optimizer, data: Data, rows: Array | None, tbptt: int | None = None
    ) -> list[float]:
        """One training step, or one for each piece of `tbptt` time steps. Returns the means since `reset_metrics`."""
        if tbptt is not None and self._own:
            name = self._own[0].metric.name
            raise ValueError(
                f"`tbptt`: expected None beside a metric that is a function of yours, which takes outputs of whole "
                f"sequences; received {tbptt} beside {name!r}"
            )
        self._check_optimizer(optimizer)
        values = self.program.train_batch(
            optimizer, data.inputs, data.targets, data.sample_weights, rows, data.masks or None, tbptt
        )
        return values + self._measure(data, rows) if self._own else values

    def _check_optimizer(self, optimizer: _core.Optimizer) -> None:
        """Moves to the CPU where the device, which nobody demanded, does not have the optimizer."""
        device = self.choice.device
        refused = None if device is None or self.choice.demanded else optimizer.refused_by_gpus()
        if device is None or refused is None:
            return
        _devices.warn(device, f"the optimizer: {refused}")
        self.choice = _devices.CPU
        self._program = self.assembly.program()
        if self.training is not None:
            self._program.compile(self.training)
            self._program.watch(bool(self._own))

    def test(self, data: Data, rows: Array | None) -> list[float]:
        """Losses and metrics of a batch, as `train`."""
        values = self.program.test_batch(data.inputs, data.targets, data.sample_weights, rows, data.masks or None)
        return values + self._measure(data, rows) if self._own else values

    def _measure(self, data: Data, rows: Array | None) -> list[float]:
        """The user's metrics, of the outputs that the step has left."""
        outputs = self.program.take_outputs()
        for own in self._own:
            predicted, flags = outputs[own.output]
            weights = data.sample_weights[own.output] if own.weighted else None
            mask = None if flags is None else np.frombuffer(flags, np.uint8).reshape(len(predicted), -1) != 0
            targets = data.given_targets[own.output]
            if rows is not None:
                targets, weights = targets[rows], None if weights is None else weights[rows]
            own.metric.add(datasets.as_given(targets), predicted, mask, weights)
        return [own.metric.result() for own in self._own]


def _asked(own: OwnMetric) -> tuple[Any, ...]:
    return own.metric.source, own.metric.name, own.output, own.weighted


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
        find_time_major(_nest.flatten(inputs), _nest.flatten(outputs))  # refuses what does not go together
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
        # What is asked of them with masks is a part of its own.
        self._compiled_parts: dict[tuple[tuple[int, ...], tuple[bool, ...]], Compiled] = {}
        # Whether each layer was trainable, and what was said about the device.
        self._when_compiled: tuple[list[bool], str] = [], ""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("inputs", "outputs", "_graph", "_compiled_parts", "_when_compiled"):
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

    def stateful_layers(self) -> list[RNN]:
        """The layers that carry states from batch to batch, those inside other layers included."""
        layers = self.graph.opened if self.inputs else []
        return [layer for layer in layers if isinstance(layer, RNN) and layer.stateful]

    def _part(self, outputs: Sequence[int] | None = None, masked: Sequence[bool] = ()) -> Compiled:
        """The native program for the outputs at the given positions, all by default.

        It is a new one if a layer's `trainable` has changed, or where models run.

        Args:
            outputs: The positions.
            masked: For which inputs a mask will be passed; none by default.
        """
        with BUILDING:
            now = [layer.trainable for layer in self.graph.weighted], _devices.get_device()
            if now != self._when_compiled:
                self._compiled_parts.clear()
                self._when_compiled = now
            key = self._part_key(outputs, masked)
            if key not in self._compiled_parts:
                # The same arrays go into every part, so what the inputs hold is said by the whole.
                positions, masks = key
                is_whole = len(positions) == len(self.outputs) and not masks
                entrances = None if is_whole else self._part().assembly.entrances
                chosen = [self.outputs[position] for position in positions]
                assembly = assemble(self.inputs, chosen, masks or None, entrances)
                if is_whole:
                    refresh_shapes(self.graph.nodes)
                self._compiled_parts[key] = Compiled(assembly)
            return self._compiled_parts[key]

    def _part_key(
        self, outputs: Sequence[int] | None, masked: Sequence[bool]
    ) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        positions = tuple(range(len(self.outputs)) if outputs is None else outputs)
        return positions, tuple(masked) if any(masked) else ()

    def _form_for(self, x: Any) -> Any:
        """The nest in which a model without inputs yet takes the given arrays: a single one."""
        return None

    @property
    def takes_text(self) -> bool:
        return any(tensor.holds_text for tensor in self.inputs)

    @property
    def time_major_outputs(self) -> list[bool]:
        """Which outputs have time before samples."""
        if not any(tensor.node.sees_time_major for tensor in self.outputs):
            return [False] * len(self.outputs)
        return self._part().assembly.time_major

    def _free_batch(self, shapes: Sequence[Shape]) -> None:
        """Lets the batch axis of inputs that arrays of the given shapes have decided be any, where time comes first."""
        time_major = find_time_major(self.inputs, self.outputs)
        if not any(time_major):
            return
        for tensor, shape, is_major in zip(self.inputs, shapes, time_major, strict=True):
            if is_major:
                cast(InputLayer, tensor.node.layer).set_shape((shape[0], None, *shape[2:]))
        refresh_shapes(self.graph.nodes)
        for layer in self.stateful_layers():
            self.unbuild()
            layer.static_batch((None, None, None))  # which says what it expects

    def _build_for(
        self, form: Any, shapes: Sequence[Shape], keeps_batch: bool = False, hold_texts: Sequence[bool] = ()
    ) -> None:
        """Builds a model whose inputs were not declared, for arrays of the given shapes in a nest of the given form.

        Their batch axis counts with `keeps_batch` only. `hold_texts` says which of them hold texts where that is known.
        """
        raise NotImplementedError

    def text_reader(self, position: int) -> str:
        """What messages call that which reads the texts of the input at a position."""
        return self.inputs[position].node.layer.label

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
            held = [tensor.holds_text for tensor in inputs]
            self._build_for(None, [tensor.shape for tensor in inputs], hold_texts=held)
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
            return self._pack_arrays(self._run(inputs, training=drops(training)))
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

    def _pack_arrays(self, results: Sequence[Array]) -> Any:
        """What the program gave, with the axes and in the form that the model gives."""
        return self._pack([turned(*item) for item in zip(results, self.time_major_outputs, strict=True)])

    # Arrays

    def _run(self, inputs: Any, mask: Any = None, training: bool = False) -> list[Array]:
        data, _ = self._input_data("inputs", inputs)
        self._eager_step += training
        return self._forward(data, None, training, self._eager_step)

    def _forward(self, data: Data, rows: Array | None, training: bool = False, step: int = 0) -> list[Array]:
        """The outputs for rows of the inputs, all if None."""
        masks = data.masks or [None] * len(data.inputs)
        return self._part(None, data.masked).program.forward(data.inputs, masks, rows, training, step)

    def entrance_shapes(self, shapes: Sequence[Shape], time: int | None) -> list[Shape]:
        """The shapes of the native program's inputs, samples first, for inputs of the given shapes.

        Args:
            shapes: The inputs' shapes.
            time: The length of rows that are as long as their texts.
        """
        found: list[Shape] = []
        for entrance in self._part().assembly.entrances:
            shape = shapes[entrance.position]
            if entrance.layer is not None:
                (shape,) = entrance.layer.infer([shape])
            shape = exchanged(shape, entrance.time_major)
            found.append(tuple(time if size is None else size for size in shape))
        return found

    def batch_memory(self, shapes: Sequence[Sequence[int]], training: bool) -> int:
        """The bytes that a batch takes, without weights and the optimizer's state.

        Args:
            shapes: The shapes of the native program's inputs, batch axis first: `entrance_shapes`.
            training: For a step of training, which keeps more; else for a prediction.
        """
        return self._part().program.memory([list(shape) for shape in shapes], training)

    def _input_data(
        self, argument: str, x: Any, lengths: Any = None, always_masked: bool = False
    ) -> tuple[Data, list[Shape]]:
        """The converted inputs with their masks, without targets, and the shapes of the outputs."""
        found = self._input_arrays(argument, x, lengths, always_masked)
        arrays = [array for _, array in found.named]
        return Data(arrays, [], [], masks=found.masks, ends=found.ends), found.outputs

    def _prepare_texts(self, name: str, parts: Parts) -> Parts:
        """A source's batch whose texts are made into numbers already, which may be done in a thread.

        Args:
            name: What messages call the batch.
            parts: The batch.
        """
        if not self.takes_text:
            return parts
        form, entrances = _nest.simplify(self._input_form), self._part().assembly.entrances
        given = datasets.split(f"inputs of {name}", parts[0], form, self.input_names, lambda _: True)
        values = []
        for position, (argument, value) in enumerate(given):
            tensor = self.inputs[position]
            if tensor.holds_text:
                read = datasets.adjust_rank(texts.read(argument, value, self.text_reader(position)), tensor.shape)
                layers = [item.layer for item in entrances if item.position == position and item.layer is not None]
                value = texts.Texts(read, {layer: _numbers(argument, read, layer) for layer in layers})
            values.append(value)
        return (_nest.pack(form, values), *parts[1:])

    def _input_arrays(
        self, argument: str, x: Any, lengths: Any = None, always_masked: bool = False, called: str = "lengths"
    ) -> "Inputs":
        """The converted inputs of the native program.

        Args:
            argument: What messages call the inputs.
            x: What the user passed: arrays, or lists with rows of different lengths.
            lengths: Where the rows of arrays end.
            always_masked: Whether lists of rows have masks even if the rows are equally long.
            called: What messages call the lengths.
        """
        self.check_begun()
        if lengths is None and not always_masked and (quick := self._known_input(argument, x)) is not None:
            return quick
        form = self._input_form if self.inputs else self._form_for(x)
        names = self.input_names if self.inputs else _names(form, _nest.flatten(form)) or ["input"]
        rank = len(self.inputs[0].shape) if self.inputs else 2
        given = datasets.split(argument, x, form, names, lambda item: np.ndim(item) >= rank)
        named: list[tuple[str, Array]] = []
        ends: list[Array | None] = []
        built = bool(self.inputs)
        if built:
            hold = [tensor.holds_text for tensor in self.inputs]
        else:
            hold = [self.takes_text or holds_texts(value) for _, value in given]
        for position, (name, value) in enumerate(given):
            end: Array | None = None
            if hold[position]:
                known = built or self.takes_text
                array = texts.read(name, value, self.text_reader(position)) if known else to_texts(name, value)
            else:
                if built:
                    texts.refuse(name, value, self.inputs[position])
                rows = sequences.ragged_rows(value, always_masked)
                array, end = (_arrays.numeric(name, value), None) if rows is None else sequences.pad(name, rows)
            named.append((name, array))
            ends.append(end)
        if built:
            datasets.check_same_length(named, self._time_major_inputs())
        else:
            datasets.check_axes(named)
            try:
                self._build_for(form, [array.shape for _, array in named], hold_texts=hold)
            except ValueError as error:
                if all(end is None for end in ends):
                    raise
                raise ValueError(
                    f"`{argument}`: expected rows of one length, or rows that the model takes; received a ragged list "
                    f"({error})"
                ) from error
            for position, ((name, value), tensor, held) in enumerate(zip(given, self.inputs, hold, strict=True)):
                if tensor.holds_text and not held:
                    texts.read(name, value, self.text_reader(position))  # which says what it expects
                elif held and not tensor.holds_text:
                    texts.refuse(name, value, tensor)
            datasets.check_same_length(named, self._time_major_inputs())
        assembly = self._part().assembly
        # A text is one thing, without an axis of features.
        dtypes: list[_arrays.DType] = ["int32"] * len(named)
        for entrance in assembly.entrances:
            if entrance.layer is None:
                dtypes[entrance.position] = entrance.dtype
        named = [
            (name, datasets.adjust_rank(array, tensor.shape))
            for (name, array), tensor in zip(named, self.inputs, strict=True)
        ]
        time_major = self._time_major_inputs()
        for (name, array), tensor, dtype, is_major in zip(named, self.inputs, dtypes, time_major, strict=True):
            # A layer's own complaint would not say which of the inputs it is about.
            if len(named) > 1 or is_major:
                datasets.check_input_shape(name, array.shape, tensor, dtype)
        for position, ((name, _), is_major) in enumerate(zip(named, time_major, strict=True)):
            if is_major:
                sequences.check_equal_lengths(name, ends[position])
                ends[position] = None
        named = [(name, turned(array, is_major)) for (name, array), is_major in zip(named, time_major, strict=True)]
        for (name, array), end, tensor in zip(named, ends, self.inputs, strict=True):
            if end is not None and array.ndim != len(tensor.shape):
                raise ValueError(
                    f"`{name}`: expected rows of one length, or rows of shape {tensor.shape[1:]} that differ in their "
                    f"first axis; received rows with {array.ndim - 1} axes"
                )
        masks: list[Array | None] = []
        if lengths is not None or any(end is not None for end in ends):
            timed = [
                array.ndim >= (2 if dtype == "int32" else 3) and not tensor.holds_text
                for (_, array), dtype, tensor in zip(named, dtypes, self.inputs, strict=True)
            ]
            simple = _nest.simplify(self._input_form)
            ends = sequences.find_ends(named, ends, timed, lengths, simple, self.input_names, called)
            padding = _padding(assembly, len(named))
            named, masks = sequences.mask_padding(named, ends, padding, always_masked)
        return self._entering(assembly, [value for _, value in given], named, masks)

    def _time_major_inputs(self) -> list[bool]:
        """Which inputs have time before samples."""
        found = [False] * len(self.inputs)
        for entrance in self._part().assembly.entrances:
            found[entrance.position] = entrance.time_major
        return found

    def _known_input(self, argument: str, x: Any) -> "Inputs | None":
        """What `_input_arrays` gives for an array that needs no more than a look at its values; None for others."""
        if not self.inputs or not _is_plain(x):
            return None
        assembly = self._part().assembly
        outputs = assembly.accepted.get(x.shape)
        if outputs is None:
            return None
        entrance = assembly.entrances[0]
        array = turned(x, entrance.time_major)
        return Inputs([(argument, _arrays.convert(argument, array, entrance.dtype))], [], [], outputs)

    def _entering(
        self,
        assembly: Assembly,
        given: Sequence[Any],
        named: Sequence[tuple[str, Array]],
        masks: Sequence[Array | None],
    ) -> "Inputs":
        """What goes into the native program: of texts the numbers that the layers which read them make.

        Args:
            assembly: The program, which says what it takes.
            given: What the user passed.
            named: The same as arrays, samples first.
            masks: Their masks, none at all where no input has one.
        """
        arrays: list[tuple[str, Array]] = []
        ends: list[Array | None] = []
        for entrance in assembly.entrances:
            name, array = named[entrance.position]
            value, end = given[entrance.position], None
            if entrance.layer is not None:
                made = value.numbers.get(entrance.layer) if isinstance(value, texts.Texts) else None
                array, end = made or _numbers(name, array, entrance.layer)
            arrays.append((name, array))
            ends.append(end)
        # Where outputs are as long as the texts, batches of one call have to be equally long.
        if all(end is None for end in ends) or any(None in tensor.shape[1:] for tensor in self.outputs):
            ends = []
        outputs = assembly.infer([array.shape for _, array in arrays])
        # An array for a list or dict of inputs is refused, whatever came before.
        is_one = len(given) == len(arrays) == 1 and not _nest.is_nest(_nest.simplify(self._input_form))
        whole = exchanged(arrays[0][1].shape, assembly.entrances[0].time_major) if is_one else None
        if is_one and _is_plain(given[0]) and whole == given[0].shape:
            if len(assembly.accepted) >= _ACCEPTED_SHAPES:
                assembly.accepted.clear()
            assembly.accepted[given[0].shape] = outputs
        converted = [
            (name, _arrays.convert(name, array, entrance.dtype))
            for (name, array), entrance in zip(arrays, assembly.entrances, strict=True)
        ]
        masked = [None if entrance.layer else masks[entrance.position] for entrance in assembly.entrances if masks]
        return Inputs(converted, masked, ends, outputs)


@dataclass(frozen=True)
class Inputs:
    """The inputs of the native program, and what follows from them."""

    #: The arrays, with their names for messages.
    named: list[tuple[str, Array]]
    #: See `Data`.
    masks: list[Array | None]
    ends: list[Array | None]
    #: The shapes of the program's outputs, samples first.
    outputs: list[Shape]


def _is_plain(x: object) -> bool:
    return type(x) is np.ndarray and x.dtype in _PLAIN_DTYPES


def _numbers(argument: str, values: Array, layer: TextLayer) -> tuple[Array, Array | None]:
    layer.infer([values.shape])
    return layer.numbers(argument, values)


def _padding(assembly: Assembly, inputs: int) -> list[float]:
    """What stands in each input's padding: what a `Masking` layer that reads it takes for padding, else 0."""
    values = [0.0] * inputs
    for node in json.loads(assembly.graph)["nodes"]:
        if node["layer"]["kind"] == "masking" and node["inputs"][0][0] < len(assembly.entrances):
            values[assembly.entrances[node["inputs"][0][0]].position] = node["layer"]["mask_value"]
    return values


def _names(form: Any, tensors: Sequence[Any]) -> list[str]:
    if isinstance(form, dict) and len(form) == len(tensors):
        return sorted(form)
    return [
        tensor.name if isinstance(tensor, SymbolicTensor) else f"input_{position}"
        for position, tensor in enumerate(tensors)
        if tensor is not None or len(tensors) > 1
    ]
