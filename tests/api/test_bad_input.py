"""Bad input: each is a ValueError or TypeError that names the argument and says what was expected and what came."""

import numpy as np
import pandas as pd
import pytest

from foliot import layers, models, optimizers
from foliot.callbacks import EarlyStopping, ModelCheckpoint
from foliot.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    AdditiveAttention,
    Attention,
    Dense,
    Dot,
    Dropout,
    Embedding,
    Flatten,
    Input,
    MultiHeadAttention,
    SimpleRNN,
    TimeDistributed,
)
from foliot.models import Sequential

X = np.arange(24.0).reshape(4, 3, 2)
Y = np.zeros(4)


def _holed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array.reshape(len(array), -1)[2, 0] = value
    return array


def _compiled(*stack: layers.Layer, loss: str = "mse") -> Sequential:
    network = Sequential(list(stack) or [LSTM(2), Dense(1)])
    network.compile("sgd", loss)
    return network


CONSTRUCTORS = [
    (lambda: LSTM(0), "`units`: expected an integer, at least 1; received 0"),
    (lambda: LSTM(-3), "`units`"),
    (lambda: LSTM(2.5), "`units`"),
    (lambda: LSTM("4"), "`units`"),
    (lambda: Dense(units=True), "`units`"),
    (lambda: Embedding(0, 4), "`input_dim`"),
    (lambda: Embedding(4, -1), "`output_dim`"),
    (lambda: Dropout(1.5), "`rate`: expected a number, at least 0 and at most 1; received 1.5"),
    (lambda: LSTM(2, dropout=-0.5), "`dropout`"),
    (lambda: LSTM(2, recurrent_dropout=2.0), "`recurrent_dropout`"),
    (lambda: Dense(2, activation="rely"), "`activation`.*did you mean 'relu'"),
    (lambda: LSTM(2, recurrent_activation="nope"), "`recurrent_activation`"),
    (lambda: Dense(2, activation=np.tanh), "`activation`"),
    (lambda: Dense(2, kernel_initializer="glorot"), "`kernel_initializer`"),
    (lambda: Dense(2, bias_regularizer="l3"), "`bias_regularizer`"),
    (lambda: GRU(2, recurrent_constraint="max"), "`recurrent_constraint`"),
    (lambda: Dense(2, activity_regularizer=3), "`activity_regularizer`"),
    (lambda: SimpleRNN(2, return_sequence=True), "did you mean 'return_sequences'"),
    (lambda: SimpleRNN(2, return_sequences="yes"), "`return_sequences`"),
    (lambda: SimpleRNN(2, stateful="yes"), "`stateful`: expected True or False"),
    (lambda: SimpleRNN(2, time_major="yes"), "`time_major`: expected True or False"),
    (lambda: SimpleRNN(2, implementation=7), "`implementation`"),
    (lambda: LSTM(2, use_cudnn="no"), "`use_cudnn`"),
    (lambda: LSTM(2, seed=-1), "`seed`"),
    (lambda: LSTM(2, seed="a"), "`seed`"),
    (lambda: LSTM(2, dtype="float16"), "`dtype`"),
    (lambda: LSTM(2, name=""), "`name`"),
    (lambda: LSTM(2, name=3), "`name`"),
    (lambda: LSTM(2, input_shape=3), "`input_shape`"),
    (lambda: LSTM(2, input_shape=(3, -2)), "`input_shape`"),
    (lambda: LSTM(2, trainable="no"), "`trainable`"),
    (lambda: Flatten(data_format="channels_first"), "`data_format`"),
    (lambda: Activation(None, foo=1), "'foo'"),
    (Input, "`shape`"),
    (lambda: Input((3,), dtype="float16"), "`dtype`"),
    (lambda: Input((3,), sparse=True), "`sparse`"),
    (lambda: Sequential([3]), "`layer`"),
    (lambda: Sequential(["dense"]), "`layer`"),
    (lambda: Sequential("dense"), "`layers`"),
    (lambda: Sequential([Dense]), "`layer`"),
    (lambda: Sequential([Dense(1, name="a"), Dense(1, name="a")]), "a name that no layer of this model has"),
    (lambda: Sequential([Dense(1), Input((3,))]), "bottom"),
    (lambda: Sequential([Input((3, 2)), LSTM(2, return_state=True)]), "leave return_state off"),
    (
        lambda: Sequential([Input((3,)), LSTM(2)]),
        r"LSTM expects \(batch, time, features\); received \(None, 3\): add an axis",
    ),
    (lambda: Sequential([Input((None, 2)), Flatten(), Dense(1)]), "needs a known number of features"),
    (lambda: Sequential([Input((3, None)), LSTM(2)]), "needs a known number of features"),
    (lambda: Sequential().build(), "`input_shape`"),
    (lambda: Sequential().build((None, 3)), "has no layers"),
    (lambda: Sequential.from_config({"layers": [], "strange": 1}), "`config`"),
    (lambda: EarlyStopping(patience=-1), "`patience`"),
    (lambda: EarlyStopping(mode="up"), "`mode`"),
    (lambda: EarlyStopping(monitor=3), "`monitor`"),
    (lambda: ModelCheckpoint("a", save_freq=0), "`save_freq`"),
    (lambda: ModelCheckpoint("", save_freq="epoch"), "`filepath`"),
    (lambda: models.load_model("x", compile="no"), "`compile`"),
    (lambda: models.load_model(None), "`filepath`: expected a path, as a string or a pathlib.Path; received None"),
    (lambda: models.load_model(3), "`filepath`"),
    (lambda: models.load_model(""), "`filepath`"),
    (lambda: Sequential().load_weights(None), "`filepath`"),
    (lambda: Sequential().save(None), "`filepath`"),
    (lambda: ModelCheckpoint(None), "`filepath`"),
]


