"""Functional models: graphs of layers with several inputs and outputs, shared layers, models inside models."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot
from foliot import Input, Model
from foliot.callbacks import EarlyStopping
from foliot.layers import GRU, LSTM, Activation, Dense, Dropout, Embedding, Flatten, SimpleRNN
from foliot.models import Functional, Sequential, load_model

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(20, 7, 5)), RANDOM.normal(size=(20, 3, 6))
TOKENS = RANDOM.integers(0, 9, (13, 6))
Y = np.eye(6)[RANDOM.integers(0, 6, (20, 3))]


def assert_same(left, right) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


class Translator:
    """The encoder-decoder of Keras's examples, with the two models that answer step by step."""

    def __init__(self, latent_dim: int = 4, num_encoder_tokens: int = 5, num_decoder_tokens: int = 6) -> None:
        encoder_inputs = Input(shape=(None, num_encoder_tokens))
        encoder = LSTM(latent_dim, return_state=True)
        _, state_h, state_c = encoder(encoder_inputs)
        encoder_states = [state_h, state_c]
        decoder_inputs = Input(shape=(None, num_decoder_tokens))
        decoder_lstm = LSTM(latent_dim, return_sequences=True, return_state=True)
        decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
        decoder_dense = Dense(num_decoder_tokens, activation="softmax")
        decoder_outputs = decoder_dense(decoder_outputs)
        self.model = Model([encoder_inputs, decoder_inputs], decoder_outputs)

        self.encoder_model = Model(encoder_inputs, encoder_states)
        decoder_state_input_h = Input(shape=(latent_dim,))
        decoder_state_input_c = Input(shape=(latent_dim,))
        decoder_states_inputs = [decoder_state_input_h, decoder_state_input_c]
        decoder_outputs, state_h, state_c = decoder_lstm(decoder_inputs, initial_state=decoder_states_inputs)
        decoder_states = [state_h, state_c]
        decoder_outputs = decoder_dense(decoder_outputs)
        self.decoder_model = Model([decoder_inputs, *decoder_states_inputs], [decoder_outputs, *decoder_states])


def test_encoder_and_decoder() -> None:
    translator = Translator()
    model = translator.model
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit([A, B], Y, batch_size=8, epochs=2, validation_split=0.2, verbose=0)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]

    # One step at a time, with the states carried by hand, the same weights give what the whole gives.
    states = translator.encoder_model.predict(A, verbose=0)
    assert isinstance(states, list)
    steps = []
    for time in range(B.shape[1]):
        output, *states = translator.decoder_model.predict([B[:, time : time + 1], *states], verbose=0)
        steps.append(output)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), model.predict([A, B], verbose=0), atol=1e-6)


def test_shapes_names_and_layers_are_keras() -> None:
    model = Translator().model
    assert isinstance(model, Model)
    assert type(model) is Functional
    assert model.name == "functional"
    assert [layer.name for layer in model.layers] == ["input_layer", "input_layer_1", "lstm", "lstm_1", "dense"]
    assert model.input_shape == [(None, None, 5), (None, None, 6)]
    assert model.output_shape == (None, None, 6)
    assert model.input_names == ["input_layer", "input_layer_1"]
    assert model.output_names == ["dense"]
    assert [weight.shape for weight in model.weights] == [
        (5, 16),
        (4, 16),
        (16,),
        (6, 16),
        (4, 16),
        (16,),
        (4, 6),
        (6,),
    ]
    assert model.count_params() == 4 * 4 * 10 + 4 * 4 * 11 + 30
    assert model.built
    assert "Functional" in repr(model)


def test_layers_know_what_they_read_and_gave() -> None:
    translator = Translator()
    model = translator.model
    encoder, decoder = model.layers[2], model.get_layer("lstm_1")
    assert encoder.input is model.input[0]
    assert [tensor.shape for tensor in encoder.output] == [(None, 4)] * 3
    # A layer that was called again still speaks of its first call, as in Keras.
    assert model.get_layer(index=4).output is model.output
    assert decoder.input[0] is model.input[1]
    assert len(decoder.inbound_nodes) == 2
    # Keras's textbook takes the inference models from the parts of a trained one.
    again = Model(model.input[0], encoder.output[1:])
    assert_same(again.predict(A, verbose=0), translator.encoder_model.predict(A, verbose=0))
    assert model.get_layer("dense").input is decoder.output[0]


