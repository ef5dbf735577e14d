"""Layers that are added, replaced or given other options after a model was made: graph, weights and file stay one."""

import threading

import numpy as np
import pytest

from foliot import activations, optimizers
from foliot.callbacks import LambdaCallback
from foliot.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Input,
    Layer,
    MultiHeadAttention,
)
from foliot.models import Model, Sequential, load_model

TOKENS = np.random.default_rng(0).integers(0, 10, (6, 5))
ROWS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def _functional() -> Model:
    x = Input((5,))
    return Model(x, Dense(1)(LSTM(3)(Embedding(10, 4)(x))))


def _same_after_saving(model: Model, x: np.ndarray, path) -> None:
    model.save(path)
    np.testing.assert_array_equal(load_model(path).predict(x, verbose=0), model.predict(x, verbose=0))


def test_layers_beside_the_graph_are_no_part_of_a_functional_model(tmp_path) -> None:
    model = _functional()
    before = [layer.name for layer in model.layers]
    model.extra = Dense(3)
    model.extra.build((None, 4))
    model.teacher = _functional()
    model.encoder = Model(model.inputs, model.layers[2].output)
    assert [layer.name for layer in model.layers] == before
    assert len(model.get_weights()) == 6
    _same_after_saving(model, TOKENS, tmp_path / "model.foliot")


@pytest.mark.parametrize("change", [lambda model: model.pop(), lambda model: model.add(Dense(7))])
def test_a_stack_inside_another_model_is_fixed(change, tmp_path) -> None:
    stack = Sequential([Embedding(10, 4), GRU(3)])
    stack.build((None, 5))
    x = Input((5,))
    model = Model(x, Dense(1)(stack(x)))
    with pytest.raises(ValueError, match="not part of another one"):
        change(stack)
    assert len(model.get_weights()) == 6
    _same_after_saving(model, TOKENS, tmp_path / "model.foliot")


class Classifier(Model):
    def __init__(self) -> None:
        super().__init__()
        self.head = Dense(2)

    def call(self, inputs):
        return self.head(inputs)


class Part(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Dense(2, name="inner")

    def call(self, inputs):
        return self.inner(inputs)


@pytest.mark.parametrize("kind", [Classifier, Part])
def test_new_layers_after_building_are_refused(kind) -> None:
    model = kind()
    name = "head" if kind is Classifier else "inner"
    setattr(model, name, Dense(4))
    assert model(ROWS).shape == (6, 4)
    with pytest.raises(ValueError, match=f"`{name}`: expected no new layers.*built already"):
        setattr(model, name, Dense(5))
    with pytest.raises(ValueError, match="`further`"):
        model.further = [Dense(5)]
    setattr(model, name, getattr(model, name))
    assert model(ROWS).shape == (6, 4)


def test_options_changed_before_compile_count(tmp_path) -> None:
    model = Sequential([Input((3,)), Dense(2, activation="relu")])
    assert (model.predict(ROWS, verbose=0) >= 0).all()
    model.layers[-1].activation = activations.linear
    model.compile("sgd", "mse")
    assert (model.predict(ROWS, verbose=0) < 0).any()
    _same_after_saving(model, ROWS, tmp_path / "model.foliot")


SEQUENCES = np.random.default_rng(2).normal(size=(4, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda: GRU(3), "go_backwards", True),
        (lambda: GRU(3), "return_sequences", True),
        (lambda: LSTM(3), "recurrent_activation", activations.hard_sigmoid),
        (lambda: Bidirectional(GRU(3)), "merge_mode", "sum"),
        (lambda: Bidirectional(GRU(3, return_sequences=True), merge_mode="ave"), "merge_mode", "mul"),
    ],
)
def test_any_option_counts_from_the_next_compile_on(make, name, value, tmp_path) -> None:
    model = Sequential([Input((None, 3)), make()])
    model.compile("sgd", "mse")
    before = model.predict(SEQUENCES, verbose=0)
    setattr(model.layers[0], name, value)
    np.testing.assert_array_equal(model.predict(SEQUENCES, verbose=0), before)
    model.compile("sgd", "mse")
    fresh = Sequential([Input((None, 3)), type(model.layers[0]).from_config(model.layers[0].get_config())])
    fresh.set_weights(model.get_weights())
    after = model.predict(SEQUENCES, verbose=0)
    assert after.shape != before.shape or not np.allclose(after, before)
    np.testing.assert_array_equal(after, fresh.predict(SEQUENCES, verbose=0))
    model.fit(SEQUENCES, after, verbose=0)
    _same_after_saving(model, SEQUENCES, tmp_path / "model.foliot")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Dropout(0.5), "rate"),
        (lambda: LSTM(3, dropout=0.5), "dropout"),
        (lambda: GRU(3, recurrent_dropout=0.5), "recurrent_dropout"),
        (lambda: MultiHeadAttention(2, 3, dropout=0.5), "dropout"),
    ],
)
def test_a_rate_counts_from_the_next_compile_on(make, name) -> None:
    x, layer = Input((None, 3)), make()
    model = Model(x, layer(x, x) if isinstance(layer, MultiHeadAttention) else layer(x))
    expected = model(SEQUENCES)
    assert not np.array_equal(model(SEQUENCES, training=True), expected)
    setattr(layer, name, 0.0)
    assert not np.array_equal(model(SEQUENCES, training=True), expected)
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model(SEQUENCES, training=True), expected, rtol=1e-6)
    assert layer.get_config()[name] == 0.0


