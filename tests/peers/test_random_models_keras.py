"""Three hundred random recurrent models against Keras, and more in the nightly profile: see random_models.

Together with the random layers, models and trainings of test_peers_keras, which look at gradients and steps, too.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import foliot
from peers.random_models import answers

pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` brings it")

# 300 with 30 examples, as CI has them.
COUNT = 10 * (settings.default.max_examples if settings.default else 30)
# Each starts a process, which takes longer than its models do.
CHUNK = 150


def test_there_are_three_hundred() -> None:
    assert COUNT >= 300


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_random_models(first: int, tmp_path: Path) -> None:
    path = tmp_path / "outputs.npz"
    tests = Path(__file__).parents[1]
    environment = os.environ | {"KERAS_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    command = [sys.executable, "-m", "peers.random_models", f"{first}:{min(first + CHUNK, COUNT)}", str(path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with np.load(path) as expected:
        compared = 0
        for seed in range(first, min(first + CHUNK, COUNT)):
            found: list[Any] = answers(foliot, seed)
            assert f"{seed}/{len(found)}" not in expected
            for position, output in enumerate(found):
                wanted = expected[f"{seed}/{position}"]
                assert output.shape == wanted.shape, seed
                # A normalization of features that hardly differ enlarges what both sides have rounded.
                np.testing.assert_allclose(output, wanted, atol=2e-5, rtol=1e-5, err_msg=f"model {seed}")
                compared += 1
        assert compared == len(expected.files)
