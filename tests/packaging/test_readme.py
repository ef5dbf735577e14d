"""README's code is run, in order and in one namespace, as a reader would."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_readme_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = list(re.finditer(r"^```python\n(.*?)^```", (README := (ROOT / "README.md").read_text()), re.MULTILINE | re.DOTALL))
    assert blocks, "README shows no code"
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        # Padding with line breaks makes a traceback name README's own line.
        source = "\n" * README.count("\n", 0, block.start(1)) + block[1]
        exec(compile(source, str(ROOT / "README.md"), "exec"), namespace)
