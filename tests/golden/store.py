"""Reading the golden files, and the hashes that tie them to their cases."""

import hashlib
import json
from pathlib import Path
from typing import Any

from .cases import Case

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.json"


def load(name: str) -> dict[str, Any]:
    """The results of a suite by the name of the case."""
    results: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return results


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def case_hash(cases: list[Case]) -> str:
    """SHA-256 of everything that decides the values of a suite."""
    text = json.dumps([case.description() for case in cases], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
