"""foliot beside Keras (TensorFlow, JAX) and PyTorch: same weights, same batches, same threads, one interleaved run.

Losses are compared before anything is timed; on a difference nothing is reported. Peers are taken from the interpreter
that PEERS_PYTHON names or from .venv-peers (`make bench` makes it), PyTorch also from TORCH_PYTHON; missing ones are
listed. Prints a Markdown table and writes the figures to out/bench.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from competitors import COMPETITORS, ROOT, Competitor, CompetitorError, Process, interpreter

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from rows import ROWS, Row, read_problem, write_problem

# The outputs of float32 forward passes over 500 steps agree far better than this; a swapped gate does not.
OUTPUT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-3
CHECK_STEPS = 3
# SGD's rate is large enough for three steps to move the loss by far more than the tolerance.
OPTIMIZERS = {"sgd": 0.1, "rmsprop": 0.001}


class DisagreementError(Exception):
    """Two competitors do not compute the same thing, so their times cannot be compared."""


def main() -> int:
    """Runs the rows asked for; 1 if competitors disagree."""
    arguments = parse_arguments()
    warn_if_busy()
    results: dict[str, Any] = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "rows": [],
        "versions": {},
        "missing": {},
        "peaks": {},
    }
    rows = [row for row in ROWS if row.name in arguments.rows]
    if arguments.smoke:
        rows = [row.shrunk() for row in rows]
    try:
        for threads in arguments.threads:
            if not arguments.smoke and (peak := measure_peak(threads)) is not None:
                results["peaks"][str(threads)] = peak
            measure_rows(rows, threads, arguments, results)
    except DisagreementError as error:
        print(f"no table: {error}", file=sys.stderr)
        return 1
    results["imports"] = import_times(arguments.competitors, arguments.rounds)
    results["machine"]["load after"] = load()
    report(results)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nFigures: {arguments.out}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, default=names, help="rows to run (default: all)")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="thread counts (default: 1 2)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds after the warm-up (default: 9)")
    parser.add_argument("--repeats", type=int, default=5, help="steps per competitor and round (default: 5)")
    parser.add_argument(
        "--competitors",
        nargs="+",
        choices=[competitor.name for competitor in COMPETITORS],
        default=[competitor.name for competitor in COMPETITORS],
        help="who takes part (default: everyone found)",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench.json", help="where the JSON goes")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny models, two rounds: checks the harness, measures nothing"
    )
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds = arguments.repeats = 2
    return arguments


def measure_rows(rows: list[Row], threads: int, arguments: argparse.Namespace, results: dict[str, Any]) -> None:
    """Measures every row at one thread count and appends to `results["rows"]`."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = start_processes(arguments.competitors, threads, results, stack)
        for row in rows:
            problem = folder / "problem.npz"
            write_problem(row, problem)
            processed = statistics.mean(
                int(batch.lengths.sum()) if row.masked else row.batch * row.steps
                for batch in read_problem(str(problem)).batches
            )
            flops = row.flops(round(processed))
            print(f"{row.name}, threads {threads}: building and checking", file=sys.stderr)
            modes = {process: process.ask("modes", row=asdict(row))["modes"] for process in processes}
            notes = check_agreement(modes, row, problem)
            for mode in row.modes:
                print(f"{row.name} {mode}, threads {threads}: timing", file=sys.stderr)
                able = [process for process, can in modes.items() if mode in can]
                times = interleaved(able, mode, arguments.rounds, arguments.repeats)
                results["rows"].append(
                    {
                        "row": asdict(row),
                        "mode": mode,
                        "threads": threads,
                        "flops": flops["train"] if mode == "train" else flops["forward"] / per_call(row, mode),
                        "milliseconds": times,
                        "notes": notes,
                    }
                )


def per_call(row: Row, mode: str) -> int:
    """Into how many measured calls a batch is divided."""
    return row.steps if mode == "step" else 1


def start_processes(
    names: list[str], threads: int, results: dict[str, Any], stack: contextlib.ExitStack
) -> list[Process]:
    """One process per competitor that can be started; the others go to `results["missing"]` with the reason."""
    processes = []
    for competitor in COMPETITORS:
        if competitor.name not in names:
            continue
        try:
            process = Process(competitor, threads)
            stack.callback(process.close)
            results["versions"].update(process.ask("versions")["versions"])
        except CompetitorError as error:
            if competitor.is_foliot:
                raise SystemExit(f"foliot cannot be measured: {error}") from error
            results["missing"][competitor.label] = str(error)
        else:
            processes.append(process)
    return processes


