"""Merges of several tensors against the oracle: values, masks (by what a layer after them does) and gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.network import Network

from .graphs import MEAN_SQUARED_ERROR, Graph, Spec, recurrent, training
from .native import compare
from .problems import Problem, random_mask, random_weights

OPERATIONS = ["add", "subtract", "multiply", "average", "maximum", "minimum", "product"]
SIZES = st.integers(1, 5)


def problem(spec: Spec, shapes: list[tuple[int, ...]], masked: list[bool], seed: int, ties: bool = False) -> Problem:
    """Inputs, the layer and, after a sequence, a recurrent layer that reads the mask."""
    random = np.random.default_rng(seed)
    graph = Graph()
    tensors = [
        graph.input(f"x{i}", shape[1:], masked=has_mask)
        for i, (shape, has_mask) in enumerate(zip(shapes, masked, strict=True))
    ]
    (merged,) = graph.outputs = graph.add(spec, *tensors)
    draw = (lambda shape: random.integers(0, 3, shape)) if ties else (lambda shape: random.normal(size=shape))
    inputs = [draw(shape).astype(np.float32) for shape in shapes]
    masks = [
        random_mask("interior", *shape[:2], random) if has_mask else None
        for shape, has_mask in zip(shapes, masked, strict=True)
    ]
    (value,) = Network(graph.to_dict(), []).forward(inputs, masks)
    outputs = [value]
    if value.ndim == 3:
        merged = type(merged)(merged.node, 0, (None, value.shape[-1]))
        graph.outputs = [merged, *graph.add(recurrent("gru", 3), merged)]
        outputs.append(np.zeros((len(value), 3)))
    targets = [random.normal(size=output.shape).astype(np.float32) for output in outputs]
    weights = random_weights(graph, random)
    plan = training([MEAN_SQUARED_ERROR] * len(outputs))
    return Problem(graph=graph, training=plan, weights=weights, inputs=inputs, targets=targets, masks=masks)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data(), batch=SIZES, time=SIZES, features=SIZES, seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_element_by_element(
    operation: str, data: st.DataObject, batch: int, time: int, features: int, seed: int, ties: bool
) -> None:
    count = 2 if operation == "subtract" else data.draw(st.integers(1, 4))
    masked = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    shapes = [
        (batch, data.draw(st.sampled_from([1, time])), data.draw(st.sampled_from([1, features]))) for _ in range(count)
    ]
    compare(problem({"kind": "merge", "operation": operation}, shapes, masked, seed, ties))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "shapes", [[(3, 4), (3, 5, 4)], [(3, 2, 5, 4), (3, 4)], [(3, 2, 1, 4), (3, 5, 1)], [(4, 2)] * 2]
)
def test_unequal_ranks(operation: str, shapes: list[tuple[int, ...]]) -> None:
    compare(problem({"kind": "merge", "operation": operation}, shapes, [False, False], 3))


@given(batch=SIZES, others=st.lists(SIZES, min_size=1, max_size=3), axis=st.integers(-3, 3), data=st.data(), seed=SIZES)
def test_concatenate(batch: int, others: list[int], axis: int, data: st.DataObject, seed: int) -> None:
    rank = 1 + len(others)
    axis = axis if axis % rank and -rank <= axis < rank else -1
    count = data.draw(st.integers(1, 3))
    shapes = []
    for _ in range(count):
        shape = [batch, *others]
        shape[axis] = data.draw(SIZES)
        shapes.append(tuple(shape))
    masked = [rank == 3 and data.draw(st.booleans()) for _ in range(count)]
    compare(problem({"kind": "concatenate", "axis": axis}, shapes, masked, seed))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        ([1, 1], [(3, 4), (3, 4)]),
        ([-1, -1], [(3, 4), (3, 4)]),
        ([1, 2], [(3, 4, 5), (3, 2, 4)]),
        ([2, 2], [(3, 7, 33), (3, 9, 33)]),
        ([1, 1], [(3, 4), (3, 4, 5)]),
        ([2, -1], [(3, 5, 4), (3, 4)]),
        ([2, 1], [(2, 3, 4, 5), (2, 4, 3)]),
        ([-1, 2], [(2, 3, 4), (2, 3, 4, 5)]),
    ],
)
def test_dot(axes: list[int], shapes: list[tuple[int, ...]], normalize: bool) -> None:
    compare(problem({"kind": "dot", "axes": axes, "normalize": normalize}, shapes, [False, False], 5))


@given(batch=SIZES, time=SIZES, features=SIZES, masked=st.booleans(), seed=SIZES)
def test_reverse(batch: int, time: int, features: int, masked: bool, seed: int) -> None:
    compare(problem({"kind": "reverse"}, [(batch, time, features)], [masked], seed))


def test_one_tensor_twice() -> None:
    for spec in (
        {"kind": "merge", "operation": "multiply"},
        {"kind": "concatenate", "axis": 1},
        {"kind": "dot", "axes": [2, 2], "normalize": False},
    ):
        made = problem(spec, [(2, 3, 4), (2, 3, 4)], [False, False], 1)
        made.graph.nodes[2]["inputs"] = [[0, 0], [0, 0]]
        compare(made)
