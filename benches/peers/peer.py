"""What a competitor offers to the worker that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from rows import Batch, Row


class Peer:
    """A framework in this process. It answers what `modes` says; the other requests are not made."""

    def versions(self) -> dict[str, str]:
        """Versions to print below the table."""
        raise NotImplementedError

    def modes(self, row: Row) -> list[str]:
        """Which of the row's modes it has."""
        raise NotImplementedError

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes the model of `row` with `weights`."""
        raise NotImplementedError

    def train(self, batch: Batch) -> float:
        """One step; its loss before it."""
        raise NotImplementedError

    def reset(self) -> None:
        """Lets the next loss be that of its own step, where the framework keeps a running mean."""

    def predict(self, batch: Batch) -> Any:
        """The outputs for one batch."""
        raise NotImplementedError

    def steps(self, frames: list[np.ndarray]) -> Any:
        """The output for the last of the frames, taken one by one from zero states."""
        raise NotImplementedError
