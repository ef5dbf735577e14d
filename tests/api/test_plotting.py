"""Drawings of models and trainings."""

import sys

import numpy as np
import pytest

import foliot
from foliot.layers import LSTM, Dense
from foliot.models import Sequential
from foliot.utils import model_to_dot, plot_history, plot_model


@pytest.fixture
def network() -> Sequential:
    made = Sequential([foliot.Input((5, 3), name="in"), LSTM(4, name="rnn"), Dense(2, activation="tanh", name='a"b')])
    made.layers[0].trainable = False
    return made


def test_dot(network) -> None:
    assert model_to_dot(network, rankdir="LR", dpi=72).splitlines() == [
        "digraph model {",
        "  graph [rankdir=LR, dpi=72];",
        "  node [shape=box];",
        '  n0 [label="InputLayer"];',
        '  n1 [label="LSTM"];',
        '  n2 [label="Dense"];',
        "  n0 -> n1;",
        "  n1 -> n2;",
        "}",
    ]
    full = model_to_dot(
        network,
        show_shapes=True,
        show_dtype=True,
        show_layer_names=True,
        show_layer_activations=True,
        show_trainable=True,
    ).splitlines()
    assert full[4] == (
        '  n1 [label="rnn (LSTM)\\nactivation: tanh\\noutput: (None, 4)\\ndtype: float32\\nnot trainable"];'
    )
    assert full[5].startswith('  n2 [label="a\\"b (Dense)\\nactivation: tanh')


@pytest.mark.parametrize("direction", ["TB", "BT", "LR", "RL"])
def test_pictures(network, tmp_path, direction) -> None:
    figure = plot_model(network, tmp_path / "model.png", rankdir=direction, show_shapes=True, dpi=50)
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")
    axes = figure.axes[0]
    texts = {text.get_text().split("\n")[0]: text.get_position() for text in axes.texts if text.get_text()}
    assert list(texts) == ["InputLayer", "LSTM", "Dense"]
    along = [place[1 if direction in ("TB", "BT") else 0] for place in texts.values()]
    assert along == sorted(along, reverse=direction in ("TB", "RL"))


def test_text_needs_no_matplotlib(network, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = plot_model(network, tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text() == text + "\n"
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'foliot\[plot\]'"):
        plot_model(network, tmp_path / "model.png")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'foliot\[plot\]'"):
        plot_history({"loss": [1.0]})


def test_models_that_cannot_be_drawn(network) -> None:
    with pytest.raises(ValueError, match="`model`: expected a built model"):
        model_to_dot(Sequential([Dense(1)]))
    with pytest.raises(ValueError, match="`rankdir`: expected one of"):
        model_to_dot(network, rankdir="up")
    with pytest.raises(ValueError, match="`expand_nested`"):
        plot_model(network, expand_nested=True)
    with pytest.raises(TypeError, match="unexpected arguments: layer_range"):
        plot_model(network, layer_range=("a", "b"))


def test_histories(model, tokens, tmp_path) -> None:
    history = model.fit(*tokens, epochs=4, validation_split=0.25, validation_freq=2, verbose=0)
    figure = plot_history(history, tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000
    assert [axes.get_ylabel() for axes in figure.axes] == ["acc", "loss"]
    training, validation = figure.axes[1].lines
    np.testing.assert_array_equal(training.get_xydata(), np.c_[[1, 2, 3, 4], history.history["loss"]])
    np.testing.assert_array_equal(validation.get_xydata(), np.c_[[2, 4], history.history["val_loss"]])
    assert len(plot_history(history.history, metrics=["loss"]).axes) == 1
    for bad, text in (({}, "`history`: expected at least one epoch"), ({"loss": []}, "at least one epoch")):
        with pytest.raises(ValueError, match=text):
            plot_history(bad)
    with pytest.raises(ValueError, match="`metrics`: expected names among"):
        plot_history(history, metrics=["mae"])
    with pytest.raises(TypeError, match="`history`: expected what fit returned"):
        plot_history([1.0])
