"""Writes the golden files. Run from the repository root with an environment that has Keras 3 and JAX:

KERAS_BACKEND=jax PYTHONPATH=tests python -m golden.generate
"""

import json
import platform
from pathlib import Path

import jax
import keras
import numpy as np

from . import cases, keras_models
from .store import FOLDER, MANIFEST, case_hash, file_hash

Results = dict[str, dict[str, object]]


def _numbers(array: np.ndarray) -> list[float]:
    # Nine significant digits tell any two float32 apart.
    return [float(f"{value:.9g}") for value in np.asarray(array, np.float32).ravel()]


def run_once(selected: list[cases.Case]) -> Results:
    """Outputs, loss and every gradient by name."""
    results: Results = {}
    for case in selected:
        graph = case.graph.to_dict()
        model = keras_models.model(graph, case.weights)
        arguments = keras_models.with_masks(graph, case.inputs, case.all_masks)
        outputs, loss, gradients = keras_models.loss_and_gradients(graph, model, case.training, arguments, case.targets)
        results[case.name] = {
            "loss": loss,
            "outputs": [_numbers(output) for output in outputs],
            "gradients": {n: _numbers(g) for n, g in zip(case.graph.names, gradients, strict=True)},
        }
    return results


def train(selected: list[cases.Case]) -> Results:
    """The loss of every step and the weights at the end, by name."""
    results: Results = {}
    for case in selected:
        graph = case.graph.to_dict()
        model = keras_models.model(graph, case.weights)
        batches = []
        for step in range(cases.STEPS):
            rows = cases.batch_rows(step)
            weights = case.sample_weights and [None if w is None else w[rows] for w in case.sample_weights]
            batches.append(([x[rows] for x in case.inputs], [y[rows] for y in case.targets], weights))
        assert case.optimizer is not None
        losses = keras_models.train(model, case.training, case.optimizer, batches)
        final = keras_models.weights_in_order(graph, model)
        results[case.name] = {
            "losses": [float(f"{value:.9g}") for value in losses],
            "weights": {n: _numbers(w) for n, w in zip(case.graph.names, final, strict=True)},
        }
    return results


def _write(path: Path, results: Results) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(values, separators=(',', ':'))}" for name, values in results.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Writes the three files and the manifest."""
    suites = {
        "layers": (run_once, cases.layer_cases()),
        "activations": (run_once, cases.activation_cases()),
        "training": (train, cases.training_cases()),
    }
    files = {}
    for name, (function, selected) in suites.items():
        path = FOLDER / f"{name}.json"
        _write(path, function(selected))
        files[name] = {"sha256": file_hash(path), "cases": case_hash(selected)}
    versions = {
        "keras": keras.__version__,
        "backend": f"jax {jax.__version__}",
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    manifest = {"command": (__doc__ or "").splitlines()[-1], "versions": versions, "files": files}
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