def _begin_alike(model: Model) -> None:
    """Weights and the order of rows that do not hang on what was drawn before."""
    model._shuffle_seed = 3
    random = np.random.default_rng(8)
    model.set_weights([random.normal(scale=0.3, size=weight.shape) for weight in model.get_weights()])


@settings(deadline=None, max_examples=20)
@given(
    cells=st.lists(st.sampled_from([SimpleRNN, LSTM, GRU]), min_size=1, max_size=3),
    dropout=st.sampled_from([0.0, 0.3]),
    tokens=st.booleans(),
)
def test_a_stack_is_a_sequential_model_to_the_bit(cells, dropout, tokens) -> None:
    def layers() -> list:
        foliot.utils.set_random_seed(1)
        stack = [Embedding(9, 4, mask_zero=True)] if tokens else []
        stack += [cell(3, return_sequences=True, dropout=dropout) for cell in cells]
        return [*stack, GRU(2), Dropout(dropout), Dense(1)]

    x = np.random.default_rng(5).integers(0, 9, (13, 6)) if tokens else A[:13]
    shape = (None,) if tokens else (None, 5)
    y = np.linspace(0, 1, 13)
    made = []
    for functional in (False, True):
        foliot.utils.clear_session()
        stack = layers()
        if functional:
            entrance = tensor = Input(shape)
            for layer in stack:
                tensor = layer(tensor)
            model = Model(entrance, tensor)
        else:
            model = Sequential([Input(shape), *stack])
        _begin_alike(model)
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(x, y, batch_size=5, epochs=3, verbose=0).history
        made.append((history, model.get_weights(), model.predict(x, verbose=0)))
    assert made[0][0] == made[1][0]
    assert_same(made[0][1], made[1][1])
    np.testing.assert_array_equal(made[0][2], made[1][2])


# What foliot computes alone, to compose by hand.


def _two_heads(**options) -> Model:
    """Two inputs through one shared layer, two outputs; as Keras names them: p, q."""
    first, second = Input((3,), name="a"), Input((3,), name="b")
    shared = Dense(2, name="shared", **options)
    p = Dense(1, name="p")(shared(first))
    q = Dense(4, activation="softmax", name="q")(shared(second))
    return Model([first, second], [p, q])


XS = [RANDOM.normal(size=(8, 3)), RANDOM.normal(size=(8, 3))]
YS = [RANDOM.normal(size=(8, 1)), RANDOM.integers(0, 4, 8)]
DENSE_YS = [YS[0], np.eye(4)[YS[1]]]
WS = [RANDOM.uniform(0.5, 2, 8), RANDOM.uniform(0.5, 2, 8)]


def test_a_shared_layer_has_one_set_of_weights() -> None:
    model = _two_heads()
    assert len(model.weights) == 6
    assert [layer.name for layer in model.layers] == ["a", "b", "shared", "p", "q"]
    shared, p, q = (model.get_layer(name) for name in ("shared", "p", "q"))
    outputs = model.predict(XS, verbose=0)
    np.testing.assert_allclose(outputs[0], p(shared(XS[0])), rtol=1e-6)
    np.testing.assert_allclose(outputs[1], q(shared(XS[1])), rtol=1e-6)


def test_gradients_of_shared_layers_add_up() -> None:
    """A layer applied twice: its step is the sum of the steps that each use alone would take."""
    first, second = Input((3,)), Input((3,))
    shared = Dense(1, use_bias=False)
    both = Model([first, second], [shared(first), shared(second)])
    start = both.get_weights()

    def step(model, x, y) -> np.ndarray:
        both.set_weights(start)
        model.compile(foliot.optimizers.SGD(0.1), "mse")
        model.train_on_batch(x, y)
        return both.get_weights()[0] - start[0]

    whole = step(both, XS, [YS[0], YS[0]])
    parts = step(Model(first, shared(first)), XS[0], YS[0]) + step(Model(second, shared(second)), XS[1], YS[0])
    np.testing.assert_allclose(whole, parts, rtol=1e-5)


