"""Terms to numbers, and back."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from foliot import _arrays
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_off, check_text, type_error, value_error
from foliot._graph import Shape
from foliot._serialization import Configurable
from foliot.layers.base import has_symbolic
from foliot.layers.preprocessing.strings import check_encoding, decode, encode, to_bytes
from foliot.layers.preprocessing.text_layer import TextLayer
from foliot.layers.preprocessing.vocabulary import Vocabulary, check_output_mode

# What Keras writes into a configuration and what follows from the rest.
_LAYER_KEYS = ("trainable", "dtype")
_KERAS_KEYS = ("vocabulary_size", "has_input_vocabulary", "vocabulary_dtype", "batch_input_shape")
# What decides between several numbers for unknown terms; there is one at most here.
_KERAS_HASHING = {"oov_method": "floormod", "salt": None}


class Adapting(Configurable):
    """Base of what learns a vocabulary."""

    _vocabulary: Vocabulary[Any]
    _is_given: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object of a configuration, of foliot's or Keras's."""
        if not isinstance(config, Mapping):
            raise type_error("config", f"a dict of {cls.__name__}'s arguments", config)
        for key, default in _KERAS_HASHING.items():
            check_off(key, config.get(key, default), default)
        left_out = {*_KERAS_KEYS, *_KERAS_HASHING} | (set(_LAYER_KEYS) - set(cls.argument_names()))
        return super().from_config({key: value for key, value in config.items() if key not in left_out})

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data, with the vocabulary as it is, also where `adapt` has learnt it."""
        config = super().get_config()
        known = self.get_vocabulary()
        config["vocabulary"] = known if self._vocabulary.terms else None
        weights = self._vocabulary.weights
        config["idf_weights"] = None if weights is None else weights[: len(known)].tolist()
        return config

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learns the vocabulary: the most frequent terms first.

        Args:
            data: Lists or arrays; or an iterable of batches of such.
            batch_size: Accepted for Keras's scripts.
            steps: How many batches of an iterable to take, all if None.

        Raises:
            ValueError: The constructor was given a vocabulary.
        """
        if self._is_given:
            raise ValueError(
                f"{type(self).__name__}: expected no `vocabulary` in the constructor where adapt is called"
            )
        if isinstance(data, (str, bytes, list, tuple)) or hasattr(data, "__array__"):
            self._vocabulary.learn(self._documents(data, whole=True))
        else:
            limit = None if steps is None else check_integer("steps", steps, minimum=1)
            batches = itertools.islice(data, limit)
            self._vocabulary.learn(document for batch in batches for document in self._documents(batch, whole=False))

    def _documents(self, data: Any, whole: bool) -> Iterable[Sequence[Any]]:
        raise NotImplementedError

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary, with or without the special terms at its beginning.

        Args:
            vocabulary: The terms, or the path of a text file with one in each line.
            idf_weights: The terms' weights for the output mode `'tf_idf'`.

        Raises:
            ValueError: A term is there twice, there are too many, or the weights do not fit.
        """
        if isinstance(vocabulary, (str, os.PathLike)):
            vocabulary = Path(vocabulary).read_text(encoding="utf-8").splitlines()
        self._vocabulary.assign(self._terms(vocabulary), idf_weights)

    def _terms(self, vocabulary: Any) -> list[Any]:
        raise NotImplementedError

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The terms in the order of their numbers."""
        return self._vocabulary.listed(check_flag("include_special_tokens", include_special_tokens))

    def vocabulary_size(self) -> int:
        """The number of terms, special ones included."""
        return len(self._vocabulary)


