"""Attention layers against the oracle: outputs, weights of the values, gradients, masks, dropout; the oracle's
gradients against finite differences; files, copies, threads."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import _core, layers
from foliot._graph import SymbolicTensor
from foliot.layers import Input
from foliot.models import Model, load_model
from oracle.network import Network

from .graphs import MEAN_SQUARED_ERROR, training
from .layer_table import graph_between
from .native import Native, compare
from .problems import Problem, random_mask


@dataclass(frozen=True)
class Case:
    """A layer by its class's name and arguments, for queries of `width` features."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}({','.join(f'{key}={value}' for key, value in self.options.items())})"

    @property
    def takes_mask(self) -> bool:
        return self.name in ("MultiHeadAttention", "GroupQueryAttention")

    def make(self, module: Any = layers) -> Any:
        return getattr(module, self.name)(**self.options)

    def apply(self, layer: Any, tensors: dict[str, Any], **flags: Any) -> Any:
        if self.takes_mask:
            return layer(**tensors, **flags)
        return layer(list(tensors.values()), **flags)


CASES = [
    Case("Attention"),
    Case("Attention", {"use_scale": True}),
    Case("Attention", {"score_mode": "concat"}),
    Case("Attention", {"score_mode": "concat", "use_scale": True, "dropout": 0.3, "seed": 3}),
    Case("Attention", {"use_scale": True, "dropout": 0.4, "seed": 3}),
    Case("AdditiveAttention"),
    Case("AdditiveAttention", {"use_scale": False}),
    Case("AdditiveAttention", {"dropout": 0.4, "seed": 3}),
    Case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    Case("MultiHeadAttention", {"num_heads": 3, "key_dim": 5, "value_dim": 2, "use_bias": False}),
    Case("MultiHeadAttention", {"num_heads": 1, "key_dim": 17, "output_shape": 7, "sliding_window": 2}),
    Case("MultiHeadAttention", {"num_heads": 2, "key_dim": 4, "dropout": 0.4, "seed": 3}),
    Case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "use_gate": True}),
    Case("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
    Case("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 3, "num_key_value_heads": 1, "use_gate": True}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
SIZES = st.integers(1, 6)
STEP = 1e-5
# A constant for all keys changes no weight: what a bias of the keys gets cancels to 0.
FLOOR = 3e-6


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


def problem(
    case: Case,
    sizes: tuple[int, int, int, int],
    roles: tuple[str, ...],
    masked: list[bool],
    seed: int,
    same: bool = False,
    **flags: bool,
) -> Problem:
    """The layer with a squared error on each of its outputs. `same` says that all inputs are the query."""
    batch, queries, keys, width = sizes
    random = np.random.default_rng(seed)
    shapes = {
        "query": (queries, width),
        "value": (keys, width if case.name == "AdditiveAttention" or "key" not in roles else width + 1),
        "key": (keys, width),
        "attention_mask": (queries, keys),
    }
    tensors: dict[str, SymbolicTensor] = {role: Input(shapes[role]) for role in roles}
    inputs = list(tensors.values())
    if same:
        tensors = dict.fromkeys(tensors, inputs[0])
        inputs, masked = inputs[:1], masked[:1]
    found = case.apply(case.make(), tensors, **flags)
    outputs = list(found) if isinstance(found, tuple) else [found]
    graph = graph_between(inputs, outputs, masked)
    values = [random.normal(size=(batch, *tensor.shape[1:])).astype(np.float32) for tensor in inputs]
    if roles[-1] == "attention_mask" and not same:
        values[-1] = (random.random(values[-1].shape) < 0.6).astype(np.float32)
    masks = [
        random_mask("interior", *value.shape[:2], random) if has_mask else None
        for value, has_mask in zip(values, masked, strict=True)
    ]
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(outputs)),
        weights=[
            random.normal(scale=1.2 / np.sqrt(max([3, *shape])), size=shape).astype(np.float32)
            for shape in graph.shapes
        ],
        inputs=values,
        targets=[random.normal(size=(batch, *output.shape[1:])).astype(np.float32) for output in outputs],  # type: ignore[arg-type]
        masks=masks,
    )


@settings(max_examples=25)
@every_case
@given(data=st.data(), batch=SIZES, queries=SIZES, keys=SIZES, width=SIZES, seed=st.integers(0, 2**32 - 1))
def test_outputs_and_gradients(
    case: Case, data: st.DataObject, batch: int, queries: int, keys: int, width: int, seed: int
) -> None:
    same = data.draw(st.booleans())
    roles: tuple[str, ...] = ("query", "value", "key")[: data.draw(st.integers(2, 3))]
    if case.takes_mask and not same and data.draw(st.booleans()):
        roles = (*roles, "attention_mask")
    masked = [role != "attention_mask" and data.draw(st.booleans()) for role in roles]
    flags = {name: data.draw(st.booleans()) for name in ("use_causal_mask", "return_attention_scores")}
    made = problem(case, (batch, queries, keys, width), roles, masked, seed, same, **flags)
    compare(made, floor=FLOOR)
    compare(made, data.draw(st.integers(0, 5)), FLOOR)


