"""The minimal recurrent cells, whose gates see the input alone, and the layers that run them."""

from typing import Any

from foliot.layers.cell import Cell, arguments_of
from foliot.layers.recurrent import Recurrent


class MinGRUCell(Cell):
    """One step of the `MinGRU` layer, where the formula is; gate order z, h.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function. The paper has none.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 2 * units)`.
        bias_initializer: Initial values of `bias`, shape `(2 * units,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        seed: Seed of dropout and zoneout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h]` or `h`, `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, MinGRUCell
        >>> RNN(MinGRUCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    kind = "min_gru"
    gates = 2
    has_recurrent_kernel = False

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


class MinLSTMCell(Cell):
    """One step of the `MinLSTM` layer, where the formula is; gate order i, f, c.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function. The paper has none.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 3 * units)`.
        bias_initializer: Initial values of `bias`, shape `(3 * units,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        seed: Seed of dropout and zoneout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h]` or `h`, `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, MinLSTMCell
        >>> RNN(MinLSTMCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    kind = "min_lstm"
    gates = 3
    has_recurrent_kernel = False

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


class MinGRU(Recurrent):
    """The minimal gated recurrent unit (Feng et al. 2024, arXiv 2410.01201); gate order z, h.

    As in the paper: `z = recurrent_activation(x @ kernel_z + bias_z)`, `n = activation(x @ kernel_h +
    bias_h)`, `h = (1 - z) * h + z * n`. Gates that do not see the state need no recurrent kernel: a step costs as
    much as one of a Dense layer. z is the share of the new, where in Keras's GRU it is that of the old. Not in Keras.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function. The paper has none.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 2 * units)`.
        bias_initializer: Initial values of `bias`, shape `(2 * units,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        seed: Seed of dropout and zoneout; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final state too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
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
        >>> from foliot.layers import MinGRU
        >>> MinGRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = MinGRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        checkpoint_every: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


class MinLSTM(Recurrent):
    """The minimal long short-term memory (Feng et al. 2024, arXiv 2410.01201); gate order i, f, c.

    As in the paper: `i, f = recurrent_activation(...)` and `g = activation(...)` of `x @ kernel + bias`, `h
    = (f * h + i * g) / (i + f)`. Gates that do not see the state need no recurrent kernel, and there is no state but
    h: a step costs as much as one of a Dense layer. Where both gates are 0, as `hard_sigmoid` or `relu` make them, or
    their sum is less than 1e-30, it is taken for 1, so that h becomes 0 and not NaN. Not in Keras.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function. The paper has none.
        recurrent_activation: Activation of the gates; name or function.
        use_bias: Whether to add a bias.
        kernel_initializer: Initial values of `kernel`, shape `(features, 3 * units)`.
        bias_initializer: Initial values of `bias`, shape `(3 * units,)`.
        kernel_regularizer: Penalty on `kernel`.
        bias_regularizer: Penalty on `bias`.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        bias_constraint: Applied to `bias` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        seed: Seed of dropout and zoneout; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final state too.
        go_backwards: Run over the time axis from its end; outputs come in that order.
        stateful: Start each batch from the states that the one before ended with, row by row, instead of zeros. The
            input needs a fixed batch size; `states` holds them and `reset_state` sets them to zero.
        unroll: Accepted for Keras's scripts; changes nothing.
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
        >>> from foliot.layers import MinLSTM
        >>> MinLSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = MinLSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "linear",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        checkpoint_every: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
