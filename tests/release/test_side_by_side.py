"""The side-by-side bench reports times only of competitors that compute the same thing."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHES = Path(__file__).parents[2] / "benches"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the bench's modules importable, as running it from its folder does."""
    monkeypatch.syspath_prepend(str(BENCHES))
    monkeypatch.syspath_prepend(str(BENCHES / "peers"))


def answer(outputs: list[float], losses: list[float]) -> dict[str, list[float]]:
    """A competitor's answer to `check`."""
    return {"outputs": outputs, "losses": losses}


EXPECTED = answer([0.5, 0.25], [0.7, 0.6, 0.5, 0.4])


@pytest.mark.parametrize("name", ["foliot", "keras-tf", "keras-jax", "torch"])
def test_equal_answers_pass_without_a_note(name: str) -> None:
    import side_by_side
    from competitors import COMPETITORS

    competitor = next(c for c in COMPETITORS if c.name == name)
    assert side_by_side.compare(competitor, EXPECTED, competitor, EXPECTED, "case", "rmsprop") is None


@pytest.mark.parametrize(
    "received",
    [
        answer([0.5, 0.2502], EXPECTED["losses"]),
        answer([0.5, math.nan], EXPECTED["losses"]),
        answer([math.nan, 0.25], EXPECTED["losses"]),
        answer(EXPECTED["outputs"], [0.7, 0.6, 0.5, 0.4005]),
        answer(EXPECTED["outputs"], [0.7, 0.6, math.nan, 0.4]),
        answer(EXPECTED["outputs"], [math.nan, 0.6, 0.5, 0.4]),
    ],
)
def test_different_answers_are_refused(received: dict[str, list[float]]) -> None:
    import side_by_side
    from competitors import COMPETITORS

    with pytest.raises(side_by_side.DisagreementError):
        side_by_side.compare(COMPETITORS[0], received, COMPETITORS[3], EXPECTED, "case", "rmsprop")


def test_tensorflow_may_differ_under_rmsprop_only_and_is_noted() -> None:
    import side_by_side
    from competitors import COMPETITORS

    tensorflow = next(c for c in COMPETITORS if c.name == "keras-tf")
    later = answer(EXPECTED["outputs"], [0.7, 0.61, 0.5, 0.4])
    note = side_by_side.compare(tensorflow, later, COMPETITORS[0], EXPECTED, "case", "rmsprop")
    assert note is not None
    assert tensorflow.label in note
    with pytest.raises(side_by_side.DisagreementError):
        side_by_side.compare(tensorflow, later, COMPETITORS[0], EXPECTED, "case", "sgd")
    # The loss before any update has nothing to do with the optimizer.
    first = answer(EXPECTED["outputs"], [0.71, 0.6, 0.5, 0.4])
    with pytest.raises(side_by_side.DisagreementError):
        side_by_side.compare(tensorflow, first, COMPETITORS[0], EXPECTED, "case", "rmsprop")


def test_problem_is_the_same_on_every_run(tmp_path: Path) -> None:
    from rows import ROWS, read_problem, write_problem

    row = ROWS[2].shrunk()
    for name in ("a.npz", "b.npz"):
        write_problem(row, tmp_path / name)
    first, second = (read_problem(str(tmp_path / name)) for name in ("a.npz", "b.npz"))
    for left, right in zip([*first.weights, first.tokens], [*second.weights, second.tokens], strict=True):
        np.testing.assert_array_equal(left, right)
    assert first.tokens.shape == (row.batches, row.batch, row.steps)
    assert first.tokens.max() < row.vocabulary


def test_smoke_run_without_peers_lists_them_and_writes_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERS_PYTHON", str(tmp_path / "absent"))
    monkeypatch.setenv("TORCH_PYTHON", str(tmp_path / "absent"))
    out = tmp_path / "bench.json"
    run = subprocess.run(
        [sys.executable, BENCHES / "side_by_side.py", "--smoke", "--threads", "1", "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads(out.read_text())
    assert {(row["row"]["name"], row["mode"]) for row in figures["rows"]} == {
        ("imdb_rnn", "train"),
        ("imdb_rnn", "predict"),
        ("imdb_lstm", "train"),
        ("imdb_gru", "train"),
    }
    assert all(row["milliseconds"]["foliot"]["minimum"] > 0 for row in figures["rows"])
    assert set(figures["missing"]) == {
        "Keras/TensorFlow, jit_compile=True",
        "Keras/TensorFlow, jit_compile=False",
        "Keras/JAX",
        "PyTorch, eager",
    }
    assert "no interpreter at" in run.stdout
