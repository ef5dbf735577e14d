"""What functional models refuse, and how they say it."""

import numpy as np
import pytest

from api.functional_models import DENSE_YS, WS, XS, YS, two_heads
from foliot import Input, Model
from foliot.layers import GRU, LSTM, Dense, Embedding, Flatten


def _sequence_and_state() -> Model:
    x, h = Input((None, 3), name="x"), Input((4,), name="h")
    return Model([x, h], GRU(4)(x, initial_state=h))


def _compiled(**options) -> Model:
    model = two_heads()
    model.compile("sgd", **({"loss": "mse"} | options))
    return model


FIRST, SECOND = Input((3,), name="first"), Input((3,), name="second")
SEQUENCE = Input((None, 3))
MISUSE = [
    (lambda: Model(FIRST, Dense(1)(SECOND)), "depend on the input 'second'"),
    (Model, "`inputs`"),
    (lambda: Model(FIRST), "`outputs`"),
    (lambda: Model(outputs=FIRST), "`inputs`"),
    (lambda: Model(np.zeros(3), FIRST), "`inputs`: expected symbolic tensors"),
    (lambda: Model(FIRST, Dense(1)), "`outputs`: expected symbolic tensors"),
    (lambda: Model([], FIRST), "`inputs`: expected a symbolic tensor at least"),
    (lambda: Model(FIRST, []), "`outputs`: expected a symbolic tensor at least"),
    (lambda: Model([FIRST, FIRST], FIRST), "`inputs`: expected each tensor once"),
    (lambda: Model([FIRST, Input((3,), name="first")], FIRST), "2 of the name 'first'"),
    (lambda: Model(FIRST, Dense(1, name="d")(Dense(1, name="d")(FIRST))), "2 of the name 'd'"),
    (lambda: Model({1: FIRST}, FIRST), "`inputs`: expected strings as keys"),
    (lambda: Model(FIRST, [{"a": FIRST, 2: FIRST}]), "`outputs`: expected strings as keys"),
    (lambda: Model(FIRST, FIRST, nam="x"), "'nam'"),
    (lambda: Model(FIRST, FIRST, name=3), "`name`"),
    (lambda: LSTM(2)(FIRST), r"LSTM expects \(batch, time, features\)"),
    (lambda: Dense(2)([FIRST, SECOND]), "`inputs`: expected one tensor for Dense .* received 2"),
    (lambda: Dense(2)([FIRST, np.zeros((1, 3))]), "mixture"),
    (lambda: Dense(2)(FIRST, SECOND), "expects inputs, mask and training"),
    (lambda: Dense(2)(FIRST, training=True), "`training`: expected None or False"),
    (lambda: Dense(2)(FIRST, training="yes"), "`training`"),
    (lambda: Dense(2)(FIRST, mask=np.ones(3)), "`mask`"),
    (lambda: GRU(2)(SEQUENCE, initial_state=[FIRST, FIRST]), "`initial_state`: expected 1 array for GRU"),
    (lambda: LSTM(2)(SEQUENCE, initial_state=FIRST), "`initial_state`: expected 2 arrays for LSTM"),
    (lambda: GRU(2)(SEQUENCE, initial_state=FIRST), r"`initial_state\[0\]`: expected shape \(None, 2\)"),
    (lambda: Dense(2).output, "has no output yet"),
    (lambda: Dense(2).input, "has no input yet"),
    (lambda: two_heads().get_layer("z"), "`name`: expected one of 'a', 'b'"),
    (lambda: two_heads().get_layer(index=9), "`index`"),
    (lambda: two_heads().get_layer("a", 1), "a name or an index"),
    (lambda: two_heads().predict(XS[0]), "`x`: expected a list of 2 arrays, for a, b"),
    (lambda: two_heads().predict([XS[0]]), "`x`: expected a list of 2 arrays, for a, b; received 1"),
    (lambda: two_heads().predict([*XS, XS[0]]), "received 3"),
    (lambda: two_heads().predict({"a": XS[0]}), "received no 'b'"),
    (lambda: two_heads().predict({"a": XS[0], "b": XS[1], "c": XS[1]}), "unknown 'c'"),
    (lambda: two_heads().predict([XS[0], XS[1][:3]]), r"`x\[1\]`: expected as many rows as `x\[0\]` has"),
    (
        lambda: two_heads().predict([XS[0], np.zeros((8, 5))]),
        r"`x\[1\]`: expected shape \(None, 3\) for the input 'b'",
    ),
    (lambda: two_heads().predict({"a": np.zeros((8, 3, 3)), "b": XS[1]}), r"`x\['a'\]`: expected shape"),
    (lambda: two_heads()([FIRST, XS[0]]), r"`inputs\[1\]`: expected a symbolic tensor"),
    (lambda: two_heads()([FIRST]), "`inputs`: expected a list of 2"),
    (lambda: two_heads()([FIRST, Input((4,))]), "was built for 3 features"),
    (lambda: two_heads()([FIRST, SECOND], mask=np.ones(3)), "`mask`"),
    (lambda: _sequence_and_state().predict([np.zeros((2, 5, 3)), np.zeros((2, 5))]), r"`x\[1\]`: expected shape"),
    (lambda: _compiled().fit(XS, YS[0]), "`y`: expected a list of 2 arrays, for p, q"),
    (lambda: _compiled().fit(XS, DENSE_YS[:1]), "received 1"),
    (lambda: _compiled().fit(XS, {"p": YS[0]}), "received no 'q'"),
    (lambda: _compiled().fit(XS, {"p": YS[0], "r": YS[0]}), "received no 'q' and unknown 'r'"),
    (lambda: _compiled().fit(XS, [YS[0], YS[0]]), r"`y\[1\]`: expected shape \(8, 4\)"),
    (lambda: _compiled().fit(XS, DENSE_YS, sample_weight=[WS[0]] * 3), "`sample_weight`: expected a list of 2"),
    (lambda: _compiled().fit(XS, DENSE_YS, sample_weight={"r": WS[0]}), "`sample_weight`"),
    (lambda: _compiled().fit(XS, DENSE_YS, class_weight={0: 1.0}), "`class_weight`: expected None"),
    (lambda: _compiled(loss={"p": "mse"}).fit(XS, DENSE_YS), "`loss`: expected a dict with the keys"),
    (lambda: _compiled(loss=["mse"]).fit(XS, DENSE_YS), "`loss`: expected one entry per output"),
    (lambda: _compiled(loss=[None, None]).fit(XS, DENSE_YS), "`loss`: expected a loss"),
    (lambda: _compiled(loss=None).fit(XS, DENSE_YS), "`loss`: expected a loss"),
    (lambda: _compiled(loss_weights=[1]).fit(XS, DENSE_YS), "`loss_weights`: expected one entry per output"),
    (lambda: _compiled(loss_weights={"p": 1}).fit(XS, DENSE_YS), "`loss_weights`: expected a dict"),
    (lambda: _compiled(loss_weights=["a", 1]).fit(XS, DENSE_YS), "`loss_weights`"),
    (lambda: _compiled(metrics=["mae"]).fit(XS, DENSE_YS), "`metrics`: expected a list with one entry"),
    (lambda: _compiled(metrics="mae").fit(XS, DENSE_YS), "`metrics`"),
    (lambda: _compiled(metrics={"r": "mae"}).fit(XS, DENSE_YS), "`metrics`"),
    (lambda: _compiled(loss=["mse", None], metrics={"q": "mae"}).fit(XS, DENSE_YS), "no loss"),
    (lambda: Model([Input((4,), name="ids")], Embedding(9, 2)(FIRST)), "depend on the input"),
]


