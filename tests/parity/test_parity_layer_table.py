"""Every layer of the table: outputs, gradients and masks against the oracle, the oracle's gradients against finite
differences, configurations, files, copies and threads."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import _core, layers
from foliot.layers import Input
from foliot.models import Sequential, load_model
from oracle.network import Network

from .layer_table import CASES, Case, problem, quiet, random_weight
from .native import Native, compare
from .problems import Problem

every_case = pytest.mark.parametrize("case", CASES, ids=str)
few = settings(max_examples=8)
STEP = 1e-5


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


def test_every_layer_is_in_the_table() -> None:
    # An Embedding reads token ids, merges, attention and cells read several tensors: they have tests of their own. An
    # InputLayer only stands for the data, and what takes texts runs before the native program.
    others = {layers.Embedding, layers.InputLayer, layers.Concatenate, layers.Dot}
    others |= {layers.Attention, layers.AdditiveAttention, layers.MultiHeadAttention, layers.GroupQueryAttention}
    others |= {layers.StringLookup, layers.TextVectorization}
    others |= {layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract}
    others |= {layers.StackedRNNCells, *(cls for cls in layers.LAYERS.classes if cls.__name__.endswith("Cell"))}
    assert {case.name for case in CASES} == {cls.__name__ for cls in set(layers.LAYERS.classes) - others}


def masks_of(case: Case) -> list[str | None]:
    return [None, "right", "interior"] if case.takes_masks else [None]


@few
@every_case
@given(data=st.data(), batch=st.sampled_from([1, 2, 7, 16, 33]), seed=st.integers(0, 2**32 - 1))
def test_outputs_and_gradients(case: Case, data: st.DataObject, batch: int, seed: int) -> None:
    made = problem(case, batch, seed, data.draw(st.sampled_from(masks_of(case))))
    compare(made)
    compare(made, step=data.draw(st.integers(0, 5)))


@every_case
@pytest.mark.parametrize("step", [None, 2])
def test_gradients_are_slopes(case: Case, step: int | None) -> None:
    """The oracle's, with which the test above compares ours: moved along random directions, the loss follows."""
    for mask in masks_of(case):
        made = problem(case, 4, 11, mask)
        network = Network(made.graph.to_dict(), made.weights)
        inputs = [np.asarray(value, np.float64) for value in made.inputs]

        def loss(
            inputs: list[np.ndarray], weights: list[np.ndarray], network: Network = network, made: Problem = made
        ) -> float:
            network.weights = weights
            return network.loss(made.training, inputs, made.targets, made.masks, step=step)

        weights = network.weights
        _, gradients, d_inputs = network.loss_and_gradients(made.training, inputs, made.targets, made.masks, step=step)
        random = np.random.default_rng(12)
        # Padding stays what it is: at the value of Masking the output has a step.
        padded = (inputs[0] == case.options.get("mask_value", 0.0)).all(axis=-1, keepdims=True)
        moves = [random.normal(size=inputs[0].shape) * ~padded], [random.normal(size=w.shape) for w in weights]
        slope = sum(
            float((move * gradient).sum())
            for move, gradient in zip([*moves[0], *moves[1]], [*d_inputs, *gradients], strict=True)
        )

        def moved(arrays: list[np.ndarray], by: list[np.ndarray], way: float) -> list[np.ndarray]:
            return [array + way * STEP * move for array, move in zip(arrays, by, strict=True)]

        above = loss(moved(inputs, moves[0], 1), moved(weights, moves[1], 1))
        below = loss(moved(inputs, moves[0], -1), moved(weights, moves[1], -1))
        assert slope == pytest.approx((above - below) / (2 * STEP), rel=1e-6, abs=1e-7)


@every_case
def test_shapes(case: Case) -> None:
    """What a layer says about shapes is what comes out, also where the batch is empty."""
    with quiet():
        layer = case.make()
    tensor = layer(Input(case.shape))
    assert layer.compute_output_shape((None, *case.shape)) == tensor.shape
    for batch in (0, 3):
        assert layer(np.ones((batch, *case.shape), np.float32)).shape == (batch, *tensor.shape[1:])


@every_case
def test_the_same_bits_for_any_number_of_threads(case: Case) -> None:
    for mask in masks_of(case)[:2]:
        made = problem(case, 700, 13, mask)
        results = []
        for threads in (1, 2, 5):
            _core.set_num_threads(threads)
            loss, gradients, d_inputs = Native(made).all_gradients(training=True, step=1)
            results.append([np.float64(loss), *Native(made).forward(training=True, step=1), *gradients, *d_inputs])
        for other in results[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@every_case
def test_configuration(case: Case) -> None:
    with quiet():
        layer = case.make()
        config = json.loads(json.dumps(layer.get_config()))
        again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    for key, value in case.options.items():
        if not isinstance(value, Case) and key in ("axis", "trainable", "rate", "epsilon"):
            assert config[key] == value
    with pytest.raises(ValueError, match="wrong_key"):
        type(layer).from_config(config | {"wrong_key": 1})


@every_case
def test_models_are_saved_and_copied(case: Case, tmp_path: Path) -> None:
    """A file and a pickle give the same predictions, and training goes on with the same bits."""
    with quiet():
        model = Sequential([Input(case.shape), case.make()])
        model.compile(optimizer="sgd", loss="mse")
        random = np.random.default_rng(14)
        model.set_weights([random_weight(weight.name, weight.shape, random) for weight in model.weights])
        x = random.normal(size=(6, *case.shape)).astype(np.float32)
        y = random.normal(size=(6, *model.output_shape[1:])).astype(np.float32)
        trains = bool(model.trainable_weights)
        if trains:
            model.fit(x, y, batch_size=3, verbose=0)
        model.save(tmp_path / "model.foliot")
        others = [load_model(tmp_path / "model.foliot"), pickle.loads(pickle.dumps(model))]
        if trains:
            model.fit(x, y, batch_size=3, verbose=0)
        for other in others:
            if trains:
                other.fit(x, y, batch_size=3, verbose=0)
            assert other.layers[0].get_config() == model.layers[0].get_config()
            np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
            for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_array_equal(mine, theirs)
