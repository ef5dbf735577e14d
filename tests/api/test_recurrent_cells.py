"""Cells, RNN and StackedRNNCells: the same bits as the layers, forms of states, sharing, files, refusals."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GRUCell,
    Input,
    Layer,
    LSTMCell,
    Masking,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)
from foliot.models import Model, Sequential, load_model

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
# Masked at the end, in the middle, at the beginning, and not at all.
MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], bool)
PAIRS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (SimpleRNN, SimpleRNNCell),
    (LSTM, LSTMCell),
    (GRU, GRUCell),
    (lambda units, **more: LSTM(units, use_peepholes=True, **more), lambda units: LSTMCell(units, use_peepholes=True)),
    (lambda units, **more: GRU(units, reset_after=False, **more), lambda units: GRUCell(units, reset_after=False)),
]


def leaves(nest: Any) -> list[Any]:
    return [leaf for item in nest for leaf in leaves(item)] if isinstance(nest, (list, tuple)) else [nest]


def randomize(layer: Layer) -> None:
    layer.set_weights([RANDOM.normal(size=weight.shape, scale=0.5) for weight in layer.weights])


def stack(*units: int) -> list[Any]:
    kinds = [LSTMCell, GRUCell, SimpleRNNCell]
    return [kinds[position % 3](size) for position, size in enumerate(units)]


@pytest.mark.parametrize(("layer_class", "cell_class"), PAIRS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_rnn_of_a_cell_is_the_layer_bit_by_bit(layer_class: Any, cell_class: Any, backwards: bool, mask: Any) -> None:
    options = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    layer, rnn = layer_class(5, **options), RNN(cell_class(5), **options)
    layer.build(X.shape)
    rnn.build(X.shape)
    randomize(layer)
    rnn.set_weights(layer.get_weights())
    assert [weight.name for weight in rnn.weights] == [weight.name for weight in layer.weights]
    start = [RANDOM.normal(size=(4, 5)) for _ in range(rnn.state_count)]
    for state in (None, start):
        for ours, expected in zip(rnn(X, state, mask=mask), layer(X, state, mask=mask), strict=True):
            np.testing.assert_array_equal(ours, expected)


def trained(layer: Layer, x: Any = X) -> list[Any]:
    model = Sequential([Input(x.shape[1:]), Masking(), layer, Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    history = model.fit(x, np.ones(len(x)), epochs=2, batch_size=2, shuffle=False, verbose=0)
    return [*history.history["loss"], *model.get_weights()]


@pytest.mark.parametrize(("layer_class", "cell_class"), PAIRS[:3])
def test_training_takes_the_same_steps(layer_class: Any, cell_class: Any) -> None:
    options = {"dropout": 0.3, "recurrent_dropout": 0.2, "seed": 5, "kernel_initializer": "ones"}
    options |= {"recurrent_initializer": "identity"}
    layer, rnn = layer_class(4, **options), RNN(cell_class(4, **options))
    for one, other in zip(trained(layer), trained(rnn), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("_", "cell_class"), PAIRS)
def test_a_cell_by_itself_is_one_step(_: Any, cell_class: Any) -> None:
    cell = cell_class(5)
    rnn = RNN(cell, return_sequences=True, return_state=True)
    rnn.build(X.shape)
    randomize(rnn)
    outputs, *finals = rnn(X)
    states = cell.get_initial_state(4)
    for step in range(6):
        output, states = cell(X[:, step], states)
        np.testing.assert_allclose(output, outputs[:, step], rtol=1e-5, atol=1e-6)
    for ours, expected in zip(states, finals, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_a_state_without_a_list_comes_back_without_one() -> None:
    output, state = GRUCell(5)(X[:, 0], np.zeros((4, 5)))
    np.testing.assert_array_equal(output, state)
    output, states = GRUCell(5)(X[:, 0], [np.zeros((4, 5))])
    assert isinstance(states, list)


def test_stacked_cells_by_themselves_are_one_step() -> None:
    cells = StackedRNNCells(stack(5, 4, 3))
    rnn = RNN(cells, return_sequences=True, return_state=True)
    outputs, *finals = rnn(X)
    states = cells.get_initial_state(4)
    for step in range(6):
        output, states = cells(X[:, step], states)
        np.testing.assert_allclose(output, outputs[:, step], rtol=1e-5, atol=1e-6)
    assert [len(state) for state in states] == [2, 1, 1]
    for ours, expected in zip(leaves(states), leaves(finals), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_stack_is_layers_on_top_of_one_another(mask: Any, backwards: bool) -> None:
    cells = stack(5, 4, 3)
    rnn = RNN(cells, return_sequences=True, return_state=True, go_backwards=backwards)
    rnn.build(X.shape)
    randomize(rnn)
    layers = [RNN(cell, return_sequences=True, return_state=True) for cell in cells]
    x, flags = (X[:, ::-1], None if mask is None else mask[:, ::-1]) if backwards else (X, mask)
    finals = []
    for layer in layers:
        x, *after = layer(x, mask=flags)
        finals.append(after)
    outputs, *states = rnn(X, mask=mask)
    np.testing.assert_allclose(outputs, x, rtol=1e-6, atol=1e-7)
    for ours, expected in zip(leaves(states), leaves(finals), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)


def test_states_take_every_form() -> None:
    rnn = RNN(stack(5, 4), return_state=True)
    h, c, other = (RANDOM.normal(size=(4, size)) for size in (5, 5, 4))
    expected = leaves(rnn(X, [[h, c], [other]]))
    for form in ([[h, c], other], ((h, c), (other,)), [h, c, other]):
        results = rnn(X, form)
        assert [isinstance(part, list) for part in results] == [False, True, True]
        for ours, one in zip(leaves(results), expected, strict=True):
            np.testing.assert_array_equal(ours, one)


def test_sizes_and_shapes_are_described() -> None:
    rnn = RNN(stack(5, 4), return_state=True, return_sequences=True)
    assert rnn.state_size == [[5, 5], 4]
    assert rnn.cell.output_size == 4
    assert [[state.shape for state in states] for states in rnn.get_initial_state(2)] == [[(2, 5), (2, 5)], [(2, 4)]]
    assert rnn.compute_output_shape((2, 6, 3)) == [(2, 6, 4), [(2, 5), (2, 5)], [(2, 4)]]
    assert rnn.compute_mask(X, MASK) == [MASK, None, None]
    assert RNN(LSTMCell(3)).state_size == LSTM(3).state_size == [3, 3]
    assert RNN(GRUCell(3)).state_size == GRU(3).state_size == [3]
    assert GRUCell(3).state_size == 3
    assert Bidirectional(RNN(stack(5, 4))).compute_output_shape((2, 6, 3)) == (2, 8)


def test_weights_come_cell_by_cell() -> None:
    rnn = RNN(stack(5, 4))
    assert rnn.weights == []
    rnn.build((None, 6, 3))
    assert [weight.shape for weight in rnn.weights] == [(3, 20), (5, 20), (20,), (5, 12), (4, 12), (2, 12)]
    rnn.trainable = False
    assert rnn.trainable_weights == []
    assert not rnn.cell.cells[1].trainable
    frozen = RNN(stack(5, 4), trainable=False)
    frozen.build((None, 6, 3))
    assert len(frozen.non_trainable_weights) == 6


def test_a_layer_has_its_cells_options() -> None:
    layer = LSTM(3, dropout=0.25, trainable=False)
    assert (layer.units, layer.dropout, layer.cell.dropout, layer.cell.name) == (3, 0.25, 0.25, "lstm_cell")
    assert not layer.cell.trainable
    layer.dropout = 0.5
    assert layer.cell.dropout == 0.5


def test_bidirectional_runs_stacks() -> None:
    both = Bidirectional(RNN(stack(5, 4), return_sequences=True, return_state=True))
    outputs, *states = both(X, mask=MASK)
    assert outputs.shape == (4, 6, 8)
    assert not outputs[~MASK].any()
    assert [len(state) for state in states] == [2, 1, 2, 1]
    forward, backward = both.forward_layer, both.backward_layer
    assert not {id(weight) for weight in forward.weights} & {id(weight) for weight in backward.weights}
    expected, *finals = forward(X, mask=MASK)
    np.testing.assert_array_equal(outputs[:, :, :4], expected)
    expected, *more = backward(X, mask=MASK)
    np.testing.assert_array_equal(outputs[:, :, 4:], expected[:, ::-1])
    for ours, one in zip(leaves(states), leaves([finals, more]), strict=True):
        np.testing.assert_array_equal(ours, one)
    again, *_ = both(X, initial_state=[[np.ones((4, 5))] * 2, [np.ones((4, 4))]] * 2)
    assert np.abs(again - both(X)[0]).max() > 0.01


def test_time_distributed_runs_stacks() -> None:
    rnn = RNN(stack(5, 4))
    x = RANDOM.normal(size=(2, 3, 6, 3))
    outputs = TimeDistributed(rnn)(x)
    for step in range(3):
        np.testing.assert_allclose(outputs[:, step], rnn(x[:, step]), rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="without activity_regularizer"):
        TimeDistributed(GRU(2, activity_regularizer="l2"))


def test_layers_with_one_cell_share_its_weights(tmp_path: Any) -> None:
    cell = LSTMCell(5, name="shared")
    x = Input((None, 3))
    _, h, c = RNN(cell, return_state=True)(x)
    model = Model(x, RNN(cell, name="second")(x, initial_state=[h, c]))
    assert len(model.weights) == 3
    model.save(tmp_path / "shared.foliot")
    again = load_model(tmp_path / "shared.foliot")
    assert len(again.weights) == 3
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="was built for 3 features"):
        RNN(cell)(np.zeros((2, 3, 4)))


def networks() -> dict[str, Any]:
    tokens, x = Input((None,), dtype="int32"), Input((6, 3))
    embedded = Embedding(9, 4, mask_zero=True)(tokens)
    sequence, h, c = RNN(
        LSTMCell(5, use_peepholes=True, dropout=0.2, recurrent_dropout=0.3), return_sequences=True, return_state=True
    )(x)
    state = Input((5,))
    step, [after] = GRUCell(5)(Input((3,), name="step"), [state])
    return {
        "stack": Sequential([Input((6, 3)), RNN(stack(5, 4), return_sequences=True), Dropout(0.2), RNN(GRUCell(2))]),
        "tokens": Model(tokens, RNN(stack(5, 4, 3))(embedded)),
        "states": Model(x, [RNN(LSTMCell(5))(sequence, initial_state=[h, c]), h]),
        "both ways": Sequential([Input((6, 3)), Bidirectional(RNN(stack(5, 4))), Dense(2)]),
        "one step": Model([step.node.inputs[0], state], [step, after]),
        "each": Sequential([Input((None, 6, 3)), TimeDistributed(RNN(stack(5, 4))), Dense(2)]),
    }


@pytest.mark.parametrize("name", networks())
def test_files_and_copies_hold_cells(name: str, tmp_path: Any) -> None:
    model = networks()[name]
    inputs = [RANDOM.integers(0, 9, size=(4, *(size or 6 for size in tensor.shape[1:]))) for tensor in model.inputs]
    x = inputs if len(inputs) > 1 else inputs[0]
    expected = leaves(model.predict(x, verbose=0))
    model.save(tmp_path / "model.foliot")
    model.save_weights(tmp_path / "weights.foliot")
    other = type(model).from_config(model.get_config())
    other.load_weights(tmp_path / "weights.foliot")
    for again in (load_model(tmp_path / "model.foliot"), copy.deepcopy(model), other):
        assert again.get_config() == model.get_config()
        for one, ours in zip(expected, leaves(again.predict(x, verbose=0)), strict=True):
            np.testing.assert_array_equal(one, ours)


def test_a_loaded_stack_goes_on_with_the_same_bits(tmp_path: Any) -> None:
    cells = [LSTMCell(5, dropout=0.3), GRUCell(4, dropout=0.2, recurrent_dropout=0.4)]
    model = Sequential([Input((6, 3)), RNN(cells), Dense(1)])
    model.compile("adam", "mse")
    y = np.ones(4)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model.foliot")
    again = load_model(tmp_path / "model.foliot")
    for one in (model, again):
        one.fit(X, y, epochs=2, verbose=0)
    for ours, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_layer_after_a_wrapped_one_stays_shared(tmp_path: Any) -> None:
    x = Input((None, 6, 3))
    each = TimeDistributed(RNN(LSTMCell(4)))(x)
    shared = Dense(4)
    model = Model(x, shared(shared(each)))
    model.save(tmp_path / "model.foliot")
    assert len(load_model(tmp_path / "model.foliot").weights) == 5


class Own:
    state_size = 3
    output_size = 3

    def call(self, inputs: Any, states: Any) -> Any:
        return inputs, states


class OwnLSTM(LSTMCell):
    def call(self, inputs: Any, states: Any) -> Any:
        return inputs, states


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: RNN(Own()), TypeError, "`cell`: expected a SimpleRNNCell.*would have to run in Python at every"),
        (lambda: RNN(OwnLSTM(3)), TypeError, "would have to run in Python at every"),
        (lambda: RNN([LSTMCell(3), Own()]), TypeError, r"`cells\[1\]`"),
        (lambda: RNN(Dense(3)), TypeError, "`cell`: expected a SimpleRNNCell"),
        (lambda: RNN(3), TypeError, "`cell`: expected a SimpleRNNCell"),
        (lambda: RNN([]), ValueError, "`cells`: expected at least one"),
        (lambda: StackedRNNCells(LSTMCell(3)), TypeError, "`cells`: expected a list"),
        (lambda: LSTMCell(3, activity_regularizer="l2"), ValueError, "`activity_regularizer`"),
        (lambda: LSTMCell(3, dropout=2.0), ValueError, "`dropout`"),
        (lambda: LSTMCell(0), ValueError, "`units`"),
        (lambda: LSTMCell(3, implementation=3), ValueError, "`implementation`"),
        (lambda: LSTMCell(3, wrong=3), ValueError, "wrong"),
        (lambda: RNN(LSTMCell(3), wrong=3), ValueError, "wrong"),
        (
            lambda: RNN(stack(3, 2))(X, [np.zeros((4, 3))]),
            ValueError,
            r"as in \[\[array, array\], \[array\]\]; received 1",
        ),
        (lambda: RNN(stack(3, 2))(X, [np.zeros((4, 2))] * 3), ValueError, r"expected shape \(4, 3\)"),
        (lambda: RNN(stack(3, 2))(X[0]), ValueError, r"RNN expects \(batch, time, features\)"),
        (lambda: LSTMCell(3)(X[:, 0], [np.zeros((4, 3))]), ValueError, "`states`: expected 2 arrays"),
        (lambda: LSTMCell(3)(X[:, 0], [np.zeros((4, 2))] * 2), ValueError, r"`states\[0\]`: expected shape \(4, 3\)"),
        (lambda: LSTMCell(3)(X, [np.zeros((4, 3))] * 2), ValueError, r"LSTMCell expects \(batch, features\)"),
        (lambda: GRUCell(3)(X[:, 0], [["a"]]), TypeError, r"`states\[0\]`"),
        (lambda: StackedRNNCells(stack(3, 2))(X[:, 0], [np.zeros((4, 3))]), ValueError, "`states`: expected 3 arrays"),
    ],
)
def test_refusals(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()
