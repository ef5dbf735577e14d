"""Attention layers as users meet them: calls on arrays and in models, masks, refusals."""

from typing import Any

import numpy as np
import pytest

from foliot.callbacks import LambdaCallback
from foliot.layers import AdditiveAttention, Attention, Dense, Embedding, Input, Layer, MultiHeadAttention
from foliot.models import Model

RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(2, 4, 3)).astype(np.float32)
VALUE = RANDOM.normal(size=(2, 5, 3)).astype(np.float32)
IDS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])


def test_scores_are_weights() -> None:
    output, scores = Attention()([QUERY, VALUE], return_attention_scores=True)
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(output, scores @ VALUE, rtol=1e-5, atol=1e-6)
    products = np.exp(QUERY @ VALUE.swapaxes(1, 2))
    np.testing.assert_allclose(scores, products / products.sum(-1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("layer", [Attention(), AdditiveAttention(), MultiHeadAttention(2, 3)], ids=lambda x: x.name)
def test_masks_in_models_are_those_of_calls(layer: Layer) -> None:
    """An Embedding's mask comes along; what is padding changes nothing, and the output's mask is the query's."""
    embedding = Embedding(6, 3, mask_zero=True)
    ids, queries = Input((5,)), Input((4, 3))
    many = isinstance(layer, MultiHeadAttention)

    def apply(query: Any, value: Any, **options: Any) -> Any:
        return layer(query, value, **options) if many else layer([query, value], **options)

    model = Model([queries, ids], apply(queries, embedding(ids), return_attention_scores=True))
    output, scores = model.predict([QUERY, IDS], verbose=0)
    mask = {"value_mask": IDS != 0} if many else {"mask": [None, IDS != 0]}
    expected = apply(QUERY, embedding(IDS), return_attention_scores=True, **mask)
    np.testing.assert_allclose(output, expected[0], rtol=1e-6)
    np.testing.assert_allclose(scores, expected[1], rtol=1e-6)
    hidden = np.broadcast_to((IDS == 0)[:, None, None, :] if many else (IDS == 0)[:, None, :], scores.shape)
    assert (scores[hidden] == 0).all()
    assert (scores[~hidden] > 0).all()
    # The mask of the query decides which rows a loss counts.
    model = Model(ids, Dense(1)(apply(embedding(ids), embedding(ids))))
    model.compile("sgd", "mse")
    predicted = model.predict(IDS, verbose=0)
    target = predicted + 1
    target[IDS == 0] = 100
    assert model.evaluate(IDS, target, verbose=0) == pytest.approx(1.0, rel=1e-5)


def test_attention_mask_as_an_input() -> None:
    queries, values, mask = Input((4, 3)), Input((5, 3)), Input((4, 5), dtype="bool")
    layer = MultiHeadAttention(2, 3)
    model = Model([queries, values, mask], layer(queries, values, attention_mask=mask))
    sees = RANDOM.random((2, 4, 5)) < 0.5
    expected = layer(QUERY, VALUE, attention_mask=sees)
    np.testing.assert_allclose(model.predict([QUERY, VALUE, sees], verbose=0), expected, rtol=1e-6)
    lower = np.tril(np.ones((4, 5), bool))
    np.testing.assert_array_equal(layer(QUERY, VALUE, attention_mask=lower), layer(QUERY, VALUE, use_causal_mask=True))


def test_dropout_only_in_training() -> None:
    layer = Attention(dropout=0.5, seed=1)
    output, scores = layer([QUERY, VALUE], training=True, return_attention_scores=True)
    plain = layer([QUERY, VALUE], return_attention_scores=True)[1]
    dropped = scores == 0
    assert 0 < dropped.sum() < dropped.size
    np.testing.assert_allclose(scores[~dropped], 2 * plain[~dropped], rtol=1e-6)
    np.testing.assert_allclose(output, scores @ VALUE, rtol=1e-5, atol=1e-6)
    # Without dropout in a model, too, whose layer is told so.
    query, value = Input((4, 3)), Input((5, 3))
    model = Model([query, value], layer([query, value], training=False, return_attention_scores=True)[1])
    np.testing.assert_allclose(model([QUERY, VALUE], training=True), plain, rtol=1e-6)


def test_weights_have_keras_names_and_shapes() -> None:
    layer = MultiHeadAttention(2, 3, value_dim=4, output_shape=7)
    layer.build((None, 5, 6), (None, 4, 5))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [
        ("kernel", (6, 2, 3)),
        ("bias", (2, 3)),
        ("kernel", (5, 2, 3)),
        ("bias", (2, 3)),
        ("kernel", (5, 2, 4)),
        ("bias", (2, 4)),
        ("kernel", (2, 4, 7)),
        ("bias", (7,)),
    ]
    assert [part.name for part in layer.sublayers() if part.weights] == ["query", "key", "value", "attention_output"]
    assert layer.compute_output_shape((None, 5, 6), (None, 4, 5)) == (None, 5, 7)
    frozen = MultiHeadAttention(2, 3, trainable=False)
    frozen.build((None, 5, 6))
    assert not frozen.trainable_weights
    attention = Attention(use_scale=True, score_mode="concat")
    attention.build([(None, 5, 6), (None, 4, 6)])
    assert [(weight.name, weight.shape) for weight in attention.weights] == [("scale", ()), ("concat_score_weight", ())]
    additive = AdditiveAttention()
    additive.build([(None, 5, 6), (None, 4, 6)])
    assert [weight.shape for weight in additive.weights] == [(6,)]


class Block(Model):
    """A decoder's self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = Embedding(6, 4, mask_zero=True)
        self.attention = MultiHeadAttention(2, 2, dropout=0.1)
        self.choose = Dense(6, activation="softmax")

    def call(self, inputs: Any, training: Any = None) -> Any:
        x = self.embedding(inputs)
        return self.choose(self.attention(x, x, use_causal_mask=True, training=training))


def test_subclass() -> None:
    model = Block()
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(np.tile(IDS, (8, 1)), np.tile(IDS, (8, 1)), epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    longer = IDS.copy()
    longer[:, -1] = 5
    np.testing.assert_array_equal(model.predict(IDS, verbose=0)[:, :2], model.predict(longer, verbose=0)[:, :2])


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"num_heads": 0}, "num_heads"),
        ({"key_dim": 0}, "key_dim"),
        ({"value_dim": -1}, "value_dim"),
        ({"dropout": 1.5}, "dropout"),
        ({"output_shape": (2, 3)}, "output_shape"),
        ({"attention_axes": (2,)}, "attention_axes"),
        ({"attention_axes": (1, 2)}, "attention_axes"),
        ({"sliding_window": 0}, "sliding_window"),
        ({"flash_attention": True}, "flash_attention"),
        ({"kernel_initializer": "nothing"}, "kernel_initializer"),
    ],
)
def test_arguments_that_are_refused(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(ValueError, match=argument):
        MultiHeadAttention(**{"num_heads": 2, "key_dim": 3} | options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Attention()(QUERY), "a list"),
        (lambda: Attention()([QUERY]), "a list"),
        (lambda: Attention()([QUERY, VALUE[..., :2]]), "as many features"),
        (lambda: Attention()([QUERY, VALUE, VALUE[:, :4]]), "the same length"),
        (lambda: Attention()([QUERY, VALUE[:1]]), "one batch size"),
        (lambda: Attention()([QUERY[0], VALUE[0]]), r"\(batch, time, features\)"),
        (lambda: Attention()([QUERY, VALUE], mask=[None, np.ones((2, 4))]), "value_mask"),
        (lambda: Attention()([QUERY, VALUE], mask=np.ones((2, 4))), "mask"),
        (lambda: Attention(score_mode="sum"), "score_mode"),
        (lambda: Attention()([Input((4, 3)), VALUE]), "mixture"),
        (lambda: Attention()([Input((4, 3)), Input((5, 3))], mask=[np.ones((2, 4)), None]), "mask"),
        (lambda: MultiHeadAttention(2, 3)(QUERY, VALUE, attention_mask=np.ones((2, 5, 4))), "attention_mask"),
        (lambda: MultiHeadAttention(2, 3)(QUERY, VALUE, key_mask=np.ones((2, 5))), "key_mask"),
        (lambda: MultiHeadAttention(2, 3)(QUERY, VALUE, use_causal_mask=2), "use_causal_mask"),
        (lambda: MultiHeadAttention(2, 3)(QUERY[:, 0], VALUE), r"\(batch, time, features\)"),
    ],
)
def test_calls_that_are_refused(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_built_for_other_features() -> None:
    for layer, inputs in ((AdditiveAttention(), [[QUERY, VALUE]]), (MultiHeadAttention(2, 3), [QUERY, VALUE])):
        layer(*inputs)
        with pytest.raises(ValueError, match=r"(was built for|expected) 3 features"):
            layer(*([[x[..., :2] for x in inputs[0]]] if len(inputs) == 1 else [x[..., :2] for x in inputs]))


def test_messages_name_the_layer_and_what_the_user_gave() -> None:
    layer = MultiHeadAttention(2, 4, name="mine")
    x, other = np.ones((2, 5, 8)), np.ones((2, 5, 7))
    with pytest.raises(ValueError, match=r"`query`: expected a known number of features.*MultiHeadAttention 'mine'"):
        layer.build((None, 5, None))
    layer(x, x)
    built = "expected 8 features in the last axis, for which MultiHeadAttention 'mine' was built; received"
    with pytest.raises(ValueError, match=f"^`query`: {built}"):
        layer(other, x)
    with pytest.raises(ValueError, match=f"^`key, or the value without one`: {built}"):
        layer(x, other)
    with pytest.raises(ValueError, match=f"^`key, or the value without one`: {built}"):
        layer(x, x, key=other)
    entrance = Input((5, 8))
    model = Model(entrance, layer(entrance, entrance))
    with pytest.raises(ValueError, match=f"^`query`: {built}"):
        model.predict(other, verbose=0)
    with pytest.raises(ValueError, match="`mine`: expected a layer that goes on from time step to time step"):
        model.stream()
    spoilt = model.get_weights()
    spoilt[0][:] = np.nan
    model.set_weights(spoilt)
    model.compile("sgd", "mse")
    seen: list[str | None] = []

    def look(batch: int, logs: object) -> None:
        seen.append(model.describe_failure())

    model.fit(x, x, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=look)])
    assert "layer 'mine/query' at time step 0" in str(seen[0])
