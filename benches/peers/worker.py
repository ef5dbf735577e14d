"""One competitor in a process of its own: reads a JSON request a line, answers with a JSON line.

Run by `side_by_side.py`, with the interpreter that has the competitor installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rows import Batch, Row, read_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Peer


def make_peer(name: str, threads: int) -> Peer:
    """The competitor called `name`; its framework is imported here and nowhere else."""
    if name.startswith("foliot"):
        from foliot_peer import FoliotPeer

        return FoliotPeer()
    if name.startswith("torch"):
        from torch_peer import TorchPeer

        return TorchPeer(threads, packed=name.endswith("-packed"))
    if name == "onnxruntime":
        from onnx_peer import OnnxPeer

        return OnnxPeer(threads)
    if name == "numpy":
        from numpy_peer import NumpyPeer

        return NumpyPeer()
    from keras_peer import KerasPeer

    return KerasPeer(jit_compile=not name.endswith("-nojit"))


class Worker:
    """Answers the requests for one competitor."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def versions(self) -> dict[str, Any]:
        """The competitor's versions."""
        return {"versions": self._peer.versions()}

    def modes(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the competitor can do with a row."""
        return {"modes": self._peer.modes(Row(**row))}

    def build(self, row: dict[str, Any], problem: str, optimizer: str, learning_rate: float) -> dict[str, Any]:
        """Makes the model of a row."""
        self._problem = read_problem(problem)
        self._row = Row(**row)
        self._peer.build(self._row, self._problem.weights, optimizer, learning_rate)
        self._next = 0
        return {}

    def check(self, modes: list[str], steps: int) -> dict[str, Any]:
        """The first batch's outputs, then its loss before training and after each of `steps` training steps on it.

        Only what `modes` names is done; outputs come from training's model where it does not predict otherwise.
        """
        batch = self._problem.batches[0]
        answer: dict[str, Any] = {}
        if "step" in modes:
            answer["step"] = flat(self._peer.steps(frames_of(batch)))
        if "train" in modes or "predict" in modes:
            answer["outputs"] = flat(self._peer.predict(batch))
        if "train" in modes:
            answer["losses"] = []
            for _ in range(steps + 1):
                self._peer.reset()
                answer["losses"].append(self._peer.train(batch))
        return answer

    def train(self, repeats: int) -> dict[str, Any]:
        """Seconds of each of `repeats` training steps."""
        return {"seconds": [timed(lambda: self._peer.train(self._batch())) for _ in range(repeats)]}

    def predict(self, repeats: int) -> dict[str, Any]:
        """Seconds of each of `repeats` predictions, the result in the process's memory included."""
        return {"seconds": [timed(lambda: np.asarray(self._peer.predict(self._batch()))) for _ in range(repeats)]}

    def step(self, repeats: int) -> dict[str, Any]:
        """Seconds of a single time step: the mean over a sequence, for each of `repeats` sequences."""
        seconds = []
        for _ in range(repeats):
            frames = frames_of(self._batch())
            seconds.append(timed(partial(self._peer.steps, frames)) / len(frames))
        return {"seconds": seconds}

    def _batch(self) -> Batch:
        index = self._next % self._row.batches
        self._next += 1
        return self._problem.batches[index]


def flat(values: Any) -> list[float]:
    """All numbers, for JSON."""
    return np.asarray(values, dtype=np.float64).ravel().tolist()


def frames_of(batch: Batch) -> list[np.ndarray]:
    """The time steps (batch, features) of a batch, as a service gets them: one array each."""
    (sequence,) = batch.inputs
    return [np.ascontiguousarray(sequence[:, step]) for step in range(sequence.shape[1])]


def timed(body: Callable[[], object]) -> float:
    """Seconds that `body` takes."""
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def main() -> None:
    """Serves requests until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args()
    # Frameworks size their pools by the processors they may use, so the limit comes before their import.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    # Frameworks print to standard output; answers keep a channel of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(make_peer(arguments.peer, arguments.threads))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("request"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
