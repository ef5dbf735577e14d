"""Keras's character-level encoder-decoder: one LSTM reads a text, a second one writes another, letter by letter.

The model is that of Keras's example "Character-level recurrent sequence-to-sequence model": trained with the right
answer as the decoder's input, one step behind, and asked with two further models made of the same layers.

>>> texts = ["ab", "ba", "bb"]
>>> data = Characters.of(texts, [text[::-1] for text in texts])
>>> data.encoder_input.shape, data.decoder_input.shape
((3, 2, 2), (3, 4, 4))
>>> import foliot
>>> writer = EncoderDecoder(foliot, 8, data)
>>> history = writer.fit(data, epochs=1, batch_size=3, verbose=0)
>>> [isinstance(answer, str) for answer in writer.answer(["ab", "ba"])]
[True, True]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foliot._arrays import Array

# The letters that begin and end what the decoder writes, as in Keras's example.
BEGIN, END = "\t", "\n"


def load_pairs(path: Path, count: int | None = None) -> tuple[list[str], list[str]]:
    """The first pairs of a file with a text, a tab, its translation and whatever else in each line.

    Args:
        path: The file, UTF-8, such as the archives of manythings.org/anki hold.
        count: How many; None for all.

    Returns:
        The texts and the translations.

    Raises:
        ValueError: A line has no tab.
    """
    sources, targets = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[:count], start=1):
        parts = line.split("\t")
        if len(parts) < 2:
            raise ValueError(f"{path}, line {number}: expected a text, a tab and its translation; received {line!r}")
        sources.append(parts[0])
        targets.append(parts[1])
    return sources, targets


@dataclass(frozen=True)
class Characters:
    """Pairs of texts as one-hot arrays, padded with spaces, as in Keras's example."""

    #: The letters of the texts, and those of the answers with `BEGIN` and `END`; space among both.
    letters: tuple[list[str], list[str]]
    encoder_input: Array
    decoder_input: Array
    #: What the decoder is to write: its input, one step ahead.
    decoder_target: Array

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str]) -> "Characters":
        """Pairs of texts, with the letters that occur in them."""
        written = [f"{BEGIN}{target}{END}" for target in targets]
        letters = sorted(set("".join(sources))), sorted(set("".join(written)))
        lengths = max(map(len, sources)), max(map(len, written))
        decoder_input = _one_hot(written, letters[1], lengths[1])
        decoder_target = np.concatenate([decoder_input[:, 1:], np.zeros_like(decoder_input[:, :1])], axis=1)
        if " " in letters[1]:
            decoder_target[:, -1, letters[1].index(" ")] = 1
        return cls(letters, _one_hot(sources, letters[0], lengths[0]), decoder_input, decoder_target)

    def encode(self, sources: Sequence[str]) -> Array:
        """Further texts for the encoder; a letter that did not occur is refused with a KeyError."""
        return _one_hot(sources, self.letters[0], self.encoder_input.shape[1])


def _one_hot(texts: Sequence[str], letters: Sequence[str], length: int) -> Array:
    places = {letter: place for place, letter in enumerate(letters)}
    array = np.zeros((len(texts), length, len(letters)), dtype=np.float32)
    for row, text in enumerate(texts):
        for step, letter in enumerate(text):
            array[row, step, places[letter]] = 1
        if " " in places:
            array[row, len(text) :, places[" "]] = 1
    return array


class EncoderDecoder:
    """The model that is trained, and the two that write.

    Args:
        framework: `foliot`, or `keras` to compare.
        latent_dim: The size of the states that are handed from the encoder to the decoder.
        data: Texts with all letters that there will be.
    """

    def __init__(self, framework: Any, latent_dim: int, data: Characters) -> None:
        layers = framework.layers
        self.data = data
        encoder_inputs = layers.Input(shape=(None, len(data.letters[0])))
        _, state_h, state_c = layers.LSTM(latent_dim, return_state=True)(encoder_inputs)
        decoder_inputs = layers.Input(shape=(None, len(data.letters[1])))
        decoder_lstm = layers.LSTM(latent_dim, return_sequences=True, return_state=True)
        decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=[state_h, state_c])
        decoder_dense = layers.Dense(len(data.letters[1]), activation="softmax")
        self.model = framework.Model([encoder_inputs, decoder_inputs], decoder_dense(decoder_outputs))

        self.encoder_model = framework.Model(encoder_inputs, [state_h, state_c])
        states = [layers.Input(shape=(latent_dim,)), layers.Input(shape=(latent_dim,))]
        outputs, *after = decoder_lstm(decoder_inputs, initial_state=states)
        self.decoder_model = framework.Model([decoder_inputs, *states], [decoder_dense(outputs), *after])
        self.compile()

    def compile(self, optimizer: Any = "rmsprop") -> None:
        """Says how the model is trained; Keras's example takes RMSprop."""
        self.model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])

    def fit(self, data: Characters, **options: Any) -> Any:
        """Trains on pairs; returns the `History`."""
        return self.model.fit([data.encoder_input, data.decoder_input], data.decoder_target, **options)

    def answer(self, sources: Sequence[str]) -> list[str]:
        """What the decoder writes for texts, always taking the likeliest letter."""
        letters, longest = self.data.letters[1], self.data.decoder_input.shape[1]
        states = self.encoder_model.predict(self.data.encode(sources), verbose=0)
        last = np.zeros((len(sources), 1, len(letters)), dtype=np.float32)
        last[:, 0, letters.index(BEGIN)] = 1
        written = [""] * len(sources)
        for _ in range(longest):
            outputs, *states = self.decoder_model.predict([last, *states], verbose=0)
            chosen = outputs[:, -1].argmax(axis=-1)
            written = [text + letters[place] for text, place in zip(written, chosen, strict=True)]
            last = np.eye(len(letters), dtype=np.float32)[chosen][:, None]
        return [text.split(END)[0] for text in written]
