"""Names, defaults, configurations and values against an installed Keras."""

import importlib
import inspect
import os
from typing import Any

import numpy as np
import pytest

import foliot
from foliot import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from foliot.activations.identifiers import FUNCTIONS as ACTIVATIONS

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` brings it")

MODULES = [constraints, initializers, losses, metrics, optimizers, regularizers]
# What Keras does not have: the halved squared error, and the spellings of older versions.
OURS_ALONE = {"HalfMeanSquaredError"}
OLD_SPELLINGS = {"lr", "decay"}


def theirs(module: Any) -> Any:
    return getattr(keras, module.__name__.rpartition(".")[2])


CLASSES = [
    (cls, getattr(theirs(module), cls.__name__), module)
    for module in MODULES
    for cls in module._REGISTRY.classes
    if cls.__name__ not in OURS_ALONE
]
BASES = [(module._REGISTRY.base, getattr(theirs(module), module._REGISTRY.base.__name__), module) for module in MODULES]
FUNCTIONS = [
    *[(function, getattr(keras.activations, name)) for name, function in ACTIVATIONS.items()],
    *[
        (function, getattr(keras.losses, name))
        for function, name in losses.FUNCTIONS.items()
        if hasattr(keras.losses, name)
    ],
]


def parameters(function: Any, left_out: set[str]) -> list[tuple[str, Any]]:
    listed = inspect.signature(function).parameters.values()
    return [
        (parameter.name, parameter.default)
        for parameter in listed
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in left_out
    ]


@pytest.mark.parametrize(("ours", "keras_class", "module"), CLASSES + BASES)
def test_constructors(ours: Any, keras_class: Any, module: Any) -> None:
    assert parameters(ours, OLD_SPELLINGS) == parameters(keras_class, set())


@pytest.mark.parametrize(("ours", "keras_function"), FUNCTIONS)
def test_functions(ours: Any, keras_function: Any) -> None:
    assert parameters(ours, set()) == parameters(keras_function, set())


def test_all_activations_are_there() -> None:
    def functions(module: Any) -> set[str]:
        names = {name for name in dir(module) if inspect.isfunction(getattr(module, name)) and not name.startswith("_")}
        return names & set(module.__all__) if hasattr(module, "__all__") else names

    helpers = {"get", "serialize", "deserialize", "spec_of"}
    assert functions(activations) - helpers == functions(keras.activations) - helpers


@pytest.mark.parametrize(("ours", "keras_class", "module"), CLASSES)
def test_kerass_configurations_are_read(ours: Any, keras_class: Any, module: Any) -> None:
    parameters = inspect.signature(ours).parameters.values()
    arguments = {parameter.name: 0.5 for parameter in parameters if parameter.default is inspect.Parameter.empty}
    read = module.deserialize(theirs(module).serialize(keras_class(**arguments)))
    assert type(read) is ours
    expected = ours(**arguments).get_config()
    for name, value in read.get_config().items():
        if name in ("dtype", "name"):  # filled in by Keras
            continue
        # Keras keeps the learning rate as a float32.
        assert value == (pytest.approx(expected[name], rel=1e-7) if isinstance(value, float) else expected[name])


@pytest.mark.parametrize("module", [constraints, initializers, losses, metrics, regularizers])
def test_names_of_keras_are_known(module: Any) -> None:
    """Every name under which Keras finds a class that foliot has finds the same one here."""
    ours = {cls.__name__ for cls in module._REGISTRY.classes}
    known = importlib.import_module(f"keras.src.{module.__name__.rpartition('.')[2]}").ALL_OBJECTS_DICT
    checked = 0
    for name, found in known.items():
        class_name = found.__name__ if inspect.isclass(found) else "".join(map(str.title, found.__name__.split("_")))
        if class_name in ours:
            assert module._REGISTRY.find(name).__name__ == class_name
            checked += 1
    assert checked >= len(ours) - len(ours & OURS_ALONE)


@pytest.mark.parametrize("target", [(8,), (8, 1), (8, 4), (8, 7), (8, 7, 1), (8, 7, 4)])
@pytest.mark.parametrize("output", [(8, 1), (8, 4), (8, 7, 1), (8, 7, 4)])
def test_names_that_depend_on_shapes(output: tuple[int, ...], target: tuple[int, ...]) -> None:
    from keras.src.trainers.compile_utils import get_loss, get_metric

    y_true, y_pred = np.zeros(target, np.float32), np.zeros(output, np.float32)
    for name in ("acc", "accuracy"):
        expected = get_metric(name, y_true, y_pred)
        found = metrics.resolve(name, output, target)
        assert (type(found).__name__, found.name) == (type(expected).__name__, expected.name)
    loss = losses.resolve("crossentropy", output, target)
    assert loss is not None
    assert loss.name == get_loss("crossentropy", y_true, y_pred).fn.__name__


X = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32) * 3
LABELS = np.array([0, 3, 6, 2, 2])
ONE_HOT = np.eye(7, dtype=np.float32)[LABELS]
BITS = (np.random.default_rng(4).random((5, 7)) < 0.5).astype(np.float32)
PROBABILITIES = (np.exp(X) / np.exp(X).sum(1, keepdims=True)).astype(np.float32)
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.5, 1.0], np.float32)


def test_sparsemax_where_one_value_is_left() -> None:
    """Keras 3.15 adds up cumulative sums, so that with more values left the row does not sum to 1."""
    alone = np.diag([3.0, 4.0, 5.0]).astype(np.float32)
    for axis in (0, 1):
        expected = np.asarray(keras.activations.sparsemax(alone, axis=axis))
        np.testing.assert_allclose(activations.sparsemax(alone, axis=axis), expected, atol=1e-6)
    assert np.asarray(keras.activations.sparsemax(X)).sum(axis=1) != pytest.approx(np.ones(len(X)))
    np.testing.assert_allclose(activations.sparsemax(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"threshold", "sparsemax", "glu"}))
def test_activation_values(name: str) -> None:
    # float32 on both sides, a few operations deep.
    np.testing.assert_allclose(
        getattr(activations, name)(X), np.asarray(getattr(keras.activations, name)(X)), rtol=3e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
        ("relu", {"threshold": -0.5}),
        ("leaky_relu", {"negative_slope": 0.01}),
        ("elu", {"alpha": 0.3}),
        ("celu", {"alpha": 2.0}),
        ("gelu", {"approximate": True}),
        ("softmax", {"axis": 0}),
        ("log_softmax", {"axis": 0}),
        ("soft_shrink", {"threshold": 1.0}),
        ("hard_shrink", {"threshold": 1.0}),
        ("threshold", {"threshold": 1.0, "default_value": 3.0}),
        ("squareplus", {"b": 1.0}),
        ("sparse_sigmoid", {}),
        ("glu", {}),
        ("glu", {"axis": 0}),
    ],
)
def test_activation_values_with_arguments(name: str, arguments: dict[str, Any]) -> None:
    x = X[:4, :6]
    expected = np.asarray(getattr(keras.activations, name)(x, **arguments))
    np.testing.assert_allclose(getattr(activations, name)(x, **arguments), expected, rtol=3e-6, atol=1e-6)


UNITS = X / np.linalg.norm(X, axis=1, keepdims=True)

LOSSES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("MeanSquaredError", {}, BITS, X),
    ("MeanAbsoluteError", {}, BITS, X),
    ("BinaryCrossentropy", {}, BITS, PROBABILITIES),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, X),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, X),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:, None], X),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, LABELS, PROBABILITIES),
    ("MeanAbsolutePercentageError", {}, BITS + 0.5, X),
    ("MeanSquaredLogarithmicError", {}, BITS, X),
    ("Huber", {"delta": 0.7}, BITS, X),
    ("LogCosh", {}, BITS, X),
    ("CosineSimilarity", {}, BITS + 0.5, X),
    ("KLDivergence", {}, BITS, PROBABILITIES),
    ("Poisson", {}, BITS, PROBABILITIES),
    ("Hinge", {}, BITS, X),
    ("Hinge", {}, 2 * BITS - 1, X),
    ("SquaredHinge", {}, BITS, X),
    ("CategoricalHinge", {}, ONE_HOT, X),
    ("BinaryFocalCrossentropy", {}, BITS, PROBABILITIES),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "gamma": 1.5, "label_smoothing": 0.1},
        BITS,
        PROBABILITIES,
    ),
    # Keras takes 1 - sigmoid in float32, which far from 0 has few digits.
    ("BinaryFocalCrossentropy", {"from_logits": True}, BITS, X / 4),
    ("CategoricalFocalCrossentropy", {"alpha": 0.5, "gamma": 3.0}, ONE_HOT, PROBABILITIES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, X),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}, ONE_HOT, PROBABILITIES),
    (
        "CategoricalFocalCrossentropy",
        {"alpha": [0.7, 0.1, 0.6, 0.2, 0.5, 0.3, 0.4], "from_logits": True, "label_smoothing": 0.3},
        ONE_HOT,
        X,
    ),
    ("CategoricalFocalCrossentropy", {"alpha": [0.7]}, ONE_HOT, PROBABILITIES),
    ("Dice", {}, BITS, PROBABILITIES),
    ("Dice", {"axis": (-1,)}, BITS, PROBABILITIES),
    ("Tversky", {"alpha": 0.3, "beta": 0.9}, BITS, PROBABILITIES),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": 1}, BITS, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {}, LABELS, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.2}, LABELS, PROBABILITIES),
    ("Circle", {}, np.array([0, 1, 0, 1, 2]), UNITS),
    ("Circle", {"gamma": 3.0, "margin": 0.25, "remove_diagonal": False}, np.array([0, 1, 0, 1, 2]), UNITS),
    ("CTC", {}, np.stack([LABELS, np.roll(LABELS, 1)], 1), np.stack([X, 2 * X, X - 1, X**2], 1)),
]


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None]])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None])
@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), LOSSES)
def test_loss_values(
    name: str, arguments: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray, reduction: Any, weights: Any
) -> None:
    expected = getattr(keras.losses, name)(reduction=reduction, **arguments)(y_true, y_pred, weights)
    got = getattr(losses, name)(reduction=reduction, **arguments)(y_true, y_pred, weights)
    # Without a reduction Keras keeps the last axis of (N, 1) weights; foliot gives the samples' shape always.
    np.testing.assert_allclose(np.ravel(got), np.ravel(np.asarray(expected)), rtol=3e-6, atol=1e-6)


COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall")
BEST = (
    ("SensitivityAtSpecificity", "specificity"),
    ("SpecificityAtSensitivity", "sensitivity"),
    ("PrecisionAtRecall", "recall"),
    ("RecallAtPrecision", "precision"),
)
SPREAD = np.random.default_rng(5).random((5, 7)).astype(np.float32)
SPREAD[0, :2] = 0.0, 1.0

METRICS: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    *[case for case in LOSSES if hasattr(metrics, case[0]) and not {"label_smoothing", "ignore_class"} & {*case[1]}],
    ("LogCoshError", {}, BITS, X),
    ("RootMeanSquaredError", {}, BITS[:, 0], X[:, 0]),
    ("PearsonCorrelation", {}, X + BITS, X),
    ("ConcordanceCorrelation", {}, X + BITS, X),
    ("R2Score", {}, X + BITS, X),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, X + BITS, X),
    ("R2Score", {"class_aggregation": None}, X + BITS, X),
    ("TopKCategoricalAccuracy", {"k": 3}, ONE_HOT, X),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, X),
    *[(name, {}, BITS, SPREAD) for name in COUNTS],
    *[(name, {"thresholds": [0.3, 0.1, 0.6]}, BITS, SPREAD) for name in COUNTS],
    *[(name, {"class_id": 2}, BITS, SPREAD) for name in ("Precision", "Recall")],
    *[(name, {"top_k": 2}, BITS, SPREAD) for name in ("Precision", "Recall")],
    *[(name, {"top_k": 3, "thresholds": 0.4, "class_id": 1}, BITS, SPREAD) for name in ("Precision", "Recall")],
    *[(name, {argument: 0.4}, BITS, SPREAD) for name, argument in BEST],
    *[(name, {argument: 0.4, "num_thresholds": 1}, BITS, SPREAD) for name, argument in BEST],
    *[
        ("AUC", {"curve": curve, "summation_method": method, "num_thresholds": count}, BITS, SPREAD)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
        for count in (200, 7)
    ],
    ("AUC", {"thresholds": [0.6, 0.2, 0.5]}, BITS, SPREAD),
    ("AUC", {"from_logits": True}, BITS, X),
    ("AUC", {"label_weights": np.arange(1.0, 8.0)}, BITS, SPREAD),
    ("AUC", {"label_weights": [3.0, 0.0, 1.0, 2.0, 0.5, 1.0, 1.0], "thresholds": [0.6, 0.2, 0.5]}, BITS, SPREAD),
    *[("F1Score", {"average": average}, ONE_HOT, X) for average in (None, "micro", "macro", "weighted")],
    ("FBetaScore", {"average": "macro", "beta": 2.0, "threshold": 0.4}, BITS, SPREAD),
    ("Accuracy", {}, LABELS, X.argmax(1)),
    ("BinaryAccuracy", {}, BITS, PROBABILITIES),
    ("BinaryAccuracy", {"threshold": 0.1}, BITS[:, 0], PROBABILITIES[:, :1]),
    ("CategoricalAccuracy", {}, ONE_HOT, PROBABILITIES),
    ("SparseCategoricalAccuracy", {}, LABELS, X),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None], X),
]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), METRICS)
def test_metric_values(
    name: str, arguments: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray, weights: Any
) -> None:
    ours, expected = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for rows in (slice(0, 2), slice(2, 5)):
        for metric in (ours, expected):
            metric.update_state(y_true[rows], y_pred[rows], None if weights is None else weights[rows])
    np.testing.assert_allclose(ours.result(), np.asarray(expected.result()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "y_true", "y_pred"),
    [
        ("binary_accuracy", {}, BITS, PROBABILITIES),
        ("binary_accuracy", {"threshold": 0.2}, BITS[:, 0], PROBABILITIES[:, :1]),
        ("binary_accuracy", {}, BITS[:, 0], PROBABILITIES[:, 0]),
        ("categorical_accuracy", {}, ONE_HOT, X),
        ("sparse_categorical_accuracy", {}, LABELS, X),
        ("sparse_categorical_accuracy", {}, LABELS[:, None], X),
        ("sparse_categorical_accuracy", {}, np.stack([LABELS, LABELS]), np.stack([X, -X])),
        ("top_k_categorical_accuracy", {"k": 2}, ONE_HOT, X),
        ("sparse_top_k_categorical_accuracy", {"k": 2}, LABELS, X),
        ("pearson_correlation", {}, X + BITS, X),
        ("concordance_correlation", {}, X + BITS, X),
    ],
)
def test_metric_functions(name: str, arguments: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray) -> None:
    expected = np.asarray(getattr(keras.metrics, name)(y_true, y_pred, **arguments))
    found = getattr(metrics, name)(y_true, y_pred, **arguments)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize("weighted", [None, (4,), (4, 1), (4, 3), (1,)])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2)])
def test_means_and_sums_of_values(name: str, weighted: tuple[int, ...] | None, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    ours, expected = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        values = random.normal(size=shape).astype(np.float32)
        weights = None if weighted is None else random.random(weighted).astype(np.float32)
        try:
            expected.update_state(values, weights)
        except (ValueError, TypeError):
            with pytest.raises(ValueError, match="sample_weight"):
                ours.update_state(values, weights)
            return
        ours.update_state(values, weights)
    np.testing.assert_allclose(ours.result(), float(expected.result()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("units", [2, X.shape[1], X.shape[1] + 1])
def test_orthogonal_regularizer_in_training(mode: str, units: int) -> None:
    x, y = X.astype(np.float32), np.resize(BITS, (len(X), units)).astype(np.float32)
    models = []
    for library in (foliot, keras):
        layer = library.layers.Dense(units, kernel_regularizer=library.regularizers.OrthogonalRegularizer(0.5, mode))
        model = library.Sequential([library.layers.Input(x.shape[1:]), layer])
        model.set_weights([np.random.default_rng(2).normal(size=(x.shape[1], units)), np.zeros(units)])
        model.compile(library.optimizers.SGD(0.1), "mse")
        models.append((model, model.fit(x, y, epochs=3, batch_size=len(x), verbose=0).history["loss"]))
    (mine, losses_), (other, expected) = models
    np.testing.assert_allclose(losses_, expected, rtol=1e-5)
    np.testing.assert_allclose(mine.get_weights()[0], other.get_weights()[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((5,), (5, 1)), ((5, 1), (5,)), ((5,), (5,)), ((5, 1), (5, 1))])
@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", None])
def test_ranks_that_differ_by_one(true_shape: tuple[int, ...], pred_shape: tuple[int, ...], reduction: Any) -> None:
    y_true, y_pred = BITS[:, 0].reshape(true_shape), PROBABILITIES[:, 0].reshape(pred_shape)
    for name in ("MeanSquaredError", "BinaryCrossentropy"):
        expected = np.asarray(getattr(keras.losses, name)(reduction=reduction)(y_true, y_pred))
        got = getattr(losses, name)(reduction=reduction)(y_true, y_pred)
        np.testing.assert_allclose(got, expected, rtol=3e-6, atol=1e-6)
        assert np.shape(got) == expected.shape


@pytest.mark.parametrize(
    ("name", "true_shape", "pred_shape"),
    [
        ("binary_accuracy", (2, 1), (2,)),
        ("binary_accuracy", (2, 1), (2, 1)),
        ("binary_accuracy", (1,), (1, 1)),
        ("binary_accuracy", (), (1,)),
        ("binary_accuracy", (2, 3, 1), (2, 3)),
        ("binary_accuracy", (2, 3), (2, 3, 1)),
        ("sparse_top_k_categorical_accuracy", (2, 1), (2, 3)),
        ("sparse_top_k_categorical_accuracy", (2, 4), (2, 4, 3)),
    ],
)
def test_shapes_of_metric_functions(name: str, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(4)
    y_true, y_pred = random.integers(0, 2, true_shape).astype(np.float32), random.uniform(size=pred_shape)
    arguments = {"k": 1} if "top_k" in name else {}
    expected = np.asarray(getattr(keras.metrics, name)(y_true, y_pred.astype(np.float32), **arguments))
    found = getattr(metrics, name)(y_true, y_pred, **arguments)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_adjusted_r2_score() -> None:
    ours, expected = metrics.R2Score(num_regressors=3), keras.metrics.R2Score(num_regressors=3)
    for metric in (ours, expected):
        metric.update_state(X + BITS, X)
    np.testing.assert_allclose(ours.result(), float(expected.result()), rtol=1e-5)
