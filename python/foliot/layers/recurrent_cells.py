"""Keras's cells, one time step each, and stacks of cells."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from foliot import _nest
from foliot._checks import check_flag, check_integer, check_number, type_error, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot.layers.base import Layer
from foliot.layers.cell import Cell, arguments_of, check_state_count, flatten_states, with_forget_bias


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
        heads: How many groups the units fall into, each of which sees the states of its own group alone (the "heads" of
            xLSTM's sLSTM, Beck et al. 2024, and of FlashRNN, Pöppel et al. 2024): the recurrent kernel is the blocks on
            the diagonal of the plain one, a share 1 / heads of its numbers and of its time. Its shape is
            `(heads, units // heads, units // heads)`, for each head that of a layer with `units // heads`
            units, as in xLSTM's code; unit `u` belongs to head `u // (units // heads)`. `recurrent_initializer` starts
            each head by itself; an axis of `recurrent_constraint` counts in this shape. 1 is the plain layer. Not in
            Keras.
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
        heads: int = 1,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.heads = self._check_heads(heads)

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"heads": self.heads}


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
        proj_size: Size of h, and of the output, where it is not `units`: `h = (o * activation(c)) @
            projection_kernel`, the recurrent projection layer of Sak et al. 2014 and of PyTorch's `LSTM(proj_size=)`.
            The shape of `recurrent_kernel` is then `(proj_size, 4 * units)`; c has `units` elements still. None, or 0,
            for none. Not in Keras.
        projection_initializer: Initial values of `projection_kernel`, shape `(units, proj_size)`.
        projection_regularizer: Penalty on `projection_kernel`.
        projection_constraint: Applied to `projection_kernel` after each training step.
        heads: How many groups the units fall into, each with a recurrent kernel of its own; see `SimpleRNNCell`. The
            shape of `recurrent_kernel` is `(heads, units // heads, 4 * units // heads)`; h of size `proj_size` is cut
            likewise. Not in Keras.
        zoneout: Probability of each element of h to keep its value of the step before (Krueger et al. 2016), drawn
            at every step in training and replaced by its mean otherwise. Not in Keras.
        zoneout_cell: The same for c, drawn apart; h comes from the new c before zoneout, as in the paper's equations.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c]`, each `(batch, units)`; with `proj_size` h is `(batch, proj_size)`.
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
        proj_size: int | None = None,
        projection_initializer: Any = "glorot_uniform",
        projection_regularizer: Any = None,
        projection_constraint: Any = None,
        heads: int = 1,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self.use_peepholes = check_flag("use_peepholes", use_peepholes)
        # PyTorch's default is 0.
        self.proj_size = None if proj_size is None else check_integer("proj_size", proj_size, minimum=0) or None
        self.heads = self._check_heads(heads)
        self.zoneout_cell = check_number("zoneout_cell", zoneout_cell, minimum=0, maximum=1)

    @property
    def output_size(self) -> int:
        """Size of the output and of h."""
        return self.proj_size or self.units

    def _build(self, input_shape: Shape) -> None:
        super()._build(input_shape)
        if self.proj_size is not None:
            shape = (self.units, self.proj_size)
            self.projection_kernel = self._add_weight("projection_kernel", shape, "projection")
        for gate in ("input", "forget", "output") if self.use_peepholes else ():
            self._add_weight(f"{gate}_gate_peephole_weights", (self.units,), "peephole", self.kernel_initializer)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return with_forget_bias(self) if self.unit_forget_bias else super()._initial_bias(shape)

    def cell_spec(self) -> dict[str, Any]:
        own = ("use_peepholes", "proj_size", "heads", "zoneout_cell")
        return super().cell_spec() | {name: getattr(self, name) for name in own}


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
        heads: How many groups the units fall into, each with a recurrent kernel of its own; see `SimpleRNNCell`. The
            shape of `recurrent_kernel` is `(heads, units // heads, 3 * units // heads)`. Not in Keras.
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
        heads: int = 1,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.reset_after = check_flag("reset_after", reset_after)
        self.heads = self._check_heads(heads)

    def _bias_shape(self) -> tuple[int, ...]:
        shape = super()._bias_shape()
        return (2, *shape) if self.reset_after else shape

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"reset_after": self.reset_after, "heads": self.heads}


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
