"""Metrics that gather counts, in models: masks, batches, files; and losses that leave a class out."""

import json
from pathlib import Path

import numpy as np
import pytest

from foliot import losses, metrics
from foliot.layers import GRU, Dense, Embedding, Input, Masking, SimpleRNN
from foliot.models import Sequential, load_model

RANDOM = np.random.default_rng(2)
X = RANDOM.integers(0, 5, size=(20, 6))
Y = RANDOM.integers(0, 2, size=(20, 6, 1)).astype(np.float32)


def tagger(units: int, activation: str) -> Sequential:
    return Sequential(
        [Embedding(5, 4, mask_zero=True), SimpleRNN(4, return_sequences=True), Dense(units, activation=activation)]
    )


def chosen() -> list[metrics.Metric]:
    return [
        metrics.Precision(),
        metrics.Recall(thresholds=0.4),
        metrics.AUC(),
        metrics.AUC(curve="PR", name="pr"),
        metrics.FBetaScore("micro", beta=2.0, threshold=0.5),
        metrics.RootMeanSquaredError(),
        metrics.R2Score(),
        metrics.PrecisionAtRecall(0.3),
        metrics.TruePositives(),
    ]


@pytest.mark.parametrize("weighted", [False, True])
def test_masked_steps_count_nothing(weighted: bool) -> None:
    model = tagger(1, "sigmoid")
    given = {"weighted_metrics" if weighted else "metrics": chosen()}
    model.compile(loss="binary_crossentropy", **given)
    weights = RANDOM.uniform(0.5, 2, size=(20, 6)).astype(np.float32)
    got = model.evaluate(X, Y, batch_size=7, sample_weight=weights, verbose=0)[1:]
    valid = X != 0
    predicted = model.predict(X, verbose=0)[valid]
    expected = [metric(Y[valid], predicted, weights[valid] if weighted else None) for metric in chosen()]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_model_reports_single_numbers() -> None:
    model = tagger(3, "softmax")
    model.compile(loss="categorical_crossentropy", metrics=[metrics.F1Score()])
    with pytest.raises(ValueError, match=r"`metrics`: expected metrics of one number"):
        model.evaluate(X, np.eye(3)[RANDOM.integers(0, 3, size=(20, 6))], verbose=0)


def test_an_ignored_class_counts_as_masked() -> None:
    model = Sequential([Embedding(5, 4), SimpleRNN(4), Dense(3, activation="softmax")])
    model.compile(loss=losses.SparseCategoricalCrossentropy(ignore_class=-1), metrics=["acc"])
    y = RANDOM.integers(-1, 3, size=20)
    kept = y != -1
    assert 0 < kept.sum() < 20
    loss, accuracy = model.evaluate(X, y, batch_size=20, verbose=0)
    kept_loss, kept_accuracy = model.evaluate(X[kept], y[kept], batch_size=20, verbose=0)
    assert loss == pytest.approx(kept_loss, rel=1e-6)
    # As in Keras the class is left out of the loss alone.
    assert accuracy == pytest.approx(kept_accuracy * kept.mean(), rel=1e-6)
    predicted = model.predict(X, verbose=0)
    standalone = losses.SparseCategoricalCrossentropy(ignore_class=-1)(y, predicted)
    assert standalone == pytest.approx(loss, rel=1e-6)


def test_every_metric_comes_back_from_a_file(tmp_path: Path) -> None:
    model = tagger(1, "sigmoid")
    model.compile(loss="hinge", metrics=chosen())
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert loaded.metrics_names == model.metrics_names


ROWS = np.random.default_rng(4).normal(size=(7, 3)).astype(np.float32)


def test_losses_functions_and_correlations_as_metrics(tmp_path) -> None:
    model = Sequential([Input((3,)), Dense(2, activation="sigmoid")])
    chosen = [losses.MeanAbsoluteError(name="distance"), metrics.binary_accuracy, "pearson_correlation"]
    model.compile("sgd", "mse", metrics=[*chosen, metrics.ConcordanceCorrelation(), losses.BinaryCrossentropy()])
    y = np.random.default_rng(5).random((7, 2))
    logs = model.evaluate(ROWS, y, batch_size=3, verbose=0, return_dict=True)
    predicted = model.predict(ROWS, verbose=0)
    assert logs["distance"] == pytest.approx(np.abs(predicted - y).mean(), rel=1e-5)
    assert logs["binary_accuracy"] == pytest.approx(((predicted > 0.5) == y).mean())
    assert logs["pearson_correlation"] == pytest.approx(metrics.pearson_correlation(y, predicted).mean(), rel=1e-5)
    assert logs["concordance_correlation"] == pytest.approx(
        metrics.concordance_correlation(y, predicted).mean(), rel=1e-5
    )
    assert logs["binary_crossentropy"] == pytest.approx(losses.BinaryCrossentropy()(y, predicted), rel=1e-5)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert loaded.evaluate(ROWS, y, batch_size=3, verbose=0, return_dict=True) == logs


