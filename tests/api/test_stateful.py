"""Stateful layers: states go on from batch to batch, as Keras has it."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import Input, Model
from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Embedding,
    GRUCell,
    Layer,
    LSTMCell,
    Masking,
    SimpleRNN,
    TimeDistributed,
)
from foliot.losses import MeanSquaredError
from foliot.models import Sequential, load_model
from oracle.cells import CELLS, Scan, Weights

CELL_LAYERS = (SimpleRNN, LSTM, GRU)


def stacked(
    kind: type[Any], batch: int | None, *, stateful: bool, sequences: bool = True, masked: bool = True
) -> Model:
    """Two recurrent layers over numbers of which 0 is padding."""
    model = Sequential([Input((None, 3), batch_size=batch)])
    if masked:
        model.add(Masking())
    model.add(kind(5, return_sequences=True, stateful=stateful))
    model.add(kind(4, return_sequences=sequences, stateful=stateful))
    model.add(Dense(2))
    random = np.random.default_rng(7)
    model.set_weights([random.normal(scale=0.5, size=weight.shape) for weight in model.weights])
    return model


def sequences(batch: int, time: int, seed: int, masked: bool = True) -> np.ndarray:
    """Sequences with padding anywhere."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(batch, time, 3)).astype(np.float32)
    if masked:
        x[random.random((batch, time)) < 0.3] = 0
    return x


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(CELL_LAYERS),
    cuts=st.lists(st.integers(1, 11), max_size=3, unique=True).map(sorted),
    batch=st.integers(1, 14),
    returns=st.booleans(),
    masked=st.booleans(),
)
def test_pieces_equal_the_whole(kind: type[Layer], cuts: list[int], batch: int, returns: bool, masked: bool) -> None:
    whole = stacked(kind, None, stateful=False, sequences=returns, masked=masked)
    pieces = stacked(kind, batch, stateful=True, sequences=returns, masked=masked)
    x = sequences(batch, 12, len(cuts), masked)
    outputs = [pieces.predict(part, verbose=0) for part in np.split(x, cuts, axis=1)]
    expected = whole.predict(x, verbose=0)
    # The same bits: what a row's step computes does not depend on what runs beside it.
    np.testing.assert_array_equal(np.concatenate(outputs, axis=1) if returns else outputs[-1], expected)


@pytest.mark.parametrize("kind", CELL_LAYERS)
def test_states_are_the_oracles(kind: type[Any]) -> None:
    layer = kind(4, stateful=True, return_sequences=True)
    x = sequences(3, 9, 0, masked=False)
    mask = np.random.default_rng(1).random((3, 9)) < 0.7
    first = layer(x[:, :5], mask=mask[:, :5])
    weights = Weights(*(value.astype(np.float64) for value in layer.get_weights()))
    cell = CELLS[layer.cell.kind](layer.to_spec())
    scan = Scan.run(cell, weights, x[:, :5], mask[:, :5])
    np.testing.assert_allclose(first, scan.outputs, atol=1e-6)
    for state, expected in zip(layer.states, scan.states, strict=True):
        np.testing.assert_allclose(state.numpy(), expected, atol=1e-6)
    scan = Scan.run(cell, weights, x[:, 5:], mask[:, 5:], scan.states)
    np.testing.assert_allclose(layer(x[:, 5:], mask=mask[:, 5:]), scan.outputs, atol=1e-6)


@pytest.mark.parametrize("kind", CELL_LAYERS)
def test_ten_steps_of_training_equal_states_handed_on_by_hand(kind: type[Any]) -> None:
    """The states of a batch are those that its forward pass left, before the weights changed; no gradient goes back."""
    mine = stacked(kind, 4, stateful=True)
    sequence = Input((None, 3), batch_size=4)
    count = 2 if kind is LSTM else 1
    given_states = [Input((units,)) for units in (*[5] * count, *[4] * count)]
    hidden, *lower = kind(5, return_sequences=True, return_state=True)(
        Masking()(sequence), initial_state=given_states[:count]
    )
    hidden, *upper = kind(4, return_sequences=True, return_state=True)(hidden, initial_state=given_states[count:])
    by_hand = Model([sequence, *given_states], [Dense(2)(hidden), *lower, *upper])
    by_hand.set_weights(mine.get_weights())
    mine.compile("adam", "mse")
    by_hand.compile("adam", [MeanSquaredError(), *[None] * 2 * count])
    states = [np.zeros((4, units), np.float32) for units in (*[5] * count, *[4] * count)]
    for step in range(10):
        x, y = sequences(4, 6, step), np.random.default_rng(step).normal(size=(4, 6, 2)).astype(np.float32)
        _, *after = by_hand.predict_on_batch([x, *states])
        expected = by_hand.train_on_batch([x, *states], [y])
        assert mine.train_on_batch(x, y) == expected
        states = after
    for actual, weight in zip(mine.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, weight)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_stack_of_cells_carries_the_states_of_each(backwards: bool) -> None:
    cells = [LSTMCell(3), GRUCell(4)]
    layer = RNN(cells, return_sequences=True, stateful=True, go_backwards=backwards)
    whole = RNN(cells, return_sequences=True, go_backwards=backwards)
    x = sequences(2, 8, 0, masked=False)
    pieces = [x[:, 5:], x[:, :5]] if backwards else [x[:, :5], x[:, 5:]]
    outputs = np.concatenate([layer(piece) for piece in pieces], axis=1)
    np.testing.assert_array_equal(outputs, whole(x))
    assert [state.shape for state in layer.states] == [(2, 3), (2, 3), (2, 4)]
    model = Sequential([Input(batch_shape=(2, None, 3)), layer])
    model.reset_states()
    np.testing.assert_array_equal(model.predict(pieces[0], verbose=0), outputs[:, : pieces[0].shape[1]])
    assert len(model.weights) == len(whole.weights)


