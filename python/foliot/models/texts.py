"""Texts on their way into a model: read from what the user passed, and made into numbers by the text layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foliot._arrays import Array
from foliot._graph import SymbolicTensor
from foliot.layers.preprocessing.strings import holds_texts, to_texts
from foliot.layers.preprocessing.text_layer import TextLayer


@dataclass(frozen=True)
class Texts:
    """The texts of an input whose layers have made numbers of them already, with the lengths of rows."""

    texts: Array
    numbers: Mapping[TextLayer, tuple[Array, Array | None]]


def read(argument: str, value: Any, reader: str) -> Array:
    """The texts for an input that holds such.

    Args:
        argument: What messages call them.
        value: What the user passed.
        reader: What messages call the layer that takes them.

    Raises:
        TypeError: Something is no text.
        ValueError: Lists of different lengths.
    """
    if isinstance(value, Texts):
        return value.texts
    return to_texts(argument, value, f"texts for {reader}, a string, a list or an array of strings")


def refuse(argument: str, value: Any, tensor: SymbolicTensor) -> None:
    """Refuses texts for an input that holds numbers."""
    if holds_texts(value):
        raise TypeError(
            f"`{argument}` must hold numbers for {tensor.node.layer.label}. Received texts from "
            f'{type(value).__name__}; declare Input(..., dtype="string") and put TextVectorization or StringLookup '
            "behind it, or turn them into numbers first"
        )
