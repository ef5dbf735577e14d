"""Recurrent cells with layer normalization, and the layers that run them."""

from typing import Any

from foliot._checks import check_flag, check_number
from foliot._graph import Shape
from foliot.layers.cell import Cell, arguments_of, with_forget_bias
from foliot.layers.recurrent import Recurrent


class _NormCell(Cell):
    """What they share: the norms of both products."""

    norm_gamma_initializer: Any
    norm_beta_initializer: Any

    def __init__(self, arguments: dict[str, Any]) -> None:
        epsilon = arguments["norm_epsilon"]
        super().__init__(arguments)
        self.norm_epsilon = check_number("norm_epsilon", epsilon, above=0)

    def _add_norm(self, name: str, size: int) -> None:
        for role in ("gamma", "beta"):
            self._add_weight(f"{name}_{role}", (size,), f"norm_{role}")

    def _build(self, input_shape: Shape) -> None:
        super()._build(input_shape)
        for name in ("kernel", "recurrent"):
            self._add_norm(name, self.gates * self.units)

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"norm_epsilon": self.norm_epsilon}


class LayerNormLSTMCell(_NormCell):
    """One step of the `LayerNormLSTM` layer, where the formula is; gate order i, f, c, o.

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
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        norm_gamma_initializer: Initial values of the scales of the norms.
        norm_beta_initializer: Initial values of their shifts.
        norm_epsilon: Added to the variance.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        zoneout_cell: The same for c.
        seed: Seed of dropout and zoneout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h, c]`, each `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, LayerNormLSTMCell
        >>> RNN(LayerNormLSTMCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    kind = "layer_norm_lstm"
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
        norm_gamma_initializer: Any = "ones",
        norm_beta_initializer: Any = "zeros",
        norm_epsilon: float = 1e-3,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self.zoneout_cell = check_number("zoneout_cell", zoneout_cell, minimum=0, maximum=1)

    def _build(self, input_shape: Shape) -> None:
        super()._build(input_shape)
        self._add_norm("state", self.units)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return with_forget_bias(self) if self.unit_forget_bias else super()._initial_bias(shape)

    def cell_spec(self) -> dict[str, Any]:
        return super().cell_spec() | {"zoneout_cell": self.zoneout_cell}


class LayerNormGRUCell(_NormCell):
    """One step of the `LayerNormGRU` layer, where the formula is; gate order z, r, h.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function.
        recurrent_activation: Activation of the gates; name or function.
        kernel_initializer: Initial values of `kernel`, shape `(features, 3 * units)`.
        recurrent_initializer: Initial values of `recurrent_kernel`, shape `(units, 3 * units)`.
        kernel_regularizer: Penalty on `kernel`.
        recurrent_regularizer: Penalty on `recurrent_kernel`.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        norm_gamma_initializer: Initial values of the scales of the norms.
        norm_beta_initializer: Initial values of their shifts.
        norm_epsilon: Added to the variance.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        seed: Seed of dropout and zoneout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, and Keras's older `implementation`.

    Call arguments:
        inputs: `(batch, features)`.
        states: `[h]` or `h`, `(batch, units)`.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import RNN, LayerNormGRUCell
        >>> RNN(LayerNormGRUCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    kind = "layer_norm_gru"
    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        norm_gamma_initializer: Any = "ones",
        norm_beta_initializer: Any = "zeros",
        norm_epsilon: float = 1e-3,
        zoneout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))


class LayerNormLSTM(Recurrent):
    """LSTM with layer normalization (Ba, Kiros and Hinton 2016, arXiv 1607.06450); gate order i, f, c, o.

    The equations of the paper's supplementary material, with `s` for `recurrent_activation`:
    `i, f, g, o = split(norm(x @ kernel) + norm(h @ recurrent_kernel) + bias)`, where each norm is over the four gates
    together; `c = s(f) * c + s(i) * activation(g)`; `h = s(o) * activation(norm(c))`. c itself is carried to the next
    step; TensorFlow Addons' class of this name carries `norm(c)`. `norm(z) = gamma * (z - mean) / sqrt(variance +
    norm_epsilon) + beta`, with weights `kernel_gamma`, `kernel_beta`, `recurrent_gamma`, `recurrent_beta` of shape
    `(4 * units,)`, and `state_gamma`, `state_beta` of shape `(units,)`. Not in Keras.

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
        norm_gamma_initializer: Initial values of the scales of the norms.
        norm_beta_initializer: Initial values of their shifts.
        norm_epsilon: Added to the variance.
        zoneout: Probability of each element of h to keep its value of the step before; see `LSTMCell`.
        zoneout_cell: The same for c.
        seed: Seed of dropout and zoneout; None draws one.
        return_sequences: Return the output of every step instead of the last.
        return_state: Return the final states h and c too.
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
        initial_state: `[h, c]`, each `(batch, units)`, zeros if None.
        mask: `(batch, time)`, False at padding.
        training: True to apply dropout and zoneout.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LayerNormLSTM
        >>> LayerNormLSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = LayerNormLSTMCell

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
        norm_gamma_initializer: Any = "ones",
        norm_beta_initializer: Any = "zeros",
        norm_epsilon: float = 1e-3,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
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


class LayerNormGRU(Recurrent):
    """GRU with layer normalization (Ba, Kiros and Hinton 2016, arXiv 1607.06450); gate order z, r, h.

    The equations of the paper's supplementary material, with `s` for `recurrent_activation` and K, U for columns
    of `kernel` and `recurrent_kernel`: `z, r = s(split(norm(x @ K_zr) + norm(h @ U_zr)))`, where each norm is over
    both gates together; `n = activation(norm(x @ K_h) + r * norm(h @ U_h))`; `h = (1 - z) * h + z * n`. As in the
    paper z is the share of the new, where in Keras's GRU it is that of the old. `norm(v) = gamma * (v - mean) /
    sqrt(variance + norm_epsilon) + beta`, with weights `kernel_gamma`, `kernel_beta`, `recurrent_gamma`,
    `recurrent_beta` of shape `(3 * units,)`; the shifts are the biases. Not in Keras.

    Args:
        units: Size of the state and of the output.
        activation: Activation of the candidate; name or function.
        recurrent_activation: Activation of the gates; name or function.
        kernel_initializer: Initial values of `kernel`, shape `(features, 3 * units)`.
        recurrent_initializer: Initial values of `recurrent_kernel`, shape `(units, 3 * units)`.
        kernel_regularizer: Penalty on `kernel`.
        recurrent_regularizer: Penalty on `recurrent_kernel`.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to `kernel` after each training step.
        recurrent_constraint: Applied to `recurrent_kernel` after each training step.
        dropout: Part of the inputs to drop in training, the same for all time steps.
        recurrent_dropout: Part of the state to drop in training, the same for all time steps.
        norm_gamma_initializer: Initial values of the scales of the norms.
        norm_beta_initializer: Initial values of their shifts.
        norm_epsilon: Added to the variance.
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
        >>> from foliot.layers import LayerNormGRU
        >>> LayerNormGRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = LayerNormGRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        norm_gamma_initializer: Any = "ones",
        norm_beta_initializer: Any = "zeros",
        norm_epsilon: float = 1e-3,
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
