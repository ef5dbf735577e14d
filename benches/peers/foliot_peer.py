"""foliot, through the same calls as Keras."""

from __future__ import annotations

import foliot
from foliot import _core
from keras_api import KerasApi


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
