"""Outputs that do not fit their loss are pointed out, with the fix; those that do are left alone."""

import re
import warnings
from typing import Any

import numpy as np
import pytest

from foliot import Input, Layer, Model, losses
from foliot.layers import (
    LSTM,
    Activation,
    Average,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Flatten,
    Masking,
    Multiply,
    ReLU,
    Softmax,
    TimeDistributed,
)
from foliot.models import Sequential

X = np.random.default_rng(0).normal(size=(4, 5, 3))
ONE = np.array([0, 1, 1, 0])
HOT = np.eye(3)[[0, 1, 2, 0]]
SPARSE = np.array([0, 1, 2, 0])


class Head(Layer):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.choose = Dense(3, activation=activation, name="choose")

    def call(self, inputs: Any) -> Any:
        return self.choose(inputs)


def _fit(head: Any, loss: Any, y: Any, **options: Any) -> list[str]:
    """The warnings of a training, of whose source every one names this file."""
    model = Sequential([Input((5, 3)), Masking(), LSTM(2), *(head if isinstance(head, list) else [head])])
    model.compile("sgd", loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, validation_split=0.5, epochs=2, verbose=0, **options)
        model.evaluate(X, y, verbose=0)
    assert {one.filename for one in caught} <= {__file__}
    return [str(one.message) for one in caught if one.category is UserWarning]


def _dense(units: int, activation: Any) -> Dense:
    return Dense(units, activation=activation, name="out")


@pytest.mark.parametrize(
    ("head", "loss", "y", "text"),
    [
        (_dense(1, "softmax"), "binary_crossentropy", ONE, "'out'.*softmax.*always 1.*sigmoid"),
        (_dense(1, "softmax"), "mse", ONE, "'out'.*mean_squared_error.*always 1"),
        (_dense(3, "sigmoid"), "categorical_crossentropy", HOT, "'out'.*sigmoid.*categorical_cross.*use .*'softmax'"),
        (_dense(3, "sigmoid"), "sparse_categorical_crossentropy", SPARSE, "add up to 1.*softmax.*several labels"),
        (_dense(3, None), "sparse_categorical_crossentropy", SPARSE, "'linear'.*softmax.*from_logits=True"),
        (_dense(3, "relu"), "categorical_crossentropy", HOT, "'relu'.*softmax"),
        (_dense(3, "tanh"), losses.CategoricalFocalCrossentropy(), HOT, "'tanh'.*softmax"),
        (_dense(1, "relu"), "binary_crossentropy", ONE, "'relu'.*between 0 and 1.*sigmoid"),
        (_dense(1, "tanh"), losses.BinaryFocalCrossentropy(), ONE, "'tanh'.*sigmoid"),
        (_dense(1, None), "binary_crossentropy", ONE, "'linear'.*sigmoid.*from_logits=True"),
        (_dense(1, "sigmoid"), losses.BinaryCrossentropy(from_logits=True), ONE, "from_logits=True.*a sigmoid once"),
        (_dense(3, "softmax"), losses.SparseCategoricalCrossentropy(from_logits=True), SPARSE, "a softmax once more"),
        ([Dense(3), Softmax(), Dropout(0.1)], losses.CategoricalCrossentropy(from_logits=True), HOT, "Softmax 'soft"),
        ([Dense(3), Activation("tanh", name="t")], "categorical_crossentropy", HOT, "Activation 't'.*'tanh'"),
        ([Dense(1), ReLU()], "binary_crossentropy", ONE, "ReLU .*'relu'.*sigmoid"),
        (_dense(1, "softplus"), "binary_crossentropy", ONE, "'softplus'.*between 0 and 1: use .*'sigmoid'$"),
        (_dense(1, "exponential"), losses.BinaryFocalCrossentropy(), ONE, "'exponential'.*between 0 and 1"),
        ([Dense(1), Activation("squareplus")], "binary_crossentropy", ONE, "'squareplus'.*between 0 and 1"),
        (_dense(3, "softplus"), "sparse_categorical_crossentropy", SPARSE, "'softplus'.*add up to 1.*'softmax'$"),
        (_dense(3, "hard_sigmoid"), "categorical_crossentropy", HOT, "'hard_sigmoid'.*add up to 1.*several labels"),
        (_dense(3, "exponential"), "kl_divergence", HOT, "'exponential'.*kl_divergence.*add up to 1"),
        (_dense(3, None), "kl_divergence", HOT, "'linear'.*kl_divergence.*add up to 1: use activation='softmax'$"),
        (_dense(3, "relu"), losses.CategoricalGeneralizedCrossEntropy(), SPARSE, "'relu'.*add up to 1"),
        (_dense(1, "softplus"), losses.BinaryCrossentropy(from_logits=True), ONE, "'softplus'.*sigmoid.*never below 0"),
        (
            _dense(3, "relu"),
            losses.CategoricalCrossentropy(from_logits=True),
            HOT,
            "'relu'.*its softmax.*never below 0",
        ),
        (_dense(3, "exponential"), losses.SparseCategoricalCrossentropy(from_logits=True), SPARSE, "never below 0"),
        (_dense(1, "log_sigmoid"), losses.BinaryCrossentropy(from_logits=True), ONE, "never above 0"),
        (_dense(1, "hard_sigmoid"), losses.BinaryCrossentropy(from_logits=True), ONE, "a sigmoid once more"),
        (_dense(3, "sparsemax"), losses.CategoricalCrossentropy(from_logits=True), HOT, "a softmax once more"),
        (_dense(1, "sparsemax"), "mse", ONE, "a sparsemax over one unit is always 1"),
        (_dense(1, "softmax"), losses.CategoricalFocalCrossentropy(), np.ones((4, 1)), "'out'.*always 1"),
        (_dense(1, "softmax"), losses.BinaryCrossentropy(from_logits=True), ONE, "'out'.*always 1"),
        (Head("sigmoid"), "categorical_crossentropy", HOT, "'choose'"),
        (Sequential([Dense(3, name="inner")]), "categorical_crossentropy", HOT, "'inner'"),
    ],
)
def test_a_mismatch_is_told_once(head: Any, loss: Any, y: Any, text: str) -> None:
    (message,) = _fit(head, loss, y)
    assert re.search(text, message), message


