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


def test_what_only_one_can_do_is_not_compared() -> None:
    import side_by_side
    from competitors import COMPETITORS

    onnx = next(c for c in COMPETITORS if c.name == "onnxruntime")
    only_outputs = {"outputs": EXPECTED["outputs"]}
    assert side_by_side.compare(onnx, only_outputs, COMPETITORS[0], EXPECTED, "case", "sgd") is None
    with pytest.raises(side_by_side.DisagreementError, match="step of ONNX Runtime and foliot"):
        side_by_side.compare(onnx, {"step": [0.1]}, COMPETITORS[0], {"step": [0.2]}, "case", "sgd")


@pytest.mark.parametrize("name", ["imdb_gru", "bilstm128", "gru128x3", "seq2seq256", "lengths128", "lstm64_step"])
def test_problem_is_the_same_on_every_run(name: str, tmp_path: Path) -> None:
    import foliot
    from rows import ROWS, read_problem, write_problem

    row = next(row for row in ROWS if row.name == name).shrunk()
    for file in ("a.npz", "b.npz"):
        write_problem(row, tmp_path / file)
    first, second = (read_problem(str(tmp_path / file)) for file in ("a.npz", "b.npz"))
    for left, right in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(first.batches) == row.batches
    for batch, again in zip(first.batches, second.batches, strict=True):
        for one, other in zip([*batch.inputs, batch.targets], [*again.inputs, again.targets], strict=True):
            np.testing.assert_array_equal(one, other)
        assert batch.inputs[0].shape[:2] == (row.batch, row.steps)
    # The weights are those of the model that the peers build, in its order.
    from keras_api import KerasApi

    peer = KerasApi(foliot, {})
    peer.build(row, first.weights, "sgd", 0.1)
    assert [weight.shape for weight in peer.model.get_weights()] == [weight.shape for weight in first.weights]


def test_padding_on_the_left_can_be_moved_to_the_right() -> None:
    from rows import moved_to_the_left

    inputs = np.array([[0, 0, 1, 2], [3, 4, 5, 6], [0, 7, 8, 9]])
    moved = moved_to_the_left(inputs, np.array([2, 4, 3]))
    np.testing.assert_array_equal(moved, [[1, 2, 0, 0], [3, 4, 5, 6], [7, 8, 9, 0]])
    vectors = moved_to_the_left(inputs[..., None] * np.ones(2), np.array([2, 4, 3]))
    np.testing.assert_array_equal(vectors[..., 1], moved)


def test_operations_of_a_training_step() -> None:
    from rows import Row

    # A SimpleRNN multiplies (F + U)·U weights a step, twice forward and, in a training step, twice that again for the
    # gradients of the weights and of its inputs and states.
    row = Row("case", "simple_rnn", units=4, features=3, batch=2, steps=5, vocabulary=10)
    forward = 2.0 * (3 + 4) * 4 * 10
    assert row.flops(10) == {"forward": forward, "train": 3 * forward}
    # Vectors need no gradient; two directions do everything twice.
    vectors = Row("case", "simple_rnn", units=4, features=3, batch=2, steps=5, bidirectional=True)
    assert vectors.flops(10)["train"] == 2 * (3 * forward - 2.0 * 3 * 4 * 10)


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
    from rows import ROWS

    assert {(row["row"]["name"], row["mode"]) for row in figures["rows"]} == {
        (row.name, mode) for row in ROWS for mode in row.modes
    }
    assert all(row["milliseconds"]["foliot"]["minimum"] > 0 for row in figures["rows"])
    assert set(figures["missing"]) == {
        "Keras/TensorFlow, jit_compile=True",
        "Keras/TensorFlow, jit_compile=False",
        "Keras/JAX",
        "PyTorch, eager",
        "PyTorch, packed sequences",
        "ONNX Runtime",
    }
    assert "no interpreter at" in run.stdout
