"""Recurrent cells: one time step each. Their options and weights are described here, once for cells and layers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from foliot import _nest, activations, initializers
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, type_error, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot.layers.arguments import draw_seed
from foliot.layers.base import Layer, set_weight_options

# What a cell's node has that a layer's user chooses: a cell by itself makes one step and returns its states.
_ONE_STEP = {
    "return_sequences": False,
    "return_state": True,
    "go_backwards": False,
    "zero_output_for_mask": False,
    "single_step": True,
}


def arguments_of(scope: dict[str, Any]) -> dict[str, Any]:
    """A constructor's arguments from its `locals()`, so that the long signature is written once per class."""
    kwargs: dict[str, Any] = scope.pop("kwargs")
    return {name: value for name, value in scope.items() if name not in ("self", "__class__")} | kwargs


def without_implementation(rest: Mapping[str, Any]) -> dict[str, Any]:
    """The remaining keyword arguments without Keras's choice between two ways to the same numbers."""
    if rest.get("implementation", 2) not in (0, 1, 2):
        raise ValueError(
            f"`implementation`: expected 0, 1 or 2 (all the same here); received {rest['implementation']!r}"
        )
    return {name: value for name, value in rest.items() if name != "implementation"}


def check_states(argument: str, owner: str, units: int, batch: int | None, shapes: Sequence[Shape]) -> None:
    """Refuses states of a shape other than (batch, units)."""
    for position, shape in enumerate(shapes):
        if len(shape) != 2 or shape[1] != units or (None not in (batch, shape[0]) and batch != shape[0]):
            raise ValueError(
                f"`{argument}[{position}]`: expected shape {(batch, units)} for {owner}; received shape {shape}"
            )


def flatten_states(states: Any) -> list[Any]:
    """States in a row: an array by itself, a list of them, or with several cells a list of such lists."""

    def leaves(value: Any) -> list[Any]:
        # A list of numbers is an array, a list of arrays is not.
        if isinstance(value, (list, tuple)) and any(hasattr(leaf, "__array__") for leaf in _nest.flatten(value)):
            return [leaf for item in value for leaf in leaves(item)]
        return [value]

    if not isinstance(states, (list, tuple)):
        return [states]
    return [leaf for item in states for leaf in leaves(item)]


