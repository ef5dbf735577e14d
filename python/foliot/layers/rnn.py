"""A cell run over time: masks, directions, states and their carrying from batch to batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from foliot import _core, _nest
from foliot._checks import check_flag, check_integer, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot._orders import Order, exchanged
from foliot.layers.base import Layer, has_symbolic
from foliot.layers.cell import (
    WITHOUT_DROPOUT,
    Cell,
    check_state_count,
    check_states,
    flatten_states,
    without_implementation,
)
from foliot.layers.recurrent_cells import AnyCell, StackedRNNCells, check_cell, with_layers

_FLAGS = (
    *("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask", "time_major"),
)


def _check_checkpoints(value: Any) -> int | str | None:
    """How far apart checkpoints are: None, `'auto'` or a number of steps."""
    if value is None:
        return None
    if isinstance(value, str):
        if value != "auto":
            raise value_error("checkpoint_every", "None, 'auto' or an integer", value)
        return value
    return check_integer("checkpoint_every", value, minimum=1, maximum=2**31 - 1)


class Reverse(Layer):
    """Time from its end. It hands the mask on as it is: it undoes the order of a layer that ran backwards.

    Args:
        owner: A layer of layers.
        option: Which option of it has to be True for this; else the layer does nothing.
    """

    passes_mask = True
    takes_any_order = True

    def __init__(self, owner: Layer, option: str) -> None:
        super().__init__(name=f"{owner.name}_reverse")
        self._owner, self._option = owner, option

    def does_nothing(self) -> bool:
        return not getattr(self._owner, self._option)

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "reverse"}


class RNN(Layer):
    """Runs a cell over time.

    `RNN(LSTMCell(4))` computes what `LSTM(4)` does, with the same kernels and the same bits. A list of cells is a
    stack: each reads the outputs of the one before, as layers on top of one another would.

    Args:
        cell: A `SimpleRNNCell`, `LSTMCell`, `GRUCell`, another cell of `foliot.layers` or `StackedRNNCells`, or a list
            of cells. Layers with the same cell share its weights.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final states too, of a stack a list for each cell.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        zero_output_for_mask: Whether the output of a masked step is 0 instead of the output before it.
        checkpoint_every: For sequences so long that training runs out of memory: keep the states of every so many
            time steps only, and run the steps between them again in the backward pass (Chen et al. 2016, arXiv
            1604.06174; Gruslys et al. 2016, arXiv 1606.03401). Backpropagation still goes through all of time, and
            outputs, gradients and trained weights have the same bits, dropout included; a training step takes the time
            of one more forward pass. `'auto'` is the root of the number of steps, with which what the layer keeps for
            itself grows as that root; its input, and with `return_sequences` its outputs, stay as they are. None keeps
            all that every step computed.
        time_major: Take sequences, masks and token ids as (time, batch, ...) and return sequences so, as tf.keras 2
            does; states and last outputs are (batch, units). See below.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `implementation`.

    In a model `time_major` is about the arrays that come in and go out. An `Input` that such a layer reads, at once or
    through layers that take each time step by itself, is (time, batch, ...) itself: `Input((None, 3))` fits, and
    `Input(batch_shape=(10, None, 3))` declares ten steps. So are its arrays in `fit`, `predict` and the like, and the
    targets (and sample weights for each time step) of outputs that are such sequences; token ids and masks are
    (time, batch). Batches, `validation_split`, `shuffle`, `lengths` and sample weights for each row still count samples
    (tf.keras 2 cut the first axis, which is time), and metrics of your own see samples first. Layers that take each
    time step by itself hand the order on: Dense, Embedding, Masking, TimeDistributed, Activation, Dropout and noise
    without a `noise_shape`, normalizations, merges but Dot, Bidirectional, the other recurrent layers with
    `time_major=True`. All others want samples first, and are refused next to a time-major sequence. What is computed is
    the same, bit by bit.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: The states to start from, each `(batch, units)`: an array, a list of them, or for a stack a list
            with an array or a list for each cell. Zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout and zoneout.

    Raises:
        TypeError: `cell` is none of these classes: what a class of one's own computes would have to run in Python at
            every time step.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, GRUCell, LSTMCell
        >>> RNN([LSTMCell(3), GRUCell(4)], return_sequences=True)(np.ones((2, 5, 6))).shape
        (2, 5, 4)

        A long sequence, whose 2,500 steps are trained on with the states of 50:

        >>> from foliot.layers import Dense, Input
        >>> from foliot.models import Sequential
        >>> model = Sequential([Input((None, 3)), RNN(GRUCell(4), checkpoint_every="auto"), Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((1, 2500, 3)), np.ones((1, 1)), verbose=0)

        Ten steps of 64 samples, trained on in two batches of 32:

        >>> steps = RNN(GRUCell(4), return_sequences=True, time_major=True)
        >>> model = Sequential([Input((None, 3)), steps, Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((10, 64, 3)), np.ones((10, 64, 1)), verbose=0)
        >>> model.predict(np.ones((10, 64, 3)), verbose=0).shape
        (10, 64, 1)
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool
    zero_output_for_mask: bool
    checkpoint_every: int | str | None

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        *,
        checkpoint_every: int | str | None = None,
        time_major: bool = False,
        **kwargs: Any,
    ) -> None:
        given = locals()
        super().__init__(**without_implementation(kwargs))
        self.cell = check_cell("cell", StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell)
        self._set_options(given)
        self._states: list[_core.Parameter] | None = None
        # The size of the batches that states are carried for.
        self._rows: int | None = None
        # The shape of the input that the states, if there will be any, belong to.
        self._states_for: Shape | None = None
        # One layer for each cell of a stack; these are the nodes that run.
        self._inner: list[RNN] = []
        if self.is_traced():
            cells = self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]
            self._inner = [_Part(self, one, is_last=one is cells[-1]) for one in cells]
            self._reverse = Reverse(self, "go_backwards")
        if not self._trainable:
            self.trainable = False  # of the cell too

    def _set_options(self, given: Mapping[str, Any]) -> None:
        for name in _FLAGS:
            setattr(self, name, check_flag(name, given[name]))
        self.checkpoint_every = _check_checkpoints(given["checkpoint_every"])

    @property
    def passes_mask(self) -> bool:  # type: ignore[override]  # others have it always or never
        return self.return_sequences

    @property
    def time_major(self) -> bool:
        """Whether sequences are (time, batch, ...); it stays as it is, for the shapes around the layer go by it."""
        return self._time_major

    @time_major.setter
    def time_major(self, value: bool) -> None:
        if vars(self).get("_time_major", value) != value:
            raise value_error("time_major", f"{self._time_major}, with which {self.label} was made", value)
        self._time_major: bool = value

    def orders(self, shapes: Sequence[Shape], outputs: int) -> tuple[list[Order], list[Order]]:
        first = self.time_major and self.return_sequences
        return [self.time_major, *[False] * (len(shapes) - 1)], [first, *[False] * (outputs - 1)]

    def is_traced(self) -> bool:
        return isinstance(self.cell, StackedRNNCells) or type(self).call is not RNN.call

    def sublayers(self) -> list[Layer]:
        own = [] if type(self).call is RNN.call else super().sublayers()
        return list(dict.fromkeys([self.cell, *own]))

    @property
    def state_count(self) -> int:
        """How many states are carried from step to step."""
        return self.cell.state_count

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states."""
        size = self.cell.state_size
        return size if isinstance(size, list) else [size]

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states that a sequence starts from: zeros, for a stack in a list for each cell."""
        return self.cell.get_initial_state(batch_size)

    def pack_states(self, states: Sequence[Any]) -> list[Any]:
        """States in a row, in the form in which the layer returns them."""
        packed: list[Any] = _nest.pack(self.cell.state_form, states)
        return packed

    def _build(self, input_shape: Shape) -> None:
        batch, _, *features = exchanged(input_shape, self.time_major)
        self.cell.build((batch, *features))
        self._states_for = input_shape
        if self.stateful:
            self._carry_for(input_shape)

    def _carry_for(self, shape: Shape) -> int:
        """The rows of which states are carried: those of the first batch that the layer was stateful for."""
        rows = self.static_batch(shape)
        if self._rows not in (None, rows):
            raise ValueError(
                f"`stateful`: expected batches of {self._rows} rows, for which {self.label} carries states; received "
                f"{rows} rows"
            )
        self._rows = rows
        return rows

    def _begun_states(self) -> list[_core.Parameter] | None:
        """The states, made when they are first asked for.

        A layer may become stateful when it is built already, and a file may claim any number of rows.
        """
        if self.stateful and self._states is None and self._states_for is not None:
            rows = self._rows or self._carry_for(self._states_for)
            zeros = [np.zeros((rows, size), dtype=np.float32) for size in self.state_size]
            self._states = [_core.Parameter("rnn_state", zero) for zero in zeros]
        return self._states

    def unbuild(self) -> None:
        super().unbuild()
        self._states, self._states_for, self._rows = None, None, None
        for layer in self._inner:
            layer.unbuild()

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        first: AnyCell = self.cell
        while isinstance(first, StackedRNNCells):
            first = first.cells[0]
        if first.built:
            self._check_features(shape, first.kernel.shape[0])

    def static_batch(self, shape: Shape) -> int:
        """The size of the batch that a stateful layer needs to know."""
        batch = exchanged(shape, self.time_major)[0]
        if batch is None:
            example = exchanged((32, None, 8), self.time_major)
            raise ValueError(
                f"`stateful`: expected an input with a fixed batch size for {self.label}, as in "
                f"Input(batch_shape={example}); received shape {shape}"
            )
        return batch

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, _, *features = exchanged(input_shape, self.time_major)
        output, *states = self.cell._output_shapes((batch, *features))  # noqa: SLF001 - a part of it
        if self.return_sequences:
            output = (*input_shape[:2], *output[1:])
        return [output, *states] if self.return_state else [output]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        """The output's shape for an input of the given shape, with `return_state` followed by those of the states."""
        output, *states = self._output_shapes(tuple(input_shape))
        return [output, *self.pack_states(states)] if states else output

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        outputs = super().infer(shapes[:1])
        if len(shapes) > 1:
            check_state_count("initial_state", self.label, self.cell, len(shapes) - 1)
            batch = exchanged(shapes[0], self.time_major)[0]
            check_states("initial_state", self.label, _nest.flatten(self.state_size), batch, shapes[1:])
        return outputs

    def __call__(  # type: ignore[override]  # Keras has the states second
        self, sequences: Any, /, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        """Runs the layer over whole sequences.

        Args:
            sequences: `(batch, time, features)`.
            initial_state: The states to start from, `(batch, units)` or a list of such arrays; zeros if None.
            mask: `(batch, time)`, False where a step is padding: the state is carried over it unchanged. In a model
                masks come along by themselves, with an initial state too; the one that the input carries may be passed.
            training: True to apply dropout and zoneout. In a model None follows the model and False turns dropout off.

        Returns:
            The last output, or all with `return_sequences`; a tuple of it and the final states with `return_state`.
        """
        self.check_begun()
        states = [] if initial_state is None else flatten_states(initial_state)
        inputs = _nest.flatten(sequences) if has_symbolic(sequences) else [sequences]
        results = self._apply([*inputs, *states], mask, training)
        if not self.return_state or type(self).call is not RNN.call:
            return results
        return (results[0], *self.pack_states(results[1:]))

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        if self.is_traced():
            self.check_input(inputs[0].shape)
        if self.built and self._states is None:
            self._states_for = inputs[0].shape
        if self.stateful:
            self.static_batch(inputs[0].shape)
            if self.built:
                self._carry_for(inputs[0].shape)
        outputs = super().connect(inputs, training)
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None
        return outputs

    def call(self, sequences: Any, *states: Any) -> Any:
        """The graph of layers that a stack of cells is; `__call__` is what scripts use."""
        if states:
            check_state_count("initial_state", self.label, self.cell, len(states))
        batch, _, *features = exchanged(sequences.shape, self.time_major)
        self.cell.build((batch, *features))
        remaining = list(states)
        finals: list[Any] = []
        for layer in self._inner:
            if layer is not self._inner[0]:
                # The mask is in the order of time, so the outputs have to be.
                sequences = self._reverse(sequences)
            own, remaining = remaining[: layer.state_count], remaining[layer.state_count :]
            sequences, *after = _nest.flatten(layer(sequences, initial_state=own or None))
            finals += after
        return [sequences, *finals]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask goes on with a sequence of outputs, and ends with the last output."""
        output = mask if self.return_sequences else None
        return [output] + [None] * len(self.cell.state_form) if self.return_state else output

    @property
    def states(self) -> list[_core.Parameter] | None:
        """What a stateful layer carries from batch to batch, `(batch, units)` for each state; a stack's in a row.

        `numpy()` and `assign()` read and set a state. None for a layer that is not stateful, or not built. As in Keras
        states count neither among the weights nor in files.
        """
        if not self._inner:
            return self._begun_states()
        parts = [layer.states for layer in self._inner]
        return None if None in parts else [state for part in parts for state in part or ()]

    def carried_states(self) -> Sequence[_core.Parameter]:
        return (self.states or ()) if self.stateful and not self._inner else ()

    def reset_state(self) -> None:
        """Sets the states that a stateful layer carries to zero; without effect on other layers.

        Example:
            >>> import numpy as np
            >>> from foliot.layers import GRU
            >>> layer = GRU(4, stateful=True, return_sequences=True)
            >>> x = np.random.default_rng(0).normal(size=(2, 6, 3))
            >>> pieces = layer(x[:, :4]), layer(x[:, 4:])
            >>> layer.reset_state()
            >>> bool((np.concatenate(pieces, axis=1) == layer(x)).all())
            True
        """
        for state in self.states or ():
            state.assign(np.zeros(state.shape, dtype=np.float32))

    def reset_states(self) -> None:
        """Keras's older name of `reset_state`."""
        self.reset_state()

    def check_options(self) -> None:
        super().check_options()
        for cell in self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]:
            if isinstance(cell, Cell):
                cell.check_fits_weights(self.label)

    def to_spec(self) -> dict[str, Any]:
        if not isinstance(self.cell, Cell):
            return super().to_spec()
        every = self.checkpoint_every
        return self.cell.cell_spec() | {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "zero_output_for_mask": self.zero_output_for_mask,
            "checkpoint_every": {"steps": every} if isinstance(every, int) else every,
        }

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | WITHOUT_DROPOUT

    def seeds(self) -> dict[str, int]:
        return self.cell.seeds()

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self.cell.set_seeds(seeds)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a layer from what `get_config` gave, with new weights."""
        return super().from_config(with_layers(config, "cell"))


def _of_owner(name: str) -> property:
    return property(lambda part: getattr(part.owner, name))


class _Part(RNN):
    """The layer for one cell of a stack: its options are those of the stack, whenever they are asked for.

    Args:
        owner: The stack.
        cell: The cell.
        is_last: Whether its outputs are those of the stack.
    """

    return_state, go_backwards, stateful, unroll, checkpoint_every, time_major = map(
        _of_owner, ("return_state", "go_backwards", "stateful", "unroll", "checkpoint_every", "time_major")
    )

    def __init__(self, owner: RNN, cell: AnyCell, is_last: bool) -> None:
        self.owner, self.is_last = owner, is_last
        super().__init__(cell, name=f"{owner.name}_{cell.name}")

    @property
    def return_sequences(self) -> bool:  # type: ignore[override]  # what others are told follows from the owner
        return not self.is_last or self.owner.return_sequences

    @property
    def zero_output_for_mask(self) -> bool:  # type: ignore[override]  # likewise
        return self.is_last and self.owner.zero_output_for_mask

    @property
    def label(self) -> str:
        return f"RNN {self.name!r}"

    def _set_options(self, given: Mapping[str, Any]) -> None:
        pass

    def check_options(self) -> None:
        self.owner.check_options()
