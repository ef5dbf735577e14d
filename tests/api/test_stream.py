"""Sessions of single time steps: the same as `predict` on whole sequences."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot import Input, Model
from foliot.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    LayerNormalization,
    Masking,
    PReLU,
    RepeatVector,
    SimpleRNN,
    TimeDistributed,
)
from foliot.models import Sequential

CELLS = (SimpleRNN, LSTM, GRU)


def randomized(model: Model) -> Model:
    random = np.random.default_rng(5)
    model.set_weights([np.abs(random.normal(scale=0.4, size=w.shape)) * random.choice([-1, 1]) for w in model.weights])
    for weight in model.weights:
        if weight.name == "moving_variance":
            weight.assign(random.uniform(0.5, 2, weight.shape))
    return model


@st.composite
def by_step_models(draw: Any) -> tuple[Model, bool]:
    """Stacks of layers that go on from step to step, and whether they take token ids."""
    tokens = draw(st.booleans())
    layers: list[Any] = (
        [Input((None,)), Embedding(7, 4, mask_zero=draw(st.booleans()))]
        if tokens
        else [
            Input((None, 3)),
            *([Masking()] if draw(st.booleans()) else []),
        ]
    )
    makers = [
        lambda: draw(st.sampled_from(CELLS))(draw(st.integers(1, 20)), return_sequences=True, dropout=0.1),
        lambda: Dense(5, activation="relu"),
        lambda: Dropout(0.5),
        LayerNormalization,
        BatchNormalization,
        lambda: TimeDistributed(Sequential([Dense(4), Activation("tanh")])),
        lambda: PReLU(shared_axes=[1]),
        lambda: Activation("softmax"),
    ]
    layers += [draw(st.sampled_from(makers))() for _ in range(draw(st.integers(0, 4)))]
    if draw(st.booleans()):
        layers += [draw(st.sampled_from(CELLS))(6), LayerNormalization(), Dense(2, activation="sigmoid")]
    return randomized(Sequential(layers)), tokens


def draw_input(tokens: bool, batch: int, time: int) -> np.ndarray:
    random = np.random.default_rng(batch * time)
    if tokens:
        return random.integers(0, 7, (batch, time)).astype(np.int32)
    x = random.normal(size=(batch, time, 3)).astype(np.float32)
    x[random.random((batch, time)) < 0.2] = 0
    return x


@settings(max_examples=60, deadline=None)
@given(by_step_models(), st.integers(1, 25), st.lists(st.integers(1, 8), max_size=3, unique=True).map(sorted))
def test_steps_and_pieces_equal_predict(made: tuple[Model, bool], batch: int, cuts: list[int]) -> None:
    model, tokens = made
    x = draw_input(tokens, batch, 9)
    expected = model.predict(x, verbose=0)
    session = model.stream(batch)
    steps = [session.step(x[:, t]) for t in range(9)]
    by_step = expected.ndim == 3
    # The same bits: what a row's step computes does not depend on what runs beside it.
    np.testing.assert_array_equal(np.stack(steps, axis=1) if by_step else steps[-1], expected)
    session.reset()
    pieces = [session.run(part) for part in np.split(x, cuts, axis=1)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1) if by_step else pieces[-1], expected)


def test_functional_model_of_several_inputs_and_outputs() -> None:
    words, numbers = Input((None,), name="words"), Input((None, 2), name="numbers")
    joined = Concatenate()([Embedding(6, 3)(words), numbers])
    read = LSTM(5, return_sequences=True)(joined)
    again = Add()([read, LSTM(5, return_sequences=True)(read)])
    last = GRU(4)(again)
    model = randomized(Model([words, numbers], {"steps": Dense(2)(again), "last": Dense(3)(last)}))
    random = np.random.default_rng(0)
    x = {"words": random.integers(0, 6, (2, 5)), "numbers": random.normal(size=(2, 5, 2))}
    expected = model.predict(x, verbose=0)
    session = model.stream(2)
    steps = [session.step({name: array[:, t] for name, array in x.items()}) for t in range(5)]
    np.testing.assert_array_equal(np.stack([step["steps"] for step in steps], axis=1), expected["steps"])
    np.testing.assert_array_equal(steps[-1]["last"], expected["last"])
    session.reset()
    pieces = session.run([x["words"], x["numbers"]])
    for name, array in expected.items():
        np.testing.assert_array_equal(pieces[name], array)
    outputs = [np.empty((2, 2), np.float32), np.empty((2, 3), np.float32)][::-1]  # by sorted names
    session.reset()
    session.step([x["words"][:, 0], x["numbers"][:, 0]], out=outputs)
    np.testing.assert_array_equal(outputs[1], expected["steps"][:, 0])


def test_time_steps_that_are_sequences_themselves() -> None:
    """A layer within a time step begins anew in each, and is carried nowhere."""
    model = randomized(
        Sequential([Input((None, 4, 3)), TimeDistributed(LSTM(5, go_backwards=True)), GRU(4, return_sequences=True)])
    )
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    session = model.stream(2)
    np.testing.assert_array_equal(np.stack([session.step(x[:, t]) for t in range(6)], axis=1), expected)
    assert len(session.state) == 1
    session.reset()
    np.testing.assert_array_equal(session.run(x), expected)
    with pytest.raises(
        ValueError, match=r"axes behind the time axis are known; received 'input.* \(None, None, None, 3\)"
    ):
        Sequential([Input((None, None, 3)), TimeDistributed(LSTM(5)), GRU(4)]).stream()


def test_no_time_steps_change_nothing() -> None:
    model = randomized(Sequential([Input((None, 3)), LSTM(4, return_sequences=True), GRU(4)]))
    x, session = draw_input(False, 2, 3), model.stream(2)
    expected = session.run(x)
    np.testing.assert_array_equal(session.run(x[:, :0]), expected)


def test_the_states_of_a_decoder_are_its_own() -> None:
    """What follows the last output is computed anew for the sequences so far, recurrent layers too."""
    model = randomized(Sequential([Input((None, 3)), LSTM(4), RepeatVector(3), GRU(5, return_sequences=True)]))
    x = draw_input(False, 2, 6)
    session = model.stream(2)
    for t in range(6):
        output = session.step(x[:, t])
        np.testing.assert_array_equal(output, model.predict(x[:, : t + 1], verbose=0))
    assert len(session.state) == 1


def test_state_is_read_and_set_as_copies() -> None:
    model = randomized(Sequential([Input((None, 3)), LSTM(4, return_sequences=True, name="a"), GRU(5, name="b")]))
    x = draw_input(False, 2, 6)
    session, other = model.stream(2), model.stream(2)
    assert not any(array.any() for arrays in session.state.values() for array in arrays)
    session.run(x[:, :4])
    kept = session.state
    assert {name: [array.shape for array in arrays] for name, arrays in kept.items()} == {
        "a": [(2, 4), (2, 4)],
        "b": [(2, 5)],
    }
    expected = session.run(x[:, 4:])
    other.state = kept
    np.testing.assert_array_equal(other.run(x[:, 4:]), expected)
    kept["a"][0][:] = 9
    assert not (session.state["a"][0] == 9).any()
    np.testing.assert_array_equal(session.state["b"][0], expected)
    with pytest.raises(ValueError, match=r"`state\['a'\]\[0\]`: expected shape \(2, 4\)"):
        session.state = kept | {"a": [np.ones((1, 4)), np.ones((2, 4))]}
    with pytest.raises(ValueError, match="a dict with the states of a, b"):
        session.state = {"a": kept["a"]}
    with pytest.raises(ValueError, match="expected 2 arrays; received 1"):
        session.state = kept | {"a": kept["a"][:1]}
    np.testing.assert_array_equal(session.state["b"][0], expected)


def test_out_is_written_to() -> None:
    model = randomized(Sequential([Input((None, 3)), GRU(4, return_sequences=True), Dense(2)]))
    x = draw_input(False, 1, 3)
    expected = model.predict(x, verbose=0)
    session, out = model.stream(), np.empty((1, 2), np.float32)
    for t in range(3):
        assert session.step(x[:, t], out=out) is out
        np.testing.assert_array_equal(out, expected[:, t])
    assert session.step(x[:, 0]) is not session.step(x[:, 0])
    for wrong in (np.empty((1, 3), np.float32), np.empty((2,), np.float32), [[0.0, 0.0]]):
        with pytest.raises(TypeError, match=r"`out`: expected a float32 array of shape \(1, 2\)"):
            session.step(x[:, 0], out=wrong)
    with pytest.raises(TypeError):
        session.step(x[:, 0], out=np.empty((1, 2)))


def test_inputs_of_other_types_are_converted() -> None:
    model = randomized(Sequential([Input((None, 3)), GRU(4)]))
    x = np.arange(3.0)[None]
    expected = model.stream().step(x.astype(np.float32))
    for given_x in (x, x.tolist(), x.astype(int), np.asfortranarray(np.tile(x, (2, 1)))[:1]):
        np.testing.assert_array_equal(model.stream().step(given_x), expected)
    words = randomized(Sequential([Input((None,)), Embedding(5, 3), GRU(4)]))
    expected = words.stream().step(np.array([3], np.int32))
    for given_x in ([3], np.array([3]), np.array([3.0])):
        np.testing.assert_array_equal(words.stream().step(given_x), expected)


def test_weights_that_change_count_from_the_next_step() -> None:
    model = randomized(Sequential([Input((None, 3)), SimpleRNN(4, return_sequences=True), Dense(2)]))
    x = draw_input(False, 1, 2)
    session = model.stream()
    session.step(x[:, 0])
    state = session.state
    model.set_weights([weight * 2 for weight in model.get_weights()])
    layer = model.layers[0]
    expected = model.layers[1](layer(x[:, 1:], initial_state=state[layer.name]))
    np.testing.assert_array_equal(session.step(x[:, 1]), expected[:, 0])


def test_sessions_on_threads_do_not_meet() -> None:
    model = randomized(Sequential([Input((None, 3)), LSTM(16, return_sequences=True), LSTM(16), Dense(2)]))
    results: dict[int, bool] = {}

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=(1, 200, 3)).astype(np.float32)
        session = model.stream()
        for t in range(200):
            output = session.step(x[:, t])
        results[seed] = np.array_equal(output, model.predict(x, verbose=0))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


def test_a_stateful_model_keeps_its_states() -> None:
    model = randomized(Sequential([Input((None, 3), batch_size=4), LSTM(4, stateful=True)]))
    x = draw_input(False, 4, 5)
    expected = model.predict(x, verbose=0)
    before = [state.numpy() for state in model.layers[0].states]
    session = model.stream(1)
    np.testing.assert_array_equal(session.run(x[:1]), expected[:1])
    for state, kept in zip(model.layers[0].states, before, strict=True):
        np.testing.assert_array_equal(state.numpy(), kept)


def test_a_step_that_fails_leaves_the_states() -> None:
    model = randomized(Sequential([Input((None,)), Embedding(5, 3), GRU(4)]))
    session = model.stream(2)
    session.step([1, 2])
    state = session.state
    for wrong, message in (([1, 7], "token ids from 0 to 4"), ([1], r"expected shape \(2,\)"), ([1.5, 2], "whole")):
        with pytest.raises(ValueError, match=message):
            session.step(wrong)
    for name, arrays in session.state.items():
        np.testing.assert_array_equal(arrays, state[name])
    numbers = Sequential([Input((None, 2)), GRU(4)]).stream()
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            numbers.step(np.full((1, 2), value, np.float32))
    with pytest.raises(ValueError, match=r"`x`: expected shape \(1, None, 2\); received shape \(2, 5, 2\)"):
        numbers.run(np.ones((2, 5, 2)))


SEQUENCE = Input((6, 3))


def _with_state() -> Model:
    one, two = Input((None, 3)), Input((4,))
    return Model([one, two], GRU(4)(one, initial_state=two))


REFUSED: list[tuple[Any, str]] = [
    (lambda: Sequential([SEQUENCE, Bidirectional(LSTM(2))]), "backward_lstm.*goes through the sequence from its end"),
    (lambda: Sequential([SEQUENCE, GRU(2, go_backwards=True, name="back")]), r"`back`.*\(go_backwards\)"),
    (lambda: Sequential([SEQUENCE, GlobalAveragePooling1D(name="pool")]), "`pool`.*brings all time steps together"),
    (lambda: Sequential([SEQUENCE, Conv1D(2, 3, padding="same", name="conv")]), "`conv`.*windows of several"),
    (
        lambda: Sequential([SEQUENCE, GRU(2, return_sequences=True), Flatten(name="flat")]),
        "`flat`.*moves the time axis",
    ),
    (lambda: Sequential([Input((6,)), Dense(2)]), "takes arrays without a time axis"),
    (lambda: Sequential([SEQUENCE, PReLU(name="slope")]), "`slope`.*has a slope for each time step"),
    (lambda: Model(SEQUENCE, Concatenate(axis=1, name="rows")([SEQUENCE, SEQUENCE])), "`rows`.*one after another"),
    (_with_state, "without a time axis|given an initial state"),
    (
        lambda: Model(SEQUENCE, Add(name="sum")([SEQUENCE, RepeatVector(6)(GRU(3)(SEQUENCE))])),
        "`sum`.*brings sequences together with single results",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_layers_that_need_whole_sequences_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().stream()


def test_misuse() -> None:
    with pytest.raises(ValueError, match="`stream`: expected a model that is built"):
        Sequential([LSTM(2)]).stream()
    with pytest.raises(ValueError, match="`batch_size`"):
        Sequential([SEQUENCE, LSTM(2)]).stream(0)


def test_a_state_that_is_not_finite_can_be_put_back() -> None:
    model = Sequential([Input((None, 3)), GRU(4)])
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    session = model.stream()
    session.step(np.ones((1, 3), np.float32))
    kept = session.state
    [(name, [state])] = kept.items()
    assert np.isnan(state).all()
    session.reset()
    session.state = kept
    np.testing.assert_array_equal(session.state[name][0], state)
    with pytest.raises(ValueError, match=r"`state\['gru.*'\]\[0\]`: expected numbers within float32"):
        session.state = {name: [np.full((1, 4), 1e300)]}
