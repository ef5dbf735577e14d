"""Warnings that name the user's line, however deep in foliot they arise."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

_FOLIOT = str(Path(__file__).parent) + os.sep


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning of the line, outside of foliot, that called."""
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the only way before Python 3.12
    level = 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLIOT):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
