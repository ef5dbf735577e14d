"""Layers: the parts that models are made of."""

from foliot._serialization import Registry
from foliot.layers.base import Layer
from foliot.layers.bidirectional import Bidirectional
from foliot.layers.core import Activation, Dropout, Flatten
from foliot.layers.dense import Dense
from foliot.layers.embedding import Embedding
from foliot.layers.input import Input, InputLayer
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
from foliot.layers.recurrent import GRU, LSTM, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Add",
    "Average",
    "Bidirectional",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "Maximum",
    "Minimum",
    "Multiply",
    "SimpleRNN",
    "Subtract",
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