class Cell(Layer):
    """What the cells share: their options, their weights, and a call that makes one step."""

    axes = "(batch, features)"
    ranks = (2, 2)
    state_argument = "states"
    #: The cell's name in the native graph.
    kind: ClassVar[str]
    #: How many blocks of `units` columns the kernels hold.
    gates: ClassVar[int]
    #: How many states are carried from step to step.
    state_count: ClassVar[int] = 1
    #: Whether the state is multiplied with a matrix.
    has_recurrent_kernel: ClassVar[bool] = True

    activation: Any
    use_bias: bool
    kernel_initializer: Any
    bias_initializer: Any
    seed: int | None

    def __init__(self, arguments: dict[str, Any]) -> None:
        set_weight_options(self, arguments)
        own = {name: arguments.pop(name) for name in type(self).signature_names()}
        super().__init__(**without_implementation(arguments))
        if self.activity_regularizer is not None:
            raise value_error(
                "activity_regularizer", "None: give it to the layer that runs the cell", self.activity_regularizer
            )
        self.units = check_integer("units", own["units"], minimum=1)
        self.activation = activations.get(own["activation"], "activation")
        if self.gates > 1:
            self.recurrent_activation = activations.get(own["recurrent_activation"], "recurrent_activation")
        self.use_bias = check_flag("use_bias", own.get("use_bias", False))
        # Keras clamps these into [0, 1] and then treats 1 as 0; a wrong rate had better be heard.
        self.dropout = check_number("dropout", own["dropout"], minimum=0, below=1)
        dropped = own.get("recurrent_dropout", 0.0)
        self.recurrent_dropout = check_number("recurrent_dropout", dropped, minimum=0, below=1)
        self.zoneout = check_number("zoneout", own["zoneout"], minimum=0, maximum=1)
        self.seed = own["seed"]
        self._seed = draw_seed(self.seed)

    @classmethod
    def signature_names(cls) -> tuple[str, ...]:
        """The names in the constructor's signature."""
        return super(Layer, cls).argument_names()

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        columns = self.gates * self.units
        self.kernel = self._add_weight("kernel", (features, columns), "kernel")
        if self.has_recurrent_kernel:
            self.recurrent_kernel = self._add_weight("recurrent_kernel", (self.units, columns), "recurrent")
        if self.use_bias:
            self.bias = self._add_weight("bias", self._bias_shape(), "bias", self._initial_bias)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return self.bias_initializer(shape)

    @property
    def state_size(self) -> int | list[int]:
        """Size of the state, or of each of several."""
        return self.units if self.state_count == 1 else [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.units

    @property
    def state_form(self) -> list[Any]:
        """The nest in which a call takes and returns states."""
        return [None] * self.state_count

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """The states that a sequence starts from: zeros, `(batch_size, units)` each."""
        size = check_integer("batch_size", batch_size, minimum=0)
        return [np.zeros((size, self.units), np.float32) for _ in range(self.state_count)]

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built:
            self._check_features(shape, self.kernel.shape[0])

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(input_shape[0], self.units)] * (1 + self.state_count)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        outputs = super().infer(shapes[:1])
        check_state_count("states", self.label, self, len(shapes) - 1)
        check_states("states", self.label, self.units, shapes[0][0], shapes[1:])
        return outputs

    def __call__(  # type: ignore[override]  # Keras has the states second
        self, inputs: Any, /, states: Any, training: bool | None = None
    ) -> Any:
        """Makes one step.

        Args:
            inputs: `(batch, features)`.
            states: The states before the step, a list of `(batch, units)`; one may come without a list.
            training: True to apply dropout and zoneout. In a model None follows the model and False turns dropout off.

        Returns:
            The output, and the states after the step in the form of `states`.
        """
        output, *after = self._apply([inputs, *flatten_states(states)], None, training)
        return output, after if isinstance(states, (list, tuple)) else after[0]

    def cell_spec(self) -> dict[str, Any]:
        """The cell as the native graph writes it, without what a layer around it decides."""
        spec = {
            "kind": self.kind,
            "units": self.units,
            "activation": activations.spec_of(self.activation),
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "zoneout": self.zoneout,
            "seed": self._seed,
        }
        if self.gates > 1:
            spec["recurrent_activation"] = activations.spec_of(self.recurrent_activation)
        return spec

    def to_spec(self) -> dict[str, Any]:
        return self.cell_spec() | _ONE_STEP

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | WITHOUT_DROPOUT

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


def with_forget_bias(cell: Cell) -> Any:
    """The first bias of an LSTM as Keras makes it: the forget block is 1, the others follow `bias_initializer`."""
    units = (cell.units,)
    blocks = [cell.bias_initializer(units), initializers.Ones()(units), cell.bias_initializer((2 * cell.units,))]
    return np.concatenate(blocks)


#: The part of a cell's spec that turns dropout off, and replaces zoneout by its mean.
WITHOUT_DROPOUT = {"dropout": 0.0, "recurrent_dropout": 0.0, "zoneout_mean": True}


