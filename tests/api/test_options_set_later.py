"""Options that are set as attributes of a layer after it was built: they count from the next `compile`, checked."""

import numpy as np
import pytest

from foliot import Input, Model, Sequential
from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    AdditiveAttention,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GRUCell,
    Layer,
    LSTMCell,
    MaxPooling1D,
    MultiHeadAttention,
    StackedRNNCells,
    ZeroPadding1D,
)
from foliot.utils import set_random_seed

SEQUENCES = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
LENGTHS = np.array([5, 3, 2, 4])


def stack(**options) -> RNN:
    return RNN([LSTMCell(3), GRUCell(2)], **options)


class Own(LSTM):
    """A class of a user's, whose `call` leads back to foliot's."""

    def call(self, sequences, *states):
        return super().call(sequences, *states)


MAKERS = {
    "stack": stack,
    "stack in a stack": lambda **options: RNN([StackedRNNCells([GRUCell(3), GRUCell(2)]), GRUCell(2)], **options),
    "subclass": lambda **options: Own(3, **options),
}
CHANGES = [
    {"go_backwards": True},
    {"return_sequences": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"go_backwards": True, "return_sequences": True},
    {"checkpoint_every": 2},
]


def predicted(model: Model, masked: bool) -> np.ndarray:
    return model.predict(SEQUENCES, lengths=LENGTHS if masked else None, verbose=0)


def _compiled(model: Model) -> Model:
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("maker", MAKERS)
def test_layers_of_layers_follow_their_options(maker, changes, masked):
    layer = MAKERS[maker]()
    model = Sequential([Input((None, 3)), layer])
    model.compile("sgd", "mse")
    before = predicted(model, masked)
    for name, value in changes.items():
        setattr(layer, name, value)
    np.testing.assert_array_equal(predicted(model, masked), before)
    model.compile("sgd", "mse")
    fresh = Sequential([Input((None, 3)), MAKERS[maker](**changes)])
    fresh.set_weights(model.get_weights())
    fresh.compile("sgd", "mse")
    found = predicted(model, masked)
    assert "checkpoint_every" in changes or found.shape != before.shape or not np.allclose(found, before)
    np.testing.assert_array_equal(found, predicted(fresh, masked))
    targets = np.zeros_like(found)
    lengths = LENGTHS if masked else None
    for each in (model, fresh):
        each.fit(SEQUENCES, targets, lengths=lengths, shuffle=False, verbose=0)
    np.testing.assert_array_equal(predicted(model, masked), predicted(fresh, masked))
    if "checkpoint_every" in changes:
        assert '"steps": 2' in model._part().assembly.graph


def test_options_can_be_taken_back():
    layer = stack(go_backwards=True, return_sequences=True)
    model = Sequential([Input((None, 3)), layer])
    layer.go_backwards = layer.return_sequences = False
    model.compile("sgd", "mse")
    fresh = Sequential([Input((None, 3)), stack()])
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(predicted(model, True), predicted(fresh, True))


