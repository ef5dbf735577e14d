"""`fit(tbptt=k)`: truncated backpropagation through time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import Input, Model, optimizers
from foliot.layers import GRU, LSTM, Bidirectional, Dense, Embedding, GlobalAveragePooling1D, Masking, SimpleRNN
from foliot.models import Sequential
from oracle.cells import CELLS, Scan, Weights

CELL_LAYERS = (SimpleRNN, LSTM, GRU)


def network(kind: type[Any], batch: int | None = None, *, stateful: bool = False) -> Model:
    layers: list[Any] = [Input((None, 3), batch_size=batch), Masking()]
    layers += [kind(units, return_sequences=True, stateful=stateful) for units in (5, 4)]
    model = Sequential([*layers, Dense(2)])
    random = np.random.default_rng(7)
    model.set_weights([random.normal(scale=0.5, size=weight.shape) for weight in model.weights])
    return model


def examples(rows: int, time: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(time)
    x = random.normal(size=(rows, time, 3)).astype(np.float32)
    x[random.random((rows, time)) < 0.2] = 0
    return x, random.normal(size=(rows, time, 2)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(CELL_LAYERS),
    time=st.integers(1, 12),
    piece=st.integers(1, 13),
    weighted=st.sampled_from([0, 1, 2]),
)
def test_pieces_equal_stateful_training_on_them(kind: type[Any], time: int, piece: int, weighted: int) -> None:
    """Which is checked against Keras: each piece is a batch whose states go on, and a new batch begins with zeros."""
    cut, carried = network(kind), network(kind, 3, stateful=True)
    for model in (cut, carried):
        model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
    x, y = examples(6, time)
    weight = None if not weighted else np.random.default_rng(1).uniform(0.5, 2, (6,) if weighted == 1 else (6, time))
    history = cut.fit(x, y, batch_size=3, shuffle=False, verbose=0, tbptt=piece, sample_weight=weight, epochs=2)
    for _ in range(2):
        losses, steps_of_pieces = [], []
        for first in (0, 3):
            carried.reset_states()
            for start in range(0, time, piece):
                rows, steps = slice(first, first + 3), slice(start, start + piece)
                part = None if weight is None else weight[rows] if weighted == 1 else weight[rows, steps]
                losses.append(carried.train_on_batch(x[rows, steps], y[rows, steps], sample_weight=part)[0])
                steps_of_pieces.append(x[rows, steps].shape[1])
        epoch_loss = np.average(losses, weights=steps_of_pieces)
    for actual, expected in zip(cut.get_weights(), carried.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
    np.testing.assert_allclose(history.history["loss"][-1], epoch_loss, rtol=1e-6)
    assert cut.optimizer.iterations == 2 * 2 * -(-time // piece)


@settings(max_examples=25, deadline=None)
@given(time=st.integers(1, 9), piece=st.integers(1, 10), weighted=st.sampled_from([0, 1, 2]))
def test_metrics_of_pieces_are_those_of_whole_sequences(time: int, piece: int, weighted: int) -> None:
    """With weights that do not move, whatever the last piece's length, beside masks and weights of rows and steps."""
    measured = {"metrics": ["mae", "mse", "acc", "auc"], "weighted_metrics": ["mae", "binary_accuracy"]}
    model = Sequential([Input((None, 3)), Masking(), GRU(4, return_sequences=True), Dense(1, activation="sigmoid")])
    model.compile(optimizers.SGD(0.0), "mse", **measured)
    x, _ = examples(6, time)
    y = np.random.default_rng(2).integers(0, 2, (6, time, 1))
    weight = None if not weighted else np.random.default_rng(1).uniform(0.5, 2, (6,) if weighted == 1 else (6, time))
    logs = model.fit(x, y, batch_size=4, shuffle=False, verbose=0, tbptt=piece, sample_weight=weight).history
    whole = model.evaluate(x, y, batch_size=4, verbose=0, sample_weight=weight, return_dict=True)
    for name, (value,) in logs.items():
        if name != "loss":  # a masked step's share of it depends on the steps around it
            np.testing.assert_allclose(value, whole[name], rtol=1e-6, err_msg=name)


