"""Layers at the limits of what they take: huge and empty windows, axes that are features, layers inside layers."""

import numpy as np
import pytest

from foliot import metrics
from foliot.layers import (
    BatchNormalization,
    Conv1D,
    Cropping1D,
    Dense,
    Dot,
    Input,
    LayerNormalization,
    MaxPooling1D,
    TimeDistributed,
    ZeroPadding1D,
)
from foliot.models import Model, Sequential

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: MaxPooling1D(2**40, padding="same"),
        lambda: MaxPooling1D(2, strides=2**62),
        lambda: Conv1D(1, 3, dilation_rate=2**63 - 1, padding="causal"),
        lambda: ZeroPadding1D(2**62),
        lambda: Cropping1D((2**62, 2**62)),
    ],
)
def test_sizes_beyond_any_sequence(layer) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Sequential([Input((5, 3)), layer()]).predict(X, verbose=0)


def test_a_window_longer_than_the_sequence_is_the_sequence() -> None:
    model = Sequential([Input((5, 3)), MaxPooling1D(2_000_000_000, padding="same")])
    np.testing.assert_array_equal(model.predict(X, verbose=0)[:, 0], X.max(axis=1))


def test_time_that_becomes_features() -> None:
    a = Input((5, 3))
    model = Model(a, BatchNormalization()(Dense(2)(Dot(2)([a, a]))))
    assert model.predict(X, verbose=0).shape == (2, 5, 2)


def test_batch_normalization_is_found_however_deep() -> None:
    inner = Sequential([Dense(3), BatchNormalization()])
    with pytest.raises(ValueError, match="without BatchNormalization"):
        TimeDistributed(Sequential([inner]))


def test_the_axis_of_a_layer_over_time_is_its_own() -> None:
    got = Sequential([Input((5, 3)), TimeDistributed(LayerNormalization(axis=1))]).predict(X, verbose=0)
    np.testing.assert_allclose(got, LayerNormalization()(X), rtol=1e-5, atol=1e-6)


def test_empty_batches_change_neither_scores_nor_statistics() -> None:
    model = Sequential([Input((None, 3)), BatchNormalization(), Dense(2, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score(average="macro"), "R2Score"])
    y = np.eye(2, dtype=np.float32)[np.array([[0, 1, 1, 0, 1]] * 2)]
    full, empty = (X, y), (X[:, :0], y[:, :0])
    expected = model.evaluate(iter([full]), verbose=0)
    # The loss is a mean over batches, empty ones included, as in Keras.
    assert model.evaluate(iter([full, empty]), verbose=0)[1:] == expected[1:]
    before = model.layers[0].get_weights()[2:]
    model.train_on_batch(*empty)
    for moved, kept in zip(model.layers[0].get_weights()[2:], before, strict=True):
        np.testing.assert_array_equal(moved, kept)


def test_a_metric_of_several_numbers_is_refused_before_a_weight_changes() -> None:
    model = Sequential([Input((3,)), Dense(4, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score()])
    before = model.get_weights()
    with pytest.raises(ValueError, match="one number"):
        model.train_on_batch(X[:, 0], np.eye(4, dtype=np.float32)[:2])
    for weight, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)
