"""What turns raw data into arrays for a model, learnt from data by `adapt`.

They are called like layers, on lists and arrays. TextVectorization and StringLookup may also begin a model, whose
inputs are then texts; the others stand before one.
"""

from foliot.layers.preprocessing.lookup import IntegerLookup, StringLookup
from foliot.layers.preprocessing.normalization import Normalization
from foliot.layers.preprocessing.text_vectorization import TextVectorization

__all__ = ["IntegerLookup", "Normalization", "StringLookup", "TextVectorization"]
