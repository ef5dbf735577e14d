"""SimpleRNN, LSTM and GRU: one base, and per layer its constructor, its gates and its native name."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from foliot import _core, _nest, activations, initializers
from foliot._checks import check_choice, check_flag, check_integer, check_number
from foliot._graph import Shape, SymbolicTensor
from foliot.layers.arguments import draw_seed
from foliot.layers.base import Layer, has_symbolic, set_weight_options

_FLAGS = ("use_bias", "return_sequences", "return_state", "go_backwards", "stateful", "unroll")


def _arguments(scope: dict[str, Any]) -> dict[str, Any]:
    """A constructor's arguments from its `locals()`, so that the long signature is written once per layer."""
    kwargs: dict[str, Any] = scope.pop("kwargs")
    return {name: value for name, value in scope.items() if name not in ("self", "__class__")} | kwargs


def _without_legacy(rest: Mapping[str, Any]) -> dict[str, Any]:
    """The remaining keyword arguments without Keras's options that foliot knows one value of."""
    if rest.get("time_major"):
        raise ValueError("`time_major`: expected False, for arrays are (batch, time, features); received True")
    if rest.get("implementation", 2) not in (0, 1, 2):
        raise ValueError(
            f"`implementation`: expected 0, 1 or 2 (all the same here); received {rest['implementation']!r}"
        )
    return {name: value for name, value in rest.items() if name not in ("time_major", "implementation")}


class Recurrent(Layer):
    """What the recurrent layers share: their weights, the call with states, shapes and configuration."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    #: The cell's name in the native graph.
    kind: ClassVar[str]
    #: How many blocks of `units` columns the kernels hold.
    gates: ClassVar[int]
    #: How many states are carried from step to step.
    state_count: ClassVar[int] = 1

    activation: Any
    use_bias: bool
    bias_initializer: Any
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    seed: int | None

    def __init__(self, arguments: dict[str, Any]) -> None:
        set_weight_options(self, arguments)
        own = {
            name: arguments.pop(name)
            for name in (*type(self).signature_names(), "zero_output_for_mask")
            if name in arguments
        }
        super().__init__(activity_regularizer=own.pop("activity_regularizer"), **_without_legacy(arguments))
        self.units = check_integer("units", own["units"], minimum=1)
        self.activation = activations.get(own["activation"], "activation")
        if self.gates > 1:
            self.recurrent_activation = activations.get(own["recurrent_activation"], "recurrent_activation")
        for name in _FLAGS:
            setattr(self, name, check_flag(name, own[name]))
        self.passes_mask = self.return_sequences
        self.zero_output_for_mask = check_flag("zero_output_for_mask", own.get("zero_output_for_mask", False))
        # Keras clamps these into [0, 1] and then treats 1 as 0; a wrong rate had better be heard.
        self.dropout = check_number("dropout", own["dropout"], minimum=0, below=1)
        self.recurrent_dropout = check_number("recurrent_dropout", own["recurrent_dropout"], minimum=0, below=1)
        self.seed = own["seed"]
        self._seed = draw_seed(self.seed)
        #: What a stateful layer carries from batch to batch, `(batch, units)` for each state: `numpy()` and `assign()`
        #: read and set it. None for a layer that is not stateful, or not built. As in Keras it counts neither among the
        #: weights nor in files.
        self.states: list[_core.Parameter] | None = None

    @classmethod
    def signature_names(cls) -> tuple[str, ...]:
        """The names in the constructor's signature."""
        return super(Layer, cls).argument_names()

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return (*super().argument_names(), "zero_output_for_mask")

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        columns = self.gates * self.units
        self.kernel = self._add_weight("kernel", (features, columns), "kernel")
        self.recurrent_kernel = self._add_weight("recurrent_kernel", (self.units, columns), "recurrent")
        if self.use_bias:
            self.bias = self._add_weight("bias", self._bias_shape(), "bias", self._initial_bias)
        if self.stateful:
            zeros = np.zeros((_static_batch(self.label, input_shape), self.units), dtype=np.float32)
            self.states = [_core.Parameter("rnn_state", zeros) for _ in range(self.state_count)]

    def unbuild(self) -> None:
        super().unbuild()
        self.states = None

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        if self.stateful:
            batch = _static_batch(self.label, inputs[0].shape)
            if self.states is not None and self.states[0].shape[0] != batch:
                raise ValueError(
                    f"`stateful`: expected batches of {self.states[0].shape[0]} rows, for which {self.label} carries "
                    f"states; received {batch} rows"
                )
        return super().connect(inputs, training)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return self.bias_initializer(shape)

    @property
    def state_size(self) -> int | list[int]:
        """Size of the state, or of each of several."""
        return self.units if self.state_count == 1 else [self.units] * self.state_count

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built:
            self._check_features(shape, self.kernel.shape[0])

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        state: Shape = (input_shape[0], self.units)
        output = (*input_shape[:2], self.units) if self.return_sequences else state
        return [output] + [state] * (self.state_count if self.return_state else 0)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        outputs = super().infer(shapes[:1])
        if len(shapes) not in (1, 1 + self.state_count):
            raise ValueError(
                f"`initial_state`: expected {self.state_count} array{'s'[: self.state_count - 1]} for {self.label}; "
                f"received {len(shapes) - 1}"
            )
        batch = shapes[0][0]
        for position, shape in enumerate(shapes[1:]):
            if len(shape) != 2 or shape[1] != self.units or (None not in (batch, shape[0]) and batch != shape[0]):
                raise ValueError(
                    f"`initial_state[{position}]`: expected shape {(batch, self.units)} for {self.label}; "
                    f"received shape {shape}"
                )
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
            training: True to apply dropout. In a model None follows the model and False turns dropout off.

        Returns:
            The last output, or all with `return_sequences`; a tuple of it and the final states with `return_state`.
        """
        states = [] if initial_state is None else initial_state
        if not isinstance(states, (list, tuple)):
            states = [states]
        inputs = _nest.flatten(sequences) if has_symbolic(sequences) else [sequences]
        return self._apply([*inputs, *states], mask, training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask goes on with a sequence of outputs, and ends with the last output."""
        output = mask if self.return_sequences else None
        return [output] + [None] * self.state_count if self.return_state else output

    def carried_states(self) -> Sequence[_core.Parameter]:
        return self.states or ()

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

    def to_spec(self) -> dict[str, Any]:
        spec = {
            "kind": self.kind,
            "units": self.units,
            "activation": activations.spec_of(self.activation),
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "zero_output_for_mask": self.zero_output_for_mask,
            "seed": self._seed,
        }
        if self.gates > 1:
            spec["recurrent_activation"] = activations.spec_of(self.recurrent_activation)
        return spec

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | {"dropout": 0.0, "recurrent_dropout": 0.0}

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