class SimpleRNNCell(Cell):
    """One step of the plain recurrent layer: `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Args:
        units: Size of the state and of the output.
        activation: Name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, units)`.
        recurrent_initializer: Initial values of `recurrent_kernel`, shape `(units, units)`.
        bias_initializer: Initial values of `bias`, shape `(units,)`.
        kernel_regularizer: Penalty on `kernel`.
        recurrent_regularizer: Penalty on `recurrent_kernel`.
        bias_regularizer: Penalty on `bias`.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps of a sequence.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        seed: Seed of dropout and zoneout; None draws one.
        zoneout: Probability of each element of the state to keep its value of the step before (Krueger et al. 2016),
            drawn at every step in training and replaced by its mean otherwise. Not in Keras.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h]` or `h`, `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, SimpleRNNCell
        >>> RNN(SimpleRNNCell(4))(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    kind = "simple_rnn"
    gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


class LSTMCell(Cell):
    """One step of the `LSTM` layer; gate order i, f, c, o.

    Args:
        units: Size of the states and of the output.
        activation: Activation of the candidate and the output; name or function.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 4 * units)`.
        recurrent_initializer: Initial values of `recurrent_kernel`, shape `(units, 4 * units)`.
        bias_initializer: Initial values of `bias`, shape `(4 * units,)`.
        unit_forget_bias: Start the forget gate's bias at 1.
        kernel_regularizer: Penalty on `kernel`.
        recurrent_regularizer: Penalty on `recurrent_kernel`.
        bias_regularizer: Penalty on `bias`.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps of a sequence.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        seed: Seed of dropout and zoneout; None draws one.
        use_peepholes: Let the gates see c (Gers and Schmidhuber 2000): i and f the one before the step, o the one after
            it, each through a vector of `units` weights that `kernel_initializer` starts. Not in Keras 3; names and
            order of the weights are those of tf.keras's `PeepholeLSTMCell`: input, forget, output gate.
        zoneout: Probability of each element of h to keep its value of the step before (Krueger et al. 2016), drawn
            at every step in training and replaced by its mean otherwise. Not in Keras.
        zoneout_cell: The same for c, drawn apart; h comes from the new c before zoneout, as in the paper's equations.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c]`, each `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTMCell
        >>> cell = LSTMCell(4)
        >>> output, [h, c] = cell(np.ones((2, 3)), cell.get_initial_state(2))
        >>> output.shape, h.shape, c.shape
        ((2, 4), (2, 4), (2, 4))
    """

    kind = "lstm"
    gates = 4
    state_count = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        use_peepholes: bool = False,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self.use_peepholes = check_flag("use_peepholes", use_peepholes)
        self.zoneout_cell = check_number("zoneout_cell", zoneout_cell, minimum=0, maximum=1)

    def _build(self, input_shape: Shape) -> None:
        super()._build(input_shape)
        for gate in ("input", "forget", "output") if self.use_peepholes else ():
            self._add_weight(f"{gate}_gate_peephole_weights", (self.units,), "peephole", self.kernel_initializer)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return with_forget_bias(self) if self.unit_forget_bias else super()._initial_bias(shape)

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"use_peepholes": self.use_peepholes, "zoneout_cell": self.zoneout_cell}


class GRUCell(Cell):
    """One step of the `GRU` layer; gate order z, r, h.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 3 * units)`.
        recurrent_initializer: Initial values of `recurrent_kernel`, shape `(units, 3 * units)`.
        bias_initializer: Initial values of `bias`, shape `(2, 3 * units)` with `reset_after`, else `(3 * units,)`.
        kernel_regularizer: Penalty on `kernel`.
        recurrent_regularizer: Penalty on `recurrent_kernel`.
        bias_regularizer: Penalty on `bias`.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps of a sequence.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        reset_after: Whether the reset gate acts after the recurrent product.
        seed: Seed of dropout and zoneout; None draws one.
        zoneout: Probability of each element of the state to keep its value of the step before (Krueger et al. 2016),
            drawn at every step in training and replaced by its mean otherwise. Not in Keras.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h]` or `h`, `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, GRUCell
        >>> RNN(GRUCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    kind = "gru"
    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        *,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.reset_after = check_flag("reset_after", reset_after)

    def _bias_shape(self) -> tuple[int, ...]:
        shape = super()._bias_shape()
        return (2, *shape) if self.reset_after else shape

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"reset_after": self.reset_after}