@pytest.mark.parametrize(("act", "text"), MISUSE)
def test_misuse(act, text) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError), match=text):
        act()


def test_token_ids_are_no_numbers() -> None:
    tokens = Input((4,))
    embedded = Embedding(9, 2)(tokens)
    with pytest.raises(ValueError, match="feeds both an Embedding"):
        Model(tokens, [embedded, Dense(1)(tokens)]).predict(np.zeros((1, 4)), verbose=0)
    with pytest.raises(ValueError, match="cannot be an output"):
        Model(tokens, [tokens, Flatten()(embedded)]).predict(np.zeros((1, 4)), verbose=0)


def test_symbolic_tensors_are_no_numbers() -> None:
    tensor = Input((None, 3))
    for act in [
        lambda: tensor + 1,
        lambda: 2 * tensor,
        lambda: -tensor,
        lambda: tensor @ tensor,
        lambda: np.ones((2, 3)) + tensor,
        lambda: np.mean(tensor),
        lambda: np.tanh(tensor),
        lambda: np.asarray(tensor),
        lambda: np.concatenate([tensor, tensor]),
        lambda: tensor[:, -1],
        lambda: len(tensor),
        lambda: list(tensor),
        lambda: 3 in tensor,
        lambda: float(tensor),
        lambda: 1 if tensor > 0 else 2,
        lambda: 1 if tensor == 0 else 2,
        lambda: 1 if tensor else 2,
        lambda: abs(tensor),
    ]:
        with pytest.raises(TypeError, match=r"holds no numbers and cannot be .*layers only"):
            act()
    assert tensor.ndim == 3
    assert (tensor == tensor, tensor == Input((3,)), tensor is None, tensor == None) == (True, False, False, False)  # noqa: E711, PLR0124


def test_the_same_is_refused_after_arrays_of_the_shape_were_taken() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    plain = Model(FIRST, Dense(2)(FIRST))
    expected = plain.predict(x, verbose=0)
    for same in (x, x.astype(np.float32), [x], {"first": x}, x.tolist()):
        np.testing.assert_array_equal(plain.predict(same, verbose=0), expected)
    for wrong in (np.full((4, 3), 1e39), np.full((4, 3), "a"), np.zeros((4, 2)), {"second": x}):
        with pytest.raises((ValueError, TypeError), match=r"`x`|built for 3 features"):
            plain.predict(wrong, verbose=0)

    named = Model({"a": FIRST}, Dense(2)(FIRST))
    for _ in range(2):
        with pytest.raises(TypeError, match="`x`: expected a list of 1 array, for a"):
            named.predict(x, verbose=0)
        assert named.predict({"a": x}, verbose=0).shape == (4, 2)