@pytest.mark.parametrize(("make", "text"), CONSTRUCTORS)
def test_constructors(make, text) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        make()


FIT = [
    ((X, Y[:3]), {}, "`y`: expected as many rows as `x` has, 4; received 3 rows"),
    ((X, None), {}, "`y`"),
    ((None, Y), {}, "`x`"),
    ((X[:0], Y[:0]), {}, "`x`: expected at least one row; received an empty array"),
    ((X[..., 0], Y), {}, r"LSTM expects \(batch, time, features\); received \(4, 3\): add an axis with x\[..., None\]"),
    ((X[None], Y[:1]), {}, r"LSTM expects \(batch, time, features\); received \(1, 4, 3, 2\)"),
    ((5.0, Y), {}, "`x`"),
    ((_holed(X, np.nan), Y), {}, "`x`.*row 2"),
    ((_holed(X, np.inf), Y), {}, "`x`.*row 2"),
    ((_holed(X, -np.inf).astype(np.float16), Y), {}, "`x`.*row 2"),
    ((_holed(X, 1e300), Y), {}, "`x`.*row 2"),
    ((X, _holed(Y, np.nan)), {}, "`y`.*row 2"),
    ((X, Y), {"sample_weight": _holed(Y, np.nan)}, "`sample_weight`.*row 2"),
    ((X, Y), {"sample_weight": np.ones(3)}, "`sample_weight`: expected one weight per row"),
    ((X, Y), {"sample_weight": np.ones((4, 3))}, "`sample_weight`"),
    ((X, Y), {"sample_weight": "heavy"}, "`sample_weight`"),
    ((X, Y), {"sample_weight": Y, "class_weight": {0: 1.0}}, "`class_weight`"),
    ((X, Y), {"class_weight": [1, 2]}, "`class_weight`"),
    ((X, Y), {"class_weight": {}}, "`class_weight`"),
    ((X, Y), {"class_weight": {"a": 1.0}}, "`class_weight`"),
    ((X, Y), {"class_weight": {0: np.inf}}, "`class_weight"),
    ((X, np.zeros((4, 2))), {}, r"`y`: expected shape \(4, 1\) for mean_squared_error; received shape \(4, 2\)"),
    ((X, np.zeros((4, 3, 1))), {}, "`y`: expected shape"),
    ((X, ["a", "b", "a", "b"]), {}, "`y` .*LabelEncoder"),
    ((X.astype(complex), Y), {}, "`x` .*complex"),
    ((X.astype("datetime64[s]"), Y), {}, "`x` .*datetime"),
    (([[1, 2], [3]], Y), {}, "`x`: expected rows of one length"),
    ((pd.DataFrame({"a": [1, 2, 3, 4], "b": list("wxyz")}), Y), {}, "`x` .*object|`x` .*str|`x` .*U"),
    ((iter([X]), Y), {}, "`x`"),
    ((X, Y), {"batch_size": 0}, "`batch_size`: expected an integer, at least 1; received 0"),
    ((X, Y), {"batch_size": -4}, "`batch_size`"),
    ((X, Y), {"batch_size": 2.5}, "`batch_size`"),
    ((X, Y), {"epochs": -1}, "`epochs`"),
    ((X, Y), {"epochs": "3"}, "`epochs`"),
    ((X, Y), {"initial_epoch": -1}, "`initial_epoch`"),
    ((X, Y), {"validation_split": 1.0}, "`validation_split`"),
    ((X, Y), {"validation_split": -0.1}, "`validation_split`"),
    ((X, Y), {"validation_split": 0.9}, "`validation_split`: expected a part that leaves rows on both sides"),
    ((X, Y), {"validation_data": X}, "`validation_data`"),
    ((X, Y), {"validation_data": (X,)}, "`validation_data`"),
    ((X, Y), {"validation_data": (X, Y[:2])}, r"`validation_data\[1\]`: expected as many rows"),
    ((X, Y), {"validation_data": (_holed(X, np.nan), Y)}, r"`validation_data\[0\]`.*row 2"),
    ((X, Y), {"validation_freq": 0}, "`validation_freq`"),
    ((X, Y), {"validation_batch_size": 0}, "`validation_batch_size`"),
    ((X, Y), {"steps_per_epoch": 0}, "`steps_per_epoch`"),
    ((X, Y), {"verbose": 3}, "`verbose`"),
    ((X, Y), {"shuffle": "batch"}, "`shuffle`"),
    ((X, Y), {"callbacks": [3]}, "`callbacks`"),
    ((X, Y), {"callbacks": 3}, "callbacks|iterable"),
    ((X, Y), {"workers": 4}, "workers"),
    (({"lstm_9": X}, Y), {}, "`x`"),
    ((np.ma.masked_greater(X, 20), Y), {}, r"`x`: expected an array without masked elements.*row 3.*\.filled\(0\)"),
    (([*X[:3], np.ma.masked_greater(X[3], 20)], Y), {}, "`x`: expected an array without masked elements.*row 3"),
    ((X, np.ma.masked_array(Y, [0, 1, 0, 0])), {}, "`y`: .*masked elements.*row 1"),
    ((X, pd.Series([0, 1, None, 0])), {}, "^`y`: expected numbers; received a missing value, nan, in row 2.*fillna"),
    (
        (X, pd.Series([0, 1, None, 0], dtype="Int64")),
        {},
        "^`y`: expected numbers; received a missing value, .*, in row 2.*fillna",
    ),
    (
        (X, pd.Series([True, None, None, False], dtype="boolean")),
        {},
        "^`y`: expected numbers; received a missing value, <NA>, in row 1",
    ),
    (
        (X, pd.DataFrame({"a": Y, "b": pd.array([1, None, 2, 3], dtype="Int64")})),
        {},
        "^`y`: expected numbers; .*missing value.* row 1",
    ),
    ((X, [0, 1, 1, None]), {}, "^`y`: expected numbers; received a missing value, None, in row 3"),
]


