"""What a GPU is asked to do in one training step: dispatches, and the bytes that go to the device and come back.

Counted from the plans themselves, so no GPU is needed. Weights, which stay on the device, are not counted.

    python benches/gpu_plans.py
"""

import json
from typing import Any

import numpy as np

import foliot
from foliot import _core, layers
from foliot._graph import assemble

LOSS: dict[str, Any] = {"loss": {"kind": "mean_squared_error"}, "reduction": "sum_over_batch_size"}
TRAINING: dict[str, Any] = {"losses": [LOSS], "loss_weights": None, "metrics": [[]], "weighted_metrics": [[]]}


def counted(x: np.ndarray, model: list[layers.Layer]) -> tuple[int, int, int, int]:
    """Dispatches, bytes to the device, bytes to the host, bytes of the device's memory for a batch."""
    dtype = "int32" if x.dtype == np.int32 else "float32"
    first = tensor = foliot.Input((None, *x.shape[2:]), dtype=dtype)
    for layer in model:
        tensor = layer(tensor)
    graph = assemble([first], [tensor], [False])
    parameters = [weight.parameter for weight in graph.weights]
    optimizer = foliot.optimizers.RMSprop()
    native = _core.Optimizer(json.dumps(optimizer.to_spec()))
    native.build(parameters)
    targets = np.zeros((len(x), tensor.shape[-1] or 0), np.float32)
    plan = _core.plan(
        graph.graph,
        parameters,
        [x],
        [None],
        training=json.dumps(TRAINING),
        targets=[targets],
        sample_weights=[None],
        optimizer=native,
    )
    dispatches = [event[1] for event in plan["events"] if event[0] == "dispatch"]
    words = sum(source[1].nbytes for one in dispatches for _, source in one["bindings"] if source[0] == "words")
    sizes = sum(one["sizes"].nbytes for one in dispatches)
    written = sum(event[2].nbytes for event in plan["events"] if event[0] == "write")
    read = sum(4 * event[1][2] for event in plan["events"] if event[0] == "read")
    return len(dispatches), words + sizes + written, read, 4 * plan["floats"]


def main() -> None:
    """Prints the table."""
    random = np.random.default_rng(0)
    texts = random.integers(0, 10_000, size=(128, 500)).astype(np.int32)
    models: dict[str, tuple[Any, list[layers.Layer]]] = {
        "imdb_rnn": (texts, [layers.Embedding(10_000, 32), layers.SimpleRNN(32), layers.Dense(1)]),
        "imdb_lstm": (texts, [layers.Embedding(10_000, 32), layers.LSTM(32), layers.Dense(1)]),
    }
    for units, features, steps in ((64, 64, 100), (128, 128, 100), (1024, 512, 50)):
        x = random.normal(size=(64, steps, features)).astype(np.float32)
        models[f"lstm{units}"] = x, [layers.LSTM(units)]
    print("| | dispatches | to the device | to the host | memory of a batch |")
    print("|---|---|---|---|---|")
    for name, (x, model) in models.items():
        dispatches, up, down, memory = counted(x, model)
        print(f"| {name} | {dispatches} | {up / 1e6:.1f} MB | {down} bytes | {memory / 1e6:.0f} MB |")


if __name__ == "__main__":
    main()