@every_case
@pytest.mark.parametrize("flags", [{}, {"use_causal_mask": True, "return_attention_scores": True}])
@pytest.mark.parametrize("step", [None, 2])
def test_gradients_are_slopes(case: Case, flags: dict[str, bool], step: int | None) -> None:
    """The oracle's, with which the test above compares ours: moved along random directions, the loss follows."""
    made = problem(case, (3, 4, 5, 3), ("query", "value", "key"), [True, True, False], 5, **flags)
    assert made.masks is not None
    assert made.masks[1] is not None
    made.masks[1][:, 0] = True  # scores that are 1e9 less all together have lost their slopes to rounding
    network = Network(made.graph.to_dict(), made.weights)
    values = [np.asarray(value, np.float64) for value in made.inputs]
    weights = network.weights
    _, gradients, d_inputs = network.loss_and_gradients(made.training, values, made.targets, made.masks, step=step)
    random = np.random.default_rng(6)
    moves = [random.normal(size=array.shape) for array in [*values, *weights]]
    slope = sum(float((move * g).sum()) for move, g in zip(moves, [*d_inputs, *gradients], strict=True))

    def loss(way: float) -> float:
        moved = [array + way * STEP * move for array, move in zip([*values, *weights], moves, strict=True)]
        network.weights = moved[len(values) :]
        return network.loss(made.training, moved[: len(values)], made.targets, made.masks, step=step)

    assert slope == pytest.approx((loss(1) - loss(-1)) / (2 * STEP), rel=1e-6, abs=1e-8)


@every_case
def test_large_sizes_and_any_number_of_threads(case: Case) -> None:
    made = problem(case, (9, 40, 37, 19), ("query", "value", "key"), [True, True, True], 7, use_causal_mask=True)
    compare(made, floor=FLOOR)
    results = []
    for threads in (1, 2, 5):
        _core.set_num_threads(threads)
        loss, gradients, d_inputs = Native(made).all_gradients(training=True, step=1)
        results.append([np.float64(loss), *Native(made).forward(training=True, step=1), *gradients, *d_inputs])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@every_case
@pytest.mark.parametrize("sizes", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_empty_axes(case: Case, sizes: tuple[int, int, int]) -> None:
    batch, queries, keys = sizes
    tensors = {"query": np.ones((batch, queries, 3)), "value": np.ones((batch, keys, 3))}
    output, scores = case.apply(case.make(), tensors, return_attention_scores=True)
    assert output.shape[:2] == (batch, queries)
    assert scores.shape[-2:] == (queries, keys)
    assert scores.size == 0
    assert np.isfinite(output).all()


@every_case
def test_configuration(case: Case) -> None:
    layer = case.make()
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    for key, value in case.options.items():
        assert config[key] == ([value] if key == "output_shape" else value)
    with pytest.raises(ValueError, match="wrong_key"):
        type(layer).from_config(config | {"wrong_key": 1})


@every_case
def test_models_are_saved_and_copied(case: Case, tmp_path: Path) -> None:
    """A file and a pickle give the same predictions, training goes on with the same bits, what a call said is kept."""
    query, value = Input((4, 3), name="query"), Input((5, 3), name="value")
    layer = case.make()
    first, scores = case.apply(layer, {"query": query, "value": value}, return_attention_scores=True)
    second = case.apply(case.make(), {"query": query, "value": query}, use_causal_mask=True)
    model = Model([query, value], [first, scores, second])
    model.compile(optimizer="adam", loss=["mse"] * 3)
    random = np.random.default_rng(14)
    x = [random.normal(size=(6, *tensor.shape[1:])).astype(np.float32) for tensor in (query, value)]
    y = [random.normal(size=(6, *shape[1:])).astype(np.float32) for shape in model.output_shape]
    trains = bool(model.trainable_weights)
    if trains:
        model.fit(x, y, batch_size=3, verbose=0)
    model.save(tmp_path / "model.foliot")
    others = [load_model(tmp_path / "model.foliot"), pickle.loads(pickle.dumps(model))]
    for one in (model, *others):
        if trains:
            one.fit(x, y, batch_size=3, verbose=0)
    for other in others:
        for mine, theirs in zip(model.predict(x, verbose=0), other.predict(x, verbose=0), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    # What comes later is not seen.
    changed = [x[0].copy(), x[1]]
    changed[0][:, -1] += 1
    before, after = (model.predict(inputs, verbose=0)[2] for inputs in (x, changed))
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert (before[:, -1] != after[:, -1]).any()
