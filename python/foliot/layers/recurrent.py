"""RNN, which runs any cell over time, and SimpleRNN, LSTM and GRU, each of which makes its own cell."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from foliot._checks import check_choice
from foliot._custom import is_ours
from foliot.layers.base import base_name
from foliot.layers.cell import Cell, arguments_of
from foliot.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from foliot.layers.rnn import RNN


class _OfCell:
    """An attribute that a layer has from its cell."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: RNN | None, owner: type) -> Any:
        return self if layer is None else getattr(layer.cell, self._name)

    def __set__(self, layer: RNN, value: Any) -> None:
        setattr(layer.cell, self._name, value)


class Recurrent(RNN):
    """A layer that makes its own cell, and has the cell's options as its own."""

    cell_class: ClassVar[type[Cell]]
    cell: Cell

    units: Any
    kernel: Any
    recurrent_kernel: Any
    bias: Any
    projection_kernel: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls):
            for name in (*cls.cell_class.signature_names(), "kernel", "recurrent_kernel", "bias", "projection_kernel"):
                attribute = _OfCell()
                attribute.__set_name__(cls, name)
                setattr(cls, name, attribute)

    def __init__(self, arguments: dict[str, Any]) -> None:
        kind = self.cell_class
        options = {name: arguments.pop(name) for name in kind.signature_names()} | {"name": base_name(kind.__name__)}
        ours: Any = next(cls for cls in type(self).__mro__ if is_ours(cls))
        if "use_cudnn" in ours.argument_names():
            given = arguments.pop("use_cudnn")
            self.use_cudnn = given if isinstance(given, bool) else check_choice("use_cudnn", given, ("auto",))
        super().__init__(kind(**options), **arguments)

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return (*super().argument_names(), "zero_output_for_mask", "time_major")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a layer from what `get_config` gave, with new weights."""
        return super(RNN, cls).from_config(config)


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
        seed: Seed of dropout and zoneout; None draws one.
        heads: How many groups the units fall into, each with a recurrent kernel of its own: block-diagonal recurrent
            weights; see `SimpleRNNCell`. Not in Keras.
        zoneout: Probability of each element of the state to keep its value of the step before (Krueger et al. 2016),
            drawn at every step in training and replaced by its mean otherwise. Not in Keras.
        checkpoint_every: Keep the states of every so many time steps only, and compute the others again in the backward
            pass; see `RNN`.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `implementation`; and `time_major`, see `RNN`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import SimpleRNN
        >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    cell_class = SimpleRNNCell

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
        *,
        heads: int = 1,
        zoneout: float = 0.0,
        checkpoint_every: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


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
        seed: Seed of dropout and zoneout; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final states h and c too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        use_cudnn: Accepted for Keras's scripts; changes nothing.
        use_peepholes: Let the gates see c; see `LSTMCell`.
        proj_size: Size of h, and of the output, where it is not `units` (Sak et al. 2014, and PyTorch's
            `LSTM(proj_size=)`); see `LSTMCell`. None, or 0, for none. Not in Keras.
        projection_initializer: Initial values of `projection_kernel`, shape `(units, proj_size)`.
        projection_regularizer: Penalty on `projection_kernel`.
        projection_constraint: Applied to `projection_kernel` after each training step.
        heads: How many groups the units fall into, each with a recurrent kernel of its own: block-diagonal recurrent
            weights; see `LSTMCell`. Not in Keras.
        zoneout: Probability of each element of h to keep its value of the step before (Krueger et al. 2016), drawn
            at every step in training and replaced by its mean otherwise. Not in Keras.
        zoneout_cell: The same for c, drawn apart; h comes from the new c before zoneout, as in the paper's equations.
        checkpoint_every: Keep the states of every so many time steps only, and compute the others again in the backward
            pass; see `RNN`.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `implementation`; and `time_major`, see `RNN`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `[h, c]`, each `(batch, units)`, zeros if None; with `proj_size` h is `(batch, proj_size)`.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTM
        >>> outputs, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
        >>> outputs.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))
    """

    cell_class = LSTMCell

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
        *,
        use_peepholes: bool = False,
        proj_size: int | None = None,
        projection_initializer: Any = "glorot_uniform",
        projection_regularizer: Any = None,
        projection_constraint: Any = None,
        heads: int = 1,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
        checkpoint_every: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


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
        seed: Seed of dropout and zoneout; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final state too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
        reset_after: Whether the reset gate acts after the recurrent product.
        use_cudnn: Accepted for Keras's scripts; changes nothing.
        heads: How many groups the units fall into, each with a recurrent kernel of its own: block-diagonal recurrent
            weights; see `GRUCell`. Not in Keras.
        zoneout: Probability of each element of the state to keep its value of the step before (Krueger et al. 2016),
            drawn at every step in training and replaced by its mean otherwise. Not in Keras.
        checkpoint_every: Keep the states of every so many time steps only, and compute the others again in the backward
            pass; see `RNN`.
        **kwargs: `name`, `trainable`, `dtype`, `zero_output_for_mask`, and Keras's older `input_shape`,
            `batch_input_shape`, `input_dim`, `input_length`, `weights`, `implementation`; and `time_major`, see `RNN`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import GRU
        >>> GRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = GRUCell

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
        *,
        heads: int = 1,
        zoneout: float = 0.0,
        checkpoint_every: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
