"""Every instruction set of this machine: the parity tests run again in processes of their own, with FOLIOT_ISA set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foliot import _core

HERE = Path(__file__).parent
CHOSEN = os.environ.get("FOLIOT_ISA")
OTHERS = [] if CHOSEN else [name for name in _core.available_isas() if name != _core.isa()]


def test_the_chosen_instruction_set_is_used() -> None:
    assert _core.isa() == (CHOSEN or _core.available_isas()[-1])


@pytest.fixture(scope="module")
def runs() -> dict[str, "subprocess.Popen[str]"]:
    """One process per other instruction set, all started at once."""
    files = [
        str(HERE / f"test_parity_{name}.py") for name in ("cells", "folding", "layers", "layer_table", "golden", "isa")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *files]
    started = {}
    for name in OTHERS:
        environment = os.environ | {"FOLIOT_ISA": name}
        # The coverage of the outer run would be written over.
        environment.pop("COV_CORE_SOURCE", None)
        started[name] = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=HERE.parent.parent,
        )
    return started


@pytest.mark.timeout(600)
@pytest.mark.skipif(not OTHERS, reason="no other instruction set, or FOLIOT_ISA chose this one")
@pytest.mark.parametrize("name", OTHERS)
def test_other_instruction_set(name: str, runs: dict[str, "subprocess.Popen[str]"]) -> None:
    output, _ = runs[name].communicate()
    assert runs[name].returncode == 0, output


def start_with(name: str) -> str:
    """The last line on standard error of a process that is started with FOLIOT_ISA=name and has to fail."""
    result = subprocess.run(
        [sys.executable, "-c", "from foliot import _core; print(_core.isa())"],
        env=os.environ | {"FOLIOT_ISA": name},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1, result.stdout
    return result.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["sse9", "AVX2 ", "neon,avx2"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    message = start_with(name)
    assert message.startswith("ValueError")
    for part in ("FOLIOT_ISA", name, "portable", "avx2", "avx512", "neon"):
        assert part in message


@pytest.mark.parametrize("name", sorted({"portable", "avx2", "avx512", "neon"} - set(_core.available_isas())))
def test_an_unsupported_name_is_an_error(name: str) -> None:
    message = start_with(name)
    assert message.startswith("ValueError")
    for part in ("FOLIOT_ISA", name, *_core.available_isas()):
        assert part in message