def test_one_tensor_as_two_outputs_is_trained_by_both_losses() -> None:
    entrance = Input((3,))
    result = Dense(1, use_bias=False)(entrance)
    model = Model(entrance, [result, result])
    start = model.get_weights()
    model.compile(foliot.optimizers.SGD(0.1), "mse", loss_weights=[1.0, 3.0])
    model.train_on_batch(XS[0], [YS[0], YS[0]])
    doubled = model.get_weights()[0] - start[0]
    alone = Model(entrance, result)
    alone.set_weights(start)
    alone.compile(foliot.optimizers.SGD(0.1), "mse", loss_weights=4.0)
    alone.train_on_batch(XS[0], YS[0])
    np.testing.assert_allclose(doubled, alone.get_weights()[0] - start[0], rtol=1e-5)
    first, second = model.predict(XS[0], verbose=0)
    np.testing.assert_array_equal(first, second)


# Losses and metrics of several outputs: the names are Keras 3.15's.


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"loss": "mse"}, ["loss", "p_loss", "q_loss"]),
        ({"loss": ["mse", "mae"], "loss_weights": [1, 2]}, ["loss", "p_loss", "q_loss"]),
        ({"loss": {"q": "mse", "p": "mse"}, "loss_weights": {"p": 1.0, "q": 2.0}}, ["loss", "p_loss", "q_loss"]),
        ({"loss": "mse", "loss_weights": 2.0}, ["loss", "p_loss", "q_loss"]),
        ({"loss": ["mse", None]}, ["loss"]),
        ({"loss": "mse", "metrics": ["mae", ["mse"]]}, ["loss", "p_loss", "p_mae", "q_loss", "q_mse"]),
        ({"loss": "mse", "metrics": [["mae", "mse"], None]}, ["loss", "p_loss", "p_mae", "p_mse", "q_loss"]),
        ({"loss": "mse", "metrics": {"q": "mae"}}, ["loss", "p_loss", "q_loss", "q_mae"]),
        (
            {"loss": "mse", "metrics": {"p": "mae", "q": ["acc"]}, "weighted_metrics": {"q": ["acc"]}},
            ["loss", "p_loss", "p_mae", "q_acc", "q_loss", "q_weighted_acc"],
        ),
        (
            {"loss": "mse", "metrics": [["mae", "mae"], ["mae"]], "weighted_metrics": [["mae"], ["mae"]]},
            ["loss", "p_loss", "p_mae", "p_mae_1", "p_weighted_mae", "q_loss", "q_mae", "q_weighted_mae"],
        ),
    ],
)
def test_names_of_logs(options, names) -> None:
    model = _two_heads()
    model.compile("sgd", **options)
    history = model.fit(XS, DENSE_YS, verbose=0, validation_split=0.5).history
    assert list(history) == [*names, *(f"val_{name}" for name in names)]
    assert list(model.evaluate(XS, DENSE_YS, verbose=0, return_dict=True)) == names


def test_order_of_values() -> None:
    model = _two_heads()
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["acc"]])
    assert model.metrics_names == ["loss", "p_loss", "q_loss", "p_mae", "q_acc"]
    values = model.evaluate(XS, YS, verbose=0)
    assert dict(zip(model.metrics_names, values, strict=True)) == model.evaluate(XS, YS, verbose=0, return_dict=True)


def test_values_of_losses_and_metrics() -> None:
    model = _two_heads(kernel_regularizer="l2")
    options = {"weighted_metrics": [["mae"], None], "loss_weights": [2.0, 0.5]}
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["acc"]], **options)
    logs = model.evaluate(XS, YS, sample_weight=WS, batch_size=3, verbose=0, return_dict=True)
    p, q = (array.astype(float) for array in model.predict(XS, verbose=0))
    p_loss = np.mean(WS[0] * (p - YS[0])[:, 0] ** 2)
    q_loss = np.mean(-WS[1] * np.log(q[np.arange(8), YS[1]]))
    penalty = 0.01 * (model.get_layer("shared").get_weights()[0] ** 2).sum()
    expected = {
        "loss": 2 * p_loss + 0.5 * q_loss + penalty,
        "p_loss": p_loss,
        "q_loss": q_loss,
        "p_mae": np.abs(p - YS[0]).mean(),
        "p_weighted_mae": np.average(np.abs(p - YS[0])[:, 0], weights=WS[0]),
        "q_acc": (q.argmax(1) == YS[1]).mean(),
    }
    assert logs == pytest.approx(expected, rel=1e-5)


