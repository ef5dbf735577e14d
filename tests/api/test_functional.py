"""Functional models: graphs of layers with shared layers, models inside models, any form of inputs and outputs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot
from api.functional_models import RANDOM, XS, YS, A, B, Translator, Y, assert_same, begin_alike, two_heads
from foliot import Input, Model
from foliot.layers import GRU, LSTM, Activation, Dense, Dropout, Embedding, SimpleRNN
from foliot.models import Functional, Sequential


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
        begin_alike(model)
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(x, y, batch_size=5, epochs=3, verbose=0).history
        made.append((history, model.get_weights(), model.predict(x, verbose=0)))
    assert made[0][0] == made[1][0]
    assert_same(made[0][1], made[1][1])
    np.testing.assert_array_equal(made[0][2], made[1][2])


def test_a_shared_layer_has_one_set_of_weights() -> None:
    model = two_heads()
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
    p, q = two_heads().predict([XS[0][:0], XS[1][:0]], verbose=0)
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


def test_output_shapes_of_models() -> None:
    assert two_heads().compute_output_shape([(7, 3), (7, 3)]) == [(7, 1), (7, 4)]
    assert Sequential([GRU(3), Dense(2)]).compute_output_shape((None, 5, 4)) == (None, 2)
    inputs = Input((3,))
    assert Model(inputs, {"a": Dense(2)(inputs)}).compute_output_shape((1, 3)) == {"a": (1, 2)}


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
            states = layer.state_count * [draw(st.sampled_from(vectors))] if draw(st.booleans()) else None
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
