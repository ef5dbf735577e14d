"""The command `foliot`: what it prints, and how it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import foliot
from foliot import _devices, cli
from foliot.examples import sentiment


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"foliot {foliot.__version__}\n"


def test_info(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["info"]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name: value.strip() for name, value in rows.items()}
    assert rows["foliot"] == foliot.__version__
    assert rows["threads"] == str(foliot.config.get_num_threads())
    assert rows["instruction set"] in rows["available"].split(", ")


def test_devices(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = _devices.Device(0, "A100", "discrete", "vulkan", "535", {"max": 1024}, ())
    monkeypatch.setattr(foliot, "devices", lambda: [found])
    assert cli.main(["devices"]) == 0
    assert capsys.readouterr().out.split() == (
        ["gpu:0", "A100", "type", "discrete", "api", "vulkan", "driver", "535", "max", "1,024", "features", "none"]
    )
    monkeypatch.setattr(foliot, "devices", list)
    assert cli.main(["devices"]) == 0
    assert "run on the CPU" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND (see foliot --help)"),
        (["train"], "invalid choice: 'train' (choose from"),
        (["demo"], "the following arguments are required: DEMO (see foliot demo --help)"),
        (["demo", "sentiment", "--cell", "rnn"], "argument --cell: invalid choice: 'rnn'"),
        (["demo", "sentiment", "--epochs", "0"], "argument --epochs: must be greater than 0, not 0"),
        (["demo", "sentiment", "--epochs", "1.5"], "argument --epochs: invalid int value: '1.5'"),
        (["demo", "sentiment", "--threads", "-2"], "argument --threads: must be greater than 0, not -2"),
        (["demo", "sentiment", "--learning-rate", "nan"], "argument --learning-rate: must be greater than 0, not nan"),
        (["demo", "sentiment", "--learning-rate", "inf"], "argument --learning-rate: must be greater than 0, not inf"),
        (["demo", "sentiment", "--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["info", "--all"], "unrecognized arguments: --all"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("foliot: error: ")
    assert output.err.count("\n") == 1
    assert message in output.err


def check_error(output: str, *parts: str) -> None:
    assert output.startswith("foliot: error: ")
    assert output.count("\n") == 1
    for part in parts:
        assert part in output


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({}, "no labelled texts found"),
        ({"a.pos": b"good\n", "a.neg": b"tr\xe8s long\n"}, "a.neg: byte 0xe8 at offset 2 (line 1) is not utf-8"),
        ({"a.pos": b"good\n", "a.neg": b""}, "a.neg: holds no text"),
        ({"a.pos": b"good\n" * 5, "a.neg": b"bad\n" * 5}, "expected at least 10 reviews of both kinds"),
        ({"a.pos": b"! ?\n" * 20, "a.neg": b"? !\n" * 20}, "the texts to learn from hold no words"),
        ({"a.csv": b"stars,words\n"}, "expected a text column named"),
        ({"a.npz": b"PK"}, "not a readable .npz file"),
    ],
)
def test_bad_data_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, contents: dict[str, bytes], message: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, content in contents.items():
        (data / name).write_bytes(content)
    assert cli.main(["demo", "sentiment", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    check_error(capsys.readouterr().err, str(data), message)


def test_bad_paths_are_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert cli.main(["demo", "sentiment", "--data", missing, "--out", str(tmp_path)]) == 2
    check_error(capsys.readouterr().err, missing, "No such file or directory")
    (tmp_path / "file").touch()
    assert cli.main(["demo", "sentiment", "--out", str(tmp_path / "file")]) == 2
    check_error(capsys.readouterr().err, str(tmp_path / "file"))
    assert cli.main(["demo", "sentiment", "--count", "9", "--out", str(tmp_path)]) == 2
    check_error(capsys.readouterr().err, "expected at least 10 reviews", "Received: 6 from --count")


@pytest.mark.parametrize("module", ["matplotlib.figure", "sklearn.linear_model"])
def test_a_missing_extra_is_named_with_the_way_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["demo", "sentiment", "--out", str(tmp_path / "out")]) == 2
    check_error(capsys.readouterr().err, f"the demo needs {module}", "pip install 'foliot[demo]'")
    assert not (tmp_path / "out").exists()


def test_an_error_of_foliot_itself_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_options: object) -> None:
        raise AssertionError("a defect")

    monkeypatch.setattr(sentiment, "run", fail)
    with pytest.raises(AssertionError, match="a defect"):
        cli.main(["demo", "sentiment"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on POSIX")
def test_an_interrupt_ends_training_with_130(tmp_path: Path) -> None:
    # A shell's background jobs ignore interrupts, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _interrupt_training(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_training(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "foliot.cli", "demo", "sentiment", "--count", "100", "--epochs", "1000000"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "val_loss" in line:
                    process.send_signal(signal.SIGINT)
                    break
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.strip() == "foliot: interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed as on POSIX")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "foliot.cli", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141
