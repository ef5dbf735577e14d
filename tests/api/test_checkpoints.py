"""`checkpoint_every=` of the recurrent layers, and the memory of long sequences; tests/property has the cells' bits."""

from typing import Any

import numpy as np
import pytest

from foliot import Input, Model
from foliot.layers import GRU, LSTM, RNN, Bidirectional, Dense, Embedding, GRUCell, LSTMCell, SimpleRNN
from foliot.models import Sequential, clone_model, load_model


def bidirectional(every: Any) -> Any:
    return Bidirectional(LSTM(3, return_sequences=True, dropout=0.1, seed=1, checkpoint_every=every))


def stacked(every: Any) -> Any:
    return RNN([LSTMCell(3, recurrent_dropout=0.2, seed=2), GRUCell(4)], return_sequences=True, checkpoint_every=every)


def backwards(every: Any) -> Any:
    return SimpleRNN(5, go_backwards=True, return_sequences=True, checkpoint_every=every)


KINDS = [bidirectional, stacked, backwards, lambda every: GRU(4, return_sequences=True, checkpoint_every=every)]


def trained(model: Model, x: Any, y: Any, **options: Any) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    model.set_weights([random.normal(scale=0.4, size=weight.shape) for weight in model.weights])
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0, shuffle=False, **options)
    return model.get_weights()


def assert_same(results: list[list[np.ndarray]]) -> None:
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [None, [9, 3, 0, 7]])
def test_fit_learns_the_same_bits(kind: Any, lengths: Any) -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(4, 9, 2)), random.normal(size=(4, 9, 1))
    results = []
    for every in (None, "auto", 1, 2, 5, 9, 100, np.int64(4)):
        model = Sequential([Input((None, 2)), kind(every), Dense(1)])
        results.append(trained(model, x, y, lengths=lengths, epochs=2, batch_size=3))
    assert_same(results)


def test_states_and_pieces() -> None:
    """Stateful layers, states that are handed on, and checkpoints inside the pieces of tbptt."""
    random = np.random.default_rng(5)
    x, y = random.normal(size=(4, 12, 2)), random.normal(size=(4, 12, 3))
    stateful, handed, pieces = [], [], []
    for every in (None, "auto", 5):
        layer = LSTM(3, return_sequences=True, stateful=True, checkpoint_every=every)
        stateful.append(trained(Sequential([Input((None, 2), batch_size=2), layer]), x, y, batch_size=2))
        assert layer.states is not None
        stateful[-1] += [state.numpy() for state in layer.states]
        start = Input((None, 2))
        _, h, c = LSTM(3, return_state=True, checkpoint_every=every)(start)
        end = LSTM(3, return_sequences=True, checkpoint_every=every)(start, initial_state=[h, c])
        handed.append(trained(Model(start, end), x, y))
        model = Sequential([Input((None, 2)), GRU(3, return_sequences=True, checkpoint_every=every)])
        pieces.append(trained(model, x, y, tbptt=7))
    for results in (stateful, handed, pieces):
        assert_same(results)


@pytest.mark.parametrize("every", [None, "auto", 7])
def test_configurations_copies_and_files(every: Any, tmp_path: Any) -> None:
    layers: list[Any] = [LSTM(3, checkpoint_every=every), stacked(every), bidirectional(every), backwards(every)]
    for layer in layers:
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
    assert layers[0].checkpoint_every == layers[0].get_config()["checkpoint_every"] == every
    assert layers[2].forward_layer.checkpoint_every == layers[2].backward_layer.checkpoint_every == every
    model = Sequential([Input((None, 2)), bidirectional(every), stacked(every), Dense(1)])
    model.save(tmp_path / "model.foliot")
    x, y = np.ones((2, 6, 2)), np.ones((2, 6, 1))
    results = []
    for other in (model, clone_model(model), load_model(tmp_path / "model.foliot")):
        assert [layer.get_config() for layer in other.layers] == [layer.get_config() for layer in model.layers]
        results.append(trained(other, x, y))
    assert_same(results)


@pytest.mark.parametrize(
    ("every", "error"),
    [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("root", ValueError), ([2], TypeError)],
)
@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU, RNN])
def test_misuse(kind: Any, every: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`checkpoint_every`: expected"):
        kind(GRUCell(2) if kind is RNN else 2, checkpoint_every=every)


def step_memory(model: Model, time: int) -> float:
    """What `summary` says of a training step, in bytes."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, batch_size=1, time=time)
    number, unit = lines[-1].split(": ")[1].split()[:2]
    return float(number) * {"KB": 1024, "MB": 1024**2, "GB": 1024**3}[unit]


def test_the_summary_tells_the_smaller_memory() -> None:
    def model(every: Any, sequences: bool) -> Model:
        return Sequential([Input((None, 2)), LSTM(64, return_sequences=sequences, checkpoint_every=every), Dense(1)])

    # 100,000 steps: four gates and c with 64 values each, 4 bytes a value; h too, as output or beside it.
    plain, state = (step_memory(model(None, sequences), 100_000) for sequences in (True, False))
    assert min(plain, state) > 100_000 * 6 * 64 * 4
    # The rest is input, output and gradients of outputs for each step, of which the last output has none.
    assert step_memory(model("auto", True), 100_000) < 100_000 * (2 * 64 + 6) * 4 + 4e6
    assert step_memory(model("auto", False), 100_000) < 100_000 * 2 * 4 + 4e6


@pytest.mark.parametrize("kind", KINDS)
def test_the_summary_tells_the_additional_pass(kind: Any) -> None:
    for every, times in ((None, "three"), (4, "three to four")):
        inner = Sequential([Input((6, 2)), kind(every)])
        for model in (inner, Sequential([Input((6, 2)), inner])):
            lines: list[str] = []
            model.summary(print_fn=lines.append, batch_size=1)
            (line,) = [line for line in lines if "FLOPs, forward" in line]
            assert f"training takes about {times} times" in line


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("every", [None, "auto"])
def test_truncated_backpropagation_takes_the_memory_of_a_piece(mask: bool, every: Any) -> None:
    random = np.random.default_rng(0)
    held = []
    for time in (150, 1500):
        model = Sequential([Input((None,)), Embedding(9, 4, mask_zero=mask)])
        model.add(LSTM(8, return_sequences=True, checkpoint_every=every))
        model.add(Dense(1))
        model.compile("sgd", "mse")
        model.fit(random.integers(0, 9, (2, time)), random.normal(size=(2, time, 1)), tbptt=50, verbose=0)
        held.append(model._part().program.held_memory())
    assert held[0] == held[1] == model.batch_memory([[2, 50]], training=True)