def test_options_that_a_built_model_cannot_take() -> None:
    layer = Bidirectional(GRU(3))
    model = Sequential([Input((None, 3)), layer, Dense(2)])
    with pytest.raises(ValueError, match=r"`merge_mode`: expected one of 'concat'.* for Bidirectional"):
        layer.merge_mode = None
    with pytest.raises(ValueError, match="`merge_mode`"):
        layer.merge_mode = "max"
    layer.merge_mode = "sum"
    for run in (lambda: model.compile("sgd", "mse"), lambda: model.predict(SEQUENCES, verbose=0)):
        with pytest.raises(ValueError, match=r"Dense 'dense.*' was built for 6 features"):
            run()


def test_a_layer_on_arrays_uses_the_weights_that_it_has() -> None:
    layer = Dense(2)
    layer(ROWS)
    layer.unbuild()
    layer.build(ROWS.shape)
    layer.set_weights([np.ones((3, 2)), np.zeros(2)])
    np.testing.assert_allclose(layer(ROWS), np.repeat(ROWS.sum(axis=1, keepdims=True), 2, axis=1), rtol=1e-5)


def test_compile_inside_a_callback_is_refused() -> None:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse")
    callback = LambdaCallback(on_train_batch_end=lambda batch, logs: model.compile("sgd", "mse"))
    with pytest.raises(RuntimeError, match="`compile` was called while the model ran"):
        model.fit(ROWS, np.ones((6, 1)), batch_size=2, callbacks=[callback], verbose=0)


def test_evaluate_from_several_threads() -> None:
    model = _functional()
    model.compile("sgd", "mse")
    expected = model.evaluate(TOKENS, np.ones((6, 1)), verbose=0)
    found: list[object] = []

    def run() -> None:
        try:
            found.extend(model.evaluate(TOKENS, np.ones((6, 1)), batch_size=2, verbose=0) for _ in range(30))
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == pytest.approx([expected] * 120)


@pytest.mark.parametrize("at_first", [True, False])
def test_trainable_toggled_after_training_can_be_saved(at_first, tmp_path) -> None:
    """The file holds the state of the weights that were trained, whichever are trainable now."""
    model = Sequential([Input((3,)), Dense(4), Dense(1)])
    model.layers[0].trainable = at_first
    model.compile("adam", "mse")
    y = np.ones((6, 1))
    model.fit(ROWS, y, verbose=0)
    model.layers[0].trainable = not at_first
    path = tmp_path / "model.foliot"
    _same_after_saving(model, ROWS, path)
    again = load_model(path)
    for one in (model, again):
        one.layers[0].trainable = at_first
    assert model.fit(ROWS, y, verbose=0).history == again.fit(ROWS, y, verbose=0).history


@pytest.mark.parametrize("batch", [0, 2])
def test_compile_in_any_batch_is_refused(batch) -> None:
    """In the last one, too, after which no further batch would notice."""
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse")

    def change(number: int, _: object) -> None:
        if number == batch:
            model.compile("sgd", "mae")

    with pytest.raises(RuntimeError, match="`compile` was called while the model ran"):
        model.fit(ROWS, np.ones((6, 1)), batch_size=2, callbacks=[LambdaCallback(on_train_batch_end=change)], verbose=0)
    assert model.evaluate(ROWS, np.ones((6, 1)), verbose=0) == pytest.approx(
        float(np.abs(model.predict(ROWS, verbose=0) - 1).mean())
    )


def test_averages_are_taken_over_only_by_a_training() -> None:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    model.fit(ROWS, np.ones((6, 1)), verbose=0)
    given = [weight + 1 for weight in model.get_weights()]
    model.set_weights(given)
    model.fit(ROWS, np.ones((6, 1)), epochs=0, verbose=0)
    for weight, expected in zip(model.get_weights(), given, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("layer", [LSTM(3, seed=1), GRU(3, seed=1)])
def test_a_layer_that_becomes_stateful_carries_states(layer) -> None:
    model = Sequential([Input(batch_shape=(6, 4, 3)), layer])
    x = np.random.default_rng(2).normal(size=(6, 4, 3)).astype(np.float32)
    layer.stateful = True
    model.compile("sgd", "mse")
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    assert np.abs(first - second).max() > 1e-3
    layer.reset_states()
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_a_layer_without_a_fixed_batch_cannot_become_stateful() -> None:
    model = Sequential([Input((4, 3)), LSTM(3)])
    model.layers[0].stateful = True
    for run in (lambda: model.compile("sgd", "mse"), lambda: model.predict(np.zeros((6, 4, 3)), verbose=0)):
        with pytest.raises(ValueError, match="`stateful`: expected an input with a fixed batch size"):
            run()