class _Lookup(Adapting):
    """What StringLookup and IntegerLookup share, beside the type of their terms."""

    def _prepare(self, mask: Any, unknown: Any) -> None:
        scope: Any = self
        scope.max_tokens = (
            None if scope.max_tokens is None else check_integer("max_tokens", scope.max_tokens, minimum=2)
        )
        scope.num_oov_indices = check_integer("num_oov_indices", scope.num_oov_indices, minimum=0)
        scope.invert = check_flag("invert", scope.invert)
        scope.output_mode = check_output_mode(scope.output_mode)
        if scope.invert and scope.output_mode != "int":
            raise value_error("output_mode", "'int' where `invert` is True", scope.output_mode)
        if check_flag("pad_to_max_tokens", scope.pad_to_max_tokens) and scope.max_tokens is None:
            raise ValueError("`max_tokens`: expected a number where `pad_to_max_tokens` is True; received None")
        check_off("sparse", scope.sparse, False)
        self._vocabulary = Vocabulary(
            mask, unknown, scope.num_oov_indices, scope.output_mode, scope.max_tokens, scope.pad_to_max_tokens
        )
        self._is_given = scope.vocabulary is not None
        if self._is_given:
            self.set_vocabulary(scope.vocabulary, scope.idf_weights)
        elif scope.idf_weights is not None:
            raise value_error("idf_weights", "None without a `vocabulary`", scope.idf_weights)

    def _values(self, argument: str, data: Any) -> Array:
        """The terms as an array of objects."""
        raise NotImplementedError

    def _documents(self, data: Any, whole: bool) -> Iterable[Sequence[Any]]:
        values = self._values("data", data)
        # A list is one of documents of one term; a batch of one axis is one document, as in Keras.
        if values.ndim <= 1:
            values = values.reshape((-1, 1) if whole else (1, -1))
        return (row.reshape(-1).tolist() for row in values)

    def __call__(self, inputs: Any) -> Any:
        """The numbers of terms, or in the mode `invert` the terms of numbers.

        Args:
            inputs: A term, or lists or an array of terms.

        Returns:
            For `'int'` an int64 array of the inputs' shape. For `'one_hot'` an axis more; for the other modes the last
            axis is replaced by one that counts.
        """
        if self._vocabulary.output_mode == "int" and getattr(self, "invert", False):
            return self._inverted(_arrays.numeric("inputs", inputs))
        return self._looked_up(self._values("inputs", inputs))

    def _looked_up(self, values: Array) -> Array:
        vocabulary = self._vocabulary
        found = [vocabulary.number(term) for term in values.flat]
        numbers: Array = np.array(found, dtype=np.int64).reshape(values.shape)
        if vocabulary.output_mode == "int":
            return numbers
        if vocabulary.output_mode == "one_hot":
            single = numbers.ndim > 1 and numbers.shape[-1] == 1
            return vocabulary.one_hot(np.squeeze(numbers, -1) if single else numbers)
        leading, length = tuple(numbers.shape[:-1]), numbers.shape[-1] if numbers.ndim > 0 else 1
        rows = numbers.reshape(math.prod(leading), length).tolist()
        return vocabulary.count(rows).reshape(*leading, vocabulary.depth())

    def _inverted(self, numbers: Array) -> Array:
        listed = self.get_vocabulary()
        unknown = self._vocabulary.unknown
        found = [listed[number] if 0 <= number < len(listed) else self._shown(unknown) for number in numbers.flat]
        return np.array(found).reshape(numbers.shape)

    def _shown(self, term: Any) -> Any:
        return term