@pytest.mark.parametrize(("arguments", "options", "text"), FIT)
def test_fit(arguments, options, text) -> None:
    network = _compiled()
    with pytest.raises((ValueError, TypeError), match=text):
        network.fit(*arguments, **{"verbose": 0} | options)
    # The model is still usable.
    network.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([[1, 5]], "5"),
        ([[-1, 2]], "-1"),
        ([[1.5, 2]], "whole numbers.*1.5 in row 0"),
        ([[1, np.nan]], "whole numbers"),
        ([[1, 2**40]], "32 bits"),
        (np.array([[2**63]], dtype=np.uint64), "32 bits"),
    ],
)
def test_token_ids(ids, text) -> None:
    network = Sequential([Embedding(5, 2), Flatten(), Dense(1)])
    network.build((None, np.shape(ids)[1]))
    for act in (lambda: network.predict(ids, verbose=0), lambda: Embedding(5, 2)(ids)):
        with pytest.raises(ValueError, match=text):
            act()


def test_labels_out_of_range() -> None:
    network = _compiled(LSTM(2), Dense(3, activation="softmax"), loss="sparse_categorical_crossentropy")
    for labels in ([0, 1, 2, 3], [0, 1, -1, 2]):
        with pytest.raises(ValueError, match=r"3|-1"):
            network.fit(X, labels, verbose=0)
    with pytest.raises(ValueError, match="one-hot rows use loss='categorical_crossentropy'"):
        network.fit(X, np.eye(3)[[0, 1, 2, 0]], verbose=0)
    with pytest.raises(ValueError, match="whole numbers"):
        network.fit(X, [0.5, 1, 2, 0], verbose=0)
    other = _compiled(LSTM(2), Dense(3, activation="softmax"), loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="to_categorical"):
        other.fit(X, [0, 1, 2, 0], verbose=0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "sgdd"}, "`optimizer`|optimizer"),
        ({"optimizer": optimizers.Adam}, None),
        ({"optimizer": 3}, "optimizer"),
        ({"loss": "msee"}, "`loss`.*did you mean"),
        ({"loss": lambda y, p: 0}, "`loss`"),
        ({"metrics": ["accc"]}, "`metrics`.*did you mean"),
        ({"weighted_metrics": ["nope"]}, "`weighted_metrics`"),
        ({"run_eagerly": "no"}, "`run_eagerly`"),
        ({"steps_per_execution": 0}, "`steps_per_execution`"),
    ],
)
def test_compile(options, text) -> None:
    network = Sequential([LSTM(2), Dense(1)])
    arguments = {"optimizer": "sgd", "loss": "mse"} | options
    if text is None:
        network.compile(**arguments)
        assert isinstance(network.optimizer, optimizers.Adam)
    else:
        with pytest.raises((ValueError, TypeError), match=text):
            network.compile(**arguments)
        assert network.optimizer is None