@pytest.mark.parametrize("maker", MAKERS)
def test_layers_of_layers_become_stateful(maker):
    layer = MAKERS[maker]()
    model = Sequential([Input(batch_shape=(4, None, 3)), layer])
    whole = predicted(model, False)
    layer.stateful = True
    model.compile("sgd", "mse")
    model.predict(SEQUENCES[:, :2], verbose=0)
    np.testing.assert_allclose(model.predict(SEQUENCES[:, 2:], verbose=0), whole, rtol=1e-5, atol=1e-6)
    assert len(layer.states) == layer.state_count
    model.reset_states()
    np.testing.assert_allclose(model.predict(SEQUENCES, verbose=0), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner", [lambda: GRU(3), stack], ids=["layer", "stack"])
@pytest.mark.parametrize("changes", [{"return_sequences": True}, {"stateful": True}], ids=str)
def test_both_directions_follow_the_layer_around_them(inner, changes):
    layer = Bidirectional(inner())
    model = Sequential([Input(batch_shape=(4, None, 3)), layer])
    before = predicted(model, True)
    for name, value in changes.items():
        setattr(layer, name, value)
        assert getattr(layer.forward_layer, name) == getattr(layer.backward_layer, name) == value
    model.compile("sgd", "mse")
    again = type(layer).from_config(layer.get_config())
    fresh = Sequential([Input(batch_shape=(4, None, 3)), again])
    fresh.set_weights(model.get_weights())
    for _ in range(2):
        found = predicted(model, True)
        np.testing.assert_array_equal(found, predicted(fresh, True))
    assert found.shape != before.shape or not np.allclose(found, before)


@pytest.mark.parametrize(
    ("option", "value"), [("zero_output_for_mask", False), ("checkpoint_every", 2), ("go_backwards", False)]
)
def test_stacks_inside_bidirectional_follow_their_options(option, value):
    layer = Bidirectional(stack(return_sequences=True))
    model = Sequential([Input((None, 3)), layer])
    model.compile("sgd", "mse")
    before = predicted(model, True)
    # Backwards the padding behind the rows comes first, where outputs are 0 in any case.
    setattr(layer.forward_layer if option == "zero_output_for_mask" else layer.backward_layer, option, value)
    if option == "go_backwards":
        with pytest.raises(ValueError, match=r"Bidirectional .*`backward_layer`: expected another `go_backwards`"):
            _compiled(model).predict(SEQUENCES, verbose=0)
        layer.forward_layer.go_backwards = True
    model.compile("sgd", "mse")
    after = predicted(model, True)
    assert np.array_equal(after, before) == (option == "checkpoint_every")


@pytest.mark.parametrize(
    ("make", "name", "value", "error", "message"),
    [
        (lambda: LSTM(2), "dropout", 5, ValueError, r"LSTM 'lstm.*`dropout`: expected a number.*received 5"),
        (lambda: GRU(2), "zoneout", "often", (TypeError, ValueError), r"GRU 'gru.*`zoneout`: expected a number"),
        (lambda: LSTM(2), "checkpoint_every", "often", ValueError, r"LSTM 'lstm.*`checkpoint_every`: expected None"),
        (lambda: GRU(2), "go_backwards", "no", (TypeError, ValueError), r"GRU 'gru.*`go_backwards`: expected True or"),
        (
            lambda: GRU(2),
            "return_state",
            True,
            ValueError,
            r"`return_state`: expected False, .*GRU 'gru.*1 output; received True, which gives 2: call",
        ),
        (stack, "return_state", True, ValueError, r"`return_state`: .*RNN .*1 output.*received"),
        (lambda: Bidirectional(GRU(2)), "return_state", True, ValueError, r"`return_state`: .*1 output.*received"),
        (lambda: GRU(2), "units", 4, ValueError, r"`units`: expected 2, with which GRU 'gru.* was built; received 4"),
        (lambda: GRU(2), "heads", 2, ValueError, r"`heads`: expected 1, with which GRU"),
        (lambda: LSTM(2), "proj_size", 1, ValueError, r"`proj_size`: expected None, with which LSTM"),
        (lambda: Dense(2), "units", 4, ValueError, r"`units`: expected 2, with which Dense .* was built; received 4"),
        (lambda: Dense(2), "use_bias", False, ValueError, r"`use_bias`: expected True, with which Dense"),
        (lambda: Dropout(0.5), "rate", 1.5, ValueError, r"Dropout 'dropout.*`rate`: expected a number"),
        (lambda: Conv1D(2, 2), "padding", "sane", ValueError, r"Conv1D .*`padding`: expected"),
        (lambda: Conv1D(2, 2), "filters", 3, ValueError, r"`filters`: expected 2, with which Conv1D"),
        (BatchNormalization, "momentum", "x", (TypeError, ValueError), r"BatchNormalization .*`momentum`"),
        (stack, "checkpoint_every", 0, ValueError, r"RNN .*`checkpoint_every`: expected an integer"),
        (lambda: Bidirectional(GRU(2)), "stateful", 3, (TypeError, ValueError), r"`stateful`: expected True or"),
    ],
)
def test_options_are_checked_when_they_count(make, name, value, error, message):
    layer = make()
    model = Sequential([Input((5, 3)), layer])
    model.compile("sgd", "mse")
    model.predict(SEQUENCES, verbose=0)

    def change() -> None:
        setattr(layer, name, value)
        model.compile("sgd", "mse")
        model.predict(SEQUENCES, verbose=0)

    with pytest.raises(error, match=message):
        change()


def test_other_outputs_are_refused_for_what_they_are():
    class Repeated(Dense):
        times = 1

        def infer(self, shapes):
            return super().infer(shapes) * self.times

    x, layer = Input((5, 3)), Repeated(2, name="again")
    model = Model(x, layer(x))
    layer.times = 2
    with pytest.raises(ValueError, match=r"^expected 1 output of Repeated 'again', as when it was called; received 2"):
        model.compute_output_shape((4, 5, 3))
    both = Bidirectional(GRU(2), merge_mode=None)
    with pytest.raises(ValueError, match=r"Bidirectional .* has 2: use Model\(inputs, outputs\)"):
        Sequential([Input((5, 3)), both])


@pytest.mark.parametrize("nested", [False, True])
def test_shapes_follow_options_from_the_next_compile(nested):
    layer, dense = LSTM(4), Dense(2)
    inner = Sequential([Input((5, 3)), layer, dense])
    model = Sequential([Input((5, 3)), inner]) if nested else inner
    model.compile("sgd", "mse")
    layer.return_sequences = True
    model.compile("sgd", "mse")
    assert model.output_shape == inner.output_shape == (None, 5, 2)
    assert layer.output.shape == (None, 5, 4)
    assert model.predict(SEQUENCES, verbose=0).shape == (4, 5, 2)
    layer.return_sequences = False
    # A program that is made anew follows at once.
    dense.trainable = False
    assert model.predict(SEQUENCES, verbose=0).shape == (4, 2)
    assert model.output_shape == (None, 2)


def test_shapes_stay_where_what_follows_cannot_take_others():
    layer = LSTM(4)
    model = Sequential([Input((5, 3)), layer, Flatten(), Dense(2)])
    model.compile("sgd", "mse")
    layer.return_sequences = True
    with pytest.raises(ValueError, match=r"Dense .* was built for 4 features in the last axis; received \(None, 20\)"):
        model.compile("sgd", "mse")
    assert layer.output.shape == (None, 4)
    layer.return_sequences = False
    model.compile("sgd", "mse")
    assert model.predict(SEQUENCES, verbose=0).shape == (4, 2)


def test_options_of_cells_are_checked():
    layer = stack()
    model = Sequential([Input((None, 3)), layer])
    layer.cell.cells[1].recurrent_dropout = -1
    with pytest.raises(ValueError, match=r"`recurrent_dropout`: expected a number"):
        model.predict(SEQUENCES, verbose=0)
    layer = Embedding(4, 2)
    model = Sequential([Input((None,), dtype="int32"), layer])
    layer.input_dim = 9
    with pytest.raises(ValueError, match="`input_dim`: expected 4, with which Embedding"):
        model.predict([[8]], verbose=0)


def test_names_count_for_options():
    layer = Dense(2)
    model = Sequential([Input((3,)), layer])
    layer.activation = "relu"
    fresh = Sequential([Input((3,)), Dense(2, activation="relu")])
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(SEQUENCES[0], verbose=0), fresh.predict(SEQUENCES[0], verbose=0))


