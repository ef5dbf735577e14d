"""Models inside models, and what a single call of a layer may say: dropout off, a mask."""

import numpy as np
import pytest

import foliot
from api.functional_models import RANDOM, TOKENS, XS, YS, A, assert_same, begin_alike, nested
from foliot import Input, Model
from foliot.layers import GRU, LSTM, Add, Dense, Dropout, Embedding
from foliot.models import Sequential


def test_a_model_is_a_layer() -> None:
    outer, inner, stack = nested()
    assert [layer.name for layer in outer.layers] == ["entrance", "stack", "inner", "last", "shared"]
    assert len(outer.weights) == 2 + 4 + 2
    assert outer.get_layer("inner") is inner
    assert outer.output_names == ["last", "inner", "shared"]
    last, side, direct = outer.predict(XS[0], verbose=0)
    np.testing.assert_allclose(last, outer.get_layer("last")(inner(stack(XS[0]))[0]), rtol=1e-6)
    np.testing.assert_array_equal(side, inner.predict(XS[0], verbose=0)[1])
    np.testing.assert_array_equal(direct, inner.predict(XS[0], verbose=0)[0])
    outer.compile("sgd", "mse")
    outer.fit(XS[0], [YS[0], YS[0], np.ones((8, 2))], verbose=0)
    inner.trainable = False
    frozen = inner.get_weights()
    outer.compile("sgd", "mse")
    outer.fit(XS[0], [YS[0], YS[0], np.ones((8, 2))], verbose=0)
    assert_same(inner.get_weights(), frozen)
    assert len(outer.trainable_weights) == 4


def test_nested_is_flat_to_the_bit() -> None:
    """A model of models computes and trains what the same layers give without them; masks pass through."""
    x, y = RANDOM.integers(0, 9, (13, 6)), RANDOM.normal(size=13)

    def layers() -> list:
        foliot.utils.set_random_seed(2)
        foliot.utils.clear_session()
        embedding = Embedding(9, 4, mask_zero=True, embeddings_regularizer="l2")
        return [embedding, LSTM(3, return_sequences=True, dropout=0.2, activity_regularizer="l1"), GRU(2), Dense(1)]

    def trained(model: Model) -> tuple:
        model.build((None, 6))
        begin_alike(model)
        model.compile("adam", "mse")
        history = model.fit(x, y, batch_size=5, epochs=2, verbose=0).history
        return history, model.get_weights(), model.predict(x, verbose=0)

    flat = trained(Sequential(layers()))
    embedding, first, second, last = layers()
    deep = trained(Sequential([Sequential([embedding, Sequential([first])]), Sequential([second, last])]))
    embedding, first, second, last = layers()
    entrance = Input((None,))
    middle = Input((None, 4))
    lower = Model(middle, first(middle))
    functional = trained(Model(entrance, Sequential([second, last])(lower(embedding(entrance)))))
    for other in (deep, functional):
        assert other[0] == flat[0]
        assert_same(other[1], flat[1])
        np.testing.assert_array_equal(other[2], flat[2])


def test_other_lengths_and_dicts_through_a_nested_model() -> None:
    sequence, state = Input((5, 2)), Input((3,))
    inner = Model({"x": sequence, "state": state}, {"y": GRU(3, return_sequences=True)(sequence, initial_state=state)})
    x, start = Input((None, 2)), Input((3,))
    outer = Model([x, start], inner({"x": x, "state": start})["y"])
    assert outer.output_shape == (None, None, 3)
    assert outer.predict([np.zeros((4, 9, 2)), np.zeros((4, 3))], verbose=0).shape == (4, 9, 3)


def test_dropout_can_be_turned_off_for_a_call() -> None:
    entrance = Input((100,))
    dropout = Dropout(0.5)
    inner = Sequential([Input((100,)), dropout])
    model = Model(entrance, [dropout(entrance), dropout(entrance, training=False), inner(entrance, training=False)])
    ones = np.ones((4, 100), np.float32)
    dropped, kept, kept_inside = model(ones, training=True)
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(kept, ones)
    np.testing.assert_array_equal(kept_inside, ones)
    recurrent = GRU(3, dropout=0.5, recurrent_dropout=0.5, zoneout=0.5)
    x = Input((7, 5))
    model = Model(x, recurrent(x, training=False))
    np.testing.assert_array_equal(model(A, training=True), model(A))


def test_two_calls_of_one_dropout_drop_different_elements() -> None:
    entrance = Input((100,))
    dropout = Dropout(0.5, seed=1)
    first, second = Model(entrance, [dropout(entrance), dropout(entrance)])(np.ones((4, 100)), training=True)
    assert not np.array_equal(first, second)


def test_masks_may_be_passed_where_they_come_anyway() -> None:
    tokens, start = Input((None,)), Input((3,))
    embedding, reader = Embedding(9, 4, mask_zero=True), GRU(3, return_sequences=True)
    mask = embedding.compute_mask(tokens)
    x = Dropout(0.2)(Dense(4, activation="tanh")(embedding(tokens)))
    outputs = [reader(x, initial_state=start, mask=mask), reader(x, initial_state=start)]
    told, untold = Model([tokens, start], outputs).predict([TOKENS, np.ones((13, 3))], verbose=0)
    np.testing.assert_array_equal(told, untold)
    expected = reader(Model(tokens, x).predict(TOKENS, verbose=0), initial_state=np.ones((13, 3)), mask=TOKENS != 0)
    np.testing.assert_allclose(told, expected, rtol=1e-5)
    assert reader(Add()([x, embedding(tokens)]), mask=mask).shape == (None, None, 3)
    other = embedding.compute_mask(Input((None,)))
    for wrong, passed in ((x, other), (Input((None, 4)), mask), (GRU(3)(x), mask), (x, np.ones((13, 6)))):
        with pytest.raises((ValueError, TypeError), match=r"`mask`: expected None or, in a model|GRU expects"):
            reader(wrong, mask=passed)
