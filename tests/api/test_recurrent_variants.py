"""Recurrent layers beyond Keras, as a user meets them: cells in RNN, masks, states, directions, streams, files."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foliot import initializers, layers
from foliot.layers import RNN, Bidirectional, Dense, Embedding, Input, Layer, Masking, StackedRNNCells
from foliot.models import Model, Sequential, load_model

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], bool)

# The class, and the options that make it a variant.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("SimpleRNN", {"zoneout": 0.3}),
    ("LSTM", {"zoneout": 0.2, "zoneout_cell": 0.4}),
    ("GRU", {"zoneout": 0.3}),
    ("LSTM", {"proj_size": 3}),
    ("LSTM", {"proj_size": 7, "use_peepholes": True, "zoneout": 0.2, "zoneout_cell": 0.1, "activation": "silu"}),
    ("SimpleRNN", {"heads": 5}),
    ("LSTM", {"heads": 5, "proj_size": 5, "zoneout": 0.2}),
    ("GRU", {"heads": 5, "recurrent_dropout": 0.2}),
    ("GRU", {"heads": 5, "reset_after": False}),
    ("LayerNormLSTM", {}),
    ("LayerNormLSTM", {"use_bias": False, "zoneout": 0.2, "zoneout_cell": 0.1}),
    ("LayerNormGRU", {}),
    ("MinLSTM", {}),
    ("MinGRU", {"activation": "tanh"}),
    ("GRU", {"zoneout": 0.3, "reset_after": False, "activation": "silu"}),
]
variants = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)


def fitting(units: int, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with a head for each unit where the units cannot be cut into as many as they say."""
    if units % options.get("heads", 1) == 0:
        return options
    return {name: units if name in ("heads", "proj_size") else value for name, value in options.items()}


def layer_of(name: str, units: int, options: dict[str, Any], **more: Any) -> Any:
    return getattr(layers, name)(units, **fitting(units, options), **more)


def cell_of(name: str, units: int, options: dict[str, Any]) -> Any:
    return getattr(layers, f"{name}Cell")(units, **fitting(units, options))


def randomize(layer: Layer | Model) -> None:
    layer.set_weights([RANDOM.normal(size=weight.shape, scale=0.5) for weight in layer.weights])


def width_of(options: dict[str, Any]) -> int:
    """How many columns the output of five units has."""
    return int(options.get("proj_size", 5))


def leaves(nest: Any) -> list[Any]:
    return [leaf for item in nest for leaf in leaves(item)] if isinstance(nest, (list, tuple)) else [nest]


@variants
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_rnn_of_a_cell_is_the_layer_bit_by_bit(name: str, options: dict[str, Any], backwards: bool, mask: Any) -> None:
    flags = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    layer, rnn = layer_of(name, 5, options, **flags), RNN(cell_of(name, 5, options), **flags)
    layer.build(X.shape)
    rnn.build(X.shape)
    randomize(layer)
    rnn.set_weights(layer.get_weights())
    assert [weight.name for weight in rnn.weights] == [weight.name for weight in layer.weights]
    start = [RANDOM.normal(size=state.shape) for state in leaves(rnn.get_initial_state(4))]
    for state in (None, start):
        for ours, expected in zip(rnn(X, state, mask=mask), layer(X, state, mask=mask), strict=True):
            np.testing.assert_array_equal(ours, expected)


@variants
def test_a_cell_by_itself_is_one_step(name: str, options: dict[str, Any]) -> None:
    cell = cell_of(name, 5, options)
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


@variants
def test_bidirectional_runs_both_ways(name: str, options: dict[str, Any]) -> None:
    both = Bidirectional(layer_of(name, 5, options, return_sequences=True))
    both.build(X.shape)
    randomize(both)
    outputs = both(X, mask=MASK)
    assert not outputs[~MASK].any()
    width = width_of(options)
    np.testing.assert_array_equal(outputs[:, :, :width], both.forward_layer(X, mask=MASK))
    np.testing.assert_array_equal(outputs[:, :, width:], both.backward_layer(X, mask=MASK)[:, ::-1])