def check_agreement(modes: dict[Process, list[str]], row: Row, problem: Path) -> list[str]:
    """Compares outputs and losses of all processes, and leaves each with the model under RMSprop, ready to be timed.

    Keras on TensorFlow squares an Embedding's gradient before it adds up repeated ids, so RMSprop moves that table
    differently there. Its gradients are held to the same bound under SGD; its distance under RMSprop is told in a note.
    """
    notes = []
    for optimizer, learning_rate in OPTIMIZERS.items():
        answers = []
        for process, can in modes.items():
            if can:
                process.ask(
                    "build", row=asdict(row), problem=str(problem), optimizer=optimizer, learning_rate=learning_rate
                )
                answers.append((process.competitor, process.ask("check", modes=can, steps=CHECK_STEPS)))
        reference, expected = next((a for a in answers if not a[0].own_embedding_rmsprop), answers[0])
        for competitor, answer in answers:
            note = compare(competitor, answer, reference, expected, f"{row.name} with {optimizer}", optimizer)
            notes.extend([note] if note else [])
    return notes


def compare(
    competitor: Competitor,
    answer: dict[str, Any],
    reference: Competitor,
    expected: dict[str, Any],
    case: str,
    optimizer: str,
) -> str | None:
    """Raises DisagreementError if `answer` is not `expected`; gives a note where a difference is by design.

    What only one of the two can do is not compared.
    """
    for key in ("outputs", "step"):
        if key in answer and key in expected:
            outputs = largest([abs(a - b) for a, b in zip(answer[key], expected[key], strict=True)])
            # `not (x <= bound)`: a NaN must fail too.
            if not outputs <= OUTPUT_TOLERANCE:
                message = f"{case}: {key} of {competitor.label} and {reference.label} differ by {outputs:.1e}"
                raise DisagreementError(message)
    if "losses" not in answer or "losses" not in expected:
        return None
    losses = [abs(a - b) / abs(b) for a, b in zip(answer["losses"], expected["losses"], strict=True)]
    worst = largest(losses)
    if worst <= LOSS_TOLERANCE:
        return None
    if competitor.own_embedding_rmsprop and optimizer == "rmsprop" and losses[0] <= LOSS_TOLERANCE:
        return (
            f"{case}: losses of {competitor.label} differ by up to {worst:.1e}, through its own update of the Embedding"
        )
    message = f"{case}: losses of {competitor.label} {answer['losses']}, of {reference.label} {expected['losses']}"
    raise DisagreementError(message)


def largest(values: list[float]) -> float:
    """The largest value; NaN if there is one, which Python's `max` would pass over."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def interleaved(processes: list[Process], mode: str, rounds: int, repeats: int) -> dict[str, dict[str, float]]:
    """Median and minimum milliseconds per competitor over `rounds` rounds, each of which asks everyone once."""
    medians: dict[str, list[float]] = {process.competitor.label: [] for process in processes}
    minima: dict[str, list[float]] = {process.competitor.label: [] for process in processes}
    for number in range(rounds + 1):
        # Every round starts with another competitor, so that no one always follows the same neighbour.
        first = number % len(processes)
        for process in processes[first:] + processes[:first]:
            seconds = process.ask(mode, repeats=repeats)["seconds"]
            if number > 0:  # the first round warms caches and compilers up
                medians[process.competitor.label].append(statistics.median(seconds))
                minima[process.competitor.label].append(min(seconds))
    return {
        label: {"median": 1e3 * statistics.median(medians[label]), "minimum": 1e3 * min(minima[label])}
        for label in medians
    }


def import_times(names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds that importing each package takes in a fresh process, NumPy's own import not counted."""
    cases: dict[str, tuple[str, str, dict[str, str]]] = {}
    for competitor in COMPETITORS:
        if competitor.name in names:
            # `import foliot` alone loads next to nothing: the layers and the native module come with their first use.
            module = {"foliot": "foliot.models", "torch": "torch", "keras": "keras"}.get(competitor.name.split("-")[0])
            if module is None:
                continue
            # The settings of one framework share its import.
            label = competitor.label.split(", ")[0]
            cases[label] = (interpreter(competitor), module, competitor.environment)
    seconds: dict[str, list[float]] = {label: [] for label in cases}
    # Installed packages come with bytecode; foliot, in place here, writes its own in the first round.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for number in range(rounds + 1):
        for label, (python, module, environment) in cases.items():
            code = (
                f"import numpy, time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
            )
            try:
                run = subprocess.run(
                    [python, "-c", code],
                    env={**inherited, **environment, "TF_CPP_MIN_LOG_LEVEL": "2"},
                    capture_output=True,
                    text=True,
                    check=True,
                )
            except (FileNotFoundError, subprocess.CalledProcessError):
                continue  # listed as missing with its reason already
            if number > 0:
                seconds[label].append(float(run.stdout.split()[-1]))
    return {
        label: {"median": 1e3 * statistics.median(values), "minimum": 1e3 * min(values)}
        for label, values in seconds.items()
        if values
    }


