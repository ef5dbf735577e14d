"""Losses: names, values from the definitions, reductions, shapes and refusals."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import losses

rng = np.random.default_rng(5)
TARGETS = (rng.random((6, 3)) < 0.5).astype(np.float64)
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0, 2]]
CLASSES = ONE_HOT.argmax(1)
PROBABILITIES = rng.dirichlet(np.ones(3), 6)
LOGITS = rng.normal(size=(6, 3)) * 3


def clip(p: np.ndarray) -> Any:
    return np.clip(p, 1e-7, 1 - 1e-7)


def softmax(x: np.ndarray) -> Any:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def binary(y: np.ndarray, p: np.ndarray) -> Any:
    return -(y * np.log(clip(p)) + (1 - y) * np.log(1 - clip(p))).mean(1)


def categorical(y: np.ndarray, p: np.ndarray) -> Any:
    return -(y * np.log(clip(p / p.sum(1, keepdims=True)))).sum(1)


CASES: list[tuple[losses.Loss, np.ndarray, np.ndarray, np.ndarray]] = [
    (losses.MeanSquaredError(), TARGETS, LOGITS, ((TARGETS - LOGITS) ** 2).mean(1)),
    (losses.HalfMeanSquaredError(), TARGETS, LOGITS, ((TARGETS - LOGITS) ** 2).mean(1) / 2),
    (losses.MeanAbsoluteError(), TARGETS, LOGITS, np.abs(TARGETS - LOGITS).mean(1)),
    (losses.BinaryCrossentropy(), TARGETS, PROBABILITIES, binary(TARGETS, PROBABILITIES)),
    (losses.BinaryCrossentropy(from_logits=True), TARGETS, LOGITS, binary(TARGETS, 1 / (1 + np.exp(-LOGITS)))),
    (
        losses.BinaryCrossentropy(label_smoothing=0.2),
        TARGETS,
        PROBABILITIES,
        binary(TARGETS * 0.8 + 0.1, PROBABILITIES),
    ),
    (losses.CategoricalCrossentropy(), ONE_HOT, PROBABILITIES, categorical(ONE_HOT, PROBABILITIES)),
    (losses.CategoricalCrossentropy(from_logits=True), ONE_HOT, LOGITS, categorical(ONE_HOT, softmax(LOGITS))),
    (
        losses.CategoricalCrossentropy(label_smoothing=0.3),
        ONE_HOT,
        PROBABILITIES,
        categorical(ONE_HOT * 0.7 + 0.1, PROBABILITIES),
    ),
    (losses.SparseCategoricalCrossentropy(), CLASSES, PROBABILITIES, categorical(ONE_HOT, PROBABILITIES)),
    (losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES, LOGITS, categorical(ONE_HOT, softmax(LOGITS))),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred", "expected"), CASES, ids=repr)
class TestValues:
    def test_per_sample(self, loss: losses.Loss, y_true: np.ndarray, y_pred: np.ndarray, expected: np.ndarray) -> None:
        got = loss.call(y_true, y_pred)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])])
    def test_reductions(
        self, loss: losses.Loss, y_true: np.ndarray, y_pred: np.ndarray, expected: np.ndarray, weights: Any
    ) -> None:
        used = np.ones(6) if weights is None else weights
        total = (expected * used).sum()
        by_reduction = {
            "sum": total,
            "sum_over_batch_size": total / 6,
            "mean": total / 6,
            "mean_with_sample_weight": total / used.sum(),
            None: expected * used,
            "none": expected * used,
        }
        for reduction, value in by_reduction.items():
            reduced = type(loss).from_config({**loss.get_config(), "reduction": reduction})
            np.testing.assert_allclose(reduced(y_true, y_pred, weights), value, rtol=1e-5, atol=1e-6)

    def test_time_is_one_more_axis(
        self, loss: losses.Loss, y_true: np.ndarray, y_pred: np.ndarray, expected: np.ndarray
    ) -> None:
        steps = (2, 3)
        y_true, y_pred = y_true.reshape(*steps, *y_true.shape[1:]), y_pred.reshape(*steps, 3)
        np.testing.assert_allclose(loss.call(y_true, y_pred), expected.reshape(steps), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(loss(y_true, y_pred), expected.mean(), rtol=1e-5)
        # One weight for each sequence holds for all its steps.
        weighted = (expected.reshape(steps) * [[1.0], [3.0]]).sum() / 6
        np.testing.assert_allclose(loss(y_true, y_pred, [1.0, 3.0]), weighted, rtol=1e-5)


def test_functions_give_each_sample() -> None:
    for name in losses._REGISTRY.names:
        if name != "ctc" and hasattr(losses, name) and not losses.get(name).sparse:  # type: ignore[union-attr]
            expected = losses.get(name).call(ONE_HOT, PROBABILITIES)  # type: ignore[union-attr]
            np.testing.assert_array_equal(getattr(losses, name)(ONE_HOT, PROBABILITIES), expected)
    np.testing.assert_array_equal(
        losses.sparse_categorical_crossentropy(CLASSES, LOGITS, from_logits=True),
        losses.SparseCategoricalCrossentropy(from_logits=True).call(CLASSES, LOGITS),
    )
    np.testing.assert_array_equal(
        losses.binary_crossentropy(TARGETS, LOGITS, from_logits=True, label_smoothing=0.1),
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1).call(TARGETS, LOGITS),
    )


def test_names() -> None:
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError"):
        assert losses.get(name) == losses.MeanSquaredError()
    for name in ("mae", "MAE", "mean_absolute_error"):
        assert losses.get(name) == losses.MeanAbsoluteError()
    for name in ("bce", "BCE", "binary_crossentropy"):
        assert losses.get(name) == losses.BinaryCrossentropy()
    for name in ("half_mse", "half_mean_squared_error", "HalfMeanSquaredError"):
        assert losses.get(name) == losses.HalfMeanSquaredError()
    for function in losses.FUNCTIONS:
        found = losses.get(function)
        assert found is not None
        assert found.to_spec()["kind"] == function.__name__
    assert losses.MSE is losses.mse is losses.mean_squared_error


def test_a_function_of_pythons_own_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^`loss`: expected a name.*cannot run inside a training step"):
        losses.get(lambda y_true, y_pred: 0)


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ((None, 1), (8,), losses.BinaryCrossentropy),
        ((None, 1), (8, 1), losses.BinaryCrossentropy),
        ((None, 4), (8,), losses.SparseCategoricalCrossentropy),
        ((None, 4), (8, 1), losses.SparseCategoricalCrossentropy),
        ((None, 4), (8, 4), losses.CategoricalCrossentropy),
        ((None, None, 4), (8, 7), losses.SparseCategoricalCrossentropy),
        ((None, 7, 4), (8, 7, 4), losses.CategoricalCrossentropy),
    ],
)
def test_crossentropy_fits_the_shapes(output: Any, target: Any, expected: type) -> None:
    for name in ("crossentropy", "ce", "CE"):
        assert type(losses.resolve(name, output, target)) is expected
    assert losses.resolve("mse", output, target) == losses.MeanSquaredError()
    assert losses.resolve(None, output, target) is None


def test_softmax_over_one_class_warns() -> None:
    for name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        with pytest.warns(SyntaxWarning, match="one class"):
            losses.resolve(name, (None, 1), (8, 1))


def test_training_specs() -> None:
    assert losses.MeanSquaredError(reduction="mean").to_training_spec()["reduction"] == "sum_over_batch_size"
    for reduction in ("sum", "sum_over_batch_size", "mean_with_sample_weight"):
        assert losses.HalfMeanSquaredError(reduction=reduction).to_training_spec() == {
            "loss": {"kind": "half_mean_squared_error"},
            "reduction": reduction,
        }
    for none in (None, "none"):
        with pytest.raises(ValueError, match=r"^`reduction`"):
            losses.MeanSquaredError(reduction=none).to_training_spec()


@given(st.integers(1, 4), st.sampled_from([(), (1,)]), st.sampled_from([(), (1,)]))
def test_a_column_and_a_vector_are_one_thing(rows: int, true_tail: tuple[int, ...], pred_tail: tuple[int, ...]) -> None:
    y_true, y_pred = np.arange(rows, dtype=float), np.arange(rows, dtype=float) ** 2
    got = losses.MeanSquaredError()(y_true.reshape(rows, *true_tail), y_pred.reshape(rows, *pred_tail))
    assert math.isclose(got, ((y_true - y_pred) ** 2).mean(), rel_tol=1e-6)


def test_no_samples_give_no_loss() -> None:
    assert losses.MeanSquaredError()(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "weights", "error", "message"),
    [
        ("mse", np.zeros((2, 3)), np.zeros((2, 4)), None, ValueError, r"`y_true`.*\(2, 4\).*\(2, 3\)"),
        ("mse", np.zeros(3), np.zeros((2, 1)), None, ValueError, r"`y_true`.*\(2, 1\).*\(3, 1\)"),
        ("mse", 1.0, 2.0, None, ValueError, "`y_pred`.*axis"),
        ("mse", ["a"], [1.0], None, TypeError, "`y_true`"),
        ("mse", [1.0], [[1.0], [1.0, 2.0]], None, TypeError, "`y_pred`"),
        ("categorical_crossentropy", [0, 1], np.ones((2, 3)), None, ValueError, "sparse categorical form"),
        ("sparse_categorical_crossentropy", np.eye(3), np.ones((3, 3)), None, ValueError, "categorical form"),
        ("sparse_categorical_crossentropy", [0.5], np.ones((1, 3)), None, ValueError, "`y_true`.*whole.*0.5"),
        ("sparse_categorical_crossentropy", [math.nan], np.ones((1, 3)), None, ValueError, "`y_true`.*whole.*nan"),
        ("sparse_categorical_crossentropy", [2**40], np.ones((1, 3)), None, ValueError, "`y_true`.*int32"),
        ("sparse_categorical_crossentropy", [3], np.ones((1, 3)), None, ValueError, "y_true"),
        ("sparse_categorical_crossentropy", [-1], np.ones((1, 3)), None, ValueError, "y_true"),
        ("mse", np.zeros((2, 3)), np.zeros((2, 3)), [1.0, 2.0, 3.0], ValueError, r"`sample_weight`.*\(2,\).*\(3,\)"),
        ("mse", np.zeros((2, 3)), np.zeros((2, 3)), ["a", "b"], TypeError, "`sample_weight`"),
    ],
)
def test_bad_arrays(loss: str, y_true: Any, y_pred: Any, weights: Any, error: type[Exception], message: str) -> None:
    found = losses.get(loss)
    assert found is not None
    with pytest.raises(error, match=message):
        found(y_true, y_pred, weights)


def test_any_layout_and_dtype() -> None:
    expected = losses.MeanSquaredError().call(TARGETS, LOGITS)
    for convert in (np.asfortranarray, lambda a: a.astype(np.float32), np.ndarray.tolist):
        np.testing.assert_allclose(
            losses.MeanSquaredError().call(TARGETS.astype(int), convert(LOGITS)), expected, rtol=1e-6
        )


def test_focal_weights_of_classes() -> None:
    alpha = [0.1, 0.5, 2.0]
    chosen = PROBABILITIES[np.arange(6), CLASSES]
    expected = np.array(alpha)[CLASSES] * (1 - chosen) ** 2 * -np.log(chosen)
    for given_alpha in (alpha, tuple(alpha), np.array(alpha)):
        loss = losses.CategoricalFocalCrossentropy(alpha=given_alpha)
        assert loss.get_config()["alpha"] == alpha
        assert losses.deserialize(json.loads(json.dumps(losses.serialize(loss)))) == loss
        np.testing.assert_allclose(loss.call(ONE_HOT, PROBABILITIES), expected, rtol=1e-5)
        found = losses.categorical_focal_crossentropy(ONE_HOT, PROBABILITIES, alpha=given_alpha)
        np.testing.assert_array_equal(found, loss.call(ONE_HOT, PROBABILITIES))
    np.testing.assert_array_equal(
        losses.CategoricalFocalCrossentropy([0.3]).call(ONE_HOT, PROBABILITIES),
        losses.CategoricalFocalCrossentropy(0.3).call(ONE_HOT, PROBABILITIES),
    )
    # Also where no row is there to be judged.
    for rows in (6, 0):
        with pytest.raises(ValueError, match=r"`alpha`: expected one weight, or one for each of the 3 classes.*2"):
            losses.CategoricalFocalCrossentropy([0.1, 0.2])(ONE_HOT[:rows], PROBABILITIES[:rows])


@pytest.mark.parametrize(
    ("alpha", "error", "message"),
    [
        ([], ValueError, r"^`alpha`: expected a number, or one for each class"),
        ("0.5", TypeError, r"^`alpha`"),
        ([0.5, "1"], TypeError, r"^`alpha\[1\]`"),
        ([0.5, math.inf], ValueError, r"^`alpha\[1\]`"),
        ([[0.5]], TypeError, r"^`alpha\[0\]`"),
    ],
)
def test_bad_focal_weights(alpha: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        losses.CategoricalFocalCrossentropy(alpha=alpha)
