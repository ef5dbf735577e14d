"""The competitors as processes: each in its own interpreter, asked for one piece of work at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "benches" / "peers" / "worker.py"


@dataclass(frozen=True)
class Competitor:
    """A framework and the setting in which it is measured."""

    name: str
    label: str
    environment: dict[str, str] = field(default_factory=dict)
    # Its losses under RMSprop differ by design; the gradient is checked under SGD.
    own_embedding_rmsprop: bool = False

    @property
    def is_foliot(self) -> bool:
        """Whether it is ours, in whatever setting."""
        return self.name.startswith("foliot")

    @property
    def is_torch(self) -> bool:
        """Whether it is PyTorch, which may have an interpreter of its own."""
        return self.name.startswith("torch")


COMPETITORS = (
    Competitor("foliot", "foliot"),
    # The same operations as the peers, one by one, to tell algebra from kernels.
    Competitor("foliot-plain", "foliot, exact algebra off", {"FOLIOT_EXACT_ALGEBRA": "0"}),
    Competitor(
        "keras-tf", "Keras/TensorFlow, jit_compile=True", {"KERAS_BACKEND": "tensorflow"}, own_embedding_rmsprop=True
    ),
    Competitor(
        "keras-tf-nojit",
        "Keras/TensorFlow, jit_compile=False",
        {"KERAS_BACKEND": "tensorflow"},
        own_embedding_rmsprop=True,
    ),
    Competitor("keras-jax", "Keras/JAX", {"KERAS_BACKEND": "jax"}),
    Competitor("torch", "PyTorch, eager"),
    Competitor("torch-packed", "PyTorch, packed sequences"),
    Competitor("onnxruntime", "ONNX Runtime"),
    Competitor("numpy", "NumPy"),
)


class CompetitorError(Exception):
    """A competitor's process ended; the text says what it last wrote."""


def interpreter(competitor: Competitor) -> str:
    """The Python that has `competitor` installed, so far as the environment says."""
    if competitor.is_foliot or competitor.name == "numpy":
        return sys.executable
    peers = os.environ.get("PEERS_PYTHON") or str(ROOT / ".venv-peers" / "bin" / "python")
    if competitor.is_torch:
        return os.environ.get("TORCH_PYTHON") or peers
    return peers


def thread_settings(threads: int) -> dict[str, str]:
    """The environment that holds every framework's pools to `threads` threads."""
    count = str(threads)
    return {
        "FOLIOT_NUM_THREADS": count,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        # Keeps TensorFlow's start-up notes out of the error text.
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }


class Process:
    """A running competitor, stopped by signal while others are measured, so that no idle pool spins beside them."""

    def __init__(self, competitor: Competitor, threads: int) -> None:
        self.competitor = competitor
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        command = [interpreter(competitor), str(WORKER), competitor.name, str(threads)]
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **thread_settings(threads), **competitor.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except FileNotFoundError as error:
            self._errors.close()
            message = f"no interpreter at {command[0]}"
            raise CompetitorError(message) from error

    def ask(self, request: str, **arguments: object) -> Any:
        """Sends one request and waits for its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            message = "the process was started without pipes"
            raise CompetitorError(message)
        try:
            self._process.send_signal(signal.SIGCONT)
            self._process.stdin.write(json.dumps({"request": request, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            lines = [line for line in self._errors.read().splitlines() if line.strip()]
            message = lines[-1] if lines else f"ended with code {self._process.returncode}"
            raise CompetitorError(message)
        self._process.send_signal(signal.SIGSTOP)
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._errors.close()
