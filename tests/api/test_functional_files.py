"""Configurations and files of functional models."""

import json

import numpy as np
import pytest

import foliot
from api.functional_models import RANDOM, A, B, Translator, Y, assert_same, nested
from foliot import Input, Model
from foliot.layers import GRU, Dense, Embedding
from foliot.models import Functional, load_model


def _branched() -> Model:
    """Everything that a configuration has to say: sharing, states, nests, penalties, seeds, a model inside, a frozen
    layer."""
    outer, inner, _ = nested()
    tokens, numbers = Input((None,), name="tokens"), Input((3,), name="numbers")
    embedded = Embedding(9, 2, mask_zero=True)(tokens)
    sequence, state = GRU(3, return_sequences=True, return_state=True, dropout=0.2)(embedded)
    again = GRU(3, recurrent_dropout=0.2)(sequence, initial_state=state)
    last, _, direct = outer(again)
    side, _ = inner(numbers, training=False)
    frozen = Dense(1, trainable=False, name="frozen")(side)
    return Model({"t": tokens, "n": numbers}, (last, [direct, frozen]), name="branched")


def test_files_hold_whole_graphs(tmp_path) -> None:
    x = {"t": RANDOM.integers(0, 9, (13, 5)), "n": RANDOM.normal(size=(13, 3))}
    y = (RANDOM.normal(size=13), [np.ones((13, 2)), np.ones((13, 1))])
    model = _branched()
    model.compile(foliot.optimizers.Adam(0.01), "mse", metrics=[["mae"], None, None], loss_weights=[1, 2, 3])
    model.fit(x, y, epochs=2, batch_size=5, verbose=0)
    path = tmp_path / "model.foliot"
    model.save(path)
    saved = model.get_weights()
    loaded = load_model(path)
    assert type(loaded) is Functional
    assert loaded.get_config() == model.get_config()
    assert_same(loaded.get_weights(), model.get_weights())
    whole = model.fit(x, y, epochs=4, initial_epoch=2, batch_size=5, verbose=0).history
    assert loaded.fit(x, y, epochs=4, initial_epoch=2, batch_size=5, verbose=0).history == whole
    assert_same(loaded.get_weights(), model.get_weights())
    answer, (direct, _) = loaded.predict(x, verbose=0)
    np.testing.assert_array_equal(answer, model.predict(x, verbose=0)[0])
    np.testing.assert_array_equal(direct, model.predict(x, verbose=0)[1][0])
    # Shared layers stay shared, inside a nested model and outside.
    shared = loaded.get_layer("outer").get_layer("inner").get_layer("shared")
    assert loaded.get_layer("inner").get_layer("shared") is shared
    assert loaded.get_layer("outer").get_layer("shared") is shared
    assert len(loaded.weights) == len(model.weights)
    other = _branched()
    other.load_weights(path)
    assert_same(other.get_weights(), saved)


def test_a_saved_encoder_keeps_training(tmp_path) -> None:
    model = Translator().model
    model.compile("rmsprop", "categorical_crossentropy")
    model.fit([A, B], Y, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    again = Model(loaded.input[0], loaded.get_layer("lstm").output[1:])
    assert_same(again.predict(A, verbose=0), Model(model.input[0], model.layers[2].output[1:]).predict(A, verbose=0))
    assert loaded.fit([A, B], Y, verbose=0).history == model.fit([A, B], Y, verbose=0).history


def test_config_round_trip_makes_new_weights() -> None:
    model = _branched()
    config = json.loads(json.dumps(model.get_config()))
    again = Functional.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert Model.from_config(config).name == "branched"
    assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("calls"),
        lambda c: c.update(extra=1),
        lambda c: c.update(layers=None),
        lambda c: c.update(calls={}),
        lambda c: c["layers"].pop(),
        lambda c: c["layers"].append(c["layers"][0]),
        lambda c: c["layers"].append({"class_name": "Dense", "config": {"units": 1, "name": "unused"}}),
        lambda c: c["layers"].insert(0, {"class_name": "SharedLayer", "config": {"position": 0}}),
        lambda c: c["layers"].insert(0, {"class_name": "SharedLayer", "config": {}}),
        lambda c: c["calls"].pop(0),
        lambda c: c["calls"].reverse(),
        lambda c: c["calls"].append(None),
        lambda c: c["calls"][0].update(more=1),
        lambda c: c["calls"][0].update(layer="strange"),
        lambda c: c["calls"][0].update(layer=3),
        lambda c: c["calls"][0].update(layer="input_layer"),
        lambda c: c["calls"][0].update(inputs=[]),
        lambda c: c["calls"][0].update(inputs=[["lstm_1", 0, 0]]),
        lambda c: c["calls"][0].update(inputs=[["input_layer", 1, 0]]),
        lambda c: c["calls"][0].update(inputs=[["input_layer", 0, -1]]),
        lambda c: c["calls"][0].update(inputs=[["input_layer", 0, 7]]),
        lambda c: c["calls"][0].update(inputs=[["input_layer", 0, "x"]]),
        lambda c: c["calls"][0].update(inputs="input_layer"),
        lambda c: c["calls"][0].update(training=True),
        lambda c: c["calls"][0].update(training="x"),
        lambda c: c.update(inputs=[]),
        lambda c: c.update(inputs=3),
        lambda c: c.update(outputs=["dense", 0]),
        lambda c: c.update(outputs={"__tuple__": 3}),
        lambda c: c.update(inputs=["input_layer", 0, 0]),
        lambda c: c.update(trainable="x"),
        lambda c: c.update(name=5),
    ],
)
def test_a_changed_config_is_refused(change) -> None:
    config = json.loads(json.dumps(Translator().model.get_config()))
    Functional.from_config(json.loads(json.dumps(config)))
    change(config)
    with pytest.raises((ValueError, TypeError), match=r"expected|depend on the input"):
        Functional.from_config(config)
