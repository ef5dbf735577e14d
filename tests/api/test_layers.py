"""Layers outside models: configurations, names, weights, calls on arrays, Keras's older spellings."""

import inspect
import json

import numpy as np
import pytest

from foliot import activations, constraints, initializers, layers, regularizers
from foliot.layers import (
    ELU,
    GRU,
    LSTM,
    RNN,
    Activation,
    AlphaDropout,
    AveragePooling1D,
    BatchNormalization,
    Conv1D,
    Cropping1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    GRUCell,
    Input,
    InputLayer,
    LayerNormalization,
    LeakyReLU,
    LSTMCell,
    Masking,
    MaxPooling1D,
    Permute,
    PReLU,
    ReLU,
    RepeatVector,
    Reshape,
    RMSNormalization,
    SimpleRNN,
    SimpleRNNCell,
    Softmax,
    SpatialDropout1D,
    StackedRNNCells,
    TimeDistributed,
    UnitNormalization,
    ZeroPadding1D,
)
from foliot.layers.recurrent import Recurrent

RECURRENT = (SimpleRNN, LSTM, GRU)
SAMPLES = {
    Activation: {"activation": "relu"},
    BatchNormalization: {"momentum": 0.5, "epsilon": 0.01, "scale": False, "moving_mean_initializer": "ones"},
    AlphaDropout: {"rate": 0.25, "noise_shape": (None, 4), "seed": 1},
    ELU: {"alpha": 0.5},
    GaussianDropout: {"rate": 0.25, "seed": 1},
    GaussianNoise: {"stddev": 0.25, "seed": 1},
    LeakyReLU: {"negative_slope": 0.1},
    PReLU: {"alpha_initializer": "ones", "shared_axes": [1]},
    ReLU: {"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.5},
    Softmax: {"axis": -1},
    TimeDistributed: {"layer": Dense(3, name="inner")},
    AveragePooling1D: {"pool_size": 3, "strides": 1, "padding": "same"},
    Conv1D: {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "activation": "relu"},
    Cropping1D: {"cropping": (1, 0)},
    GlobalAveragePooling1D: {"keepdims": True},
    GlobalMaxPooling1D: {"data_format": "channels_last"},
    MaxPooling1D: {"pool_size": 3, "strides": 2},
    layers.Add: {},
    layers.AdditiveAttention: {"use_scale": False, "dropout": 0.25, "seed": 3},
    layers.Attention: {"use_scale": True, "score_mode": "concat", "dropout": 0.5, "seed": 4},
    layers.MultiHeadAttention: {
        "num_heads": 2,
        "key_dim": 3,
        "value_dim": 4,
        "output_shape": (5,),
        "attention_axes": (1,),
        "kernel_regularizer": regularizers.L2(0.1),
    },
    layers.GroupQueryAttention: {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, "use_gate": True},
    layers.Identity: {},
    layers.ActivityRegularization: {"l1": 0.5, "l2": 0.25},
    layers.Average: {},
    layers.Bidirectional: {"layer": GRU(2, return_sequences=True), "merge_mode": "sum"},
    layers.Concatenate: {"axis": 1},
    layers.Dot: {"axes": [1, 2], "normalize": True},
    layers.Maximum: {},
    layers.Minimum: {},
    layers.Multiply: {},
    layers.Subtract: {},
    Dense: {"units": 3, "activation": "tanh", "kernel_regularizer": regularizers.L2(0.1), "use_bias": False},
    Dropout: {"rate": 0.25, "noise_shape": (None, 1, 4), "seed": 5},
    Embedding: {"input_dim": 10, "output_dim": 4, "embeddings_initializer": "normal", "mask_zero": True},
    Flatten: {"data_format": "channels_last"},
    GRU: {"units": 2, "reset_after": False, "use_cudnn": False, "dropout": 0.5, "go_backwards": True},
    InputLayer: {"shape": (None, 4)},
    LayerNormalization: {"axis": [-1], "epsilon": 0.1, "center": False, "gamma_initializer": "zeros"},
    Masking: {"mask_value": -1.0},
    Permute: {"dims": (2, 1)},
    RMSNormalization: {"axis": -1, "epsilon": 0.5},
    RepeatVector: {"n": 3},
    Reshape: {"target_shape": (2, -1)},
    SpatialDropout1D: {"rate": 0.5, "seed": 3},
    layers.StringLookup: {"vocabulary": ["[UNK]", "a", "b"], "mask_token": None, "output_mode": "multi_hot"},
    layers.TextVectorization: {"vocabulary": ["", "[UNK]", "a"], "output_sequence_length": 4, "ngrams": (1, 2)},
    UnitNormalization: {"axis": [-1]},
    ZeroPadding1D: {"padding": (2, 1)},
    LSTM: {
        "units": 2,
        "unit_forget_bias": False,
        "recurrent_constraint": constraints.MaxNorm(3.0),
        "use_peepholes": True,
        "proj_size": 4,
        "heads": 2,
        "projection_initializer": "ones",
        "projection_regularizer": regularizers.L2(0.5),
        "projection_constraint": constraints.NonNeg(),
        "zoneout_cell": 0.25,
        "checkpoint_every": 20,
    },
    layers.LayerNormLSTM: {"units": 2, "norm_epsilon": 0.5, "zoneout_cell": 0.25, "unit_forget_bias": False},
    layers.LayerNormGRU: {"units": 2, "norm_gamma_initializer": "zeros", "recurrent_dropout": 0.5},
    layers.MinLSTM: {"units": 2, "activation": "tanh", "return_sequences": True, "time_major": True},
    layers.MinGRU: {"units": 2, "zoneout": 0.5, "use_bias": False},
    layers.LayerNormLSTMCell: {"units": 2, "norm_epsilon": 0.5, "use_bias": False},
    layers.LayerNormGRUCell: {"units": 2, "norm_beta_initializer": "ones", "zoneout": 0.25},
    layers.MinLSTMCell: {"units": 2, "bias_initializer": "ones", "dropout": 0.5},
    layers.MinGRUCell: {"units": 2, "activation": "relu", "seed": 3},
    SimpleRNNCell: {"units": 2, "activation": "relu", "dropout": 0.25, "zoneout": 0.5, "heads": 2},
    LSTMCell: {"units": 2, "unit_forget_bias": False, "recurrent_constraint": constraints.MaxNorm(3.0), "seed": 9},
    GRUCell: {"units": 2, "reset_after": False, "recurrent_dropout": 0.5, "heads": 2},
    StackedRNNCells: {"cells": [GRUCell(2, name="first"), LSTMCell(3, name="second")]},
    RNN: {"cell": LSTMCell(2, name="step"), "return_state": True, "checkpoint_every": "auto"},
    SimpleRNN: {"units": 2, "unroll": True, "return_sequences": True, "zero_output_for_mask": True},
}
COMMON = {"name", "trainable", "dtype", "activity_regularizer"}

# Keras 3's constructors by position: a script that passes arguments without names depends on them.
SIGNATURES = {
    Dense: "units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
    "activity_regularizer kernel_constraint bias_constraint",
    Embedding: "input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint mask_zero "
    "weights",
    Dropout: "rate noise_shape seed",
    SpatialDropout1D: "rate seed",
    Masking: "mask_value",
    AlphaDropout: "rate noise_shape seed",
    GaussianDropout: "rate seed",
    GaussianNoise: "stddev seed",
    ELU: "alpha",
    LeakyReLU: "negative_slope",
    PReLU: "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
    ReLU: "max_value negative_slope threshold",
    Softmax: "axis",
    TimeDistributed: "layer",
    GlobalAveragePooling1D: "data_format keepdims",
    GlobalMaxPooling1D: "data_format keepdims",
    MaxPooling1D: "pool_size strides padding data_format",
    AveragePooling1D: "pool_size strides padding data_format",
    Conv1D: "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
    "kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint "
    "bias_constraint",
    Reshape: "target_shape",
    Permute: "dims",
    RepeatVector: "n",
    Cropping1D: "cropping",
    ZeroPadding1D: "padding data_format",
    LayerNormalization: "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer "
    "gamma_regularizer beta_constraint gamma_constraint rms_scaling",
    RMSNormalization: "axis epsilon",
    UnitNormalization: "axis",
    BatchNormalization: "axis momentum epsilon center scale beta_initializer gamma_initializer "
    "moving_mean_initializer moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint "
    "gamma_constraint renorm renorm_clipping renorm_momentum synchronized",
    layers.ActivityRegularization: "l1 l2",
    layers.Attention: "use_scale score_mode dropout seed",
    layers.MultiHeadAttention: "num_heads key_dim value_dim dropout use_bias output_shape attention_axes "
    "sliding_window flash_attention kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
    "activity_regularizer kernel_constraint bias_constraint use_gate seed",
    layers.GroupQueryAttention: "head_dim num_query_heads num_key_value_heads dropout use_bias sliding_window "
    "flash_attention kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer "
    "kernel_constraint bias_constraint use_gate seed",
    layers.Bidirectional: "layer merge_mode weights backward_layer",
    layers.Concatenate: "axis",
    layers.Dot: "axes normalize",
    SimpleRNN: "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer activity_regularizer kernel_constraint "
    "recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences return_state go_backwards "
    "stateful unroll seed heads zoneout checkpoint_every",
    SimpleRNNCell: "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint "
    "dropout recurrent_dropout seed heads zoneout",
    LSTMCell: "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
    "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
    "recurrent_constraint bias_constraint dropout recurrent_dropout seed use_peepholes "
    "proj_size projection_initializer projection_regularizer projection_constraint heads zoneout zoneout_cell",
    GRUCell: "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
    "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
    "bias_constraint dropout recurrent_dropout reset_after seed heads zoneout",
    StackedRNNCells: "cells",
    RNN: "cell return_sequences return_state go_backwards stateful unroll zero_output_for_mask checkpoint_every "
    "time_major",
    LSTM: "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer "
    "unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer activity_regularizer kernel_constraint "
    "recurrent_constraint bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards "
    "stateful unroll use_cudnn use_peepholes proj_size projection_initializer projection_regularizer "
    "projection_constraint heads zoneout zoneout_cell checkpoint_every",
    GRU: "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer activity_regularizer kernel_constraint "
    "recurrent_constraint bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards "
    "stateful unroll reset_after use_cudnn heads zoneout checkpoint_every",
}


def test_every_layer_has_a_sample() -> None:
    assert set(SAMPLES) == set(layers.LAYERS.classes)


@pytest.mark.parametrize("cls", SIGNATURES, ids=lambda cls: cls.__name__)
def test_positional_order_is_keras(cls: type) -> None:
    names = [name for name in inspect.signature(cls).parameters if name != "kwargs"]
    assert names == SIGNATURES[cls].split()


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
def test_config_holds_every_argument(cls: type) -> None:
    layer = cls(**SAMPLES[cls])
    expected = {name for name in inspect.signature(cls).parameters if name != "kwargs"} | COMMON
    if cls in (Embedding, layers.Bidirectional):
        expected -= {"weights"}
    if cls in (layers.StringLookup, layers.TextVectorization):
        expected -= {"activity_regularizer"}
    if issubclass(cls, Recurrent):
        expected |= {"zero_output_for_mask", "time_major"}
    if cls is InputLayer:
        expected = {"batch_shape", "dtype", "name"}
    assert set(layer.get_config()) == expected


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
def test_config_round_trip_through_json(cls: type) -> None:
    layer = cls(**SAMPLES[cls])
    config = json.loads(json.dumps(layer.get_config()))
    again = cls.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert again.name == layer.name


@pytest.mark.parametrize("cls", SAMPLES, ids=lambda cls: cls.__name__)
def test_an_unknown_key_is_refused(cls: type) -> None:
    with pytest.raises(ValueError, match="wrong_key"):
        cls.from_config(cls(**SAMPLES[cls]).get_config() | {"wrong_key": 1})


def test_names_count_like_keras() -> None:
    assert [
        SimpleRNN(1).name,
        SimpleRNN(1).name,
        LSTM(1).name,
        GRU(1).name,
        Dense(1, name="top").name,
        Dense(1).name,
    ] == [
        "simple_rnn",
        "simple_rnn_1",
        "lstm",
        "gru",
        "top",
        "dense",
    ]


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (Dense(3), [(4, 3), (3,)]),
        (SimpleRNN(3), [(4, 3), (3, 3), (3,)]),
        (LSTM(3), [(4, 12), (3, 12), (12,)]),
        (GRU(3), [(4, 9), (3, 9), (2, 9)]),
        (GRU(3, reset_after=False), [(4, 9), (3, 9), (9,)]),
        (LSTM(3, use_bias=False), [(4, 12), (3, 12)]),
        (LSTM(3, use_peepholes=True), [(4, 12), (3, 12), (12,), (3,), (3,), (3,)]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_weights_have_keras_names_and_shapes(layer: layers.Layer, shapes: list[tuple[int, ...]]) -> None:
    layer.build((None, 5, 4))
    names = ["kernel", "bias"] if isinstance(layer, Dense) else ["kernel", "recurrent_kernel", "bias"]
    names += [f"{gate}_gate_peephole_weights" for gate in ("input", "forget", "output")]
    assert [weight.shape for weight in layer.weights] == shapes
    assert [weight.name for weight in layer.weights] == names[: len(shapes)]
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in shapes)


def test_forget_bias_starts_at_one() -> None:
    layer = LSTM(2, bias_initializer=initializers.Constant(0.25))
    layer.build((None, None, 1))
    assert layer.get_weights()[2].tolist() == [0.25, 0.25, 1, 1, 0.25, 0.25, 0.25, 0.25]
    layer = LSTM(2, unit_forget_bias=False)
    layer.build((None, None, 1))
    assert layer.get_weights()[2].tolist() == [0.0] * 8


@pytest.mark.parametrize("cls", RECURRENT, ids=lambda cls: cls.__name__)
def test_call_on_an_array(cls: type) -> None:
    x = np.random.default_rng(1).normal(size=(3, 5, 2))
    layer = cls(4, return_sequences=True, return_state=True)
    sequence, *states = layer(x)
    assert sequence.shape == (3, 5, 4)
    assert sequence.dtype == np.float32
    assert [state.shape for state in states] == [(3, 4)] * (2 if cls is LSTM else 1)
    np.testing.assert_array_equal(sequence[:, -1], states[0])
    last = cls(4, weights=layer.get_weights())
    np.testing.assert_array_equal(last(x), states[0])
    # Lists are arrays too, and the array that was passed keeps its values.
    np.testing.assert_array_equal(last(x.tolist()), states[0])


@pytest.mark.parametrize("cls", RECURRENT, ids=lambda cls: cls.__name__)
def test_split_sequence_with_carried_state_equals_whole(cls: type) -> None:
    x = np.random.default_rng(2).normal(size=(2, 7, 3)).astype(np.float32)
    layer = cls(4, return_sequences=True, return_state=True)
    whole, *ends = layer(x)
    first, *middle = layer(x[:, :4])
    second, *last = layer(x[:, 4:], initial_state=middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    for mine, theirs in zip(last, ends, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("cls", RECURRENT, ids=lambda cls: cls.__name__)
def test_mask_on_the_right_equals_a_shorter_sequence(cls: type) -> None:
    x = np.random.default_rng(3).normal(size=(2, 6, 3)).astype(np.float32)
    layer = cls(4)
    mask = np.ones((2, 6), dtype=bool)
    mask[:, 4:] = False
    np.testing.assert_allclose(layer(x, mask=mask), layer(x[:, :4]), atol=1e-6)
    np.testing.assert_array_equal(layer(x, mask=mask[..., None]), layer(x, mask=mask.astype(int)))


def test_dropout_follows_the_training_flag() -> None:
    x = np.ones((50, 40), dtype=np.float32)
    layer = Dropout(0.5, seed=3)
    np.testing.assert_array_equal(layer(x), x)
    first, second = layer(x, training=True), layer(x, training=True)
    assert set(np.unique(first)) == {0.0, 2.0}
    assert (first != second).any()
    assert abs(first.mean() - 1) < 0.1
    np.testing.assert_array_equal(Dropout(0.5, seed=3)(x, training=True), first)


def test_embedding_looks_rows_up() -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    for weights in (table, [table]):
        layer = Embedding(4, 3, weights=weights)
        np.testing.assert_array_equal(layer([[0, 3], [2, 2]]), table[[[0, 3], [2, 2]]])
    np.testing.assert_array_equal(layer(np.array([[0.0, 3.0]])), table[[[0, 3]]])
    assert layer.compute_mask([[0, 1]]) is None
    assert Embedding(4, 3, mask_zero=True).compute_mask([[0, 1]]).tolist() == [[False, True]]


def test_dense_takes_any_rank() -> None:
    layer = Dense(2, activation=activations.relu)
    x = np.random.default_rng(4).normal(size=(3, 4, 5))
    y = layer(x)
    kernel, _ = layer.get_weights()
    np.testing.assert_allclose(y, np.maximum(x @ kernel, 0), atol=1e-6)


def test_a_layer_as_activation() -> None:
    assert Dense(2, activation=Activation("tanh")).activation is activations.tanh


def test_older_spellings() -> None:
    assert LSTM(3, input_shape=(5, 2)).declared_shape == (None, 5, 2)
    assert LSTM(3, batch_input_shape=(2, 5, 2)).declared_shape == (2, 5, 2)
    assert LSTM(3, input_dim=2, input_length=5).declared_shape == (None, 5, 2)
    assert Dense(3, input_dim=2).declared_shape == (None, 2)
    assert Embedding(5, 2, input_length=7).declared_shape == (None, 7)
    assert LSTM(3, time_major=False, implementation=1).units == 3


def test_set_weights_checks_before_it_changes() -> None:
    layer = Dense(2)
    with pytest.raises(ValueError, match="not built yet"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(2)])
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"expected 2 arrays .* received 1"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(ValueError, match=r"weights\[1\]`: expected shape \(2,\) for bias .* received shape \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    for kept, weight in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)
    layer.set_weights([np.ones((3, 2)), [1, 2]])
    np.testing.assert_array_equal(layer([[1, 1, 1]]), [[4, 5]])


def test_weights_are_copies() -> None:
    layer = Dense(2)
    layer.build((None, 3))
    layer.get_weights()[0][:] = 99
    assert not (layer.get_weights()[0] == 99).any()


def test_shapes_follow_from_shapes() -> None:
    assert LSTM(3).compute_output_shape((None, 5, 2)) == (None, 3)
    assert LSTM(3, return_sequences=True).compute_output_shape((None, None, 2)) == (None, None, 3)
    assert LSTM(3, return_state=True).compute_output_shape((2, 5, 2)) == [(2, 3)] * 3
    assert Flatten().compute_output_shape((None, 5, 2)) == (None, 10)
    assert Flatten().compute_output_shape((None, None, 2)) == (None, None)
    assert Embedding(9, 4).compute_output_shape((None, 5)) == (None, 5, 4)
    assert Dense(4).compute_output_shape((None, 5, 2)) == (None, 5, 4)


def test_symbolic_tensors_carry_shapes() -> None:
    tensor = Dense(2)(LSTM(3, return_sequences=True)(Input((None, 4))))
    assert tensor.shape == (None, None, 2)
    assert "dense" in repr(tensor)


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (
            "layers",
            "Conv2D",
            r"foliot has no layer 'Conv2D' \(did you mean 'Conv1D'\?\): dir\(foliot.layers\) lists all",
        ),
        ("losses", "Cercle", r"foliot has no loss 'Cercle' \(did you mean 'Circle'\?\)"),
        ("metrics", "MeanIoU", "foliot has no metric 'MeanIoU'"),
        ("optimizers", "LossScaleOptimizer", "foliot has no optimizer 'LossScaleOptimizer'"),
        ("callbacks", "OrbaxCheckpoint", "foliot has no callback"),
        ("initializers", "STFT", "foliot has no initializer"),
    ],
)
def test_what_keras_has_and_foliot_has_not(module: str, name: str, message: str) -> None:
    import importlib

    found = importlib.import_module(f"foliot.{module}")
    with pytest.raises(AttributeError, match=message):
        getattr(found, name)
    assert not hasattr(found, "__wrapped__")
