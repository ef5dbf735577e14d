"""What a user without the tools is told: one line that says what to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the Makefile itself calls; the interpreters and Rust's tools are put in or left out per test.
TOOLS = ("sh", "awk", "cat", "cp", "find", "grep", "make", "mkdir", "rm", "sed", "touch")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing built, beside a folder `bin` that holds the only programs to be found."""
    folder = tmp_path / "foliot"
    (folder / "rust").mkdir(parents=True)
    for name in ("Makefile", "Cargo.toml", "Cargo.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (programs / tool).symlink_to(found)
    return folder


def program(checkout: Path, name: str, script: str) -> None:
    """Puts a shell script on the path."""
    path = checkout.parent / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def complaint(checkout: Path, *arguments: str) -> str:
    """What `make demo` says before it stops with an error."""
    make = shutil.which("make")
    assert make
    environment = {"PATH": str(checkout.parent / "bin"), "HOME": os.environ.get("HOME", "/")}
    run = subprocess.run(
        [make, "demo", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert run.stdout == ""
    return run.stderr


def rust(checkout: Path, version: str = "1.95.0") -> None:
    """A Rust toolchain that is found but never used."""
    program(checkout, "cargo", f"echo cargo {version}")
    program(checkout, "rustc", f"echo 'rustc {version} (hash date)'")
    program(checkout, "cc", "true")


def test_missing_rust(checkout: Path) -> None:
    text = complaint(checkout)
    assert text.count("\n") == 1
    assert "needs Rust" in text


def test_rust_too_old(checkout: Path) -> None:
    rust(checkout, "1.70.0")
    assert "needs Rust 1." in complaint(checkout)


def test_missing_linker(checkout: Path) -> None:
    rust(checkout)
    (checkout.parent / "bin" / "cc").unlink()
    assert "linker" in complaint(checkout)


def test_missing_python(checkout: Path) -> None:
    rust(checkout)
    text = complaint(checkout)
    assert text.count("\n") == 1
    assert "needs Python 3.11 or newer" in text


def test_python_that_is_too_old_or_does_not_start(checkout: Path) -> None:
    rust(checkout)
    program(checkout, "python3", "exit 1")
    program(checkout, "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    text = complaint(checkout)
    assert text.count("\n") == 1
    assert "needs Python 3.11 or newer" in text


def test_named_python_does_not_work(checkout: Path) -> None:
    rust(checkout)
    assert "PYTHON=/nowhere/python is not a working Python" in complaint(checkout, "PYTHON=/nowhere/python")
