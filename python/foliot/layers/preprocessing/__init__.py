"""What turns raw data into arrays for a model, learnt from data by `adapt`.

These stand before a model: strings cannot go through one. They are called like layers, on lists and arrays.
"""

from foliot.layers.preprocessing.lookup import IntegerLookup, StringLookup
from foliot.layers.preprocessing.normalization import Normalization
from foliot.layers.preprocessing.text_vectorization import TextVectorization

__all__ = ["IntegerLookup", "Normalization", "StringLookup", "TextVectorization"]