@variants
def test_streams_and_stateful_layers_go_on(name: str, options: dict[str, Any]) -> None:
    layer = layer_of(name, 5, options, return_sequences=True)
    model = Sequential([Input((None, 3)), Masking(), layer, Dense(2)])
    randomize(model)
    x = X * MASK[..., None]
    expected = model.predict(x, verbose=0)
    session = model.stream(4)
    np.testing.assert_array_equal(np.stack([session.step(x[:, t]) for t in range(6)], axis=1), expected)
    session.reset()
    np.testing.assert_array_equal(np.concatenate([session.run(x[:, :4]), session.run(x[:, 4:])], axis=1), expected)
    carrying = layer_of(name, 5, options, return_sequences=True, stateful=True, weights=layer.get_weights())
    pieces = [carrying(part) for part in (X[:, :2], X[:, 2:])]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), layer(X), rtol=1e-6, atol=1e-7)


@variants
def test_pieces_of_sequences_train_as_stateful_batches_do(name: str, options: dict[str, Any]) -> None:
    """Truncated backpropagation through time beside a stateful layer that gets the pieces one by one."""
    y = RANDOM.normal(size=(4, 6, width_of(options)))

    def network(**more: Any) -> Any:
        layer = layer_of(name, 5, options, return_sequences=True, seed=3, **more)
        model = Sequential([Input((None, 3), batch_size=4), layer])
        model.compile("sgd", "mse")
        return model

    model, by_hand = network(), network(stateful=True)
    by_hand.set_weights(model.get_weights())
    model.fit(X, y, batch_size=4, shuffle=False, tbptt=4, verbose=0)
    for part in (slice(0, 4), slice(4, 6)):
        by_hand.train_on_batch(X[:, part], y[:, part])
    for ours, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)


@variants
def test_files_copies_and_configurations(name: str, options: dict[str, Any], tmp_path: Any) -> None:
    tokens = Input((None,), dtype="int32")
    embedded = Embedding(9, 4, mask_zero=True)(tokens)
    stack = StackedRNNCells([cell_of(name, 3, options), cell_of(name, 4, options)])
    outputs = Bidirectional(layer_of(name, 5, options))(RNN(stack, return_sequences=True)(embedded))
    model = Model(tokens, Dense(1)(outputs))
    model.compile("adam", "mse")
    x, y = RANDOM.integers(0, 9, size=(4, 6)), np.ones(4)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.foliot")
    loaded, copied = load_model(tmp_path / "model.foliot"), copy.deepcopy(model)
    for again in (loaded, copied, Model.from_config(model.get_config())):
        assert again.get_config() == model.get_config()
    for one in (model, loaded, copied):
        one.fit(x, y, epochs=2, verbose=0)
    for again in (loaded, copied):
        for ours, expected in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, expected)