def test_missing_compile_and_loss() -> None:
    network = Sequential([LSTM(2), Dense(1)])
    for act in (lambda: network.fit(X, Y), lambda: network.evaluate(X, Y), lambda: network.train_on_batch(X, Y)):
        with pytest.raises(RuntimeError, match=r"call model.compile\("):
            act()
    network.compile("sgd")
    with pytest.raises(ValueError, match="`loss`: expected a loss"):
        network.fit(X, Y)


def test_layers_called_on_wrong_arrays() -> None:
    layer = LSTM(2)
    layer(X)
    for act, text in [
        (lambda: layer(X[..., :1]), "was built for 2 features"),
        (lambda: layer(X, initial_state=[np.zeros((4, 2))]), "`initial_state`: expected 2 arrays"),
        (lambda: layer(X, initial_state=[np.zeros((4, 3))] * 2), r"`initial_state\[0\]`: expected shape \(4, 2\)"),
        (lambda: layer(X, initial_state=[np.zeros((5, 2))] * 2), r"`initial_state\[0\]`: expected shape \(4, 2\)"),
        (lambda: layer(X, mask=np.ones((4, 2))), r"`mask`: expected shape \(4, 3\)"),
        (lambda: layer(Input((3, 2)), initial_state=[np.zeros((4, 2))] * 2), "mixture"),
        (lambda: layer(Input((3, 2)), mask=np.ones((4, 3))), "`mask`"),
        (
            lambda: layer(X, mask=np.full((4, 3), 0.5)),
            r"`mask`: expected True or False \(or 1 or 0\) for each time step; received 0.5 \(float\) in row 0",
        ),
        (lambda: layer(X, mask=_holed(np.ones((4, 3)), np.nan)), "`mask`: expected True or False.*nan.*row 2"),
        (lambda: layer(X, mask=_holed(np.ones((4, 3)), -1)), "`mask`: expected True or False.*row 2"),
        (lambda: layer(X, training="yes"), "`training`: expected True or False; received 'yes'"),
        (lambda: layer(X, training=1), "`training`"),
        (lambda: layer(Input((3, 2)), training="yes"), "`training`"),
        (lambda: _compiled()(X, training="yes"), "`training`"),
        (lambda: Dense(2)(np.zeros(3)), r"Dense expects \(batch, features\); received \(3,\): add an axis"),
        (lambda: Dense(2)(_holed(X, np.nan)), "`inputs`.*row 2"),
        (lambda: GRU(2)(X[..., 0]), r"GRU expects \(batch, time, features\)"),
    ]:
        with pytest.raises((ValueError, TypeError), match=text):
            act()


SIZES = [
    (lambda: LSTM(10**15)(X), rf"`units`: expected weights that fit into memory; received units={10**15}, .*kernel"),
    (lambda: GRU(10**30)(X), "`units`: expected weights that fit into memory.* bytes"),
    (lambda: Dense(10**17).build((None, 10)), rf"`units`.*kernel of Dense .* the shape \(10, {10**17}\), {4 * 10**18}"),
    (lambda: Embedding(10**17, 10).build((None, 2)), rf"`input_dim`, `output_dim`.*input_dim={10**17}, output_dim=10,"),
    (lambda: Sequential([Input((3, 2)), SimpleRNN(10**17), Dense(1)]), "`units`: expected weights that fit"),
]