def test_losses_as_metrics_leave_masked_steps_out() -> None:
    model = Sequential([Input((None, 3)), Masking(), GRU(2, return_sequences=True)])
    model.compile("sgd", "mse", metrics=[losses.MeanAbsoluteError()])
    x = np.random.default_rng(6).normal(size=(4, 5, 3))
    x[:, 3:] = 0
    found = model.evaluate(x, np.zeros((4, 5, 2)), verbose=0)[1]
    assert found == pytest.approx(np.abs(model.predict(x[:, :3], verbose=0)).mean(), rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        losses.MeanSquaredError(reduction="sum"),
        losses.Dice(),
        losses.dice,
        losses.CTC(),
        losses.CTC,
        losses.Circle(),
    ],
)
def test_what_cannot_be_a_metric_of_a_model(metric: object) -> None:
    model = Sequential([Input((3,)), Dense(2)])
    with pytest.raises(ValueError, match=r"^`metrics`: expected a loss"):
        model.compile("sgd", "mse", metrics=[metric])


def test_sums_and_means_refuse_weights_that_do_not_fit() -> None:
    for metric in (metrics.Mean(), metrics.Sum()):
        with pytest.raises(ValueError, match="`sample_weight`: expected weights for"):
            metric.update_state([1.0, 2.0], sample_weight=[1.0, 2.0, 3.0])
        metric.reset_state()
        assert metric.result() == 0


LOSSES_AS_METRICS = [
    losses.Huber(delta=0.5),
    losses.Huber,
    losses.huber,
    losses.CosineSimilarity(name="angle"),
    losses.cosine_similarity,
    losses.log_cosh,
    metrics.get(losses.MeanAbsoluteError(name="off")),
    metrics.MeanAbsoluteError,
    metrics.binary_accuracy,
]


@pytest.mark.parametrize("chosen", LOSSES_AS_METRICS, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_losses_as_metrics_are_kept_in_files_and_configurations(chosen: object, tmp_path: Path) -> None:
    x = RANDOM.normal(size=(8, 3)).astype(np.float32)
    y = RANDOM.uniform(0, 1, size=(8, 2)).astype(np.float32)
    model = Sequential([Input((3,)), Dense(2)])
    model.compile(loss="mse", metrics=[chosen])
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert len(expected) == 2
    model.save(tmp_path / "model.foliot")
    copy = Sequential.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    copy.compile_from_config(json.loads(json.dumps(model.get_compile_config())))
    for other in (load_model(tmp_path / "model.foliot"), copy):
        assert other.evaluate(x, y, verbose=0, return_dict=True) == expected


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
@pytest.mark.parametrize("chosen", ["mean", metrics.Mean(), metrics.Sum, {"class_name": "Sum", "config": {}}], ids=str)
def test_a_model_has_no_values_for_means_and_sums(argument: str, chosen: object) -> None:
    model = Sequential([Input((3,)), Dense(2)])
    with pytest.raises(ValueError, match=rf"^`{argument}`: expected .*, not Mean or Sum"):
        model.compile(loss="mse", **{argument: ["mae", chosen]})


def test_a_focal_loss_weighs_classes_in_a_model_and_its_file(tmp_path: Path) -> None:
    alpha = [0.25, 2.0, 0.5]
    model = tagger(3, "softmax")
    loss = losses.CategoricalFocalCrossentropy(alpha=alpha)
    model.compile("sgd", loss, metrics=[metrics.categorical_focal_crossentropy])
    y = np.eye(3, dtype=np.float32)[RANDOM.integers(0, 3, size=(20, 6))]
    weights = RANDOM.uniform(0.5, 2, size=(20, 6)).astype(np.float32)
    logs = model.evaluate(X, y, batch_size=20, sample_weight=weights, verbose=0, return_dict=True)
    valid = X != 0
    predicted = model.predict(X, verbose=0)[valid]
    assert logs["loss"] == pytest.approx(loss(y[valid], predicted, weights[valid]), rel=1e-5)
    assert logs["categorical_focal_crossentropy"] == pytest.approx(
        losses.categorical_focal_crossentropy(y[valid], predicted).mean(), rel=1e-5
    )
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert model.fit(X, y, verbose=0).history == loaded.fit(X, y, verbose=0).history
    wrong = tagger(2, "softmax")
    wrong.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"`alpha`: expected one weight, or one for each of the 2 classes.*3 weights"):
        wrong.fit(X, y[..., :2], verbose=0)
