"""A problem: a graph with weights and data, for any of the sides to run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .graphs import MEAN_SQUARED_ERROR, Graph, Spec, Tensor, embedding, recurrent, state_sizes, training

Array = np.ndarray


@dataclass(kw_only=True)
class Problem:
    """`masks` has an entry per input, `sample_weights` and `targets` one per output."""

    graph: Graph
    training: Spec
    weights: list[Array]
    inputs: list[Array]
    targets: list[Array]
    masks: list[Array | None] | None = None
    sample_weights: list[Array | None] | None = None

    @property
    def all_masks(self) -> list[Array | None]:
        """A mask or None per input."""
        return self.masks or [None] * len(self.inputs)

    @property
    def all_sample_weights(self) -> list[Array | None]:
        """Sample weights or None per output."""
        return self.sample_weights or [None] * len(self.targets)


def random_weights(graph: Graph, random: np.random.Generator) -> list[Array]:
    """Normal with the variance that keeps activations of order 1 through many steps and layers."""
    # Heads have smaller ones: a unit that sees itself alone soon sits where its sign depends on the last bit.
    scales = {2: 0.7, 3: 0.4}
    return [
        random.normal(scale=scales[len(shape)] / np.sqrt(shape[-2]) if len(shape) > 1 else 0.3, size=shape).astype(
            np.float32
        )
        for shape in graph.shapes
    ]


def random_mask(pattern: str, batch: int, time: int, random: np.random.Generator) -> Array:
    """A random mask: "right" or "left" padding of any length, "interior" anywhere; each may mask whole rows."""
    lengths = random.integers(0, time + 1, size=(batch, 1))
    steps = np.arange(time)
    if pattern == "right":
        return steps < lengths
    if pattern == "left":
        return steps >= time - lengths
    return random.random((batch, time)) < 0.6


def learned_sequence(
    graph: Graph, inputs: list[Array], batch: int, time: int, features: int, mask: Array | None, name: str
) -> Tensor:
    """A sequence (batch, time, features) that is itself a parameter, so that its gradient comes out by name.

    Every step of every row is a row of an Embedding; masked steps share row 0.
    """
    ids = np.arange(1, batch * time + 1, dtype=np.int32).reshape(batch, time)
    inputs.append(ids if mask is None else np.where(mask, ids, 0).astype(np.int32))
    x = graph.input(f"{name}_ids", (None,), dtype="int32")
    return graph.add(embedding(batch * time + 1, features, mask is not None), x, name=name)[0]


def learned_state(graph: Graph, inputs: list[Array], batch: int, units: int, name: str) -> Tensor:
    """A state (batch, units) that is itself a parameter."""
    inputs.append(np.arange(batch, dtype=np.int32)[:, None])
    ids = graph.input(f"{name}_ids", (1,), dtype="int32")
    (rows,) = graph.add(embedding(batch, units), ids, name=name)
    return graph.add({"kind": "flatten"}, rows, name=f"{name}_flat")[0]


def cell_problem(
    cell: str,
    batch: int,
    time: int,
    features: int,
    units: int,
    *,
    seed: int,
    mask: str | None = None,
    initial_state: bool = True,
    learned: bool = True,
    **options: Any,
) -> Problem:
    """A recurrent layer with a squared error on its output and on each of its final states.

    With `learned` the sequence and the initial states are parameters too; otherwise they are plain inputs.
    """
    random = np.random.default_rng(seed)
    graph = Graph()
    inputs: list[Array] = []
    masks: list[Array | None] = []
    valid = random_mask(mask, batch, time, random) if mask else None
    if learned:
        x = learned_sequence(graph, inputs, batch, time, features, valid, "x")
        masks.append(None)
    else:
        x = graph.input("x", (None, features), masked=mask is not None)
        inputs.append(random.normal(size=(batch, time, features)).astype(np.float32))
        masks.append(valid)
    spec = recurrent(cell, units, return_state=True, **options)
    states = []
    for index, size in enumerate(state_sizes(spec) if initial_state else []):
        masks.append(None)
        if learned:
            states.append(learned_state(graph, inputs, batch, size, f"state_{index}"))
        else:
            states.append(graph.input(f"state_{index}", (size,)))
            inputs.append(random.normal(size=(batch, size)).astype(np.float32))
    graph.outputs = graph.add(spec, x, *states, name="cell")
    weights = random_weights(graph, random)
    for index, name in enumerate(graph.names):
        if name.endswith("/embeddings"):
            weights[index] = random.normal(size=graph.shapes[index]).astype(np.float32)
    targets = []
    for output in graph.outputs:
        shape = (batch, *(time if axis is None else axis for axis in output.shape))
        targets.append(random.normal(size=shape).astype(np.float32))
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(targets), loss_weights=[1.0, 0.7, 1.3][: len(targets)]),
        weights=weights,
        inputs=inputs,
        targets=targets,
        masks=masks,
    )
