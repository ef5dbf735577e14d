"""The progress line: on a terminal it is redrawn, in a file it leaves one line per epoch."""

import re
import sys

import pytest

from foliot.callbacks import progress
from foliot.callbacks.progress import ProgressLine, format_seconds, format_step, format_value, resolve_verbose


class Clock:
    """Time that passes only when told."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def _run(line: ProgressLine, clock: Clock, steps: int, seconds: float) -> None:
    line.set_params({"steps": steps})
    line.on_epoch_begin(0)
    for step in range(steps):
        clock.now += seconds
        line.on_train_batch_end(step, {"acc": 0.5, "loss": 0.25})
    line.on_epoch_end(0, {"acc": 0.5, "loss": 0.25, "val_loss": 0.00012})


def test_in_a_file_one_line_per_epoch(clock, capsys) -> None:
    _run(ProgressLine(2, 3), clock, steps=4, seconds=0.01)
    out = capsys.readouterr().out
    assert out == "Epoch 1/3\n4/4 - 0s - 10ms/step - acc: 0.5000 - loss: 0.2500 - val_loss: 1.2000e-04\n"


def test_a_bar_in_a_file_is_drawn_once(clock, capsys) -> None:
    _run(ProgressLine(1, 1), clock, steps=400, seconds=0.01)
    out = capsys.readouterr().out
    assert "\r" not in out
    assert out.count("\n") == 2
    assert "400/400 " + "━" * 20 + " 4s 10ms/step - acc: 0.5000" in out


def test_on_a_terminal_at_most_20_updates_a_second(clock, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: type("Size", (), {"columns": 200}))
    _run(ProgressLine(1, 1), clock, steps=1000, seconds=0.001)
    out = capsys.readouterr().out
    assert 15 <= out.count("\r") <= 22
    assert out.count("\n") == 2
    lines = out.split("\n")[1].split("\r")
    assert re.match(r" {3}1/1000 {22}", lines[1])
    assert " 500/1000 " in out.replace("\r", " ") or "━" * 10 + " " * 10 in out
    assert lines[-1].startswith("1000/1000 " + "━" * 20)


def test_a_narrow_terminal_never_wraps_while_drawing(clock, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: type("Size", (), {"columns": 30}))
    _run(ProgressLine(1, 1), clock, steps=10, seconds=0.1)
    redrawn = capsys.readouterr().out.split("\n")[1].split("\r")[1:-1]
    assert max(map(len, redrawn)) <= 29


def test_without_unicode_the_bar_is_plain(clock, monkeypatch) -> None:
    written: list[str] = []
    stream = type("Stream", (), {"encoding": "ascii", "isatty": lambda self: False, "flush": lambda self: None})()
    stream.write = written.append
    monkeypatch.setattr(sys, "stdout", stream)
    _run(ProgressLine(1, 1), clock, steps=2, seconds=0.1)
    "".join(written).encode("ascii")
    assert "=" * 20 in "".join(written)


def test_an_interrupted_line_is_ended(clock, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    line = ProgressLine(1, 1)
    line.set_params({"steps": 5})
    line.on_epoch_begin(0)
    clock.now += 1
    line.on_train_batch_end(0, {"loss": 1.0})
    line.interrupt()
    line.interrupt()
    out = capsys.readouterr().out
    assert out.endswith("\n")
    assert not out.endswith("\n\n")


def test_verbose(monkeypatch) -> None:
    assert [resolve_verbose(value) for value in ("auto", 0, 1, 2, True, False)] == [2, 0, 1, 2, 1, 0]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert resolve_verbose("auto") == 1
    for wrong in (3, -1, "yes", None, 1.5):
        with pytest.raises(ValueError, match="verbose"):
            resolve_verbose(wrong)


def test_numbers() -> None:
    assert [format_value(value) for value in (0.5, 12.345678, 1e-5, 0.0, float("nan"), -0.25)] == [
        "0.5000",
        "12.3457",
        "1.0000e-05",
        "0.0000e+00",
        "nan",
        "-0.2500",
    ]
    assert [format_seconds(value) for value in (0.4, 59.9, 61, 3661)] == ["0s", "59s", "1:01", "1:01:01"]
    assert [format_step(value) for value in (2.0, 0.0123, 0.000045)] == ["2s/step", "12ms/step", "45us/step"]