def _static_batch(label: str, shape: Shape) -> int:
    """The size of the batch that a stateful layer needs to know."""
    if shape[0] is None:
        raise ValueError(
            f"`stateful`: expected an input with a fixed batch size for {label}, as in Input(batch_shape=(32, None, 8))"
            f"; received shape {shape}"
        )
    return shape[0]


class SimpleRNN(Recurrent):
    """The plain recurrent layer: `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

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
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final state too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        seed: Seed of the dropout masks; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `time_major`, `implementation`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import SimpleRNN
        >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_arguments(locals()))


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate); gate order i, f, c, o.

    `i, f, o = recurrent_activation(...)`, `c = f * c + i * activation(...)`, `h = o * activation(c)`.

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
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        seed: Seed of the dropout masks; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final states h and c too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        use_cudnn: Accepted for Keras's scripts; changes nothing.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `time_major`, `implementation`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTM
        >>> outputs, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
        >>> outputs.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(_arguments(locals()))
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self.use_cudnn = use_cudnn if isinstance(use_cudnn, bool) else check_choice("use_cudnn", use_cudnn, ("auto",))

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape)
        # As Keras does: only the forget block is 1, the others still follow bias_initializer.
        units = (self.units,)
        blocks = [self.bias_initializer(units), initializers.Ones()(units), self.bias_initializer((2 * self.units,))]
        return np.concatenate(blocks)


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014); gate order z, r, h.

    `z, r = recurrent_activation(...)`, `h = z * h + (1 - z) * activation(candidate)`. With `reset_after` (Keras's
    default) the reset gate acts on the product `h @ recurrent_kernel + bias`, otherwise on `h` before it.

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
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        seed: Seed of the dropout masks; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final state too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        reset_after: Whether the reset gate acts after the recurrent product.
        use_cudnn: Accepted for Keras's scripts; changes nothing.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `time_major`, `implementation`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import GRU
        >>> GRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(_arguments(locals()))
        self.reset_after = check_flag("reset_after", reset_after)
        self.use_cudnn = use_cudnn if isinstance(use_cudnn, bool) else check_choice("use_cudnn", use_cudnn, ("auto",))

    def _bias_shape(self) -> tuple[int, ...]:
        shape = super()._bias_shape()
        return (2, *shape) if self.reset_after else shape

    def to_spec(self) -> dict[str, Any]:
        return super().to_spec() | {"reset_after": self.reset_after}
