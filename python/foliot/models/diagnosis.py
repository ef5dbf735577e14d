"""Where the first value that is not finite came from, once a loss is none."""

import json
from typing import Any

import numpy as np

from foliot import _core
from foliot._arrays import Array
from foliot.models.data import Data
from foliot.models.network import Compiled


def describe_failure(
    part: Compiled, data: Data, rows: Array | None, step: int, *, in_pieces: bool = False
) -> str | None:
    """Which layer first gave a value that is not finite, at which time step and for which sample.

    The layers are run once more, with the weights from before the step's update and the same dropout.

    Args:
        part: What was trained.
        data: The arrays of the step.
        rows: The rows of the batch in them, None for all.
        step: The number of the step, on which dropout depends.
        in_pieces: Whether the sequences were trained on in pieces.

    Returns:
        The sentence for the user; None where no step has failed since the metrics began anew.
    """
    values = part.program.failed_weights()
    if values is None:
        return None
    named = part.assembly.weights
    parameters = [_core.Parameter(weight.parameter.name, value) for weight, value in zip(named, values, strict=True)]
    graph = json.loads(part.assembly.graph)
    nodes = graph["nodes"]
    if part.assembly.states:
        return "where it came from is not known: stateful layers have gone on since"

    def run(changed: list[dict[str, Any]], places: list[list[int]]) -> list[Array]:
        text = json.dumps({**graph, "nodes": changed, "outputs": places})
        # The copies of the weights are its own, for in training a layer may change some.
        copies = [_core.Parameter(parameter.name, parameter.numpy()) for parameter in parameters]
        masks = data.masks or [None] * len(data.inputs)
        return _core.Program(text, copies).forward(data.inputs, masks, rows, training=True, step=step)

    computed = [position for position, node in enumerate(nodes) if node["layer"]["kind"] != "input"]
    for position, output in zip(computed, run(nodes, [[position, 0] for position in computed]), strict=True):
        if np.isfinite(output).all():
            continue
        layer = nodes[position]["layer"]
        time, sample = _first(output)
        if layer.get("return_sequences") is False:
            every = [*nodes[:position], {**nodes[position], "layer": {**layer, "return_sequences": True}}]
            [output] = run(every, [[position, 0]])
            time, sample = _first(output)
        if time is not None and layer.get("go_backwards"):
            time = output.shape[1] - 1 - time
        where = f"layer {nodes[position]['name'].split(':')[0]!r}"
        where += "" if time is None else f" at time step {time}"
        where += f" for sample {sample} of the batch"
        where += "" if rows is None else f" (row {rows[sample]} of the data)"
        spoilt = [
            parameters[index].name for index in nodes[position]["parameters"] if not np.isfinite(values[index]).all()
        ]
        why = f"; before the step its weight {spoilt[0]} held such values already" if spoilt else ""
        return f"the first value that is not finite came from {where}{why}"
    if in_pieces:
        return "where it came from is not known: the weights have changed since, with each piece of the sequences"
    return (
        "the outputs of all layers are finite, so the loss itself is not: look at the targets, the sample weights and "
        "penalties on weights"
    )


def _first(output: Array) -> tuple[int | None, int]:
    """The first time step (None without a time axis) with a value that is not finite, and the first such sample."""
    bad = np.asarray(~np.isfinite(output))
    if output.ndim < 3:
        return None, int(np.argwhere(bad)[0][0])
    steps = np.asarray(bad.reshape(*output.shape[:2], -1).any(axis=2))
    time = int(np.argmax(steps.any(axis=0)))
    return time, int(np.argmax(steps[:, time]))