class StackedRNNCells(Layer):
    """Several cells as one: each reads the output of the one before.

    `RNN(StackedRNNCells(cells))`, or `RNN(cells)`, runs as a stack of recurrent layers in one program.

    Args:
        cells: The cells, the first of which reads the input.
        **kwargs: `name`, `trainable`, `dtype`.

    Call arguments:
        inputs: `(batch, features)`.
        states: A list with the states of each cell, as in `[[h, c], [h]]` for an LSTMCell and a GRUCell.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, GRUCell, LSTMCell, StackedRNNCells
        >>> outputs, [h, c], [state] = RNN(StackedRNNCells([LSTMCell(3), GRUCell(4)]), return_state=True)(
        ...     np.ones((2, 5, 6))
        ... )
        >>> outputs.shape, c.shape, state.shape
        ((2, 4), (2, 3), (2, 4))
    """

    axes = "(batch, features)"
    ranks = (2, 2)
    state_argument = "states"

    def __init__(self, cells: Sequence[Layer], **kwargs: Any) -> None:
        if not isinstance(cells, (list, tuple)):
            raise type_error("cells", "a list of cells", cells)
        if not cells:
            raise value_error("cells", "at least one cell", cells)
        super().__init__(**kwargs)
        self.cells = [check_cell(f"cells[{position}]", cell) for position, cell in enumerate(cells)]
        if self.activity_regularizer is not None:
            raise value_error(
                "activity_regularizer", "None: give it to the layer that runs the cells", self.activity_regularizer
            )
        if not self._trainable:
            self.trainable = False  # of the cells too

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        return self.cells[-1].output_size

    @property
    def state_count(self) -> int:
        """How many states are carried from step to step."""
        return sum(cell.state_count for cell in self.cells)

    @property
    def state_form(self) -> list[Any]:
        """The nest in which a call takes and returns states."""
        return [cell.state_form for cell in self.cells]

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states that a sequence starts from, for each cell: zeros."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def sublayers(self) -> list[Layer]:
        return list(dict.fromkeys(self.cells))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights of all cells for inputs of the given shape (batch axis first)."""
        shape = tuple(input_shape)
        for cell in self.cells:
            cell.build(shape)
            shape = (shape[0], cell.output_size)
        self.built = True

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        self.cells[0].check_input(shape)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        states = [shape for cell in self.cells for shape in cell._output_shapes(input_shape)[1:]]  # noqa: SLF001 - a cell
        return [(input_shape[0], self.output_size), *states]

    def call(self, inputs: Any, *states: Any) -> Any:
        """One step of each cell; `__call__` is what scripts use."""
        check_state_count("states", self.label, self, len(states))
        remaining = list(states)
        after: list[Any] = []
        for cell in self.cells:
            own, remaining = remaining[: cell.state_count], remaining[cell.state_count :]
            inputs, new = cell(inputs, own)
            after += _nest.flatten(new)
        return [inputs, *after]

    def __call__(  # type: ignore[override]  # Keras has the states second
        self, inputs: Any, /, states: Any, training: bool | None = None
    ) -> Any:
        """Makes one step of each cell; see the class.

        Returns:
            The last output, and the states after the step, in a list for each cell.
        """
        flat = flatten_states(states)
        check_state_count("states", self.label, self, len(flat))
        output, *after = self._apply([inputs, *flat], None, training)
        return output, _nest.pack(self.state_form, after)

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        self.check_input(inputs[0].shape)
        self.build(inputs[0].shape)
        return super().connect(inputs, training)

    def seeds(self) -> dict[str, int]:
        # By position: in a file names may have changed, and two cells may have one.
        return {
            f"{position}/{name}": seed
            for position, cell in enumerate(self.cells)
            for name, seed in cell.seeds().items()
        }

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        for position, cell in enumerate(self.cells):
            cell.set_seeds({name: seeds[f"{position}/{name}"] for name in cell.seeds()})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes cells from what `get_config` gave, with new weights."""
        return super().from_config(with_layers(config, "cells"))


AnyCell = Cell | StackedRNNCells


def check_state_count(argument: str, owner: str, cell: AnyCell, received: int) -> None:
    """Refuses states that are not as many as the cell has."""
    if received != cell.state_count:
        plural = "s"[: cell.state_count - 1]
        form = f", as in {str(cell.state_form).replace('None', 'array')}" if isinstance(cell, StackedRNNCells) else ""
        raise ValueError(
            f"`{argument}`: expected {cell.state_count} array{plural} for {owner}{form}; received {received}"
        )


def check_cell(argument: str, cell: Any) -> AnyCell:
    """The cell, if it is one that runs in Rust."""
    expected = "a SimpleRNNCell, LSTMCell, GRUCell, another cell of foliot.layers, or StackedRNNCells"
    steps: Callable[..., Any] | None = getattr(cell, "call", None)
    if steps is not None and not (isinstance(cell, StackedRNNCells) and type(cell).call is StackedRNNCells.call):
        raise type_error(
            argument,
            f"{expected}: what `call` of another class computes would have to run in Python at every time step",
            cell,
        )
    if not isinstance(cell, AnyCell):
        raise type_error(argument, expected, cell)
    return cell


def with_layers(config: Any, name: str) -> Any:
    """A configuration with the layers, in place of their configurations, under one of its keys."""
    from foliot.models.configs import layer_from_config

    if not isinstance(config, Mapping):
        return config
    value = config.get(name)
    if isinstance(value, Mapping):
        return {**config, name: layer_from_config(value)}
    if isinstance(value, list):
        return {**config, name: [layer_from_config(item) if isinstance(item, Mapping) else item for item in value]}
    return config
