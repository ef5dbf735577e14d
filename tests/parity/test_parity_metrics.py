"""Metrics that are no means over rows, alone and in models with masks and weights, against the oracle."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import metrics
from foliot.layers import Dense, Embedding, SimpleRNN
from foliot.models import Sequential
from oracle import metrics as oracle

CURVES = st.sampled_from(["ROC", "PR", "PRGAIN"])
SUMMATIONS = st.sampled_from(["interpolation", "minoring", "majoring"])


def mean_area(options: dict[str, Any], y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> float:
    inner = options["thresholds"] or [(i + 1) / (options["num_thresholds"] - 1) for i in range(8)]
    thresholds = [-1e-7, *sorted(inner), 1 + 1e-7]
    labels, curve, summation = y.shape[1], options["curve"], options["summation_method"]
    by_label = [oracle.area(curve, summation, thresholds, y[:, i], p[:, i], weight) for i in range(labels)]
    given_weights = options["label_weights"]
    if options["multi_label"]:
        return float(np.average(by_label, weights=given_weights))
    elements = weight[:, None] * (np.ones(labels) if given_weights is None else given_weights)
    return oracle.area(curve, summation, thresholds, y.ravel(), p.ravel(), elements.ravel())


@given(CURVES, SUMMATIONS, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 4), st.data())
def test_areas(
    curve: str, summation: str, spread: bool, multi: bool, weighted: bool, logits: bool, labels: int, data: Any
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    options = {
        "num_thresholds": 10,
        "thresholds": None if spread else [0.7, 0.25, 0.4],
        "curve": curve,
        "summation_method": summation,
        "multi_label": multi,
        "label_weights": random.uniform(0.1, 2, labels).tolist() if weighted else None,
        "from_logits": logits,
    }
    metric = metrics.AUC(**options)
    y = random.integers(0, 2, (9, labels))
    p = random.uniform(0, 1, y.shape).astype(np.float32)
    given_p = np.log(p / (1 - p)) if logits else p
    w = random.uniform(0, 2, 9).round(1).astype(np.float32)
    for rows in (slice(0, 4), slice(4, 4), slice(4, 9)):
        metric.update_state(y[rows], given_p[rows], w[rows])
    assert metric.result() == pytest.approx(mean_area(options, y, p.astype(np.float64), w.astype(np.float64)), abs=1e-6)
    metric.reset_state()
    assert metric.result() == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label_weights", [None, [0.5, 2.0, 1.0]])
def test_areas_of_labels_in_a_model_leave_masked_steps_out(weighted: bool, label_weights: list[float] | None) -> None:
    random = np.random.default_rng(3)
    x, y = random.integers(0, 5, (20, 6)), random.integers(0, 2, (20, 6, 3)).astype(np.float32)
    model = Sequential(
        [Embedding(5, 4, mask_zero=True), SimpleRNN(4, return_sequences=True), Dense(3, activation="sigmoid")]
    )
    options = {"multi_label": True, "num_labels": 3, "label_weights": label_weights, "curve": "PR"}
    key = "weighted_metrics" if weighted else "metrics"
    model.compile(loss="binary_crossentropy", **{key: [metrics.AUC(**options)]})
    weights = random.uniform(0.5, 2, (20, 6)).astype(np.float32)
    found = model.evaluate(x, y, batch_size=7, sample_weight=weights, verbose=0)[1]
    p, valid = model.predict(x, verbose=0), x != 0
    used = (weights if weighted else np.ones_like(weights))[valid].astype(np.float64)
    thresholds = [i / 199 for i in range(1, 199)]
    whole = {"thresholds": thresholds, "summation_method": "interpolation", **options}
    assert found == pytest.approx(mean_area(whole, y[valid], p[valid].astype(np.float64), used), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"multi_label": True, "num_labels": 3}, (4, 2), r"`num_labels`: expected that number of 2 labels; received 3"),
        (
            {"multi_label": True, "label_weights": [1, 2, 3]},
            (4, 2),
            r"`label_weights`: .* each of 2 labels; received 3",
        ),
        ({"label_weights": [1, 2, 3]}, (4, 2), r"`label_weights`: .* each of 2 labels; received 3"),
        ({"multi_label": True}, (4,), r"`y_pred`: expected shape \(\.\.\., labels\).*received shape \(4,\)"),
    ],
)
def test_labels_that_do_not_fit(options: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.AUC(**options).update_state(np.zeros(shape), np.zeros(shape))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label_weights": []}, ValueError, r"^`label_weights`: expected at least one number"),
        ({"label_weights": 1.0}, TypeError, r"^`label_weights`"),
        ({"label_weights": [1.0, "a"]}, TypeError, r"^`label_weights\[1\]`"),
        (
            {"multi_label": True, "num_labels": 2, "label_weights": [1.0]},
            ValueError,
            r"^`label_weights`: expected 2 numbers, as many as num_labels",
        ),
        ({"curve": "PRG"}, ValueError, r"^`curve`"),
    ],
)
def test_bad_options_of_areas(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        metrics.AUC(**options)
