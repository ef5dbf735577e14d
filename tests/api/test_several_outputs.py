"""Losses, metrics, targets and sample weights of several outputs."""

import numpy as np
import pytest

from api.functional_models import DENSE_YS, RANDOM, WS, XS, YS, A, assert_same, two_heads
from foliot import Input, Model
from foliot.callbacks import EarlyStopping
from foliot.layers import LSTM, Dense, Embedding

# Losses and metrics of several outputs: the names are Keras 3.15's.


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"loss": "mse"}, ["loss", "p_loss", "q_loss"]),
        ({"loss": ["mse", "mae"], "loss_weights": [1, 2]}, ["loss", "p_loss", "q_loss"]),
        ({"loss": {"q": "mse", "p": "mse"}, "loss_weights": {"p": 1.0, "q": 2.0}}, ["loss", "p_loss", "q_loss"]),
        ({"loss": "mse", "loss_weights": 2.0}, ["loss", "p_loss", "q_loss"]),
        ({"loss": ["mse", None]}, ["loss"]),
        ({"loss": "mse", "metrics": ["mae", ["mse"]]}, ["loss", "p_loss", "p_mae", "q_loss", "q_mse"]),
        ({"loss": "mse", "metrics": [["mae", "mse"], None]}, ["loss", "p_loss", "p_mae", "p_mse", "q_loss"]),
        ({"loss": "mse", "metrics": {"q": "mae"}}, ["loss", "p_loss", "q_loss", "q_mae"]),
        (
            {"loss": "mse", "metrics": {"p": "mae", "q": ["acc"]}, "weighted_metrics": {"q": ["acc"]}},
            ["loss", "p_loss", "p_mae", "q_acc", "q_loss", "q_weighted_acc"],
        ),
        (
            {"loss": "mse", "metrics": [["mae", "mae"], ["mae"]], "weighted_metrics": [["mae"], ["mae"]]},
            ["loss", "p_loss", "p_mae", "p_mae_1", "p_weighted_mae", "q_loss", "q_mae", "q_weighted_mae"],
        ),
    ],
)
def test_names_of_logs(options, names) -> None:
    model = two_heads()
    model.compile("sgd", **options)
    history = model.fit(XS, DENSE_YS, verbose=0, validation_split=0.5).history
    assert list(history) == [*names, *(f"val_{name}" for name in names)]
    assert list(model.evaluate(XS, DENSE_YS, verbose=0, return_dict=True)) == names


def test_order_of_values() -> None:
    model = two_heads()
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["acc"]])
    assert model.metrics_names == ["loss", "p_loss", "q_loss", "p_mae", "q_acc"]
    values = model.evaluate(XS, YS, verbose=0)
    assert dict(zip(model.metrics_names, values, strict=True)) == model.evaluate(XS, YS, verbose=0, return_dict=True)


def test_values_of_losses_and_metrics() -> None:
    model = two_heads(kernel_regularizer="l2")
    options = {"weighted_metrics": [["mae"], None], "loss_weights": [2.0, 0.5]}
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["acc"]], **options)
    logs = model.evaluate(XS, YS, sample_weight=WS, batch_size=3, verbose=0, return_dict=True)
    p, q = (array.astype(float) for array in model.predict(XS, verbose=0))
    p_loss = np.mean(WS[0] * (p - YS[0])[:, 0] ** 2)
    q_loss = np.mean(-WS[1] * np.log(q[np.arange(8), YS[1]]))
    penalty = 0.01 * (model.get_layer("shared").get_weights()[0] ** 2).sum()
    expected = {
        "loss": 2 * p_loss + 0.5 * q_loss + penalty,
        "p_loss": p_loss,
        "q_loss": q_loss,
        "p_mae": np.abs(p - YS[0]).mean(),
        "p_weighted_mae": np.average(np.abs(p - YS[0])[:, 0], weights=WS[0]),
        "q_acc": (q.argmax(1) == YS[1]).mean(),
    }
    assert logs == pytest.approx(expected, rel=1e-5)


def test_two_outputs_of_one_layer_are_numbered() -> None:
    entrance = Input((7, 5))
    _, h, c = LSTM(3, return_state=True, name="read")(entrance)
    model = Model(entrance, [h, c])
    model.compile("sgd", "mse", metrics=[["mae"], ["mae"]])
    assert model.output_names == ["read", "read"]
    logs = model.evaluate(A, [np.ones((20, 3)), np.zeros((20, 3))], verbose=0, return_dict=True)
    assert list(logs) == ["loss", "read_loss", "read_loss_1", "read_mae", "read_mae_1"]
    assert logs["loss"] == pytest.approx(logs["read_loss"] + logs["read_loss_1"])


