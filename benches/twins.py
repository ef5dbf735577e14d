"""No feature falls off a cliff: functional, stateful, masked, bidirectional and other models beside their plain twin.

`python benches/twins.py [--cells lstm gru] [--units 32 128] [--rounds 9]` times training steps and predictions of each
model in turn, in one process, and prints the time of a processed step as a multiple of the plain model's: a step of one
row in one direction, padding not counted. 1.00 says that a feature costs nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import foliot
from foliot import _core, layers

if TYPE_CHECKING:
    from collections.abc import Callable

# Rows and steps of a batch: the tutorial's for 32 units, so that milliseconds are measured and not calls.
BATCHES = {32: (128, 500)}
BATCH = (64, 100)
CELLS = {
    "simple_rnn": (layers.SimpleRNN, layers.SimpleRNNCell),
    "gru": (layers.GRU, layers.GRUCell),
    "lstm": (layers.LSTM, layers.LSTMCell),
}
# How far a feature may lie above its plain twin.
ALLOWED = 1.15


@dataclass(frozen=True)
class Twin:
    """A compiled model with its batch, and how many times the plain model's steps it processes."""

    model: Any
    inputs: np.ndarray
    targets: np.ndarray
    work: float = 1.0

    def train(self) -> None:
        """A training step."""
        self.model.train_on_batch(self.inputs, self.targets)

    def predict(self) -> None:
        """A prediction."""
        self.model.predict_on_batch(self.inputs)


def make_twins(name: str, units: int) -> dict[str, Twin]:
    """The models with `units` features and units; the plain one first."""
    layer, cell = CELLS[name]
    rows, steps = BATCHES.get(units, BATCH)
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, steps, units)).astype(np.float32)
    y = random.normal(size=(rows, 1)).astype(np.float32)
    # Every length, in no order; Masking finds the zeros.
    lengths = random.permutation(np.linspace(1, steps, rows).round().astype(int))
    padded = np.where((np.arange(steps) < lengths[:, None])[..., None], x, np.float32(0))

    def stack(*between: Any) -> Any:
        inputs = foliot.Input(batch_shape=(rows, steps, units))
        return foliot.Sequential([inputs, *between, layers.Dense(1)])

    def functional(**options: Any) -> Any:
        inputs = foliot.Input((steps, units))
        outputs = layer(units, **options)(inputs)
        return foliot.Model(inputs, layers.Dense(1)(outputs[0] if options else outputs))

    twins = {
        "plain": Twin(stack(layer(units)), x, y),
        "functional": Twin(functional(), x, y),
        "return_state": Twin(functional(return_state=True), x, y),
        "stateful": Twin(stack(layer(units, stateful=True)), x, y),
        "go_backwards": Twin(stack(layer(units, go_backwards=True)), x, y),
        "RNN(cell)": Twin(stack(layers.RNN(cell(units))), x, y),
        "masked, full rows": Twin(stack(layers.Masking(), layer(units)), x, y),
        "masked, every length": Twin(stack(layers.Masking(), layer(units)), padded, y, float(lengths.mean()) / steps),
        "bidirectional": Twin(stack(layers.Bidirectional(layer(units))), x, y, 2.0),
    }
    for twin in twins.values():
        twin.model.compile("sgd", "mse")
    return twins


def best_times(functions: list[Callable[[], None]], rounds: int) -> list[list[float]]:
    """Milliseconds of each function's best call in each round, in turn after a warm-up."""
    times: list[list[float]] = [[] for _ in functions]
    for current in range(rounds + 1):
        for function, own in zip(functions, times, strict=True):
            # The first call brings the model back into the caches.
            function()
            calls = []
            for _ in range(3):
                start = time.perf_counter()
                function()
                calls.append((time.perf_counter() - start) * 1e3)
            if current > 0:
                own.append(min(calls))
    return times


def compare(name: str, units: int, rounds: int) -> bool:
    """Prints one table; whether every feature stays within what is allowed."""
    twins = make_twins(name, units)
    modes = {mode: [getattr(twin, mode) for twin in twins.values()] for mode in ("train", "predict")}
    columns = {mode: best_times(functions, rounds) for mode, functions in modes.items()}
    rows, steps = BATCHES.get(units, BATCH)
    print(
        f"\n{name}, {units} units, batch {rows}, {steps} steps; ms median (minimum) of the rounds' best calls, and the "
        "ratio of the medians per processed step"
    )
    print("| model | training step | of plain | prediction | of plain |\n|---|---|---|---|---|")
    within = True
    for index, (label, twin) in enumerate(twins.items()):
        cells = []
        for times in columns.values():
            ratio = statistics.median(times[index]) / statistics.median(times[0]) / twin.work
            within = within and ratio <= ALLOWED
            cells.append(f"{statistics.median(times[index]):.2f} ({min(times[index]):.2f}) | {ratio:.2f}")
        print(f"| {label} | {' | '.join(cells)} |")
    return within


def main() -> int:
    """Prints all tables; 1 if a feature costs more than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--units", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if (profile := _core.build_info()["profile"]) != "release":
        raise SystemExit(f"foliot._core was built with profile {profile!r}: only a release build is measured")
    foliot.utils.set_random_seed(1)
    results = [compare(name, units, arguments.rounds) for name in arguments.cells for units in arguments.units]
    print(f"\nEvery feature within {ALLOWED:.2f} of its plain twin: {'yes' if all(results) else 'no'}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
