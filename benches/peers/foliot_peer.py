"""foliot, through the same calls as Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import foliot
from foliot import _core
from keras_api import KerasApi

if TYPE_CHECKING:
    import numpy as np

    from rows import Row


class FoliotPeer(KerasApi):
    """foliot in this process."""

    def __init__(self) -> None:
        super().__init__(foliot, {})
        profile = _core.build_info()["profile"]
        if profile != "release":
            message = f"foliot._core was built with profile {profile!r}: only a release build is measured"
            raise SystemExit(message)

    def versions(self) -> dict[str, str]:
        """Foliot's version and the instruction set that it chose."""
        return {**super().versions(), "foliot instruction set": _core.isa()}

    def modes(self, row: Row) -> list[str]:
        """Everything."""
        return list(row.modes)

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """As Keras's, with a session for steps."""
        super().build(row, weights, optimizer, learning_rate)
        if "step" in row.modes:
            self._session = self.model.stream()

    def steps(self, frames: list[np.ndarray]) -> np.ndarray:
        """The output for the last of the frames, which a session takes one by one from its beginning."""
        session = self._session
        session.reset()
        for frame in frames:
            output: np.ndarray = session.step(frame)
        return output