@pytest.mark.parametrize(
    ("head", "loss", "y"),
    [
        (_dense(1, "sigmoid"), "binary_crossentropy", ONE),
        (_dense(1, "sigmoid"), losses.BinaryCrossentropy(label_smoothing=0.1), ONE),
        (_dense(1, "sigmoid"), "binary_crossentropy", ONE * 0.8 + 0.1),
        (_dense(3, "sigmoid"), "binary_crossentropy", np.ones((4, 3))),
        (_dense(3, "softmax"), "binary_crossentropy", HOT),
        (_dense(3, "softmax"), "categorical_crossentropy", HOT),
        (_dense(3, "softmax"), "kl_divergence", HOT),
        (_dense(1, None), losses.BinaryCrossentropy(from_logits=True), ONE),
        (_dense(3, None), losses.SparseCategoricalCrossentropy(from_logits=True), SPARSE),
        (_dense(3, "log_softmax"), losses.CategoricalCrossentropy(from_logits=True), HOT),
        (_dense(1, "hard_sigmoid"), "binary_crossentropy", ONE),
        (_dense(3, "exponential"), "categorical_crossentropy", HOT),
        (_dense(3, "exponential"), losses.CategoricalFocalCrossentropy(), HOT),
        (_dense(1, "softplus"), "poisson", ONE),
        (_dense(3, "sparsemax"), "categorical_crossentropy", HOT),
        ([Dense(1), ReLU(negative_slope=0.1)], losses.BinaryCrossentropy(from_logits=True), ONE),
        (_dense(1, "tanh"), losses.BinaryCrossentropy(from_logits=True), ONE),
        (_dense(1, "tanh"), "hinge", ONE * 2 - 1),
        (_dense(1, None), "mse", ONE * 5),
        ([Dense(3), Softmax()], "categorical_crossentropy", HOT),
        ([Dense(3), Activation("softmax"), Activation("linear")], "categorical_crossentropy", HOT),
        ([Dense(1), ReLU(max_value=1)], "binary_crossentropy", ONE),
        (Head("softmax"), "categorical_crossentropy", HOT),
    ],
)
def test_what_goes_together_is_left_alone(head: Any, loss: Any, y: Any) -> None:
    assert _fit(head, loss, y) == []


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (ONE * 2 - 1, r"received -1, 1: pass \(y \+ 1\) / 2, or use a hinge"),
        (ONE + 1, "received 1, 2: .*sparse_categorical"),
        (np.array([0.5, -2, 1, 0]), "received -2, 0, 0.5, 1: pass labels 0 and 1"),
    ],
)
def test_targets_that_are_no_labels_are_told(y: Any, text: str) -> None:
    (message,) = _fit(_dense(1, "sigmoid"), "bce", y)
    assert re.search(text, message), message


def test_rows_without_weight_may_hold_anything() -> None:
    assert _fit(_dense(1, "sigmoid"), "bce", np.array([0, 1, -9, 1]), sample_weight=np.array([1, 1, 0, 1])) == []


def test_merges_sequences_and_reshapes_are_left_alone() -> None:
    entrance = Input((5, 3))
    read = Bidirectional(LSTM(3))(Masking()(entrance))
    both = Average()([Dense(3, activation="softmax")(read), Dense(3, activation="softmax")(read)])
    gated = Multiply()([Dense(1)(read), Dense(1, activation="sigmoid")(read)])
    flat = Flatten()(TimeDistributed(Dense(1, activation="sigmoid"))(entrance))
    model = Model(entrance, [both, gated, flat])
    model.compile("sgd", ["categorical_crossentropy", "binary_crossentropy", "binary_crossentropy"])
    model.fit(X, [HOT, ONE, np.ones((4, 5))], verbose=0)


def test_each_output_is_told_by_its_own_name() -> None:
    entrance = Input((5, 3))
    steps = TimeDistributed(Dense(3, name="steps"))(entrance)
    conv = Conv1D(1, 2, padding="same", name="conv")(entrance)
    model = Model(entrance, {"a": steps, "b": conv})
    for _ in range(2):
        model.compile("sgd", {"a": "sparse_categorical_crossentropy", "b": "binary_crossentropy"})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.train_on_batch(X, {"a": np.zeros((4, 5)), "b": np.zeros((4, 5, 1)) - 1})
        first, second = (str(one.message) for one in caught)
        assert "Dense 'steps'" in first
        assert "Conv1D 'conv'" in second
