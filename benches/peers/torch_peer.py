"""PyTorch, eager: its recurrent layers on the CPU are oneDNN (LSTM) or one operation after the other (RNN, GRU)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from rows import Row

LAYERS = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
# Keras's defaults for RMSprop.
RHO = 0.9
EPSILON = 1e-7


class Classifier(nn.Module):  # type: ignore[misc]  # PyTorch is not installed where mypy runs
    """Embedding, recurrent layer, Dense(1, sigmoid), with the weights of the Keras model."""

    def __init__(self, row: Row, weights: list[np.ndarray]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(row.vocabulary, row.embedding)
        self.recurrent = LAYERS[row.cell](row.embedding, row.units, batch_first=True)
        self.dense = nn.Linear(row.units, 1)
        table, kernel, recurrent_kernel, bias, dense_kernel, dense_bias = weights
        if row.cell == "gru":
            # Keras orders the gates z r h, PyTorch r z n.
            kernel, recurrent_kernel, bias = (
                swap_first_two_gates(w, row.units) for w in (kernel, recurrent_kernel, bias)
            )
            input_bias, hidden_bias = bias
        else:
            # Keras has one bias here; PyTorch's second one stays zero and is not trained.
            input_bias, hidden_bias = bias, np.zeros_like(bias)
            self.recurrent.bias_hh_l0.requires_grad_(False)
        for parameter, value in (
            (self.embedding.weight, table),
            (self.recurrent.weight_ih_l0, kernel.T),
            (self.recurrent.weight_hh_l0, recurrent_kernel.T),
            (self.recurrent.bias_ih_l0, input_bias),
            (self.recurrent.bias_hh_l0, hidden_bias),
            (self.dense.weight, dense_kernel.T),
            (self.dense.bias, dense_bias),
        ):
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The probability per row."""
        sequence, _ = self.recurrent(self.embedding(tokens))
        return torch.sigmoid(self.dense(sequence[:, -1]))


def swap_first_two_gates(weight: np.ndarray, units: int) -> np.ndarray:
    """Exchanges the first two blocks of `units` columns."""
    first, second, third = np.split(weight, [units, 2 * units], axis=-1)
    return np.concatenate([second, first, third], axis=-1)


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


class TorchPeer:
    """PyTorch in this process."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        # foliot flushes denormals while it computes; without this PyTorch could lose by denormals alone.
        torch.set_flush_denormal(True)

    def versions(self) -> dict[str, str]:
        """PyTorch's version and the BLAS that it was built with."""
        blas = [part for part in torch.__config__.show().replace("\n", ",").split(",") if "BLAS_INFO" in part]
        return {"torch": " ".join([torch.__version__, *(part.split()[-1] for part in blas)])}

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes the model of `row` with `weights`."""
        self._model = Classifier(row, weights)
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._trained = trained
        self._optimizer = (
            torch.optim.SGD(trained, learning_rate) if optimizer == "sgd" else KerasRMSprop(trained, learning_rate)
        )

    def train(self, tokens: np.ndarray, labels: np.ndarray) -> float:
        """One step; the loss before it."""
        for parameter in self._trained:
            parameter.grad = None
        loss = nn.functional.binary_cross_entropy(self._model(torch.from_numpy(tokens)), torch.from_numpy(labels))
        loss.backward()
        self._optimizer.step()
        return float(loss)

    def reset(self) -> None:
        """`train` returns the loss of one step, not a running mean: nothing to start afresh."""

    def predict(self, tokens: np.ndarray) -> np.ndarray:
        """The outputs for one batch."""
        with torch.inference_mode():
            outputs: np.ndarray = self._model(torch.from_numpy(tokens)).numpy()
        return outputs