def test_the_loss_of_pieces_is_that_of_whole_sequences() -> None:
    model = Sequential([Input((None, 3)), GRU(4, return_sequences=True), Dense(2)])
    model.compile(optimizers.SGD(0.0), "mse")
    x, y = examples(6, 7)
    (loss,) = model.fit(x, y, batch_size=4, shuffle=False, verbose=0, tbptt=3).history["loss"]
    np.testing.assert_allclose(loss, model.evaluate(x, y, batch_size=4, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("kind", CELL_LAYERS)
def test_a_hand_written_loop_in_float64(kind: type[Any]) -> None:
    layer = kind(4, return_sequences=True)
    model = Sequential([Input((None, 3)), layer])
    random = np.random.default_rng(3)
    model.set_weights([random.normal(scale=0.5, size=weight.shape) for weight in model.weights])
    model.compile(optimizers.SGD(0.5), "mse")
    x, y = random.normal(size=(2, 7, 3)), random.normal(size=(2, 7, 4))
    weights = [array.astype(np.float64) for array in model.get_weights()]
    cell = CELLS[layer.cell.kind](layer.to_spec())
    states = None
    for start in (0, 3, 6):
        scan = Scan.run(cell, Weights(*weights), x[:, start : start + 3], initial_state=states)
        difference = scan.outputs - y[:, start : start + 3]
        zeros = [np.zeros_like(state) for state in scan.states]
        _, _, gradient = scan.backward(2 * difference / difference.size, zeros[0], zeros)
        for weight, step in zip(weights, (gradient.kernel, gradient.recurrent_kernel, gradient.bias), strict=True):
            weight -= 0.5 * step
        states = scan.states
    model.fit(x, y, shuffle=False, verbose=0, tbptt=3)
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_one_piece_is_ordinary_training() -> None:
    one, other = network(GRU), network(GRU)
    x, y = examples(6, 5)
    for model, piece in ((one, None), (other, 5)):
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, tbptt=piece)
    for actual, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_token_ids_shuffled_rows_and_class_indices() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, (10, 11)), random.integers(0, 4, (10, 11))
    weights = []
    for shuffled in (True, False):
        model = Sequential([Input((None,)), Embedding(9, 3, mask_zero=True), LSTM(4, return_sequences=True, seed=1)])
        model.add(Dense(4, activation="softmax"))
        drawn = np.random.default_rng(1)
        model.set_weights([drawn.normal(scale=0.5, size=weight.shape) for weight in model.weights])
        model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["acc"])
        order = np.arange(10)
        if shuffled:
            history = model.fit(x, y, batch_size=4, tbptt=4, verbose=0, validation_data=(x, y))
            assert set(history.history) == {"loss", "acc", "val_loss", "val_acc"}
            seed, number = model.seeds()["shuffle"], model.shuffles
            from foliot import _core

            order = _core.permutation(10, seed, number)
            rows = order
        else:
            model.fit(x[rows], y[rows], batch_size=4, tbptt=4, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_states_of_stateful_layers_go_on_from_batch_to_batch() -> None:
    model, by_hand = network(LSTM, 2, stateful=True), network(LSTM, 2, stateful=True)
    for one in (model, by_hand):
        one.compile("sgd", "mse")
    x, y = examples(4, 6)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0, tbptt=4)
    for rows in (slice(0, 2), slice(2, 4)):
        for steps in (slice(0, 4), slice(4, 6)):
            by_hand.train_on_batch(x[rows, steps], y[rows, steps])
    for actual, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_prediction_after_training_begins_with_zeros() -> None:
    model = network(GRU)
    model.compile("sgd", "mse")
    x, y = examples(4, 6)
    model.fit(x, y, verbose=0, tbptt=2)
    plain = network(GRU)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    errors = np.mean((model.predict(x, verbose=0) - y) ** 2, axis=-1)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(errors[x.any(axis=-1)].mean(), rel=1e-5)


def test_lengths_are_cut_too() -> None:
    """What is behind a row's length changes nothing, in whichever piece it lies."""
    weights = []
    for padding in (0.0, 9.0):
        model = Sequential([Input((None, 3)), LSTM(4, return_sequences=True), Dense(2)])
        random = np.random.default_rng(2)
        model.set_weights([random.normal(size=weight.shape) for weight in model.weights])
        model.compile("sgd", "mse")
        x, y = random.normal(size=(3, 7, 3)), random.normal(size=(3, 7, 2))
        for row, length in enumerate((7, 4, 0)):
            x[row, length:] = y[row, length:] = padding
        model.fit(x, y, verbose=0, tbptt=3, shuffle=False, lengths=[7, 4, 0])
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def own_metric(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    return np.abs(y_true - y_pred).mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"loss": "mse", "metrics": [own_metric]}, np.ones((2, 6, 2)), "`tbptt`: expected None.*'own_metric'"),
        ({"loss": "ctc"}, np.ones((2, 3), int), "`tbptt`: expected a loss of single time steps"),
    ],
)
def test_what_judges_whole_sequences_is_refused(options: dict[str, Any], y: np.ndarray, message: str) -> None:
    model = Sequential([Input((6, 3)), GRU(2, return_sequences=True)])
    model.compile("sgd", **options)
    weights = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, tbptt=3, verbose=0)
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


X, Y = np.ones((2, 6, 3), np.float32), np.ones((2, 6, 2), np.float32)
MISUSES: list[tuple[Any, Any, Any, str]] = [
    ([GRU(2)], Y[:, 0], 3, '`tbptt`: expected outputs for each time step.*one output for a sequence, from "gru'),
    ([Bidirectional(GRU(1, return_sequences=True))], Y, 3, "for tbptt; received one that goes through the sequence"),
    ([GRU(2, return_sequences=True), GlobalAveragePooling1D()], Y[:, 0], 3, "brings all time steps together"),
    ([GRU(2, return_sequences=True)], Y, 0, "`tbptt`: expected an integer"),
    ([GRU(2, return_sequences=True)], Y, 2.5, "`tbptt`: expected an integer"),
]


@pytest.mark.parametrize(("layers", "y", "piece", "message"), MISUSES)
def test_misuse(layers: list[Any], y: np.ndarray, piece: Any, message: str) -> None:
    model = Sequential([Input((6, 3)), *layers])
    model.compile("sgd", "mse")
    weights = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y, tbptt=piece, verbose=0)
    for actual, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(actual, expected)