def test_two_outputs_of_one_layer_are_numbered() -> None:
    entrance = Input((7, 5))
    _, h, c = LSTM(3, return_state=True, name="read")(entrance)
    model = Model(entrance, [h, c])
    model.compile("sgd", "mse", metrics=[["mae"], ["mae"]])
    assert model.output_names == ["read", "read"]
    logs = model.evaluate(A, [np.ones((20, 3)), np.zeros((20, 3))], verbose=0, return_dict=True)
    assert list(logs) == ["loss", "read_loss", "read_loss_1", "read_mae", "read_mae_1"]
    assert logs["loss"] == pytest.approx(logs["read_loss"] + logs["read_loss_1"])


def test_an_output_without_a_loss_takes_no_part() -> None:
    model = _two_heads()
    before = model.get_layer("q").get_weights()
    model.compile("sgd", {"p": "mse", "q": None}, metrics={"p": ["mae"]})
    for targets in (YS, [YS[0], None], [YS[0]], YS[0], {"p": YS[0]}, {"p": YS[0], "q": None}):
        history = model.fit(XS, targets, sample_weight=WS[0], validation_data=(XS, targets), verbose=0).history
        assert list(history) == ["loss", "p_mae", "val_loss", "val_p_mae"]
    assert_same(model.get_layer("q").get_weights(), before)
    assert len(model.predict(XS, verbose=0)) == 2
    # Token ids stay token ids for the part that is trained without them.
    tokens, numbers = Input((4,)), Input((3,))
    model = Model([tokens, numbers], [LSTM(2)(Embedding(9, 2)(tokens)), Dense(1)(numbers)])
    model.compile("sgd", [None, "mse"])
    model.fit([RANDOM.integers(0, 9, (8, 4)), XS[0]], YS[0], verbose=0)


def test_callbacks_watch_an_output() -> None:
    model = _two_heads()
    model.compile("sgd", "mse", metrics={"q": ["acc"]})
    stop = EarlyStopping("val_q_acc", patience=1, restore_best_weights=True)
    history = model.fit(XS, DENSE_YS, validation_data=(XS, DENSE_YS), epochs=9, callbacks=[stop], verbose=0)
    assert stop.mode == "auto"
    best = max(history.history["val_q_acc"])
    assert history.history["val_q_acc"].index(best) == len(history.epoch) - 2 or len(history.epoch) == 9
    with pytest.warns(UserWarning, match="val_r_loss"):
        model.fit(XS, DENSE_YS, validation_data=(XS, DENSE_YS), callbacks=[EarlyStopping("val_r_loss")], verbose=0)


# Forms of inputs and outputs


def test_data_by_list_and_by_name() -> None:
    model = _two_heads()
    model.compile("sgd", {"p": "mse", "q": "sparse_categorical_crossentropy"})
    expected = model.evaluate(XS, YS, sample_weight=WS, verbose=0)
    named = {"b": XS[1], "a": XS[0]}, {"q": YS[1], "p": YS[0]}, {"q": WS[1], "p": WS[0]}
    assert model.evaluate(named[0], named[1], sample_weight=named[2], verbose=0) == expected
    assert model.evaluate(tuple(XS), tuple(YS), sample_weight=tuple(WS), verbose=0) == expected
    one = model.evaluate(XS, YS, sample_weight=WS[0], verbose=0)
    assert model.evaluate(XS, YS, sample_weight=[WS[0], WS[0]], verbose=0) == one
    partly = model.evaluate(XS, YS, sample_weight=[WS[0], np.ones(8)], verbose=0)
    assert model.evaluate(XS, YS, sample_weight=[WS[0], None], verbose=0) == partly
    assert model.evaluate(XS, YS, sample_weight={"p": WS[0]}, verbose=0) == partly
    model.fit(*named[:2], sample_weight=named[2], validation_data=named, verbose=0)
    assert model.train_on_batch(*named) != expected
    assert model.test_on_batch(XS, named[1], return_dict=True).keys() == {"loss", "p_loss", "q_loss"}
    assert_same(model.predict_on_batch(named[0]), model.predict(XS, verbose=0))
    assert_same(model(XS), model.predict(XS, verbose=0))
    assert_same(model(named[0]), model.predict(XS, verbose=0))


