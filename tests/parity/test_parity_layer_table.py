"""Every layer of the table: outputs, gradients and masks against the oracle, the oracle's gradients against finite
differences, configurations, files, copies and threads."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import _core, layers
from foliot.models import Model, load_model
from oracle.network import Network

from .layer_table import CASES, IN_A_LIST, LEFT_OUT, PREPROCESSING, Case, problem, quiet, random_weight
from .native import Native, assert_gradients_close, compare
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
    public = {getattr(layers, name) for name in layers.__all__}
    public = {item for item in public if isinstance(item, type)} | set(layers.LAYERS.classes)
    tested = {getattr(layers, case.name) for case in [*CASES, *PREPROCESSING]}
    left_out = {getattr(layers, name) for name in LEFT_OUT}
    assert not tested & left_out
    assert {cls.__name__ for cls in public} == {cls.__name__ for cls in tested | left_out}


def test_every_cell_is_run_over_time() -> None:
    public = {getattr(layers, name) for name in layers.__all__ if name.endswith("Cell")}
    run = {
        getattr(layers, cell.name) for case in CASES for cell in [case.options.get("cell")] if isinstance(cell, Case)
    }
    assert run == public


def masks_of(case: Case) -> list[str | None]:
    return [None, "right", "left", "interior"] if case.takes_masks else [None]


@few
@every_case
@given(data=st.data(), batch=st.sampled_from([1, 2, 7, 16, 33]), seed=st.integers(0, 2**32 - 1))
def test_outputs_and_gradients(case: Case, data: st.DataObject, batch: int, seed: int) -> None:
    made = problem(case, batch, seed, data.draw(st.sampled_from(masks_of(case))))
    compare(made, floor=case.floor)
    compare(made, step=data.draw(st.integers(0, 5)), floor=case.floor)


@every_case
@pytest.mark.parametrize("step", [None, 2])
def test_gradients_are_slopes(case: Case, step: int | None) -> None:
    """The oracle's, with which the test above compares ours: moved along random directions, the loss follows."""
    for mask in masks_of(case):
        made = problem(case, 4, 11, mask)
        if made.masks is not None and len(made.masks) > 1 and made.masks[1] is not None:
            made.masks[1][:, 0] = True  # scores that are 1e9 less all together have lost their slopes to rounding
        network = Network(made.graph.to_dict(), made.weights)
        inputs = [np.asarray(value, np.float64) for value in made.inputs]
        weights = network.weights
        _, gradients, d_inputs = network.loss_and_gradients(made.training, inputs, made.targets, made.masks, step=step)
        random = np.random.default_rng(12)
        moves = [random.normal(size=array.shape) for array in [*inputs, *weights]]
        # Padding stays what it is: at the value of Masking the output has a step. So do token ids.
        moves[0] *= ~(inputs[0] == case.options.get("mask_value", 0.0)).all(axis=-1, keepdims=True) * (case.ids is None)
        slope = sum(float((move * g).sum()) for move, g in zip(moves, [*d_inputs, *gradients], strict=True))

        def loss(
            way: float,
            network: Network = network,
            made: Problem = made,
            arrays: tuple[list[np.ndarray], list[np.ndarray]] = (inputs, weights),
            moves: list[np.ndarray] = moves,
        ) -> float:
            moved = [array + way * STEP * move for array, move in zip([*arrays[0], *arrays[1]], moves, strict=True)]
            network.weights = moved[len(arrays[0]) :]
            return network.loss(made.training, moved[: len(arrays[0])], made.targets, made.masks, step=step)

        assert slope == pytest.approx((loss(1) - loss(-1)) / (2 * STEP), rel=1e-6, abs=1e-7)


