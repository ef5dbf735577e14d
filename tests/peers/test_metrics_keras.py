"""Means over batches of different lengths and sizes, with masks and sample weights, against Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

# Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

CLASSES = 3
MEANS = ["acc", "mae", "binary_accuracy", "cosine_similarity", "KLDivergence"]


def tagger(library: Any, masks: bool, weighted: bool) -> Any:
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((None,), dtype="int32"),
            layers.Embedding(7, 4, mask_zero=masks),
            layers.SimpleRNN(5, return_sequences=True),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    drawn = np.random.default_rng(1)
    model.set_weights([drawn.normal(size=weight.shape).astype(np.float32) for weight in model.get_weights()])
    chosen: list[Any] = [*MEANS, *([] if masks else [library.metrics.RootMeanSquaredError()])]
    model.compile("sgd", "categorical_crossentropy", **{"weighted_metrics" if weighted else "metrics": chosen})
    return model


@pytest.mark.parametrize(("masks", "weights"), [(False, "none"), (False, "rows"), (True, "none"), (True, "steps")])
def test_batches_of_different_shapes(masks: bool, weights: str) -> None:
    random = np.random.default_rng(3)
    batches: list[Any] = []
    for rows, time in ((4, 5), (2, 3)):
        x = random.integers(1, 7, (rows, time)) * (np.arange(time) < random.integers(1, time + 1, (rows, 1)))
        y = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, (rows, time))]
        # Keras takes weights of rows beside a mask in this shape only.
        w = random.uniform(0.5, 2, (rows, 1 if weights == "rows" else time)).astype(np.float32)
        batches.append((x, y) if weights == "none" else (x, y, w))

    def generate() -> Iterator[Any]:
        yield from batches

    logs = []
    for library in (foliot, keras):
        model = tagger(library, masks, weights != "none")
        logs.append(model.evaluate(generate(), steps=len(batches), verbose=0, return_dict=True))
        if weights == "rows":
            # With JAX the metrics of Keras know of masks in evaluation only.
            history = model.fit(generate(), steps_per_epoch=len(batches), shuffle=False, verbose=0).history
            logs[-1] |= {f"fit_{name}": values[0] for name, values in history.items()}
    mine, theirs = logs
    assert sorted(mine) == sorted(theirs)
    np.testing.assert_allclose([mine[name] for name in mine], [theirs[name] for name in mine], rtol=2e-5, atol=1e-6)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans(), st.integers(0, 2**16))
@settings(max_examples=5, deadline=None)
def test_standing_alone(lengths: list[int], weighted: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    names = ["MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "BinaryAccuracy", "LogCoshError", "Hinge"]
    pairs = [(getattr(foliot.metrics, name)(), getattr(keras.metrics, name)()) for name in names]
    for time in lengths:
        y = random.integers(0, 2, (3, time, 2)).astype(np.float32)
        p = random.uniform(0, 1, (3, time, 2)).astype(np.float32)
        w = random.uniform(0.5, 2, (3, time)).astype(np.float32) if weighted else None
        for pair in pairs:
            for metric in pair:
                metric.update_state(y, p, w)
    for mine, theirs in pairs:
        assert mine.result() == pytest.approx(float(theirs.result()), rel=2e-5)


@given(
    st.sampled_from(["ROC", "PR", "PRGAIN"]),
    st.sampled_from(["interpolation", "minoring", "majoring"]),
    st.sampled_from([{"num_thresholds": 9}, {"thresholds": [0.7, 0.2, 0.3]}]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
    st.integers(0, 2**16),
)
@settings(max_examples=6, deadline=None)
def test_areas_of_labels(
    curve: str, summation: str, thresholds: Any, from_logits: bool, weighted: bool, labels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    label_weights = random.uniform(0, 2, labels).round(2).tolist() if weighted else None
    options = {"curve": curve, "summation_method": summation, "from_logits": from_logits, **thresholds}
    options |= {"multi_label": True, "num_labels": labels, "label_weights": label_weights}
    pair = [library.metrics.AUC(**options) for library in (foliot, keras)]
    for rows in (6, 3):
        y = random.integers(0, 2, (rows, labels)).astype(np.float32)
        p = random.normal(size=y.shape) if from_logits else random.uniform(0, 1, y.shape)
        # Keras takes the weights of rows in this shape only.
        w = random.uniform(0.5, 2, (rows, 1)).astype(np.float32) if weighted else None
        for metric in pair:
            metric.update_state(y, p.astype(np.float32), w)
    mine, theirs = pair
    assert mine.result() == pytest.approx(float(theirs.result()), rel=1e-4, abs=1e-5)
