"""What long sequences take: `python benches/long_sequences.py [--steps 1000 10000 100000] [--units 64] [--rows 1]`.

An LSTM is trained on one sequence of many time steps, with a loss for each step and with one at the end: by
backpropagation through all of time that keeps every step, the same with `checkpoint_every='auto'`, and in pieces
(`fit(tbptt=)`). Each measurement is a process of its own: its peak of resident memory, what of that came after the data
were made, and the time of the fastest epoch. The losses of the first two ways are compared: they have the same bits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

WAYS = ("plain", "checkpoints", "tbptt")


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent's memory at the time of the fork, too.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(way: str, sequences: bool, steps: int, units: int, rows: int, features: int, repeats: int) -> None:
    """Trains in this process and prints what it took."""
    import time

    import numpy as np

    from foliot.layers import LSTM, Dense, Input
    from foliot.models import Sequential

    every = "auto" if way == "checkpoints" else None
    layer = LSTM(units, return_sequences=sequences, checkpoint_every=every, seed=1)
    model = Sequential([Input((None, features)), layer, Dense(1)])
    random = np.random.default_rng(0)
    model.set_weights([random.normal(scale=0.1, size=weight.shape) for weight in model.weights])
    model.compile("adam", "mse")
    x = random.standard_normal((rows, steps, features), dtype=np.float32)
    y = random.standard_normal((rows, steps, 1) if sequences else (rows, 1), dtype=np.float32)
    before = peak_memory()
    piece = round(steps**0.5) if way == "tbptt" else None
    seconds, losses = float("inf"), []
    for _ in range(repeats):
        start = time.perf_counter()
        losses += model.fit(x, y, batch_size=rows, tbptt=piece, verbose=0).history["loss"]
        seconds = min(seconds, time.perf_counter() - start)
    print(json.dumps({"before": before, "peak": peak_memory(), "seconds": seconds, "losses": losses}))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, loss = options.measure
        sizes = options.steps[0], options.units, options.rows, options.features, options.repeats
        measure(way, loss == "each step", *sizes)
        return
    print(f"LSTM({options.units}), {options.rows} rows, {options.features} features; MB are 2**20 bytes")
    print(f"{'steps':>8} {'loss':<10} {'way':<12} {'peak MB':>9} {'training MB':>12} {'seconds':>9}")
    common = ["--units", options.units, "--rows", options.rows, "--features", options.features]
    common += ["--repeats", options.repeats]
    for steps in options.steps:
        for loss in ("each step", "last step"):
            losses: dict[str, list[float]] = {}
            # Pieces need a loss for each step.
            for way in WAYS if loss == "each step" else WAYS[:2]:
                command = [sys.executable, __file__, "--measure", way, loss, "--steps", steps, *common]
                output = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
                if output.returncode:
                    sys.exit(output.stderr)
                result = json.loads(output.stdout)
                losses[way] = result["losses"]
                peak, more = result["peak"] / 2**20, (result["peak"] - result["before"]) / 2**20
                print(
                    f"{steps:>8} {loss:<10} {way:<12} {peak:>9.1f} {more:>12.1f} {result['seconds']:>9.3f}", flush=True
                )
            if losses["plain"] != losses["checkpoints"]:
                sys.exit(f"losses differ: {losses}")


if __name__ == "__main__":
    main()
