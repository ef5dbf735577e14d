"""Bidirectional layers: files and copies, states, masks, configurations, refusals; and refusals of merges."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot import Sequential, layers
from foliot.layers import GRU, LSTM, Bidirectional, Dense, Input, SimpleRNN
from foliot.models import load_model

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)


def test_a_saved_or_pickled_model_trains_on_alike(tmp_path: Path) -> None:
    model = Sequential(
        [
            Input((5, 3)),
            Bidirectional(LSTM(2, return_sequences=True, dropout=0.3)),
            Bidirectional(GRU(2), "sum"),
            Dense(1),
        ]
    )
    model.compile("adam", "mse")
    y = np.ones((4, 1))
    model.fit(X, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = [load_model(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))]
    model.fit(X, y, epochs=2, verbose=0)
    for other in again:
        other.fit(X, y, epochs=2, verbose=0)
        np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))


def test_each_direction_is_the_layer_by_itself() -> None:
    """Forward, and backward turned around, with zeros where the mask is False."""
    both = Bidirectional(LSTM(2, return_sequences=True, return_state=True))
    joined, *states = both(X, mask=MASK)
    assert [state.shape for state in states] == [(4, 2)] * 4
    forth, back = LSTM(2, return_sequences=True), LSTM(2, return_sequences=True, go_backwards=True)
    for layer, weights in ((forth, both.get_weights()[:3]), (back, both.get_weights()[3:])):
        layer.build(X.shape)
        layer.set_weights(weights)
    halves = [forth(X, mask=MASK), back(X, mask=MASK)[:, ::-1]]
    np.testing.assert_array_equal(joined, np.concatenate(halves, axis=-1) * MASK[..., None])


def test_weights_states_and_shapes() -> None:
    first = Bidirectional(GRU(2, return_state=True), merge_mode=None)
    results = first(X)
    second = Bidirectional(GRU(2, return_state=True), merge_mode=None, weights=first.get_weights())
    copied = copy.deepcopy(first)
    for layer in (second, copied):
        for actual, expected in zip(layer(X), results, strict=True):
            np.testing.assert_array_equal(actual, expected)
    assert [tuple(shape) for shape in first.compute_output_shape(X.shape)] == [result.shape for result in results]
    with pytest.raises(ValueError, match="expected 2 arrays"):
        first(X, initial_state=[results[0]])


def test_configuration() -> None:
    layer = Bidirectional(LSTM(2, name="read"), merge_mode="ave", backward_layer=GRU(3, go_backwards=True), name="b")
    config = json.loads(json.dumps(layer.get_config()))
    assert config["layer"]["config"]["name"] == "forward_read"
    again = Bidirectional.from_config(config)
    assert again.get_config() == layer.get_config()
    assert isinstance(again.backward_layer, GRU)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layer": Dense(2)}, TypeError, "`layer`: expected a recurrent layer"),
        ({"backward_layer": Dense(2)}, TypeError, "`backward_layer`"),
        ({"backward_layer": LSTM(2)}, ValueError, "go_backwards"),
        ({"backward_layer": LSTM(2, go_backwards=True, return_state=True)}, ValueError, "return_state"),
        ({"merge_mode": "max"}, ValueError, "`merge_mode`"),
    ],
)
def test_refusals(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Bidirectional(**({"layer": SimpleRNN(2)} | options))


@pytest.mark.parametrize(
    ("layer", "shapes", "words"),
    [
        (layers.Add(), [(2, 3), (2, 4)], "fit one another"),
        (layers.Add(), [(2, 3), (1, 3)], "same batch size"),
        (layers.Subtract(), [(2, 3)] * 3, "exactly 2"),
        (layers.Concatenate(0), [(2, 3)] * 2, "axis from 1 to 1"),
        (layers.Concatenate(), [(2, 3, 4), (2, 5, 4)], "same shape but for axis 2"),
        (layers.Dot(0), [(2, 3)] * 2, "axis from 1 to 1"),
        (layers.Dot((1, 2)), [(2, 3, 4)] * 2, "equal length"),
    ],
)
def test_merges_refuse_what_does_not_fit(layer: Any, shapes: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer([np.zeros(shape) for shape in shapes])
    with pytest.raises(TypeError, match="a list of tensors"):
        layer(np.zeros(shapes[0]))


def test_a_frozen_layer_freezes_both_directions() -> None:
    layer = Bidirectional(LSTM(2), trainable=False)
    layer(X)
    assert (len(layer.weights), layer.trainable_weights) == (6, [])


def test_activity_regularizers_belong_to_the_inner_layers() -> None:
    with pytest.raises(ValueError, match="activity_regularizer"):
        Bidirectional(LSTM(2), activity_regularizer="l2")
