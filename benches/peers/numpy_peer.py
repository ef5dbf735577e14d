"""NumPy as a careful user writes a step at batch 1: one product for all gates, weights joined beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peer import Peer

if TYPE_CHECKING:
    from rows import Row


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    y: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return y


class NumpyPeer(Peer):
    """The cells' equations in this process."""

    def versions(self) -> dict[str, str]:
        """NumPy's version."""
        return {"numpy": np.__version__}

    def modes(self, row: Row) -> list[str]:
        """Single steps: a loop over time in Python is no rival elsewhere."""
        return [mode for mode in row.modes if mode == "step" and row.cell in ("lstm", "gru")]

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Keeps the weights in the form in which a step multiplies them."""
        self._row = row
        kernel, recurrent, bias = weights
        if row.cell == "lstm":
            self._joined, self._bias = np.concatenate([kernel, recurrent]), bias
        else:
            # Block by block: the candidate's two products stay apart, as reset_after has it.
            self._kernel, self._recurrent, (self._bias, self._recurrent_bias) = kernel, recurrent, bias

    def steps(self, frames: list[np.ndarray]) -> np.ndarray:
        """The output for the last of the frames."""
        return self._lstm(frames) if self._row.cell == "lstm" else self._gru(frames)

    def _lstm(self, frames: list[np.ndarray]) -> np.ndarray:
        units = self._row.units
        h = np.zeros((1, units), np.float32)
        c = np.zeros((1, units), np.float32)
        for frame in frames:
            z = np.concatenate([frame, h], axis=1) @ self._joined + self._bias
            # Keras's order: input, forget, candidate, output.
            gates = sigmoid(z)
            c = gates[:, units : 2 * units] * c + gates[:, :units] * np.tanh(z[:, 2 * units : 3 * units])
            h = gates[:, 3 * units :] * np.tanh(c)
        return h

    def _gru(self, frames: list[np.ndarray]) -> np.ndarray:
        units = self._row.units
        h = np.zeros((1, units), np.float32)
        for frame in frames:
            inputs = frame @ self._kernel + self._bias
            states = h @ self._recurrent + self._recurrent_bias
            gates = sigmoid(inputs[:, : 2 * units] + states[:, : 2 * units])
            update, reset = gates[:, :units], gates[:, units:]
            candidate = np.tanh(inputs[:, 2 * units :] + reset * states[:, 2 * units :])
            h = update * h + (1.0 - update) * candidate
        return h