def test_checking_draws_no_seeds():
    def weights(runs: int) -> np.ndarray:
        set_random_seed(1)
        model = Sequential([Input((None, 3)), LSTM(2, dropout=0.5), Dropout(0.5)])
        for _ in range(runs):
            model.compile("sgd", "mse")
            model.predict(SEQUENCES, verbose=0)
        return Dense(3)(SEQUENCES)

    np.testing.assert_array_equal(weights(1), weights(3))


@pytest.mark.parametrize(
    ("make", "name", "value", "meant"),
    [
        (lambda: Conv1D(2, 2), "strides", 2, (2,)),
        (lambda: Conv1D(2, 2), "kernel_size", 2, (2,)),
        (lambda: MaxPooling1D(2), "pool_size", 3, (3,)),
        (lambda: ZeroPadding1D(1), "padding", 2, (2, 2)),
        (lambda: LSTM(2), "proj_size", 0, None),
    ],
)
@pytest.mark.parametrize("placed", [False, True])
def test_options_become_what_the_constructor_makes_of_them(make, name, value, meant, placed):
    layer = make()
    model = Sequential([Input((5, 3)), layer]) if placed else layer
    setattr(layer, name, value)
    if placed:
        model.compile("sgd", "mse")
        model.predict(SEQUENCES, verbose=0)
    else:
        layer(SEQUENCES)
    assert getattr(layer, name) == meant