def test_dicts_keep_their_keys() -> None:
    base = _two_heads()
    first, second = base.inputs
    model = Model({"x": second, "w": first}, {"u": base.outputs[1], "z": base.outputs[0]})
    assert (model.input_names, model.output_names) == (["w", "x"], ["u", "z"])
    answer = model.predict({"w": XS[0], "x": XS[1]}, verbose=0)
    assert list(answer) == ["u", "z"]
    np.testing.assert_array_equal(answer["z"], base.predict(XS, verbose=0)[0])
    model.compile("sgd", {"u": "sparse_categorical_crossentropy", "z": "mse"}, metrics={"u": ["acc"]})
    history = model.fit({"w": XS[0], "x": XS[1]}, {"z": YS[0], "u": YS[1]}, verbose=0).history
    assert list(history) == ["loss", "u_acc", "u_loss", "z_loss"]
    assert list(model({"w": XS[0], "x": XS[1]})) == ["u", "z"]
    with pytest.raises(ValueError, match="whose order says nothing"):
        model.predict(XS, verbose=0)


def test_forms_of_outputs() -> None:
    entrance = Input((3,))
    p, q = Dense(1)(entrance), Dense(2)(entrance)
    assert isinstance(Model(entrance, (p, q)).predict(XS[0], verbose=0), tuple)
    assert isinstance(Model([entrance], [p]).predict(XS[0], verbose=0), np.ndarray)
    assert isinstance(Model([entrance], [p]).predict([XS[0]], verbose=0), np.ndarray)
    nested = Model(entrance, [p, {"b": q, "a": (p,)}]).predict(XS[0], verbose=0)
    assert nested[1]["b"].shape == (8, 2)
    assert nested[1]["a"][0].shape == (8, 1)
    assert isinstance(Model(entrance, p)(XS[0]), np.ndarray)


def test_an_empty_prediction_has_the_form_too() -> None:
    p, q = _two_heads().predict([XS[0][:0], XS[1][:0]], verbose=0)
    assert (p.shape, q.shape) == ((0, 1), (0, 4))


def test_an_input_may_be_an_output_and_may_be_unused() -> None:
    first, unused = Input((3,)), Input((2,), name="unused")
    model = Model([first, unused], [first, Dense(1)(first)])
    same, _ = model.predict([XS[0], np.zeros((8, 2))], verbose=0)
    np.testing.assert_allclose(same, XS[0], rtol=1e-6)
    assert [layer.name for layer in model.layers] == ["input_layer", "unused", "dense"]


def test_a_model_may_begin_in_the_middle() -> None:
    translator = Translator()
    hidden = translator.model.get_layer("lstm_1").output[0]
    head = Model(hidden, translator.model.output)
    values = RANDOM.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(head.predict(values, verbose=0), translator.model.get_layer("dense")(values))
    assert head.weights[0] is translator.model.get_layer("dense").weights[0]
    with pytest.raises(ValueError, match="depend on the input"):
        Model(hidden, translator.model.get_layer("lstm_1").output[1])


# Models inside models


def _nested() -> tuple[Model, Model, Sequential]:
    first = Input((3,), name="first")
    shared = Dense(2, name="shared")
    hidden = shared(first)
    inner = Model(first, [hidden, Dense(1, name="side")(hidden)], name="inner")
    stack = Sequential([Dense(3, name="front"), Dropout(0.5)], name="stack")
    entrance = Input((3,), name="entrance")
    hidden, _ = inner(stack(entrance))
    _, side = inner(entrance)
    return Model(entrance, [Dense(1, name="last")(hidden), side, shared(entrance)], name="outer"), inner, stack


def test_a_model_is_a_layer() -> None:
    outer, inner, stack = _nested()
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
        _begin_alike(model)
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


def test_a_nested_model_keeps_the_graph_it_was_called_with() -> None:
    inner = Sequential([Input((3,)), Dense(2)])
    entrance = Input((3,))
    outer = Model(entrance, inner(entrance))
    inner.add(Dense(5))
    assert outer.predict(XS[0], verbose=0).shape == (8, 2)
    assert inner.predict(XS[0], verbose=0).shape == (8, 5)


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
    recurrent = GRU(3, dropout=0.5, recurrent_dropout=0.5)
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
    other = embedding.compute_mask(Input((None,)))
    for wrong, passed in ((x, other), (Input((None, 4)), mask), (GRU(3)(x), mask), (x, np.ones((13, 6)))):
        with pytest.raises((ValueError, TypeError), match=r"`mask`: expected None or, in a model|GRU expects"):
            reader(wrong, mask=passed)