@variants
def test_training_lowers_the_loss(name: str, options: dict[str, Any]) -> None:
    """Whether there were more ones than minus ones: something that takes the state."""
    x = RANDOM.choice([-1.0, 1.0], size=(256, 5, 1))
    y = (x.sum(axis=(1, 2)) > 0).astype(float)
    model = Sequential([Input((5, 1)), layer_of(name, 8, options, seed=1), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    model.optimizer.learning_rate = 0.02
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.7 * before


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (
            layers.LayerNormLSTM(2),
            {
                "kernel": (3, 8),
                "recurrent_kernel": (2, 8),
                "bias": (8,),
                "kernel_gamma": (8,),
                "kernel_beta": (8,),
                "recurrent_gamma": (8,),
                "recurrent_beta": (8,),
                "state_gamma": (2,),
                "state_beta": (2,),
            },
        ),
        (
            layers.LayerNormGRU(2),
            {
                "kernel": (3, 6),
                "recurrent_kernel": (2, 6),
                "kernel_gamma": (6,),
                "kernel_beta": (6,),
                "recurrent_gamma": (6,),
                "recurrent_beta": (6,),
            },
        ),
        (
            layers.LSTM(5, proj_size=2, use_peepholes=True),
            {
                "kernel": (3, 20),
                "recurrent_kernel": (2, 20),
                "bias": (20,),
                "projection_kernel": (5, 2),
                **{f"{gate}_gate_peephole_weights": (5,) for gate in ("input", "forget", "output")},
            },
        ),
        (layers.LSTM(5, proj_size=0), {"kernel": (3, 20), "recurrent_kernel": (5, 20), "bias": (20,)}),
        (layers.SimpleRNN(4, heads=2), {"kernel": (3, 4), "recurrent_kernel": (2, 2, 2), "bias": (4,)}),
        (layers.GRU(6, heads=3), {"kernel": (3, 18), "recurrent_kernel": (3, 2, 6), "bias": (2, 18)}),
        (
            layers.LSTM(6, heads=2, proj_size=4, use_bias=False),
            {"kernel": (3, 24), "recurrent_kernel": (2, 2, 12), "projection_kernel": (6, 4)},
        ),
        (layers.MinLSTM(2), {"kernel": (3, 6), "bias": (6,)}),
        (layers.MinGRU(2), {"kernel": (3, 4), "bias": (4,)}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_weights(layer: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    layer.build((None, None, 3))
    assert {weight.name: weight.shape for weight in layer.weights} == shapes
    for weight in layer.weights:
        if weight.name.endswith(("gamma", "beta")):
            assert (weight.numpy() == float(weight.name.endswith("gamma"))).all()
    if isinstance(layer, layers.LayerNormLSTM):
        assert layer.get_weights()[2].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_states_of_a_projected_lstm_have_sizes_of_their_own() -> None:
    stack = RNN([layers.LSTMCell(5, proj_size=2), layers.GRUCell(4)], return_state=True, return_sequences=True)
    assert stack.state_size == [[2, 5], 4]
    assert stack.compute_output_shape((2, 6, 3)) == [(2, 6, 4), [(2, 2), (2, 5)], [(2, 4)]]
    cell = layers.LSTMCell(5, proj_size=2)
    assert [state.shape for state in cell.get_initial_state(3)] == [(3, 2), (3, 5)]
    output, [h, c] = cell(X[:, 0], cell.get_initial_state(4))
    assert output.shape == h.shape == (4, 2)
    assert c.shape == (4, 5)
    model = Sequential([Input((6, 3)), layers.LSTM(5, proj_size=2, name="projected")])
    session = model.stream(2)
    assert [state.shape for state in session.state["projected"]] == [(2, 2), (2, 5)]


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_heads_are_layers_side_by_side(name: str) -> None:
    """A layer with two heads beside two layers that each have the columns of one head."""
    units, gates = 6, {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[name]
    both = layer_of(name, units, {"heads": 2}, return_sequences=True)
    both.build(X.shape)
    randomize(both)
    kernel, recurrent_kernel, bias = both.get_weights()
    parts = []
    for head in range(2):
        columns = np.r_[tuple(slice(g * units + head * 3, g * units + head * 3 + 3) for g in range(gates))]
        one = layer_of(name, 3, {}, return_sequences=True)
        one.build(X.shape)
        one.set_weights([kernel[:, columns], recurrent_kernel[head], bias[..., columns]])
        parts.append(one(X, mask=MASK))
    np.testing.assert_allclose(both(X, mask=MASK), np.concatenate(parts, axis=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_one_head_is_the_plain_layer(name: str) -> None:
    plain, one = (layer_of(name, 5, options, seed=1) for options in ({}, {"heads": 1}))
    for layer in (plain, one):
        layer.build(X.shape)
    assert [weight.shape for weight in one.weights] == [weight.shape for weight in plain.weights]
    one.set_weights(plain.get_weights())
    np.testing.assert_array_equal(one(X, mask=MASK), plain(X, mask=MASK))


def test_each_head_starts_by_itself() -> None:
    layer = layers.LSTM(8, heads=2, recurrent_initializer=initializers.Orthogonal(seed=3))
    layer.build(X.shape)
    blocks = layer.recurrent_kernel.numpy()
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-6)
    assert np.abs(blocks[0] - blocks[1]).max() > 0.1
    np.testing.assert_array_equal(blocks[0], initializers.Orthogonal(seed=3)((4, 16)))


@pytest.mark.parametrize("made", [initializers.Orthogonal, initializers.GlorotUniform, initializers.RandomNormal])
def test_heads_of_different_seeds_share_nothing(made: Callable[..., initializers.Initializer]) -> None:
    blocks = []
    for seed in (3, 4, 5):
        layer = layers.GRU(8, heads=4, recurrent_initializer=made(seed=seed))
        layer.build(X.shape)
        blocks += list(layer.recurrent_kernel.numpy())
    for position, block in enumerate(blocks):
        assert all(np.abs(block - other).max() > 1e-2 for other in blocks[:position])


def test_an_array_starts_each_head_or_all() -> None:
    values = np.random.default_rng(1).normal(size=(2, 3, 9)).astype(np.float32)
    for given, expected in ((values, values), (values[1], values[[1, 1]]), (values.tolist(), values)):
        layer = layers.GRU(6, heads=2, recurrent_initializer=initializers.Constant(given))
        layer.build(X.shape)
        np.testing.assert_array_equal(layer.recurrent_kernel.numpy(), expected)
    layer = layers.GRU(6, heads=2, recurrent_initializer=initializers.Identity())
    layer.build(X.shape)
    np.testing.assert_array_equal(layer.recurrent_kernel.numpy(), np.broadcast_to(np.eye(3, 9), (2, 3, 9)))


def test_an_array_that_fits_no_weight_is_refused_with_the_weights_shape() -> None:
    layer = layers.GRU(6, heads=2, name="read", recurrent_initializer=np.zeros((6, 18)))
    message = (
        r"^`recurrent_initializer`: expected .* recurrent_kernel of GRUCell.*, whose shape is \(2, 3, 9\); .*\(6, 18\)"
    )
    with pytest.raises(ValueError, match=message):
        layer.build(X.shape)
    dense = layers.Dense(2, name="out", bias_initializer=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"^`bias_initializer`: .* bias of Dense 'out', whose shape is \(2,\); .*\(3,\)"
    ):
        dense.build((None, 4))


def test_a_call_without_training_takes_the_mean_of_zoneout() -> None:
    layer = layers.LSTM(5, zoneout=0.4, zoneout_cell=0.3, seed=2)
    mean, drawn = layer(X), layer(X, training=True)
    assert np.abs(drawn - mean).max() > 1e-3
    x = Input((6, 3))
    np.testing.assert_allclose(Model(x, layer(x, training=False))(X, training=True), mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.GRU(3, zoneout=-0.1), "`zoneout`"),
        (lambda: layers.LSTM(3, zoneout=1.5), "`zoneout`"),
        (lambda: layers.LSTMCell(3, zoneout_cell=2), "`zoneout_cell`"),
        (lambda: layers.GRU(3, zoneout_cell=0.5), "zoneout_cell"),
        (lambda: layers.LayerNormLSTM(3, norm_epsilon=0), "`norm_epsilon`"),
        (lambda: layers.LayerNormLSTM(3, norm_epsilon=1e-60), "`norm_epsilon`: expected a number, above 0"),
        (lambda: layers.LSTM(3, checkpoint_every=2**70), "`checkpoint_every`"),
        (lambda: layers.LSTM(3, proj_size=-1), "`proj_size`: expected an integer, at least 0"),
        (lambda: layers.GRU(3, proj_size=2), "proj_size"),
        (lambda: layers.GRU(3, heads=2), "`heads`: expected a divisor of `units`, which is 3; received 2"),
        (lambda: layers.LSTM(6, heads=2, proj_size=3), "`heads`: expected a divisor of `proj_size`, which is 3"),
        (lambda: layers.SimpleRNNCell(6, heads=0), "`heads`: expected an integer, at least 1"),
        (
            lambda: layers.LSTM(3, proj_size=2)(X, [np.zeros((4, 3)), np.zeros((4, 3))]),
            r"`initial_state\[0\]`: expected shape \(4, 2\)",
        ),
        (
            lambda: layers.LSTM(3, proj_size=2)(X, [np.zeros((4, 2)), np.zeros((4, 2))]),
            r"`initial_state\[1\]`: expected shape \(4, 3\)",
        ),
        (
            lambda: layers.LSTMCell(3, proj_size=2)(X[:, 0], [np.zeros((4, 3)), np.zeros((4, 3))]),
            r"`states\[0\]`: expected shape \(4, 2\)",
        ),
        (lambda: layers.MinGRU(3, use_cudnn=True), "use_cudnn"),
        (lambda: layers.LayerNormGRU(3, use_bias=True), "use_bias"),
        (lambda: layers.MinGRU(3, recurrent_dropout=0.5), "recurrent_dropout"),
        (lambda: layers.MinLSTM(3)(X[0]), r"MinLSTM expects \(batch, time, features\)"),
    ],
)
def test_refusals(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
