"""Layers: the parts that models are made of."""

from typing import TYPE_CHECKING

from foliot._checks import missing
from foliot._serialization import Registry
from foliot.layers.attention import AdditiveAttention, Attention
from foliot.layers.base import Layer
from foliot.layers.bidirectional import Bidirectional
from foliot.layers.convolution import Conv1D
from foliot.layers.core import (
    Activation,
    ActivityRegularization,
    Dropout,
    Identity,
    Masking,
    SpatialDropout1D,
)
from foliot.layers.dense import Dense
from foliot.layers.embedding import Embedding
from foliot.layers.input import Input, InputLayer
from foliot.layers.layer_norm_cells import LayerNormGRU, LayerNormGRUCell, LayerNormLSTM, LayerNormLSTMCell
from foliot.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from foliot.layers.minimal_cells import MinGRU, MinGRUCell, MinLSTM, MinLSTMCell
from foliot.layers.multi_head_attention import GroupedQueryAttention, GroupQueryAttention, MultiHeadAttention
from foliot.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise
from foliot.layers.normalization import BatchNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from foliot.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from foliot.layers.preprocessing import IntegerLookup, Normalization, StringLookup, TextVectorization
from foliot.layers.rectifiers import ELU, LeakyReLU, PReLU, ReLU, Softmax
from foliot.layers.recurrent import GRU, LSTM, SimpleRNN
from foliot.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from foliot.layers.rnn import RNN
from foliot.layers.shapes import Cropping1D, Flatten, Permute, RepeatVector, Reshape, ZeroPadding1D
from foliot.layers.wrappers import TimeDistributed

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Convolution1D",
    "Cropping1D",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "LSTMCell",
    "Layer",
    "LayerNormGRU",
    "LayerNormGRUCell",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPooling1D",
    "Maximum",
    "MinGRU",
    "MinGRUCell",
    "MinLSTM",
    "MinLSTMCell",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "ZeroPadding1D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

LAYERS: Registry[Layer] = Registry(
    "layer",
    Layer,
    (
        RNN,
        SimpleRNNCell,
        LSTMCell,
        GRUCell,
        LayerNormLSTMCell,
        LayerNormGRUCell,
        MinLSTMCell,
        MinGRUCell,
        StackedRNNCells,
        AlphaDropout,
        GaussianDropout,
        GaussianNoise,
        ELU,
        LeakyReLU,
        PReLU,
        ReLU,
        Softmax,
        TimeDistributed,
        AdditiveAttention,
        Attention,
        MultiHeadAttention,
        GroupedQueryAttention,
        Activation,
        ActivityRegularization,
        Identity,
        AveragePooling1D,
        BatchNormalization,
        Conv1D,
        Cropping1D,
        Dense,
        Dropout,
        Embedding,
        Flatten,
        GlobalAveragePooling1D,
        GlobalMaxPooling1D,
        GRU,
        InputLayer,
        LSTM,
        LayerNormLSTM,
        LayerNormGRU,
        MinLSTM,
        MinGRU,
        LayerNormalization,
        Masking,
        MaxPooling1D,
        Permute,
        RMSNormalization,
        RepeatVector,
        Reshape,
        SimpleRNN,
        SpatialDropout1D,
        StringLookup,
        TextVectorization,
        UnitNormalization,
        ZeroPadding1D,
        GRU,
        LSTM,
        Activation,
        Add,
        Average,
        Bidirectional,
        Concatenate,
        Dense,
        Dot,
        Dropout,
        Embedding,
        Flatten,
        InputLayer,
        Maximum,
        Minimum,
        Multiply,
        SimpleRNN,
        Subtract,
    ),
)

# Keras's other names.
AvgPool1D, MaxPool1D = AveragePooling1D, MaxPooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
Convolution1D = Conv1D

if not TYPE_CHECKING:  # which would find any name in the modules then
    __getattr__ = missing("layer", __name__, __all__)