def machine() -> dict[str, str]:
    """Where the figures come from."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": model,
        "cores": str(cores),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load before": load(),
    }


def load() -> str:
    """The one-minute load average."""
    return f"{os.getloadavg()[0]:.2f}"


def warn_if_busy() -> None:
    """Peers slow down many times over beside another load, so figures of a busy machine must not be quoted."""
    if float(load()) > 0.5:
        print(f"warning: the load average is {load()}: figures taken now are not to be quoted", file=sys.stderr)


def report(results: dict[str, Any]) -> None:
    """Prints the Markdown tables."""
    machine = results["machine"]
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; load {machine['load before']} before, "
        f"{machine['load after']} after; median (minimum) of {results['rounds']} interleaved rounds, milliseconds"
    )
    print("Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()))
    for label, reason in results["missing"].items():
        print(f"Missing: {label} ({reason})")
    for note in dict.fromkeys(note for row in results["rows"] for note in row["notes"]):
        print(f"Note: {note}")
    for threads, peak in results["peaks"].items():
        print(f"Peak of multiply-adds with {threads} threads: {peak:.0f} GFLOP/s")
    labels = [c.label for c in COMPETITORS if any(c.label in row["milliseconds"] for row in results["rows"])]
    ours = [c.label for c in COMPETITORS if c.is_foliot and c.label in labels]
    ratios = [f"fastest peer / {label}" for label in ours]
    print("\n| | threads | " + " | ".join(labels + ratios) + " | GFLOP/s |")
    print("|---|---|" + "---|" * (len(labels) + len(ours) + 1))
    for row in results["rows"]:
        times = row["milliseconds"]
        cells = [f"{show(times[label])}" if label in times else "" for label in labels]
        cells += [ratio(times, label) for label in ours]
        print(f"| {row['row']['name']} {row['mode']} | {row['threads']} | {' | '.join(cells)} | {rate(row, results)} |")
    cells = [f"{label} {times['median']:.0f} ({times['minimum']:.0f})" for label, times in results["imports"].items()]
    print(f"\nImport in a fresh process, NumPy's own import not counted, milliseconds: {', '.join(cells)}")


def show(times: dict[str, float]) -> str:
    """Median and minimum milliseconds; those of single steps with all digits that mean something."""
    digits = 2 if times["minimum"] >= 0.1 else 4
    return f"{times['median']:.{digits}f} ({times['minimum']:.{digits}f})"


def rate(row: dict[str, Any], results: dict[str, Any]) -> str:
    """What the recurrent layers' operations take of the peak, if foliot did them one by one, by the minimum."""
    setting = next(c.label for c in reversed(COMPETITORS) if c.is_foliot and c.label in row["milliseconds"])
    gigaflops = row["flops"] / row["milliseconds"][setting]["minimum"] / 1e6
    peak = results["peaks"].get(str(row["threads"]))
    return f"{gigaflops:.0f}" + (f", {100 * gigaflops / peak:.0f} %" if peak else "")


def measure_peak(threads: int) -> float | None:
    """GFLOP/s of multiply-adds in registers on this many threads; None where there is no cargo."""
    command = ["cargo", "run", "--release", "--quiet", "--locked", "--package", "foliot-simd", "--example", "peak"]
    try:
        run = subprocess.run([*command, "--", str(threads)], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return float(run.stdout)


def ratio(times: dict[str, dict[str, float]], ours: str) -> str:
    """How many times faster a setting of foliot is than the fastest peer, by medians and by minima."""
    others = {c.label for c in COMPETITORS if not c.is_foliot}
    peers = [value for label, value in times.items() if label in others]
    if ours not in times:
        return ""
    if not peers:
        return "no peer"
    ratios = [min(peer[key] for peer in peers) / times[ours][key] for key in ("median", "minimum")]
    return f"{ratios[0]:.1f} ({ratios[1]:.1f})"


if __name__ == "__main__":
    raise SystemExit(main())