@pytest.mark.parametrize("make", [lambda: LSTM(4), lambda: RNN([GRUCell(4), GRUCell(4)])])
def test_the_flag_may_change(make: Any) -> None:
    layer, x = make(), sequences(2, 5, 0, masked=False)
    first = layer(x)
    layer.stateful = True
    assert (layer(x) == first).all()
    assert (layer(x) != first).any()
    layer.stateful = False
    assert (layer(x) == first).all()
    assert (layer(x) == first).all()


def test_states_go_on_in_fit_evaluate_and_predict() -> None:
    model = stacked(LSTM, 2, stateful=True)
    model.compile("sgd", "mse")
    x, y = sequences(4, 5, 0), np.zeros((4, 5, 2), np.float32)

    def states() -> list[np.ndarray]:
        return [state.numpy() for layer in model.stateful_layers() for state in layer.states]

    model.optimizer.learning_rate = 0.0
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    after_fit = states()
    model.reset_states()
    assert not any(state.any() for state in states())
    model.evaluate(x, y, verbose=0)  # the batch size is the model's where none is given
    for one, other in zip(after_fit, states(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.reset_state()
    first = model.predict(x, verbose=0)
    for one, other in zip(after_fit, states(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(model.predict(x, verbose=0), first)
    # Row i goes on from row i of the batch before.
    alone = stacked(LSTM, None, stateful=False)
    alone.set_weights(model.get_weights())
    joined = alone.predict(np.concatenate([x[:2], x[2:]], axis=1), verbose=0)
    np.testing.assert_array_equal(np.concatenate([first[:2], first[2:]], axis=1), joined)


def test_fit_shuffles_and_validates_as_keras_does() -> None:
    x, y = sequences(8, 5, 0), np.zeros((8, 5, 2), np.float32)
    model = stacked(GRU, 2, stateful=True)
    model.compile("sgd", "mse")
    history = model.fit(x, y, batch_size=2, epochs=2, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "val_loss"}
    model.fit(x, y, batch_size=2, validation_data=(x[:4], y[:4]), validation_batch_size=2, verbose=0)


def test_an_initial_state_overrides_what_was_carried() -> None:
    for functional in (False, True):
        layer, plain = GRU(3, stateful=True, return_state=True), GRU(3, return_state=True)
        x, state = sequences(2, 4, 0, masked=False), np.full((2, 3), 0.5, np.float32)
        layer(x), plain(x)
        plain.set_weights(layer.get_weights())
        if functional:
            one, two = Input((None, 3), batch_size=2), Input((3,), batch_size=2)
            outputs = Model([one, two], layer(one, initial_state=two)).predict([x, state], verbose=0)
        else:
            outputs = layer(x, initial_state=state)
        expected = plain(x, initial_state=state)
        np.testing.assert_array_equal(outputs[0], expected[0])
        np.testing.assert_array_equal(layer.states[0].numpy(), expected[1])


def test_states_are_no_weights_and_in_no_file(tmp_path: Path) -> None:
    model = stacked(LSTM, 2, stateful=True)
    lower = model.stateful_layers()[0]
    assert [state.shape for state in lower.states] == [(2, 5), (2, 5)]
    assert len(lower.weights) == 3
    assert not lower.non_trainable_weights
    x = sequences(2, 5, 0)
    first = model.predict(x, verbose=0)
    second = model.predict(x, verbose=0)
    assert model.get_config()["layers"][2]["config"]["stateful"] is True
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # these go on where the model stands
        copied.reset_states()
        np.testing.assert_array_equal(copied.predict(x, verbose=0), first)
        np.testing.assert_array_equal(copied.predict(x, verbose=0), second)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(str(tmp_path / "model.foliot"))  # from zeros, as in Keras
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), first)


def test_states_are_read_and_set_on_the_layer() -> None:
    layer = SimpleRNN(2, stateful=True)
    assert layer.states is None
    layer.reset_state()
    layer.build((3, None, 4))
    layer.states[0].assign(np.ones((3, 2)))
    other = SimpleRNN(2, weights=layer.get_weights())
    x = np.ones((3, 2, 4), np.float32)
    np.testing.assert_array_equal(layer(x), other(x, initial_state=np.ones((3, 2))))
    layer.reset_states()
    np.testing.assert_array_equal(layer(x), other(x))
    assert LSTM(2).states is None


def test_bidirectional() -> None:
    layer = Bidirectional(LSTM(2, stateful=True, return_sequences=True, return_state=True))
    x = sequences(3, 4, 0, masked=False)
    one = layer(x)
    two = layer(x)
    assert len(layer.states) == 4
    plain = Bidirectional(LSTM(2, return_sequences=True, return_state=True))
    plain(x)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(two[0], plain(x, initial_state=list(one[1:]))[0])
    layer.reset_state()
    np.testing.assert_array_equal(layer(x)[0], one[0])
    Bidirectional(LSTM(2)).reset_states()


def test_a_shared_layer_goes_on_within_a_batch() -> None:
    layer = GRU(3, stateful=True, return_sequences=True)
    sequence = Input((None, 3), batch_size=2)
    model = Model(sequence, [layer(sequence), layer(sequence)])
    x = sequences(2, 4, 0, masked=False)
    one, two = model.predict(x, verbose=0)
    layer.reset_state()
    np.testing.assert_array_equal(layer(np.concatenate([x, x], axis=1)), np.concatenate([one, two], axis=1))


def test_a_class_of_ones_own_is_built_for_a_batch() -> None:
    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.read = LSTM(3, stateful=True)

        def call(self, inputs: Any) -> Any:
            return self.read(inputs)

    model = Own()
    model.build((2, None, 3))
    x = sequences(2, 4, 0, masked=False)
    first = model.predict(x, verbose=0)
    assert not np.array_equal(model.predict(x, verbose=0), first)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_inside_another_model() -> None:
    inner = Sequential([Input((None, 3), batch_size=2), LSTM(3, stateful=True)])
    model = Sequential([Input((None, 3), batch_size=2), inner, Dense(1)])
    x = sequences(2, 4, 0, masked=False)
    first = model.predict(x, verbose=0)
    assert not np.array_equal(model.predict(x, verbose=0), first)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_a_batch_that_fails_leaves_the_states() -> None:
    model = Sequential([Input((None,), batch_size=2), Embedding(5, 3), LSTM(3, stateful=True, return_sequences=True)])
    model.add(Dense(4, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.predict([[1, 2], [3, 4]], verbose=0)
    before = [state.numpy() for state in model.stateful_layers()[0].states]
    weights = model.get_weights()
    with pytest.raises(ValueError, match="4"):
        model.train_on_batch([[1, 2], [3, 4]], [[0, 1], [2, 4]])
    for state, expected in zip(model.stateful_layers()[0].states, before, strict=True):
        np.testing.assert_array_equal(state.numpy(), expected)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def _model(rows: int) -> Model:
    model = stacked(GRU, rows, stateful=True)
    model.compile("sgd", "mse")
    return model


X, Y = np.ones((10, 5, 3), np.float32), np.ones((10, 5, 2), np.float32)
MISUSES: list[tuple[Any, str]] = [
    (lambda: Sequential([Input((5, 3)), GRU(2, stateful=True)]), r"`stateful`: expected an input with a fixed batch"),
    (lambda: Sequential([GRU(2, stateful=True)]).predict(X, verbose=0), "`stateful`: expected an input with a fixed"),
    (lambda: GRU(2, stateful=True).build((None, 5, 3)), "`stateful`: expected an input with a fixed batch"),
    (lambda: GRU(2, stateful=1), "`stateful`: expected True or False"),
    (lambda: TimeDistributed(GRU(2, stateful=True)), "a layer that is not stateful"),
    (lambda: _model(4).fit(X, Y, batch_size=4, verbose=0), "`x`: expected a multiple of 4 rows"),
    (lambda: _model(4).fit(X[:8], Y[:8], batch_size=2, verbose=0), "`batch_size`: expected 4"),
    (lambda: _model(4).fit(X, Y, validation_split=0.2, verbose=0), "`validation_split`: expected a multiple of 4"),
    (
        lambda: _model(4).fit(X[:8], Y[:8], validation_data=(X, Y), verbose=0),
        "`validation_data`: expected a multiple of 4 rows",
    ),
    (lambda: _model(4).evaluate(X, Y, verbose=0), "`x`: expected a multiple of 4 rows"),
    (lambda: _model(4).predict(X, verbose=0), "`x`: expected a multiple of 4 rows"),
    (lambda: _model(4).predict_on_batch(X), "batches of 4 rows, for which it carries states; received 10"),
    (lambda: _model(4).train_on_batch(X, Y), "batches of 4 rows"),
    (lambda: _model(4).fit(iter([(X, Y)]), verbose=0), "batches of 4 rows"),
]


@pytest.mark.parametrize(("misuse", "message"), MISUSES)
def test_misuse(misuse: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        misuse()


def test_another_batch_size_on_arrays() -> None:
    layer = GRU(2, stateful=True)
    layer(X[:4])
    with pytest.raises(ValueError, match=r"expected batches of 4 rows.*received 3 rows"):
        layer(X[:3])
