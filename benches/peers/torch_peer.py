"""PyTorch, eager: its recurrent layers on the CPU are oneDNN (LSTM) or one operation after the other (RNN, GRU)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from peer import Peer
from rows import moved_to_the_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rows import Batch, Row

LAYERS = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
# Keras's defaults for RMSprop.
RHO = 0.9
EPSILON = 1e-7


def copy_to(parameter: torch.Tensor, value: np.ndarray) -> None:
    """Overwrites a parameter."""
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def set_recurrent(layer: nn.Module, row: Row, weights: Iterator[np.ndarray]) -> None:
    """Takes the next Keras weights into a recurrent layer, each layer and direction."""
    for number in range(row.layers):
        for suffix in ("", "_reverse") if row.bidirectional else ("",):
            kernel, recurrent_kernel, bias = (next(weights) for _ in range(3))
            if row.cell == "gru":
                # Keras orders the gates z r h, PyTorch r z n.
                kernel, recurrent_kernel, bias = (
                    swap_first_two_gates(w, row.units) for w in (kernel, recurrent_kernel, bias)
                )
                input_bias, hidden_bias = bias
            else:
                # Keras has one bias here; PyTorch's second one stays zero and is not trained.
                input_bias, hidden_bias = bias, np.zeros_like(bias)
                getattr(layer, f"bias_hh_l{number}{suffix}").requires_grad_(False)
            for name, value in (
                ("weight_ih", kernel.T),
                ("weight_hh", recurrent_kernel.T),
                ("bias_ih", input_bias),
                ("bias_hh", hidden_bias),
            ):
                copy_to(getattr(layer, f"{name}_l{number}{suffix}"), value)


def swap_first_two_gates(weight: np.ndarray, units: int) -> np.ndarray:
    """Exchanges the first two blocks of `units` columns."""
    first, second, third = np.split(weight, [units, 2 * units], axis=-1)
    return np.concatenate([second, first, third], axis=-1)


def set_dense(layer: nn.Linear, weights: Iterator[np.ndarray]) -> None:
    """Takes the next Keras weights into a dense layer."""
    copy_to(layer.weight, next(weights).T)
    copy_to(layer.bias, next(weights))


class Stack(nn.Module):  # type: ignore[misc]  # PyTorch is not installed where mypy runs
    """An Embedding or nothing, recurrent layers, Dense(1, sigmoid) or nothing, with the weights of the Keras model."""

    def __init__(self, row: Row, weights: list[np.ndarray], packed: bool) -> None:
        super().__init__()
        each = iter(weights)
        self._packed = packed
        self.embedding = nn.Embedding(row.vocabulary, row.features) if row.vocabulary else nn.Identity()
        if row.vocabulary:
            copy_to(self.embedding.weight, next(each))
        self.recurrent = LAYERS[row.cell](
            row.features, row.units, row.layers, batch_first=True, bidirectional=row.bidirectional
        )
        set_recurrent(self.recurrent, row, each)
        directions = 2 if row.bidirectional else 1
        self.dense = nn.Linear(directions * row.units, 1) if row.head else None
        if self.dense is not None:
            set_dense(self.dense, each)

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """The probability per row; rows end where `lengths` says."""
        values = self.embedding(inputs)
        if self._packed:
            values = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        sequence, states = self.recurrent(values)
        if lengths is not None and not self._packed:
            last = sequence[torch.arange(len(lengths)), lengths - 1]
        else:
            h = states[0] if isinstance(states, tuple) else states
            last = torch.cat([h[-2], h[-1]], dim=1) if self.recurrent.bidirectional else h[-1]
        return last if self.dense is None else torch.sigmoid(self.dense(last))


class EncoderDecoder(nn.Module):  # type: ignore[misc]  # as above
    """The encoder's final state begins the decoder's sequence; logits of the next characters."""

    def __init__(self, row: Row, weights: list[np.ndarray]) -> None:
        super().__init__()
        each = iter(weights)
        self.encoder = LAYERS[row.cell](row.features, row.units, batch_first=True)
        self.decoder = LAYERS[row.cell](row.target_features, row.units, batch_first=True)
        self.dense = nn.Linear(row.units, row.target_features)
        set_recurrent(self.encoder, row, each)
        set_recurrent(self.decoder, row, each)
        set_dense(self.dense, each)

    def forward(self, encoder_inputs: torch.Tensor, decoder_inputs: torch.Tensor) -> torch.Tensor:
        """Logits (batch, time, characters)."""
        _, states = self.encoder(encoder_inputs)
        sequence, _ = self.decoder(decoder_inputs, states)
        return self.dense(sequence)


class KerasRMSprop:
    """RMSprop with epsilon inside the root, as Keras has it (torch.optim adds it outside), by list operations."""

    def __init__(self, parameters: list[torch.Tensor], learning_rate: float) -> None:
        self._parameters = parameters
        self._velocities = [torch.zeros_like(parameter) for parameter in parameters]
        self._learning_rate = learning_rate

    def step(self) -> None:
        """One update from the parameters' gradients."""
        with torch.no_grad():
            self._update()

    def _update(self) -> None:
        gradients = [parameter.grad for parameter in self._parameters]
        torch._foreach_mul_(self._velocities, RHO)
        torch._foreach_addcmul_(self._velocities, gradients, gradients, 1.0 - RHO)
        roots = torch._foreach_add(self._velocities, EPSILON)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(self._parameters, gradients, roots, -self._learning_rate)


