"""What every layer has: a name, shapes, a configuration, and a call."""

import copy
import copyreg
import itertools
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from foliot import _arrays, _copies, _core, _nest, activations, regularizers
from foliot._arrays import Array
from foliot._checks import check_flag, check_text, unknown_keys, value_error
from foliot._custom import definer, is_ours
from foliot._graph import Assembly, Node, Shape, SymbolicTensor, assemble, check_texts
from foliot._masks import SymbolicMask
from foliot._orders import Order, turned
from foliot._serialization import Configurable, serialize
from foliot.layers import options, overrides
from foliot.layers.arguments import INPUT_OPTIONS, check_dtype, input_option
from foliot.layers.weights import Weight, Weighted

# What every layer's configuration holds besides its own arguments.
_COMMON_ARGUMENTS = ("name", "trainable", "dtype", "activity_regularizer")

_name_counters: dict[str, "itertools.count[int]"] = {}


def base_name(class_name: str) -> str:
    """`LSTMCell` -> lstm_cell: what automatic names begin with."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def _auto_name(class_name: str) -> str:
    """`LSTM` -> lstm, then lstm_1, lstm_2, ...: Keras's numbering."""
    base = base_name(class_name)
    number = next(_name_counters.setdefault(base, itertools.count()))
    return base if number == 0 else f"{base}_{number}"


def clear_names() -> None:
    """Restarts the numbering of automatic names."""
    _name_counters.clear()


# By type, so that a weight that several objects share stays one: `pickle` and `copy` remember what they have met.
copyreg.pickle(_core.Parameter, _copies.reduce_parameter)


class Phase:
    """Whether a step trains: what `training` is while a `call` is traced, for the graph serves both."""

    def __bool__(self) -> bool:
        raise TypeError(
            "`training` cannot decide an `if` in `call`, which runs once for training and prediction together: pass it "
            "on to the layers, as in self.dropout(x, training=training)"
        )


#: The only one.
PHASE = Phase()

_recording: ContextVar[bool] = ContextVar("recording", default=True)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Inside, the nodes that are made are not kept by their layers: answers to arrays leave nothing behind."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def drops(training: bool | None) -> bool:
    """Whether a call on arrays applies dropout, from its `training` argument."""
    return training is not None and check_flag("training", training)