def test_output_shapes_of_models() -> None:
    assert _two_heads().compute_output_shape([(7, 3), (7, 3)]) == [(7, 1), (7, 4)]
    assert Sequential([GRU(3), Dense(2)]).compute_output_shape((None, 5, 4)) == (None, 2)
    inputs = Input((3,))
    assert Model(inputs, {"a": Dense(2)(inputs)}).compute_output_shape((1, 3)) == {"a": (1, 2)}


# Files


def _branched() -> Model:
    """Everything that a configuration has to say: sharing, states, nests, penalties, seeds, a model inside, a frozen
    layer."""
    outer, inner, _ = _nested()
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


# Random graphs


def _draw_graph(draw) -> tuple[Model, list[np.ndarray]]:
    """Layers drawn to read any tensor before them, some of them twice; any tensors as outputs."""
    vectors = [Input((3,)) for _ in range(draw(st.integers(1, 2)))]
    sequences = [Input((None, 3)) for _ in range(draw(st.integers(1, 2)))]
    inputs = [*vectors, *sequences]
    flat = [Dense(3), Activation("tanh"), Dense(3, activity_regularizer="l2")]
    reading = [GRU(3), LSTM(3, return_sequences=True), SimpleRNN(3, return_sequences=True, return_state=True)]
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            vectors.append(draw(st.sampled_from(flat))(draw(st.sampled_from(vectors))))
        elif draw(st.booleans()):
            sequences.append(draw(st.sampled_from(flat))(draw(st.sampled_from(sequences))))
        else:
            layer = draw(st.sampled_from(reading))
            states = layer.states * [draw(st.sampled_from(vectors))] if draw(st.booleans()) else None
            results = layer(draw(st.sampled_from(sequences)), initial_state=states)
            for result in results if isinstance(results, tuple) else [results]:
                (sequences if len(result.shape) == 3 else vectors).append(result)
    outputs = draw(st.lists(st.sampled_from([*vectors, *sequences]), min_size=1, max_size=3))
    random = np.random.default_rng(0)
    return Model(inputs, outputs), [random.normal(size=(4, 3) if len(t.shape) == 2 else (4, 5, 3)) for t in inputs]