class TorchPeer(Peer):
    """PyTorch in this process; `packed` runs rows of different lengths as packed sequences."""

    def __init__(self, threads: int, packed: bool) -> None:
        torch.set_num_threads(threads)
        # foliot flushes denormals while it computes; without this PyTorch could lose by denormals alone.
        torch.set_flush_denormal(True)
        self._packed = packed

    def versions(self) -> dict[str, str]:
        """PyTorch's version and the BLAS that it was built with."""
        blas = [part for part in torch.__config__.show().replace("\n", ",").split(",") if "BLAS_INFO" in part]
        return {"torch": " ".join([torch.__version__, *(part.split()[-1] for part in blas)])}

    def modes(self, row: Row) -> list[str]:
        """Everything; packed where there is a mask."""
        return list(row.modes) if row.masked or not self._packed else []

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes the model of `row` with `weights`."""
        self._row = row
        self._model = EncoderDecoder(row, weights) if row.target_steps else Stack(row, weights, self._packed)
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._trained = trained
        self._optimizer = (
            torch.optim.SGD(trained, learning_rate) if optimizer == "sgd" else KerasRMSprop(trained, learning_rate)
        )

    def _arguments(self, batch: Batch) -> list[Any]:
        if self._row.target_steps:
            return [torch.from_numpy(array) for array in batch.inputs]
        (inputs,) = batch.inputs
        if not self._row.masked:
            return [torch.from_numpy(inputs), None]
        if self._row.padding == "pre":
            inputs = moved_to_the_left(inputs, batch.lengths)
        return [torch.from_numpy(inputs), torch.from_numpy(batch.lengths)]

    def train(self, batch: Batch) -> float:
        """One step; the loss before it."""
        for parameter in self._trained:
            parameter.grad = None
        outputs = self._model(*self._arguments(batch))
        targets = torch.from_numpy(batch.targets)
        if self._row.target_steps:
            loss = nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(0, 1))
        else:
            loss = nn.functional.binary_cross_entropy(outputs, targets)
        loss.backward()
        self._optimizer.step()
        return float(loss)

    def predict(self, batch: Batch) -> np.ndarray:
        """The outputs for one batch."""
        with torch.inference_mode():
            outputs = self._model(*self._arguments(batch))
            outputs = torch.softmax(outputs, dim=-1) if self._row.target_steps else outputs
            result: np.ndarray = outputs.numpy()
        return result

    def steps(self, frames: list[np.ndarray]) -> np.ndarray:
        """The output for the last of the frames, which the recurrent layer takes one by one."""
        layer, states = self._model.recurrent, None
        with torch.inference_mode():
            for frame in frames:
                output, states = layer(torch.from_numpy(frame)[:, None], states)
            result: np.ndarray = output[:, -1].numpy()
        return result
