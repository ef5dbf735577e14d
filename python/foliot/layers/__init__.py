"""Layers: the parts that models are made of."""

from foliot._serialization import Registry
from foliot.layers.base import Layer
from foliot.layers.convolution import Conv1D
from foliot.layers.core import Activation, Dropout, Masking, SpatialDropout1D
from foliot.layers.dense import Dense
from foliot.layers.embedding import Embedding
from foliot.layers.input import Input, InputLayer
from foliot.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise
from foliot.layers.normalization import BatchNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from foliot.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from foliot.layers.preprocessing import IntegerLookup, Normalization, StringLookup, TextVectorization
from foliot.layers.rectifiers import ELU, LeakyReLU, PReLU, ReLU, Softmax
from foliot.layers.recurrent import GRU, LSTM, SimpleRNN
from foliot.layers.shapes import Cropping1D, Flatten, Permute, RepeatVector, Reshape, ZeroPadding1D
from foliot.layers.wrappers import TimeDistributed

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "Activation",
    "AlphaDropout",
    "AveragePooling1D",
    "BatchNormalization",
    "Conv1D",
    "Cropping1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "StringLookup",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "ZeroPadding1D",
]

LAYERS: Registry[Layer] = Registry(
    "layer",
    Layer,
    (
        AlphaDropout,
        GaussianDropout,
        GaussianNoise,
        ELU,
        LeakyReLU,
        PReLU,
        ReLU,
        Softmax,
        TimeDistributed,
        Activation,
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
        LayerNormalization,
        Masking,
        MaxPooling1D,
        Permute,
        RMSNormalization,
        RepeatVector,
        Reshape,
        SimpleRNN,
        SpatialDropout1D,
        UnitNormalization,
        ZeroPadding1D,
    ),
)