def has_symbolic(inputs: Any) -> bool:
    """Whether a tensor, or a nest of arrays and tensors, holds a symbolic tensor."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    if isinstance(inputs, (list, tuple)):
        return any(has_symbolic(item) for item in inputs)
    return isinstance(inputs, SymbolicTensor)


# Held while weights and graphs are made, so that the first use of a model from several threads makes them once.
BUILDING = threading.RLock()


class Layer(Weighted):
    """Base of all layers.

    Args:
        name: The layer's name. None numbers it after its class: `dense`, `dense_1`.
        trainable: Whether training changes the weights. After a change, call `compile` again.
        dtype: `'float32'` (or None), the type that foliot computes in.
        activity_regularizer: Penalty on the layer's output.
        **kwargs: Keras's older `input_shape`, `batch_input_shape`, `input_dim`, `input_length` and `weights`.

    A layer called on an array answers at once, outside any model, and returns a NumPy array.

    A subclass may be made of layers: its `__init__` keeps them as attributes and its `call` applies them. It has their
    weights, and its `call` runs with symbolic tensors, as that of a `Model` does.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import GRU, Dense, Layer
        >>> class Summary(Layer):
        ...     def __init__(self, units):
        ...         super().__init__()
        ...         self.read, self.write = GRU(units), Dense(units, activation="tanh")
        ...     def call(self, inputs):
        ...         return self.write(self.read(inputs))
        >>> Summary(4)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    #: The batch shape that `input_shape=` and the like declared.
    declared_shape: Shape | None

    #: What an array that is fed to the layer is converted to.
    input_dtype: ClassVar[_arrays.DType] = "float32"
    #: The axes that the layer expects, for messages, and their least and greatest number.
    axes: ClassVar[str] = "(batch, ...)"
    ranks: ClassVar[tuple[int, float]] = (1, math.inf)
    #: True if the layer's output depends on the length of axes that are free otherwise.
    needs_fixed_shape: ClassVar[bool] = False
    #: What errors call the arrays after the first one in a call.
    state_argument: ClassVar[str] = "initial_state"
    #: Whether the input's mask is also that of the (first) output.
    passes_mask: bool = False
    #: Whether its sequences are (time, batch, ...) and not (batch, time, ...): that of a recurrent layer may be so.
    time_major: bool = False
    #: Whether sequences may be (time, batch, ...) too, and come out as they came in.
    takes_any_order: bool = False

    @property
    def takes_text(self) -> bool:
        """Whether the input are texts, and not numbers."""
        return False

    @property
    def makes_text(self) -> bool:
        """Whether the output are texts, and not numbers."""
        return False

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | Mapping[str, Any] | None = None,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        overrides.check_layer_class(type(self))
        self.declared_shape = input_option(kwargs)
        weights = kwargs.pop("weights", None)
        self._initial_weights: list[Any] | None = [weights] if isinstance(weights, np.ndarray) else weights
        if kwargs:
            known = (*type(self).argument_names(), *INPUT_OPTIONS, "weights")
            raise ValueError(unknown_keys(f"{kind}()", kwargs, known))
        self.name = _auto_name(kind) if name is None else check_text("name", name)
        self.dtype = check_dtype(dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer, "activity_regularizer")
        if isinstance(self.activity_regularizer, regularizers.OrthogonalRegularizer):
            raise value_error("activity_regularizer", "L1, L2 or L1L2, for outputs are no matrix", activity_regularizer)
        self.built = False
        self._trainable = check_flag("trainable", trainable)
        self._entries: list[Weight] = []
        self._nodes: list[Node] = []
        self._in_own_build = False
        self._built_with: dict[str, Any] = {}
        # The program that answers arrays outside any model, under what it follows from.
        self._eager: tuple[Any, Assembly, _core.Program] | None = None
        self._eager_step = 0

    def __setattr__(self, name: str, value: Any) -> None:
        # The graph that `call` left goes on with the layers that it met. Most values hold none and cost little.
        if isinstance(value, (Layer, list, tuple, Mapping)) and self._is_fixed() and (layers := layers_in(value)):
            known = self.sublayers()
            new = [layer.label for layer in layers if layer not in known]
            if new:
                raise ValueError(
                    f"`{name}`: expected no new layers in {self.label}, which is built already; received {new[0]}. "
                    "Make all layers in __init__ or in build"
                )
        super().__setattr__(name, value)
        if "set_later" in vars(self) and name in options.names(type(self)):
            self.set_later.add(name)

    def _was_made(self) -> None:
        # Which options have been set since, and not been checked yet.
        self.set_later: set[str] = set()

    def _is_fixed(self) -> bool:
        """Whether a class with a `call` has its graph, so that its layers are those that it has."""
        return bool(vars(self).get("built")) and self.is_traced() and not self._in_own_build

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        """All but the native program, which the copy makes when it first needs one, and the graphs that it is in."""
        return self.__dict__ | {"_eager": None, "_nodes": []}

    def __copy__(self) -> Self:
        """A copy with weights of its own, as in Keras: two layers that share some share all, by being one layer."""
        return copy.deepcopy(self)

    @property
    def native_name(self) -> str:
        """What messages of the native program call the layer."""
        return self.name

    def sublayers(self) -> list["Layer"]:
        """The layers that this one is made of: those among the attributes of a class with a `call` of its own."""
        return layers_in(vars(self)) if self.is_traced() else []

    # Shapes

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for inputs of the given shape (batch axis first)."""
        if self.is_traced():
            from foliot.layers.tracing import build_traced

            if not self._in_own_build:
                build_traced(self, input_shape)
            return
        shape = tuple(input_shape)
        options.check_as_made(self)
        self.check_input(shape)
        with BUILDING:
            if self.built:
                return
            self._build(shape)
            self.built = True
            self._built_with = options.deciding_weights(self)
            if self._initial_weights is not None:
                self.set_weights(self._initial_weights)
                self._initial_weights = None

    def unbuild(self) -> None:
        """Drops the weights, so that the layer can be built for another shape."""
        self._entries.clear()
        self._built_with = {}
        self.built = False
        for layer in self.sublayers():
            layer.unbuild()

    def add_weight(self, *args: Any, **kwargs: Any) -> None:
        """Refused: a class of yours can be made of layers, but has no weights of its own."""
        raise TypeError(
            f"{self.label} cannot add a weight: what is computed with it would have to run inside a training step, "
            "where there are foliot's layers only. Make the class of layers, such as Dense(units, use_bias=False)"
        )

    def add_loss(self, *args: Any, **kwargs: Any) -> None:
        """Refused: what a class of yours computes as a loss would not be differentiated."""
        raise TypeError(
            f"{self.label} cannot add a loss, which would have to be computed inside a training step, where there are "
            "foliot's layers only: use activity_regularizer= of a layer or ActivityRegularization, or return the "
            "tensor as a further output of the model and give that a loss in compile"
        )

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Refused, as in Keras 3: metrics are given to `compile`."""
        raise TypeError(
            f"{self.label} cannot add a metric: pass metrics, or functions of (y_true, y_pred), to compile; what is to "
            "be measured inside the model may be a further output of it"
        )

    def _build(self, input_shape: Shape) -> None:
        """Creates the weights. The shape has been checked."""

    def check_input(self, shape: Shape) -> None:
        """Refuses an input shape that the layer, or its weights if it is built, cannot take."""
        least, greatest = self.ranks
        if least <= len(shape) <= greatest:
            return
        axes = self.axes.replace("batch, time", "time, batch") if self.time_major else self.axes
        advice = ""
        if len(shape) == least - 1:
            single = "x[:, None]" if self.time_major else "x[None]"
            advice = f": add an axis with x[..., None], or with {single} for a single sample"
        elif len(shape) > greatest == 3:
            advice = (
                f", which has {len(shape)} axes: make features of those behind the time axis with "
                f"TimeDistributed(Flatten()), or run the layer over each sequence of several with "
                f"TimeDistributed({type(self).__name__}(...))"
            )
        raise ValueError(f"{type(self).__name__} expects {axes}; received {shape}{advice}")

    def _check_features(self, shape: Shape, features: int) -> None:
        if shape[-1] != features:
            raise ValueError(f"{self.label} was built for {features} features in the last axis; received {shape}")

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        """The output's shape for an input of the given shape (a list of shapes if there are several outputs).

        Of a class of yours it is what its `call` returns for such an input, or a nest of such inputs; the layers that
        it is made of are built then.
        """
        if type(self)._output_shapes is Layer._output_shapes:  # noqa: SLF001 - one class
            if self.is_traced():
                from foliot.layers.tracing import traced_shapes

                return traced_shapes(self, input_shape)
            if next(cls for cls in type(self).__mro__ if is_ours(cls)) is Layer:
                raise self._without_call()
        shapes = self._output_shapes(tuple(input_shape))
        return shapes[0] if len(shapes) == 1 else shapes

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [input_shape]

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of all outputs for the shapes of all inputs, checked."""
        if len(shapes) != 1:
            raise ValueError(f"`inputs`: expected one tensor for {self.label}; received {len(shapes)}")
        self.check_input(shapes[0])
        return self._output_shapes(shapes[0])

    def orders(self, shapes: Sequence[Shape], outputs: int) -> tuple[list[Order], list[Order]]:
        """In which order the axes of each input and output are.

        Args:
            shapes: The inputs' shapes.
            outputs: The number of outputs.
        """
        # With fewer axes a tensor has others before the batch axis than behind it.
        order = None if self.takes_any_order and len({len(shape) for shape in shapes}) == 1 else False
        return [order] * len(shapes), [order] * outputs

    # Calls

    def to_spec(self) -> dict[str, Any]:
        """The layer as the native graph writes it, without its weights."""
        raise self._without_call()

    def _without_call(self) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} has no native form: define `call`, which applies the layers that it is made of"
        )

    def does_nothing(self) -> bool:
        """Whether the output is the input as it is, and the layer need not run."""
        return False

    def check_options(self) -> None:
        """Refuses options that were set as attributes to what the constructor would refuse, or to other weights.

        Called when the native graph is written, for then they count.
        """
        options.check_as_made(self)
        self.check_fits_weights(self.label)

    def check_fits_weights(self, label: str) -> None:
        """Refuses options that decide which weights there are to differ from those that the layer was built with."""
        options.check_unchanged(self, label, self._built_with)

    def to_inference_spec(self) -> dict[str, Any]:
        """`to_spec` of the layer with dropout off, for calls with `training=False` inside a model."""
        return self.to_spec()

    def is_traced(self) -> bool:
        """Whether the class defines `call`, which says of which layers it is made."""
        return hasattr(type(self), "call")

    def check_begun(self) -> None:
        """Refuses an object of a class whose `__init__` did not call that of its base."""
        if "_entries" not in vars(self):
            raise RuntimeError(self._not_begun())

    def _not_begun(self) -> str:
        return f"{type(self).__name__}.__init__ has to call super().__init__() before anything else"

    if not TYPE_CHECKING:  # which would find any name then

        def __getattr__(self, name: str) -> Any:
            # What misses in a layer that was begun is asked for again, for the message that it gave.
            if "_entries" in vars(self):
                return object.__getattribute__(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: {self._not_begun()}")

    def carried_states(self) -> Sequence[_core.Parameter]:
        """What the layer takes from one batch to the next: the states of a stateful recurrent layer."""
        return ()

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        """Applies the layer to symbolic tensors, building it if need be."""
        if self.is_traced():
            from foliot.layers.tracing import call_traced

            return tuple(_nest.flatten(call_traced(self, tuple(inputs), {}, training)))
        for tensor in inputs:
            # Before the layer complains of a shape.
            check_texts(self, tensor, self.takes_text)
        if not self.built:
            self.build(inputs[0].shape)
        return self.record(Node(self, inputs, self.infer([tensor.shape for tensor in inputs]), training))

    def record(self, node: Node) -> tuple[SymbolicTensor, ...]:
        """Keeps a node as one of this layer's own, and returns its outputs."""
        if _recording.get():
            self._nodes.append(node)
        return node.outputs

    @property
    def inbound_nodes(self) -> list[Node]:
        """The applications of this layer to symbolic tensors, in their order."""
        return list(self._nodes)

    @property
    def input(self) -> Any:
        """What the layer was first applied to: a symbolic tensor, or a list of them."""
        return _nest.simplify(list(self._first_node("input").inputs))

    @property
    def output(self) -> Any:
        """The result of the layer's first application: a symbolic tensor, or a list of them."""
        return _nest.simplify(list(self._first_node("output").outputs))

    def _first_node(self, what: str) -> Node:
        if not self._nodes:
            raise AttributeError(f"{self.label} has no {what} yet: it was not called on a symbolic tensor")
        return self._nodes[0]

    def __call__(
        self, inputs: Any, /, *args: Any, mask: Any = None, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Applies the layer: to an array at once, to a symbolic tensor as a step of a model.

        Args:
            inputs: An array, or the tensor that `Input` or another layer returned.
            *args: Further arguments of the `call` of a class of yours.
            mask: `(batch, time)`, False where a time step is padding. In a model masks come along by themselves; the
                one that the input carries may be passed.
            training: True to apply dropout; None is False. In a model None follows the model and False turns dropout
                off.
            **kwargs: See `*args`.
        """
        self.check_begun()
        if self.is_traced():
            from foliot.layers.tracing import call_traced

            return call_traced(self, (inputs, *args), kwargs | ({} if mask is None else {"mask": mask}), training)
        if args or kwargs:
            received = f"{len(args)} further arguments" if args else ", ".join(sorted(kwargs))
            raise TypeError(f"{self.label} expects inputs, mask and training; received {received}")
        return self._apply(inputs if has_symbolic(inputs) else [inputs], mask, training)

    def _apply(self, inputs: Any, mask: Any, training: bool | None) -> Any:
        inputs = inputs if isinstance(inputs, list) else _nest.flatten(inputs)
        if all(isinstance(value, SymbolicTensor) for value in inputs):
            if mask is not None and not (isinstance(mask, SymbolicMask) and mask == inputs[0].mask()):
                expected = "None or, in a model, the mask that the input carries: Embedding(mask_zero=True) makes it"
                raise value_error("mask", expected, mask)
            outputs: Sequence[Any] = self.connect(inputs, self.mode_in_model(training))
        elif any(isinstance(value, SymbolicTensor) for value in inputs):
            raise TypeError(f"{self.name!r} was called on a mixture of arrays and symbolic tensors")
        else:
            outputs = self._run(inputs, mask, drops(training))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output, for an input with the given mask."""
        # As in Keras, where a class that is made of layers has this for its outputs without a mask.
        return previous_mask if self.passes_mask or definer(type(self), "call") is not None else None

    def symbolic_mask(
        self, inputs: Sequence[SymbolicTensor], masks: Sequence[SymbolicMask | None]
    ) -> SymbolicMask | None:
        """The mask of the first output in a model, from the inputs' masks: that of the native layer."""
        return masks[0] if self.passes_mask else None

    def mode_in_model(self, training: Any) -> bool | None:
        """`training` as a node keeps it: None to follow the model, or False."""
        if training is None or training is PHASE:
            return None
        if check_flag("training", training):
            raise ValueError(
                f"`training`: expected None or False in a model, where {self.label} drops in training and nowhere "
                "else; received True"
            )
        return False

    def _run(self, inputs: list[Any], mask: Any, training: bool) -> list[Array]:
        """The answer to arrays: a program of this layer alone, kept for the next call of the same shape."""
        options.check_as_made(self)
        arrays = []
        for position, value in enumerate(inputs):
            argument = "inputs" if position == 0 else f"{self.state_argument}[{position - 1}]"
            array = _arrays.numeric(argument, value)
            arrays.append(_arrays.convert(argument, array, self.input_dtype if position == 0 else "float32"))
        self.check_input(arrays[0].shape)
        masks = [None if mask is None else _arrays.mask("mask", mask, arrays[0].shape[:2])] + [None] * (len(arrays) - 1)
        shapes, masked = [array.shape for array in arrays], [value is not None for value in masks]
        if self.is_traced():
            assembly = self._assemble_alone(shapes, masked)
            return self.run_alone(assembly.identity(), lambda: assembly, arrays, masks, training)
        # Writing the graph takes longer than many a small layer computes.
        identity = (shapes, masked, self.name, self.to_spec(), self.weights, self.carried_states())
        return self.run_alone(identity, lambda: self._assemble_alone(shapes, masked), arrays, masks, training)

    def _assemble_alone(self, shapes: list[tuple[int, ...]], masked: list[bool]) -> Assembly:
        from foliot.layers.input import InputLayer

        tensors = [
            InputLayer(batch_shape=shape, name=f"input_{position}").output for position, shape in enumerate(shapes)
        ]
        with unrecorded():
            return assemble(tensors, self.connect(tensors), masked)

    def run_alone(
        self,
        identity: Any,
        make: Callable[[], Assembly],
        arrays: list[Array],
        masks: list[Array | None],
        training: bool,
    ) -> list[Array]:
        """Takes arrays through a program of this layer alone, which is kept for the next call of the same identity."""
        eager = self._eager
        if eager is None or eager[0] != identity:
            assembly = make()
            eager = self._eager = identity, assembly, assembly.program()
        if training:
            self._eager_step += 1
        _, assembly, program = eager
        for position, entrance in enumerate(assembly.entrances):
            if entrance.time_major:
                arrays[position] = np.ascontiguousarray(turned(arrays[position], True))
                mask = masks[position]
                masks[position] = None if mask is None else np.ascontiguousarray(turned(mask, True))
        outputs = program.forward(arrays, masks, None, training, self._eager_step)
        return [turned(array, time_major) for array, time_major in zip(outputs, assembly.time_major, strict=True)]

    # Configuration

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_COMMON_ARGUMENTS, *super().argument_names())))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in a form that JSON can hold.

        A class of yours adds those that it keeps under other names.
        """
        self.check_begun()
        # Of foliot's classes each argument is an attribute. A class of the user's hands on what its base was made with.
        ours = next(cls for cls in type(self).__mro__ if issubclass(cls, Layer) and is_ours(cls))
        names = dict.fromkeys((*ours.argument_names(), *self.argument_names()))
        return {name: _plain(getattr(self, name)) for name in names if hasattr(self, name)}

    # Randomness

    def seeds(self) -> dict[str, int]:
        """The seeds that this layer drew, by name: a saved model continues with them."""
        return {f"{layer.name}/{name}": seed for layer in self.sublayers() for name, seed in layer.seeds().items()}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        """Takes over the seeds of a saved layer."""
        for layer in self.sublayers():
            prefix = f"{layer.name}/"
            own = {name.removeprefix(prefix): seed for name, seed in seeds.items() if name.startswith(prefix)}
            if own:
                layer.set_seeds(own)


def layers_in(nest: Any) -> list[Layer]:
    """The layers in lists, tuples and dicts, each once."""
    if isinstance(nest, Layer):
        return [nest]
    items = nest.values() if isinstance(nest, Mapping) else nest if isinstance(nest, (list, tuple)) else ()
    return list(dict.fromkeys(layer for item in items for layer in layers_in(item)))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Layer):
        from foliot.models.configs import serialize_layer

        return serialize_layer(value)
    if isinstance(value, Configurable):
        return serialize(value)
    return activations.serialize(value) if callable(value) else value