def test_an_output_without_a_loss_takes_no_part() -> None:
    model = two_heads()
    before = model.get_layer("q").get_weights()
    model.compile("sgd", {"p": "mse", "q": None}, metrics={"p": ["mae"]})
    for targets in (YS, [YS[0], None], [YS[0]], YS[0], {"p": YS[0]}, {"p": YS[0], "q": None}):
        history = model.fit(XS, targets, sample_weight=WS[0], validation_data=(XS, targets), verbose=0).history
        assert list(history) == ["loss", "p_mae", "val_loss", "val_p_mae"]
    assert_same(model.get_layer("q").get_weights(), before)
    assert len(model.predict(XS, verbose=0)) == 2
    # Token ids stay token ids for the part that is trained without them.
    tokens, numbers = Input((4,)), Input((3,))
    model = Model([tokens, numbers], [LSTM(2)(Embedding(9, 2)(tokens)), Dense(1)(numbers)])
    model.compile("sgd", [None, "mse"])
    model.fit([RANDOM.integers(0, 9, (8, 4)), XS[0]], YS[0], verbose=0)


def test_callbacks_watch_an_output() -> None:
    model = two_heads()
    model.compile("sgd", "mse", metrics={"q": ["acc"]})
    stop = EarlyStopping("val_q_acc", patience=1, restore_best_weights=True)
    history = model.fit(XS, DENSE_YS, validation_data=(XS, DENSE_YS), epochs=9, callbacks=[stop], verbose=0)
    assert stop.mode == "auto"
    best = max(history.history["val_q_acc"])
    assert history.history["val_q_acc"].index(best) == len(history.epoch) - 2 or len(history.epoch) == 9
    with pytest.warns(UserWarning, match="val_r_loss"):
        model.fit(XS, DENSE_YS, validation_data=(XS, DENSE_YS), callbacks=[EarlyStopping("val_r_loss")], verbose=0)


# Forms of inputs and outputs


def test_data_by_list_and_by_name() -> None:
    model = two_heads()
    model.compile("sgd", {"p": "mse", "q": "sparse_categorical_crossentropy"})
    expected = model.evaluate(XS, YS, sample_weight=WS, verbose=0)
    named = {"b": XS[1], "a": XS[0]}, {"q": YS[1], "p": YS[0]}, {"q": WS[1], "p": WS[0]}
    assert model.evaluate(named[0], named[1], sample_weight=named[2], verbose=0) == expected
    assert model.evaluate(tuple(XS), tuple(YS), sample_weight=tuple(WS), verbose=0) == expected
    one = model.evaluate(XS, YS, sample_weight=WS[0], verbose=0)
    assert model.evaluate(XS, YS, sample_weight=[WS[0], WS[0]], verbose=0) == one
    partly = model.evaluate(XS, YS, sample_weight=[WS[0], np.ones(8)], verbose=0)
    assert model.evaluate(XS, YS, sample_weight=[WS[0], None], verbose=0) == partly
    assert model.evaluate(XS, YS, sample_weight={"p": WS[0]}, verbose=0) == partly
    model.fit(*named[:2], sample_weight=named[2], validation_data=named, verbose=0)
    assert model.train_on_batch(*named) != expected
    assert model.test_on_batch(XS, named[1], return_dict=True).keys() == {"loss", "p_loss", "q_loss"}
    assert_same(model.predict_on_batch(named[0]), model.predict(XS, verbose=0))
    assert_same(model(XS), model.predict(XS, verbose=0))
    assert_same(model(named[0]), model.predict(XS, verbose=0))


def test_dicts_keep_their_keys() -> None:
    base = two_heads()
    first, second = base.inputs
    model = Model({"x": second, "w": first}, {"u": base.outputs[1], "z": base.outputs[0]})
    assert (model.input_names, model.output_names) == (["w", "x"], ["u", "z"])
    answer = model.predict({"w": XS[0], "x": XS[1]}, verbose=0)
    assert list(answer) == ["u", "z"]
    np.testing.assert_array_equal(answer["z"], base.predict(XS, verbose=0)[0])
    model.compile("sgd", {"u": "sparse_categorical_crossentropy", "z": "mse"}, metrics={"u": ["acc"]})
    history = model.fit({"w": XS[0], "x": XS[1]}, {"z": YS[0], "u": YS[1]}, verbose=0).history
    assert list(history) == ["loss", "u_acc", "u_loss", "z_loss"]
    assert list(model({"w": XS[0], "x": XS[1]})) == ["u", "z"]
    with pytest.raises(ValueError, match="whose order says nothing"):
        model.predict(XS, verbose=0)