class StringLookup(_Lookup, TextLayer):
    """Strings to numbers by a vocabulary, and back. Called on strings, lists and arrays, or first in a model.

    In a model it stands on an `Input(..., dtype="string")`, and `invert` is False; see `TextVectorization`.

    Args:
        max_tokens: The greatest number of terms, special ones included.
        num_oov_indices: How many numbers there are for unknown strings: 1, or 0 to refuse them. (Keras shares unknown
            strings out over more numbers by a hash, which foliot does not have.)
        mask_token: The string that becomes 0, None for none.
        oov_token: What stands for unknown strings in the vocabulary.
        vocabulary: The strings, or the path of a text file. Without it call `adapt`.
        idf_weights: The strings' weights for `'tf_idf'`.
        invert: Numbers to strings.
        output_mode: `'int'`, `'one_hot'`, `'multi_hot'`, `'count'` or `'tf_idf'`.
        pad_to_max_tokens: Rows of `max_tokens` numbers even if there are fewer terms.
        sparse: False.
        encoding: How strings are written as bytes, by which equally frequent ones are ordered.
        name: A name.
        salt: None.
        **kwargs: `trainable` and `dtype` of any layer.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> from foliot.layers import StringLookup
        >>> lookup = StringLookup(vocabulary=["a", "b"])
        >>> lookup(["b", "c", "a"]).tolist()
        [2, 0, 1]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",  # noqa: S107 - a word, no secret
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.max_tokens, self.num_oov_indices = max_tokens, check_integer("num_oov_indices", num_oov_indices, maximum=1)
        self.mask_token, self.oov_token = mask_token, oov_token
        self.vocabulary, self.idf_weights = vocabulary, idf_weights
        self.invert, self.output_mode, self.pad_to_max_tokens = invert, output_mode, pad_to_max_tokens
        self.sparse, self.encoding = sparse, check_encoding(encoding)
        check_off("salt", salt, None)
        self.salt = salt
        self._prepare(
            None if mask_token is None else encode("mask_token", mask_token, encoding),
            None if oov_token is None else encode("oov_token", oov_token, encoding),
        )

    def __call__(  # type: ignore[override]  # texts have no masks
        self, inputs: Any, *, training: bool | None = None
    ) -> Any:
        """The numbers of strings, or in the mode `invert` the strings of numbers.

        Args:
            inputs: A string, or lists or an array of strings; or the tensor of an `Input` for strings.
            training: Without effect.

        Returns:
            For `'int'` an int64 array of the inputs' shape. For `'one_hot'` an axis more; for the other modes the last
            axis is replaced by one that counts.
        """
        return self._apply(inputs, None, training) if has_symbolic(inputs) else super().__call__(inputs)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if self.invert:
            raise value_error("invert", f"False for {self.label} in a model, which begins with strings", self.invert)
        return super().infer(shapes)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        shape = input_shape
        if self.output_mode == "int":
            return [shape]
        if self.output_mode == "one_hot":
            return [(*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), self._depth())]
        if len(shape) < 2:
            expected = f"strings of shape (batch, terms) for {self.label} with output_mode={self.output_mode!r}"
            raise ValueError(f"`inputs`: expected {expected}; received shape {shape}")
        return [(*shape[:-1], self._depth())]

    def _numbers(self, argument: str, texts: Array) -> tuple[Array, Array | None]:
        return self._looked_up(self._values(argument, texts)), None

    def _values(self, argument: str, data: Any) -> Array:
        return to_bytes(argument, data, self.encoding)

    def _terms(self, vocabulary: Any) -> list[bytes]:
        found: list[bytes] = to_bytes("vocabulary", list(vocabulary), self.encoding).tolist()
        return found

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        return [self._shown(term) for term in super().get_vocabulary(include_special_tokens)]

    def _shown(self, term: bytes) -> str:
        return decode("vocabulary", term, self.encoding)


class IntegerLookup(_Lookup):
    """Integers to numbers without gaps by a vocabulary, and back. Not part of a model.

    Args:
        max_tokens: The greatest number of terms, special ones included.
        num_oov_indices: How many numbers unknown integers share, by their remainder; 0 refuses them.
        mask_token: The integer that becomes 0, None for none.
        oov_token: What stands for unknown integers in the vocabulary.
        vocabulary: The integers, or the path of a text file. Without it call `adapt`.
        vocabulary_dtype: `'int64'`.
        idf_weights: The integers' weights for `'tf_idf'`.
        invert: Numbers back to integers.
        output_mode: `'int'`, `'one_hot'`, `'multi_hot'`, `'count'` or `'tf_idf'`.
        sparse: False.
        pad_to_max_tokens: Rows of `max_tokens` numbers even if there are fewer terms.
        oov_method: `'floormod'`.
        salt: None.
        name: A name.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> from foliot.layers import IntegerLookup
        >>> IntegerLookup(vocabulary=[10, 20])([20, 5, 10]).tolist()
        [2, 0, 1]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: None = None,
        name: str | None = None,
    ) -> None:
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, check_integer("oov_token", oov_token)
        self.vocabulary, self.idf_weights = vocabulary, idf_weights
        check_off("vocabulary_dtype", vocabulary_dtype, "int64")
        self.vocabulary_dtype = vocabulary_dtype
        self.invert, self.output_mode, self.pad_to_max_tokens = invert, output_mode, pad_to_max_tokens
        self.sparse = sparse
        check_off("oov_method", oov_method, "floormod")
        check_off("salt", salt, None)
        self.oov_method, self.salt = oov_method, salt
        self.name = "integer_lookup" if name is None else check_text("name", name)
        self._prepare(mask_token if mask_token is None else check_integer("mask_token", mask_token), oov_token)

    def _values(self, argument: str, data: Any) -> Array:
        array = _arrays.numeric(argument, data)
        _arrays.check_whole(argument, array, "whole numbers")
        return array.astype(np.int64).astype(object)

    def _terms(self, vocabulary: Any) -> list[int]:
        found: list[int] = self._values("vocabulary", [int(term) for term in vocabulary]).tolist()
        return found