def _by_hand(model: Model, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs by calling layer after layer on arrays."""
    known = dict(zip(model.inputs, arrays, strict=True))
    for node in model.graph.nodes:
        if node.inputs:
            first, *states = (known[tensor] for tensor in node.inputs)
            results = node.layer(first, initial_state=states) if states else node.layer(first)
            known.update(zip(node.outputs, results if isinstance(results, tuple) else [results], strict=True))
    return [known[tensor] for tensor in model.outputs]


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_random_graphs(data) -> None:
    foliot.utils.clear_session()
    model, arrays = _draw_graph(data.draw)
    outputs = model.predict(arrays, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for mine, expected in zip(outputs, _by_hand(model, arrays), strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-6)
    # The same from a configuration with the weights handed over, and inside another model; training, too.
    again = Functional.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    entrances = [Input(tensor.shape[1:]) for tensor in model.inputs]
    outer = Model(entrances, model(entrances))
    targets = [np.zeros_like(output) for output in outputs]
    start = model.get_weights()
    trained = []
    for other in (model, again, outer):
        model.set_weights(start)
        results = other.predict(arrays, verbose=0)
        assert_same(results if isinstance(results, list) else [results], outputs)
        if start:
            other.compile(foliot.optimizers.SGD(0.01), "mse")
            losses = other.train_on_batch(arrays, targets)
            trained.append((losses, other.get_weights()))
    for losses, weights in trained[1:]:
        np.testing.assert_array_equal(losses, trained[0][0])
        assert_same(weights, trained[0][1])


# Bad input


def _sequence_and_state() -> Model:
    x, h = Input((None, 3), name="x"), Input((4,), name="h")
    return Model([x, h], GRU(4)(x, initial_state=h))


def _compiled(**options) -> Model:
    model = _two_heads()
    model.compile("sgd", **({"loss": "mse"} | options))
    return model


FIRST, SECOND = Input((3,), name="first"), Input((3,), name="second")
SEQUENCE = Input((None, 3))
MISUSE = [
    (lambda: Model(FIRST, Dense(1)(SECOND)), "depend on the input 'second'"),
    (Model, "`inputs`"),
    (lambda: Model(FIRST), "`outputs`"),
    (lambda: Model(outputs=FIRST), "`inputs`"),
    (lambda: Model(np.zeros(3), FIRST), "`inputs`: expected symbolic tensors"),
    (lambda: Model(FIRST, Dense(1)), "`outputs`: expected symbolic tensors"),
    (lambda: Model([], FIRST), "`inputs`: expected a symbolic tensor at least"),
    (lambda: Model(FIRST, []), "`outputs`: expected a symbolic tensor at least"),
    (lambda: Model([FIRST, FIRST], FIRST), "`inputs`: expected each tensor once"),
    (lambda: Model([FIRST, Input((3,), name="first")], FIRST), "2 of the name 'first'"),
    (lambda: Model(FIRST, Dense(1, name="d")(Dense(1, name="d")(FIRST))), "2 of the name 'd'"),
    (lambda: Model(FIRST, FIRST, nam="x"), "'nam'"),
    (lambda: Model(FIRST, FIRST, name=3), "`name`"),
    (lambda: LSTM(2)(FIRST), r"LSTM expects \(batch, time, features\)"),
    (lambda: Dense(2)([FIRST, SECOND]), "`inputs`: expected one tensor for Dense .* received 2"),
    (lambda: Dense(2)([FIRST, np.zeros((1, 3))]), "mixture"),
    (lambda: Dense(2)(FIRST, SECOND), "expects inputs, mask and training"),
    (lambda: Dense(2)(FIRST, training=True), "`training`: expected None or False"),
    (lambda: Dense(2)(FIRST, training="yes"), "`training`"),
    (lambda: Dense(2)(FIRST, mask=np.ones(3)), "`mask`"),
    (lambda: GRU(2)(SEQUENCE, initial_state=[FIRST, FIRST]), "`initial_state`: expected 1 array for GRU"),
    (lambda: LSTM(2)(SEQUENCE, initial_state=FIRST), "`initial_state`: expected 2 arrays for LSTM"),
    (lambda: GRU(2)(SEQUENCE, initial_state=FIRST), r"`initial_state\[0\]`: expected shape \(None, 2\)"),
    (lambda: Dense(2).output, "has no output yet"),
    (lambda: Dense(2).input, "has no input yet"),
    (lambda: _two_heads().get_layer("z"), "`name`: expected one of 'a', 'b'"),
    (lambda: _two_heads().get_layer(index=9), "`index`"),
    (lambda: _two_heads().get_layer("a", 1), "a name or an index"),
    (lambda: _two_heads().predict(XS[0]), "`x`: expected a list of 2 arrays, for a, b"),
    (lambda: _two_heads().predict([XS[0]]), "`x`: expected a list of 2 arrays, for a, b; received 1"),
    (lambda: _two_heads().predict([*XS, XS[0]]), "received 3"),
    (lambda: _two_heads().predict({"a": XS[0]}), "received no 'b'"),
    (lambda: _two_heads().predict({"a": XS[0], "b": XS[1], "c": XS[1]}), "unknown 'c'"),
    (lambda: _two_heads().predict([XS[0], XS[1][:3]]), r"`x\[1\]`: expected as many rows as `x\[0\]` has"),
    (
        lambda: _two_heads().predict([XS[0], np.zeros((8, 5))]),
        r"`x\[1\]`: expected shape \(None, 3\) for the input 'b'",
    ),
    (lambda: _two_heads().predict({"a": np.zeros((8, 3, 3)), "b": XS[1]}), r"`x\['a'\]`: expected shape"),
    (lambda: _two_heads()([FIRST, XS[0]]), r"`inputs\[1\]`: expected a symbolic tensor"),
    (lambda: _two_heads()([FIRST]), "`inputs`: expected a list of 2"),
    (lambda: _two_heads()([FIRST, Input((4,))]), "was built for 3 features"),
    (lambda: _two_heads()([FIRST, SECOND], mask=np.ones(3)), "`mask`"),
    (lambda: _sequence_and_state().predict([np.zeros((2, 5, 3)), np.zeros((2, 5))]), r"`x\[1\]`: expected shape"),
    (lambda: _compiled().fit(XS, YS[0]), "`y`: expected a list of 2 arrays, for p, q"),
    (lambda: _compiled().fit(XS, DENSE_YS[:1]), "received 1"),
    (lambda: _compiled().fit(XS, {"p": YS[0]}), "received no 'q'"),
    (lambda: _compiled().fit(XS, {"p": YS[0], "r": YS[0]}), "received no 'q' and unknown 'r'"),
    (lambda: _compiled().fit(XS, [YS[0], YS[0]]), r"`y\[1\]`: expected shape \(8, 4\)"),
    (lambda: _compiled().fit(XS, DENSE_YS, sample_weight=[WS[0]] * 3), "`sample_weight`: expected a list of 2"),
    (lambda: _compiled().fit(XS, DENSE_YS, sample_weight={"r": WS[0]}), "`sample_weight`"),
    (lambda: _compiled().fit(XS, DENSE_YS, class_weight={0: 1.0}), "`class_weight`: expected None"),
    (lambda: _compiled(loss={"p": "mse"}).fit(XS, DENSE_YS), "`loss`: expected a dict with the keys"),
    (lambda: _compiled(loss=["mse"]).fit(XS, DENSE_YS), "`loss`: expected one entry per output"),
    (lambda: _compiled(loss=[None, None]).fit(XS, DENSE_YS), "`loss`: expected a loss"),
    (lambda: _compiled(loss=None).fit(XS, DENSE_YS), "`loss`: expected a loss"),
    (lambda: _compiled(loss_weights=[1]).fit(XS, DENSE_YS), "`loss_weights`: expected one entry per output"),
    (lambda: _compiled(loss_weights={"p": 1}).fit(XS, DENSE_YS), "`loss_weights`: expected a dict"),
    (lambda: _compiled(loss_weights=["a", 1]).fit(XS, DENSE_YS), "`loss_weights`"),
    (lambda: _compiled(metrics=["mae"]).fit(XS, DENSE_YS), "`metrics`: expected a list with one entry"),
    (lambda: _compiled(metrics="mae").fit(XS, DENSE_YS), "`metrics`"),
    (lambda: _compiled(metrics={"r": "mae"}).fit(XS, DENSE_YS), "`metrics`"),
    (lambda: _compiled(loss=["mse", None], metrics={"q": "mae"}).fit(XS, DENSE_YS), "no loss"),
    (lambda: Model([Input((4,), name="ids")], Embedding(9, 2)(FIRST)), "depend on the input"),
]


@pytest.mark.parametrize(("act", "text"), MISUSE)
def test_misuse(act, text) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError), match=text):
        act()


def test_token_ids_are_no_numbers() -> None:
    tokens = Input((4,))
    embedded = Embedding(9, 2)(tokens)
    with pytest.raises(ValueError, match="feeds both an Embedding"):
        Model(tokens, [embedded, Dense(1)(tokens)]).predict(np.zeros((1, 4)), verbose=0)
    with pytest.raises(ValueError, match="cannot be an output"):
        Model(tokens, [tokens, Flatten()(embedded)]).predict(np.zeros((1, 4)), verbose=0)


def test_symbolic_tensors_are_no_numbers() -> None:
    tensor = Input((None, 3))
    for act in [
        lambda: tensor + 1,
        lambda: 2 * tensor,
        lambda: -tensor,
        lambda: tensor @ tensor,
        lambda: np.ones((2, 3)) + tensor,
        lambda: np.mean(tensor),
        lambda: np.tanh(tensor),
        lambda: np.asarray(tensor),
        lambda: np.concatenate([tensor, tensor]),
        lambda: tensor[:, -1],
        lambda: len(tensor),
        lambda: list(tensor),
        lambda: 3 in tensor,
        lambda: float(tensor),
        lambda: 1 if tensor > 0 else 2,
        lambda: 1 if tensor == 0 else 2,
        lambda: 1 if tensor else 2,
        lambda: abs(tensor),
    ]:
        with pytest.raises(TypeError, match=r"holds no numbers and cannot be .*layers only"):
            act()
    assert tensor.ndim == 3
    assert (tensor == tensor, tensor == Input((3,)), tensor is None, tensor == None) == (True, False, False, False)  # noqa: E711, PLR0124
