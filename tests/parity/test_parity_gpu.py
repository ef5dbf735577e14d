"""Starts the tests that need an adapter, tests/gpu, in a process that a driver may end without ending this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COUNT = "import foliot; print(len(foliot.devices()))"
LIMIT = 580


@pytest.mark.timeout(LIMIT + 20)
def test_on_an_adapter() -> None:
    asked = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr
    if int(asked.stdout) == 0:
        pytest.skip("no adapter: neither a GPU nor a software device (Debian: apt install mesa-vulkan-drivers)")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / "gpu")]
    environment = {"FOLIOT_TEST_GPU": "1", **os.environ}
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment, cwd=TESTS.parent
    )
    print(run.stdout, run.stderr)
    assert run.returncode == 0