@pytest.mark.parametrize(("act", "text"), SIZES)
def test_sizes_beyond_memory(act, text) -> None:
    with pytest.raises(ValueError, match=text):
        act()


def test_set_weights() -> None:
    layer = Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()
    for wrong, text in [
        (None, "`weights`: expected a list of 2 arrays for Dense .*; received None"),
        (3, "`weights`: expected a list of 2 arrays"),
        ("ab", "`weights`: expected a list of 2 arrays"),
        ({0: before[0], 1: before[1]}, "`weights`: expected a list of 2 arrays"),
        ((weight for weight in before), "`weights`: expected a list of 2 arrays"),
        (before[:1], "`weights`: expected 2 arrays for Dense .*; received 1"),
        (before[::-1], r"`weights\[0\]`: expected shape \(3, 2\) for kernel of Dense .*; received shape \(2,\)"),
        ([before[0], None], r"`weights\[1\]`"),
        ([before[0], ["a", "b"]], r"`weights\[1\]`"),
        ([before[0], [0, 1e300]], r"`weights\[1\]`: expected numbers within float32 for bias of Dense .*1e\+300"),
    ]:
        with pytest.raises((ValueError, TypeError), match=text):
            layer.set_weights(wrong)
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])
    # As Keras does, whatever float32 holds is taken.
    layer.set_weights((np.full((3, 2), np.nan), [np.inf, -np.inf]))
    assert np.isnan(layer.get_weights()[0]).all()
    assert layer.get_weights()[1].tolist() == [np.inf, -np.inf]


def test_numbers_at_the_edges() -> None:
    """What is not wrong: a single row, no time steps, a batch larger than the data, masks of any kind of 0 and 1."""
    layer = LSTM(2)
    lengths = np.array([[True, True, False]] * 4)
    expected = layer(X, mask=lengths)
    for mask in (lengths.astype(int), lengths.astype(float), lengths[..., None], lengths.tolist()):
        np.testing.assert_array_equal(layer(X, mask=mask, training=np.False_), expected)
    np.testing.assert_array_equal(layer(np.ma.masked_array(X), training=None), layer(X))
    network = _compiled()
    network.fit(X[:1], Y[:1], batch_size=1000, verbose=0)
    assert network.predict(X[:, :0], verbose=0).shape == (4, 1)


@pytest.mark.parametrize("make", [Attention, AdditiveAttention, lambda: MultiHeadAttention(2, 3), Add, lambda: Dot(1)])
def test_layers_of_several_inputs_take_no_time_steps(make) -> None:
    with pytest.raises(ValueError, match="`layer`: expected a layer of one input"):
        TimeDistributed(make())


def test_lists_that_hold_no_rows() -> None:
    network = Sequential([Input((None, 3)), SimpleRNN(2), Dense(1)])
    network.compile("sgd", "mse")
    x, y = np.ones((4, 5, 3)), np.ones((4, 1))
    for arguments in (([],), ([], np.zeros((0, 1)))):
        with pytest.raises(ValueError, match="`x`: expected at least one row"):
            network.fit(*arguments, verbose=0)
    for batches in ([(x, y)], [(x,)]):
        with pytest.raises(ValueError, match=r"an iterable such as iter\(\[\(x, y\)\]\)"):
            network.fit(batches, verbose=0)
    network.fit(iter([(x, y)]), verbose=0)
    with pytest.raises(ValueError, match=r"or with x\[None\] for a single sample"):
        network.predict(x[0], verbose=0)


SEQUENCES = [
    LSTM(2),
    layers.Bidirectional(GRU(2)),
    layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)]),
    layers.Conv1D(2, 1),
    layers.GlobalMaxPooling1D(),
]


@pytest.mark.parametrize("layer", SEQUENCES, ids=lambda layer: type(layer).__name__)
def test_too_many_axes_for_a_sequence(layer) -> None:
    """The message names what brings them down, and that does."""
    x = np.ones((2, 5, 3, 4))
    name = type(layer).__name__
    said = r"received \((2|None), 5, 3, 4\), which has 4 axes: .* TimeDistributed\(Flatten\(\)\)"
    for use in (lambda: layer(x), lambda: layer(Input((5, 3, 4)))):
        with pytest.raises(ValueError, match=rf"{name} expects .*; {said}.* TimeDistributed\({name}\(...\)\)"):
            use()
    again = type(layer).from_config(layer.get_config())
    assert TimeDistributed(again)(x).shape[:2] == (2, 5)
    assert len(layer(TimeDistributed(Flatten())(x))) == 2