def test_options_are_checked_before_weights_are_made():
    layer = GRU(6, heads=2)
    layer.heads = 4
    with pytest.raises(ValueError, match=r"GRU 'gru.*`heads`: expected a divisor of `units`, which is 6"):
        layer(SEQUENCES)
    layer.heads = 3
    assert layer(SEQUENCES).shape == (4, 6)


SEEDED = {
    "cell": lambda seed: LSTM(3, dropout=0.5, seed=seed),
    "dropout": lambda seed: Dropout(0.5, seed=seed),
    "noise": lambda seed: GaussianNoise(1.0, seed=seed),
    "attention": lambda seed: Itself(AdditiveAttention(dropout=0.5, seed=seed)),
    "heads": lambda seed: Itself(MultiHeadAttention(2, 3, dropout=0.5, seed=seed)),
}


class Itself(Layer):
    """Attention of a sequence to itself."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs, inputs) if isinstance(self.layer, MultiHeadAttention) else self.layer([inputs] * 2)


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seed_counts_from_the_next_compile(kind):
    def trained(model: Model) -> np.ndarray:
        return model(SEQUENCES, training=True)

    layer = SEEDED[kind](1)
    model = Sequential([Input((5, 3)), layer])
    fresh = [Sequential([Input((5, 3)), SEEDED[kind](seed)]) for seed in (1, 2)]
    for each in fresh:
        each.set_weights(model.get_weights())
    model.compile("sgd", "mse")
    first = trained(model)
    np.testing.assert_array_equal(first, trained(fresh[0]))
    owner = layer.layer if isinstance(layer, Itself) else layer
    owner.seed = 2
    assert owner.seed == 2
    model.compile("sgd", "mse")
    expected = [trained(fresh[1]) for _ in range(2)][-1]
    assert not np.array_equal(expected, first)
    np.testing.assert_array_equal(trained(model), expected)
    with pytest.raises(ValueError, match="`seed`: expected an integer, at least 0"):
        owner.seed = -1
    assert owner.seed == 2


def test_no_seed_set_again_keeps_the_one_that_was_drawn():
    layer = Dropout(0.5)
    first = layer.seeds()
    layer.seed = None
    assert layer.seeds() == first
    layer.seed = 3
    layer.seed = None
    assert layer.seeds() not in ({"dropout": 3}, first)


class OwnCell(LSTMCell):
    """A class of a user's without anything of its own."""


def zeros(shape, dtype=None):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(2, kernel_initializer=zeros),
        lambda: RNN(LSTMCell(2, kernel_initializer=zeros)),
        lambda: Bidirectional(Own(2)),
        lambda: RNN(OwnCell(2)),
        lambda: RNN([OwnCell(2), GRUCell(3)]),
    ],
)
@pytest.mark.parametrize("changed", [False, True])
def test_what_no_configuration_can_hold_runs_as_it_is(make, changed):
    layer = make()
    if changed:
        layer.stateful = False
    assert Sequential([Input((5, 3)), layer]).predict(SEQUENCES, verbose=0).shape[0] == 4


def test_layers_that_are_as_they_were_made_are_not_made_again(monkeypatch):
    layer = Bidirectional(GRU(2))
    monkeypatch.setattr(Bidirectional, "from_config", None)
    assert layer(SEQUENCES).shape == (4, 4)


def test_a_cell_of_ones_own_may_have_its_own_signature_and_look_for_a_seed_before_it_has_one() -> None:
    class Own(LSTMCell):
        def __init__(self) -> None:
            had_seed = hasattr(self, "seed")
            super().__init__(3, seed=4)
            self.had_seed = had_seed

    assert not Own().had_seed
    x, answers = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 4, 3), []
    for make in (Own, lambda: LSTMCell(3, seed=4)):
        set_random_seed(1)
        answers.append(RNN(make())(x))
    np.testing.assert_array_equal(*answers)
