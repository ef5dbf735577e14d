"""Layers: the parts that models are made of."""

from foliot._serialization import Registry
from foliot.layers.base import Layer
from foliot.layers.core import Activation, Dropout, Flatten
from foliot.layers.dense import Dense
from foliot.layers.embedding import Embedding
from foliot.layers.input import Input, InputLayer
from foliot.layers.preprocessing import IntegerLookup, Normalization, StringLookup, TextVectorization
from foliot.layers.recurrent import GRU, LSTM, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Layer",
    "Normalization",
    "SimpleRNN",
    "StringLookup",
    "TextVectorization",
]

LAYERS: Registry[Layer] = Registry(
    "layer", Layer, (Activation, Dense, Dropout, Embedding, Flatten, GRU, InputLayer, LSTM, SimpleRNN)
)
