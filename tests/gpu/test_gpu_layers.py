"""The layers of the table on an adapter: those with kernels against the float64 oracle, the others refused by name."""

import json
from typing import Any

import numpy as np
import pytest

import foliot
from foliot import _core, layers
from foliot.models import Sequential
from parity.layer_table import CASES, Case, problem
from parity.native import Native, compare

from .adapter import ADAPTER, NAME

# Layers without a kernel, by the kind of what is missing.
REFUSED: dict[str, str] = {
    "ActivityRegularization": "ActivityRegularization",
    "AlphaDropout": "Noise",
    "AveragePooling1D": "Pooling1d",
    "Conv1D": "Conv1d",
    "Cropping1D": "Cropping1d",
    "GaussianDropout": "Noise",
    "GaussianNoise": "Noise",
    "GlobalAveragePooling1D": "GlobalPooling1d",
    "GlobalMaxPooling1D": "GlobalPooling1d",
    "LayerNormGRU": "LayerNormGru",
    "LayerNormLSTM": "LayerNormLstm",
    "Masking": "Masking",
    "MaxPooling1D": "Pooling1d",
    "MinGRU": "MinGru",
    "MinLSTM": "MinLstm",
    "PReLU": "PRelu",
    "Permute": "Permute",
    "RepeatVector": "RepeatVector",
    "Reshape": "Reshape",
    "SpatialDropout1D": "noise_shape",
    "ZeroPadding1D": "ZeroPadding1d",
}
# Those of which only some options have a kernel.
OPTIONS = ("zoneout", "proj_size", "heads", "noise_shape", "max_value", "merge_mode")


def refused(case: Case) -> str | None:
    answer = _core.refused_by_gpus(json.dumps(problem(case, 2, 1).graph.to_dict()))
    return None if answer is None else answer[1]


def test_what_has_no_kernel() -> None:
    for case in CASES:
        what = refused(case)
        if case.name in REFUSED:
            assert what is not None, f"{case} has a kernel: take it off the list"
            assert REFUSED[case.name] in what
        else:
            assert (what is None) == (case in ON_GPU), f"{case}: {what}"


def has_kernel(case: Case) -> bool:
    """A Dense takes all steps at once; whatever else TimeDistributed wraps needs them as samples."""
    wraps_simple = case.name != "TimeDistributed" or case.options["layer"].name == "Dense"
    return case.name not in REFUSED and not set(OPTIONS) & set(case.options) and wraps_simple


ON_GPU = [case for case in CASES if has_kernel(case)]


@pytest.mark.parametrize("case", ON_GPU, ids=str)
@pytest.mark.parametrize("batch", [1, 7, 130])
@pytest.mark.parametrize("mask", [None, "right", "interior"])
def test_outputs_and_gradients(case: Case, batch: int, mask: str | None) -> None:
    if mask and not case.takes_masks:
        pytest.skip("the layer takes no mask")
    made = problem(case, batch, batch, mask)
    # The gradients of a batch normalization cancel where a single row counts.
    floor = 1e-6 if batch == 1 else 1e-7
    compare(made, floor=floor, device=ADAPTER)
    compare(made, step=2, floor=floor, device=ADAPTER)


@pytest.mark.parametrize("case", ON_GPU, ids=str)
def test_runs_repeat_bit_for_bit(case: Case) -> None:
    results = []
    for _ in range(2):
        native = Native(problem(case, 130, 3), ADAPTER)
        loss, gradients, d_inputs = native.all_gradients(training=True, step=1)
        results.append([np.float64(loss), *gradients, *d_inputs])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("case", ON_GPU, ids=str)
def test_an_empty_batch(case: Case) -> None:
    made = problem(case, 0, 3)
    (expected, actual) = (Native(made, device).forward()[0] for device in (None, ADAPTER))
    assert actual.shape == expected.shape


WIDE = [
    Case("LayerNormalization", (3, 200)),
    Case("RMSNormalization", (3, 200)),
    Case("UnitNormalization", (3, 200)),
    Case("BatchNormalization", (3, 200)),
]


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_more_features_than_invocations(case: Case) -> None:
    for step in (None, 1):
        compare(problem(case, 40, 5, "right"), step=step, device=ADAPTER)


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_rows_of_zeros_and_of_nan(case: Case) -> None:
    made = problem(case, 5, 5)
    made.inputs[0][1:3] = 0
    compare(made, device=ADAPTER)
    made.inputs[0][4, 2] = np.nan
    expected, actual = (Native(made, device).forward()[0] for device in (None, ADAPTER))
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))


def normalized(**options: Any) -> Sequential:
    foliot.utils.set_random_seed(5)
    model = Sequential(
        [
            foliot.Input((None,), dtype="int32"),
            layers.Embedding(30, 6, mask_zero=True),
            layers.BatchNormalization(momentum=0.7, **options),
            layers.LSTM(8, return_sequences=True),
            layers.LayerNormalization(),
            layers.GRU(5),
            layers.BatchNormalization(momentum=0.9),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model


IDS = np.random.default_rng(0).integers(0, 30, size=(20, 9)).astype(np.int32)
LABELS = (np.arange(20) % 2).astype(np.float32)


@pytest.mark.parametrize("trainable", [True, False])
def test_moving_means_are_those_of_the_cpu(trainable: bool) -> None:
    """After training steps, after a mere call in training, and back on the other device."""
    models = {}
    for device in ("cpu", NAME):
        with foliot.device(device):
            models[device] = model = normalized(trainable=trainable)
            model.fit(IDS, LABELS, batch_size=8, epochs=2, verbose=0, shuffle=False)
    on_cpu, on_gpu = models["cpu"], models[NAME]
    moving = [layer for layer in on_gpu.layers if isinstance(layer, layers.BatchNormalization)]
    assert [bool(layer.get_weights()[2].any()) for layer in moving] == [trainable, True]
    for expected, actual in zip(on_cpu.get_weights(), on_gpu.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)
    with foliot.device(NAME):
        predicted = on_gpu.predict(IDS, verbose=0)
    with foliot.device("cpu"):
        np.testing.assert_allclose(on_gpu.predict(IDS, verbose=0), predicted, rtol=0, atol=1e-5)
        on_gpu.train_on_batch(IDS, LABELS)
    np.testing.assert_allclose(on_cpu.predict(IDS, verbose=0), predicted, rtol=0, atol=1e-4)


def test_a_step_that_fails_leaves_the_moving_means() -> None:
    with foliot.device(NAME):
        model = normalized()
        model.train_on_batch(IDS, LABELS)
        before = model.get_weights()
        with pytest.raises(ValueError, match="token ids"):
            model.train_on_batch(IDS + 20, LABELS)
        for expected, actual in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(actual, expected)


def test_a_call_in_training_moves_the_means() -> None:
    made = problem(Case("BatchNormalization", (5, 3)), 6, 4, "right")
    cpu, gpu = (Native(made, device) for device in (None, ADAPTER))
    for native in (cpu, gpu):
        native.forward(training=True, step=1)
    for before, expected, actual in zip(made.weights[2:], cpu.weights()[2:], gpu.weights()[2:], strict=True):
        assert not np.array_equal(actual, before)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
