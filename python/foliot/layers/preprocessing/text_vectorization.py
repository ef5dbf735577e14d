"""Texts to rows of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_off, type_error, value_error
from foliot._graph import Shape
from foliot.layers.base import has_symbolic
from foliot.layers.preprocessing.lookup import Adapting
from foliot.layers.preprocessing.strings import check_encoding, decode, to_bytes, to_strings, to_texts
from foliot.layers.preprocessing.text_layer import TextLayer
from foliot.layers.preprocessing.vocabulary import Vocabulary, check_output_mode

_PUNCTUATION = re.compile(rb"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")


class TextVectorization(Adapting, TextLayer):
    """Texts to numbers: standardize, split into words, join n-grams, look up. Called on texts, or the first of a model.

    In a model it stands on an `Input(shape=(1,), dtype="string")`, or first in a `Sequential`, and an
    `Embedding(mask_zero=True)` behind it masks the padding. `adapt` may come before or after the model is made, for the
    output modes other than `'int'` before, because they give the model as many numbers as there are terms. A text is
    turned into numbers before the native step: once for `fit` on arrays, and in the thread that reads ahead for
    datasets and iterables. Without `output_sequence_length` each batch is as long as its longest text, as in Keras;
    batches of arrays are as long as the longest text of all where the model returns sequences. For datasets and
    iterables such a model needs an `output_sequence_length`, for `predict` to join its outputs.

    As in Keras, only A to Z have a lower case and only ASCII's white space separates words; equally frequent words are
    numbered from the greatest to the least.

    Args:
        max_tokens: The greatest number of terms, those for padding and unknown words included.
        standardize: `'lower_and_strip_punctuation'`, `'lower'`, `'strip_punctuation'`, None, or a function that takes
            and returns a NumPy array of texts.
        split: `'whitespace'`, `'character'`, None (each text is a term), or a function from an array of texts to a list
            of lists of terms.
        ngrams: Also take sequences of up to so many words; a tuple names the lengths.
        output_mode: `'int'` gives a row of numbers for each text, padded with 0; `'multi_hot'`, `'count'` and
            `'tf_idf'` a row with a place for each term.
        output_sequence_length: The rows' length for `'int'`; None is the longest text's.
        pad_to_max_tokens: Rows of `max_tokens` places even if there are fewer terms.
        vocabulary: The terms, or the path of a text file with one in each line. Without it call `adapt`.
        idf_weights: The terms' weights for `'tf_idf'`.
        sparse: False.
        ragged: False.
        encoding: How strings are written as bytes.
        name: A name.
        **kwargs: `trainable` and `dtype` of any layer.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> from foliot.layers import TextVectorization
        >>> vectorize = TextVectorization(output_sequence_length=4)
        >>> vectorize.adapt(["The cat sat.", "The dog sat on the cat."])
        >>> vectorize.get_vocabulary()
        ['', '[UNK]', 'the', 'sat', 'cat', 'on', 'dog']
        >>> vectorize(["the cat flew"]).tolist()
        [[2, 4, 1, 0]]

        >>> from foliot import Sequential
        >>> from foliot.layers import LSTM, Dense, Embedding, Input
        >>> model = Sequential([Input(shape=(1,), dtype="string"), vectorize, Embedding(7, 4), LSTM(4), Dense(1)])
        >>> model.predict(["the cat flew", "a dog"], verbose=0).shape
        (2, 1)
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Array], Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[[Array], Any] | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.max_tokens = None if max_tokens is None else check_integer("max_tokens", max_tokens, minimum=2)
        for argument, value, names in (("standardize", standardize, _STANDARDIZE), ("split", split, _SPLIT)):
            if not (value is None or callable(value) or value in names):
                raise value_error(argument, f"one of {', '.join(map(repr, names))}, None or a function", value)
        self.standardize, self.split = standardize, split
        self.ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams  # a list is what JSON makes of a tuple
        self._lengths = _ngram_lengths(ngrams)
        self.output_mode = check_output_mode(output_mode)
        if output_sequence_length is not None:
            if self.output_mode != "int":
                raise value_error(
                    "output_sequence_length", "None unless `output_mode` is 'int'", output_sequence_length
                )
            check_integer("output_sequence_length", output_sequence_length, minimum=0)
        self.output_sequence_length = output_sequence_length
        self.pad_to_max_tokens = check_flag("pad_to_max_tokens", pad_to_max_tokens)
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError("`max_tokens`: expected a number where `pad_to_max_tokens` is True; received None")
        check_off("sparse", sparse, False)
        check_off("ragged", ragged, False)
        self.sparse, self.ragged = sparse, ragged
        self.encoding = check_encoding(encoding)
        self.vocabulary, self.idf_weights = vocabulary, idf_weights
        self._vocabulary: Vocabulary[bytes] = Vocabulary(
            b"", b"[UNK]", 1, self.output_mode, self.max_tokens, self.pad_to_max_tokens
        )
        self._is_given = vocabulary is not None
        if self._is_given:
            self.set_vocabulary(vocabulary, idf_weights)

    def get_config(self) -> dict[str, Any]:
        for argument in ("standardize", "split"):
            if callable(getattr(self, argument)):
                raise type_error(argument, "a name or None, for a function cannot be written", getattr(self, argument))
        return super().get_config()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        terms = super().get_vocabulary(include_special_tokens)
        return [decode("vocabulary", term, self.encoding, (place,)) for place, term in enumerate(terms)]

    def _terms(self, vocabulary: Any) -> list[bytes]:
        found: list[bytes] = to_bytes("vocabulary", list(vocabulary), self.encoding).tolist()
        return found

    def _documents(self, data: Any, whole: bool) -> Iterable[Sequence[bytes]]:
        texts = to_bytes("data", data, self.encoding)
        if self.split is None and texts.ndim <= 1:
            texts = texts.reshape((-1, 1) if whole else (1, -1))
        return self._rows(np.atleast_1d(texts))

    def _rows(self, texts: Array) -> list[list[bytes]]:
        """The terms of each text."""
        texts = self._standardized(texts)
        if self.split is None:
            rows = [list(row) if isinstance(row, np.ndarray) else [row] for row in texts]
        else:
            if texts.ndim > 1:
                if texts.ndim > 2 or texts.shape[1] != 1:
                    raise ValueError(f"`inputs`: expected texts of shape (n,) or (n, 1); received shape {texts.shape}")
                texts = texts[:, 0]
            if callable(self.split):
                found = self.split(self._decoded(texts))
                rows = [to_bytes("split", list(row), self.encoding).tolist() for row in found]
            elif self.split == "whitespace":
                rows = [text.split() for text in texts]
            else:
                decoded = (decode("inputs", text, self.encoding, (place,)) for place, text in enumerate(texts))
                rows = [[letter.encode(self.encoding) for letter in text] for text in decoded]
        if self._lengths is None:
            return rows
        return [
            [b" ".join(row[at : at + length]) for length in self._lengths for at in range(len(row) - length + 1)]
            for row in rows
        ]

    def _standardized(self, texts: Array) -> Array:
        if callable(self.standardize):
            return to_bytes("standardize", np.asarray(self.standardize(self._decoded(texts))), self.encoding)
        if self.standardize is None:
            return texts
        result = np.empty(texts.shape, dtype=object)
        for place in np.ndindex(texts.shape):
            text: Any = texts[place]
            if self.standardize.startswith("lower"):
                text = text.lower()
            if self.standardize.endswith("strip_punctuation"):
                text = _PUNCTUATION.sub(b"", text)
            result[place] = text
        return result

    def _decoded(self, texts: Array) -> Array:
        return to_strings("inputs", texts, self.encoding)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, *rest = shape = input_shape
        if len(rest) > 1 or (self.split is not None and rest not in ([], [1], [None])):
            expected = "texts of shape (batch,) or (batch, 1)" if self.split else "terms of shape (batch, terms)"
            raise ValueError(f"`inputs`: expected {expected} for {self.label}; received shape {shape}")
        length = self.output_sequence_length
        if self.output_mode == "int":
            if self.split is None and length is None:
                return [shape]
            return [(batch, length)]
        if self.output_mode == "one_hot":
            return [(*(shape if self.split is None else (batch, None)), self._depth())]
        return [(batch, self._depth())]

    def __call__(  # type: ignore[override]  # texts have no masks
        self, inputs: Any, *, training: bool | None = None
    ) -> Any:
        """The numbers of texts.

        Args:
            inputs: A text, or a list or array of texts of shape `(n,)` or `(n, 1)`; or the tensor of an `Input` for
                strings.
            training: Without effect.

        Returns:
            For `'int'` an int64 array `(n, length)`, padded with 0 at the end; for the other modes `(n, terms)`.
            Without the first axis for a single text.
        """
        if has_symbolic(inputs):
            return self._apply(inputs, None, training)
        texts = np.asarray(to_texts("inputs", inputs))
        result, _ = self._numbers("inputs", texts)
        return np.asarray(result[0] if texts.ndim == 0 else result)

    def _numbers(self, argument: str, texts: Array) -> tuple[Array, Array | None]:
        texts = to_bytes(argument, texts, self.encoding)
        vocabulary = self._vocabulary
        numbers = [[vocabulary.number(term) for term in row] for row in self._rows(np.atleast_1d(texts))]
        lengths: Array | None = None
        if self.output_mode == "int":
            length = self.output_sequence_length
            if length is None:
                ends = [len(row) for row in numbers]
                length = max(ends, default=0)
                lengths = None if self.split is None else np.array(ends, dtype=np.int64)
            result = np.zeros((len(numbers), length), dtype=np.int64)
            for place, row in zip(result, numbers, strict=True):
                place[: len(row)] = row[:length]
            if self.split is None and texts.ndim <= 1 and self.output_sequence_length is None:
                result = result[:, 0]
        elif self.output_mode == "one_hot":
            if len({len(row) for row in numbers}) > 1:
                raise value_error("output_mode", "another than 'one_hot' for texts of different lengths", "one_hot")
            result = vocabulary.one_hot(np.array(numbers, dtype=np.int64))
            if self.split is None and texts.ndim <= 1:
                result = result[:, 0]
        else:
            result = vocabulary.count(numbers)
        return result, lengths


def _ngram_lengths(ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    if isinstance(ngrams, (tuple, list)):
        return tuple(check_integer("ngrams", length, minimum=1) for length in ngrams)
    return tuple(range(1, check_integer("ngrams", ngrams, minimum=1) + 1))