@every_case
def test_shapes_and_dtypes(case: Case) -> None:
    """What a layer says about shapes is what comes out, also where the batch is empty; numbers of any kind go in."""
    with quiet():
        layer = case.make()
    expected = [tensor.shape for tensor in case.apply(layer, case.inputs())]
    said = case.output_shapes(layer, None)
    # The shape of what a call asks for beside the output is not asked here.
    assert said == expected[: len(said)]
    assert len(said) == len(expected) or case.call
    for batch in (0, 3):
        arrays = case.arrays(batch, np.random.default_rng(1))
        outputs = case.apply(layer, [np.round(array) for array in arrays])
        assert [output.shape for output in outputs] == [(batch, *shape[1:]) for shape in expected]
        assert all(output.dtype == np.float32 for output in outputs)
        for dtype in (np.float64, np.int64):
            for output, other in zip(
                outputs, case.apply(layer, [array.round().astype(dtype) for array in arrays]), strict=True
            ):
                np.testing.assert_array_equal(other, output, strict=True)


@every_case
def test_masks(case: Case) -> None:
    """What a layer says about its mask is what the oracle hands on."""
    with quiet():
        layer = case.make()
    for mask in masks_of(case):
        made = problem(case, 4, 17, mask)
        network = Network(made.graph.to_dict(), made.weights)
        network.forward(made.inputs, made.masks)
        several = case.name in IN_A_LIST
        said = layer.compute_mask(
            made.inputs if several else made.inputs[0], made.masks if several else made.all_masks[0]
        )
        first = said[0] if isinstance(said, list) else said
        expected = network.output_mask(0)
        assert (first is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(first, expected)


@every_case
def test_rows_in_another_order(case: Case) -> None:
    """Outputs and gradients of inputs come in the order of the rows; gradients of weights and the loss are the same."""
    order = np.random.default_rng(16).permutation(9)
    for mask in masks_of(case):
        made = problem(case, 9, 15, mask)
        masks = None if made.masks is None else [None if mask is None else mask[order] for mask in made.masks]
        other = replace(
            made, inputs=[x[order] for x in made.inputs], targets=[y[order] for y in made.targets], masks=masks
        )
        for mine, theirs in zip(Native(made).forward(), Native(other).forward(), strict=True):
            np.testing.assert_array_equal(mine[order], theirs)
        # What is drawn belongs to a place in the batch.
        trains = not case.random
        loss, gradients, d_inputs = Native(made).all_gradients(trains)
        other_loss, other_gradients, other_d_inputs = Native(other).all_gradients(trains)
        assert loss == pytest.approx(other_loss, rel=1e-6)
        for name, mine, theirs in zip(made.graph.names, gradients, other_gradients, strict=True):
            assert_gradients_close(mine, theirs, name, case.floor)
        for mine, theirs in zip(d_inputs, other_d_inputs, strict=True):
            assert (mine is None) == (theirs is None) == (case.ids is not None)
            if mine is not None:
                assert_gradients_close(mine[order], theirs, "input", case.floor)


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
        inputs = case.inputs()
        layer = case.make()
        model = Model(inputs, case.apply(layer, inputs))
        model.compile(optimizer="sgd", loss=["mse"] * len(model.outputs))
        random = np.random.default_rng(14)
        model.set_weights([random_weight(weight.name, weight.shape, random) for weight in model.weights])
        x = case.arrays(6, random)
        y = [random.normal(size=(6, *output.shape[1:])).astype(np.float32) for output in model.outputs]
        trains = bool(model.trainable_weights)
        if trains:
            model.fit(x, y, batch_size=3, verbose=0)
        model.save(tmp_path / "model.foliot")
        others = [load_model(tmp_path / "model.foliot"), pickle.loads(pickle.dumps(model))]
        for one in (model, *others):
            if trains:
                one.fit(x, y, batch_size=3, verbose=0)
        for other in others:
            assert json.dumps(other.get_layer(layer.name).get_config()) == json.dumps(layer.get_config())
            for mine, theirs in zip(model.predict_on_batch(x), other.predict_on_batch(x), strict=True):
                np.testing.assert_array_equal(mine, theirs)
            for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_array_equal(mine, theirs)
