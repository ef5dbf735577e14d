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
from parity.test_parity_merges import problem as merge_problem

from .adapter import ADAPTER, NAME

# Layers without a kernel.
REFUSED = frozenset(
    {
        "ActivityRegularization",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "AveragePooling1D",
        "Conv1D",
        "Dot",
        "GaussianDropout",
        "GaussianNoise",
        "GroupQueryAttention",
        "LayerNormGRU",
        "LayerNormGRUCell",
        "LayerNormLSTM",
        "LayerNormLSTMCell",
        "MaxPooling1D",
        "Maximum",
        "MinGRU",
        "MinGRUCell",
        "MinLSTM",
        "MinLSTMCell",
        "Minimum",
        "MultiHeadAttention",
        "PReLU",
    }
)
# Those of which only some options have a kernel.
OPTIONS = ("zoneout", "proj_size", "heads", "use_peepholes")


def refused(case: Case) -> str | None:
    answer = _core.refused_by_gpus(json.dumps(problem(case, 2, 1).graph.to_dict()))
    return None if answer is None else answer[1]


def test_what_has_no_kernel() -> None:
    for case in CASES:
        assert (refused(case) is None) == (case in ON_GPU), case


def has_kernel(case: Case) -> bool:
    inside = [case.options.get(name, []) for name in ("layer", "cell", "cells")]
    inner = [part for value in inside for part in (value if isinstance(value, list) else [value])]
    refused = case.name in REFUSED or set(OPTIONS) & set(case.options)
    return not refused and all(has_kernel(part) for part in inner)


ON_GPU = [case for case in CASES if has_kernel(case)]


MASKED = [(case, mask) for case in ON_GPU for mask in (None, "right", "interior") if mask is None or case.takes_masks]


@pytest.mark.parametrize(("case", "mask"), MASKED, ids=str)
@pytest.mark.parametrize("batch", [1, 7, 130])
def test_outputs_and_gradients(case: Case, batch: int, mask: str | None) -> None:
    made = problem(case, batch, batch, mask)
    # The gradients of a batch normalization cancel where a single row counts.
    floor = max(case.floor, 1e-6 if batch == 1 else 1e-7)
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


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "average", "product"])
@pytest.mark.parametrize("masked", [[False, False], [True, False], [True, True]])
@pytest.mark.parametrize(
    "shapes", [[(7, 9, 5)] * 2, [(7, 9, 5), (7, 1, 5)], [(7, 9, 1), (7, 9, 5)], [(7, 1, 5), (7, 9, 1)]]
)
def test_merges_of_sequences(operation: str, masked: list[bool], shapes: list[tuple[int, ...]]) -> None:
    compare(merge_problem({"kind": "merge", "operation": operation}, shapes, masked, 3), device=ADAPTER)


@pytest.mark.parametrize("operation", ["add", "multiply", "average"])
@pytest.mark.parametrize("shapes", [[(3, 4), (3, 5, 4)], [(3, 2, 5, 4), (3, 4)], [(4, 70)] * 3, [(0, 3)] * 2])
def test_merges_of_other_shapes(operation: str, shapes: list[tuple[int, ...]]) -> None:
    spec = {"kind": "merge", "operation": operation}
    compare(merge_problem(spec, shapes, [False] * len(shapes), 3), device=ADAPTER)


@pytest.mark.parametrize("operation", ["maximum", "minimum"])
def test_merges_without_a_kernel(operation: str) -> None:
    graph = merge_problem({"kind": "merge", "operation": operation}, [(3, 4)] * 2, [False, False], 3).graph
    answer = _core.refused_by_gpus(json.dumps(graph.to_dict()))
    assert answer is not None
    assert answer[1] == operation.capitalize()


@pytest.mark.parametrize("masked", [[False, False], [True, False], [True, True]])
@pytest.mark.parametrize(("axis", "shapes"), [(1, [(4, 2, 3), (4, 5, 3)]), (-1, [(4, 2, 3), (4, 2, 5)])])
def test_concatenations(masked: list[bool], axis: int, shapes: list[tuple[int, ...]]) -> None:
    compare(merge_problem({"kind": "concatenate", "axis": axis}, shapes, masked, 5), device=ADAPTER)


@pytest.mark.parametrize(("axis", "shape"), [(1, (4, 3)), (2, (2, 3, 4, 5)), (-1, (2, 3, 4, 5)), (1, (2, 3, 4, 5))])
def test_concatenations_of_other_ranks(axis: int, shape: tuple[int, ...]) -> None:
    compare(merge_problem({"kind": "concatenate", "axis": axis}, [shape] * 2, [False] * 2, 5), device=ADAPTER)


def test_a_mask_from_values_that_another_layer_makes() -> None:
    """They have to come to the host."""
    x = np.random.default_rng(1).normal(size=(6, 5, 3)).astype(np.float32)
    x[2:4, 3:] = -1  # the rectifier makes zeros of them
    results = {}
    for device in ("cpu", NAME):
        foliot.utils.set_random_seed(2)
        with foliot.device(device):
            model = Sequential([foliot.Input((5, 3)), layers.ReLU(), layers.Masking(), layers.GRU(4)])
            model.compile("sgd", "mse")
            model.fit(x, np.ones((6, 4), np.float32), epochs=2, verbose=0, shuffle=False)
            results[device] = [model.predict(x, verbose=0), *model.get_weights()]
    for expected, actual in zip(*results.values(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def translator() -> foliot.models.Model:
    """An encoder and a decoder with a residual path."""
    foliot.utils.set_random_seed(5)
    x = foliot.Input((None,), dtype="int32")
    words = layers.SpatialDropout1D(0.2, seed=1)(layers.Embedding(30, 6, mask_zero=True)(x))
    encoded = layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="ave")(words)
    whole = layers.Concatenate()([layers.GlobalMaxPooling1D()(encoded), layers.GlobalAveragePooling1D()(encoded)])
    steps = layers.LSTM(8, return_sequences=True)(layers.RepeatVector(7)(whole))
    steps = layers.Add()([steps, layers.TimeDistributed(layers.LayerNormalization())(steps)])
    model = foliot.models.Model(x, layers.TimeDistributed(layers.Dense(5, activation="softmax"))(steps))
    model.compile(foliot.optimizers.Adam(0.01, epsilon=1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_translating_model_trains_as_on_the_cpu() -> None:
    y = np.random.default_rng(2).integers(0, 5, size=(20, 7)).astype(np.int32)
    weights = []
    for device in ("cpu", NAME):
        with foliot.device(device):
            model = translator()
            model.fit(IDS, y, batch_size=8, epochs=2, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for expected, actual in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)
