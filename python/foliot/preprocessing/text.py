"""Texts as sequences of word numbers: Keras's `Tokenizer` and its companions, many times faster."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foliot import _core
from foliot._warnings import warn
from foliot.preprocessing import _words
from foliot.preprocessing.sequence import _short

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

Analyzer = Callable[[str], Iterable[Any]]


def text_to_word_sequence(
    input_text: str, filters: Iterable[str] = _FILTERS, lower: bool = True, split: str | None = " "
) -> list[str]:
    """Splits a text into words.

    Args:
        input_text: The text.
        filters: Characters that end a word like `split` does. The apostrophe is not among the default ones.
        lower: Whether to lower the text first.
        split: The separator; `None` stands for any whitespace, and filtered characters then vanish.

    Returns:
        The words, without empty ones.

    Raises:
        TypeError: If `input_text` is not a string.
        ValueError: If `split` is empty, or the text holds a lone surrogate.

    Example:
        >>> text_to_word_sequence("Don't panic: it's 42!")
        ["don't", 'panic', "it's", '42']
    """
    if not isinstance(input_text, str):
        raise TypeError(f"`input_text`: expected a string; received {_short(input_text)}")
    return _words.splitter(filters, lower, split, False).split(input_text)


def one_hot(
    input_text: str,
    n: int,
    filters: Iterable[str] = _FILTERS,
    lower: bool = True,
    split: str | None = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Numbers the words of a text by a hash: `hashing_trick` with its default hash.

    Args:
        input_text: The text.
        n: The size of the hash space: numbers run from 1 to `n - 1`.
        filters: See `text_to_word_sequence`.
        lower: See `text_to_word_sequence`.
        split: See `text_to_word_sequence`.
        analyzer: A function that splits a text into words, instead of the three arguments before.

    Returns:
        One number per word. Different words may share one.

    Example:
        >>> one_hot("to be or not to be", 50)
        [27, 47, 37, 4, 27, 47]
    """
    return hashing_trick(input_text, n, None, filters, lower, split, analyzer)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Literal["md5"] | Callable[[Any], int] | None = None,
    filters: Iterable[str] = _FILTERS,
    lower: bool = True,
    split: str | None = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Numbers the words of a text by a hash: `hash_function(word) % (n - 1) + 1`.

    Args:
        text: The text.
        n: The size of the hash space: numbers run from 1 to `n - 1`.
        hash_function: `None` for 64-bit FNV-1a, which is the same in every process (Keras takes Python's `hash` here,
            which is not), `"md5"` for Keras's own stable choice, or a function from a word to an integer.
        filters: See `text_to_word_sequence`.
        lower: See `text_to_word_sequence`.
        split: See `text_to_word_sequence`.
        analyzer: A function that splits a text into words, instead of the three arguments before.

    Returns:
        One number per word. Different words may share one.

    Raises:
        TypeError: If `text` is not a string.
        ValueError: If `n` is less than 2, or `hash_function` is unknown.

    Example:
        >>> hashing_trick("to be or not to be", 50, hash_function="md5")
        [15, 5, 8, 36, 15, 5]
    """
    size = _words.integer("n", n)
    if size < 2:
        raise ValueError(f"`n`: expected at least 2; received {size}")
    words: list[Any]
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else list(analyzer(text))
    if hash_function is None:
        if not all(isinstance(word, str) for word in words):
            raise TypeError("`analyzer`: expected strings for the default hash; received other objects")
        return _core.hash_words(words, size)
    if hash_function == "md5":
        hash_function = _words.md5
    if not callable(hash_function):
        raise ValueError(f"`hash_function`: expected None, 'md5' or a function; received {hash_function!r}")
    return [hash_function(word) % (size - 1) + 1 for word in words]


class Tokenizer:
    """Numbers the words of a corpus by frequency and turns texts into sequences of these numbers, or into vectors.

    Number 0 is never given to a word. `oov_token`, if there is one, gets 1; then come the words, the most frequent
    first, and of equally frequent ones the one that was seen first.

    A text is a string, or a list of tokens that is taken as it is (and lowered). The results are those of Keras's
    legacy `Tokenizer`; differences are errors where Keras gives results of no use.

    Args:
        num_words: How many numbers to use, 0 included: words numbered `num_words` or higher are left out when texts are
            converted. The attributes below hold all words.
        filters: Characters that end a word like `split` does.
        lower: Whether to lower the texts.
        split: The separator of words; `None` stands for any whitespace, and filtered characters then vanish.
        char_level: Whether each character is a token. Filters do not apply then.
        oov_token: What stands for words that are unknown or left out; without it they vanish.
        analyzer: A function that splits a string into tokens, instead of `filters`, `lower` and `split`. It is not
            saved.
        document_count: How many texts the counts stand for already.

    Attributes:
        word_counts: How often each word occurred, in the order of first appearance.
        word_docs: In how many texts each word occurred.
        word_index: The number of each word.
        index_word: The word of each number.
        index_docs: In how many texts each numbered word occurred.
        document_count: The number of texts.

        They are ordinary dictionaries: what a program changes in them counts.

    Example:
        >>> tokenizer = Tokenizer(num_words=4, oov_token="<oov>")
        >>> tokenizer.fit_on_texts(["The film was good, the cast was better.", "The plot?"])
        >>> tokenizer.word_index
        {'<oov>': 1, 'the': 2, 'was': 3, 'film': 4, 'good': 5, 'cast': 6, 'better': 7, 'plot': 8}
        >>> tokenizer.texts_to_sequences(["The film was great"])
        [[2, 1, 3, 1]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: Iterable[str] = _FILTERS,
        lower: bool = True,
        split: str | None = " ",
        char_level: bool = False,
        oov_token: Hashable = None,
        analyzer: Analyzer | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warn("`nb_words` is the old name of Tokenizer's argument `num_words`.")
            num_words = kwargs.pop("nb_words")
        if kwargs:
            raise TypeError(f"Tokenizer: unknown arguments {sorted(kwargs)}")
        if analyzer is not None and not callable(analyzer):
            raise TypeError(f"`analyzer`: expected a function or None; received {_short(analyzer)}")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.document_count = _words.integer("document_count", document_count)
        if self.document_count < 0:
            raise ValueError(f"`document_count`: expected 0 or more; received {document_count}")
        self._splitter()

        self.word_counts: OrderedDict[Any, int] = OrderedDict()
        self.word_docs: defaultdict[Any, int] = defaultdict(int)
        self.word_index: dict[Any, int] = {}
        self.index_word: dict[int, Any] = {}
        self.index_docs: defaultdict[int, int] = defaultdict(int)

    @property
    def num_words(self) -> int | None:
        """How many numbers are used when texts are converted, 0 included; `None` for all."""
        return self._num_words

    @num_words.setter
    def num_words(self, num_words: int | None) -> None:
        if num_words is not None:
            # 1e4 is what people write.
            whole = isinstance(num_words, float) and num_words % 1 == 0
            num_words = int(num_words) if whole else _words.integer("num_words", num_words)
            if num_words < 1:
                raise ValueError(f"`num_words`: expected at least 1, or None for all words; received {num_words}")
        self._num_words = num_words

    def fit_on_texts(self, texts: Iterable[str | list[Any]]) -> None:
        """Counts the words of `texts` and numbers all words seen so far. May be called again with further texts.

        Args:
            texts: The texts: a list, an array or series of strings, or an iterator that need not fit into memory.

        Raises:
            TypeError: If a text is neither a string nor a list of tokens. Nothing is counted then.
            ValueError: If a text holds a lone surrogate. Nothing is counted then.
        """
        # Collected first: a bad text must not leave half of the others counted.
        found: list[tuple[Iterable[tuple[Any, int]], Iterable[tuple[Any, int]]]] = []
        texts_seen = 0
        splitter = self._splitter()
        for strings, tokens in self._runs(texts):
            if strings:
                words, counts, documents = splitter.count(strings, texts_seen)
                found.append((zip(words, counts, strict=True), zip(words, documents, strict=True)))
            if tokens:
                distinct = map(dict.fromkeys, tokens)
                found.append(
                    (Counter(chain.from_iterable(tokens)).items(), Counter(chain.from_iterable(distinct)).items())
                )
            texts_seen += len(strings) + len(tokens)
        self.document_count += texts_seen
        for word_counts, word_docs in found:
            _words.add(self.word_counts, word_counts)
            _words.add(self.word_docs, word_docs)

        words = list(self.word_counts)
        order = np.argsort(-np.fromiter(self.word_counts.values(), np.int64), kind="stable")
        ranked = [words[place] for place in order.tolist()]
        if self.oov_token is not None:
            ranked.insert(0, self.oov_token)
        # A text may contain the oov_token: the word then has the number of its frequency, and 1 stands for nothing.
        self.word_index = dict(zip(ranked, range(1, len(ranked) + 1), strict=True))
        self.index_word = dict(zip(self.word_index.values(), self.word_index, strict=True))
        indices = map(self.word_index.__getitem__, self.word_docs)
        self.index_docs.update(zip(indices, self.word_docs.values(), strict=True))

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Counts in how many of `sequences` each number occurs, as `sequences_to_matrix` with `mode="tfidf"` needs it.

        Args:
            sequences: Sequences of word numbers.

        Raises:
            TypeError: If an element is not a sequence.
        """
        documents: dict[int, int] = {}
        rows = 0
        for row in _words.plain_rows(sequences):
            _words.add(documents, dict.fromkeys(row, 1).items())
            rows += 1
        self.document_count += rows
        _words.add(self.index_docs, documents.items())

    def texts_to_sequences(self, texts: Iterable[str | list[Any]]) -> list[list[int]]:
        """Turns each text into the list of its words' numbers.

        Args:
            texts: The texts, as for `fit_on_texts`.

        Returns:
            One list per text.

        Raises:
            TypeError: If a text is neither a string nor a list of tokens.
            ValueError: If a text holds a lone surrogate, or an unknown word needs an `oov_token` that has no number.
        """
        sequences: list[list[int]] = []
        splitter = self._splitter()
        index_of = self._index()
        indices = _words.Memory(index_of)
        for strings, tokens in self._runs(texts):
            if strings:
                words, ids, offsets = splitter.encode(strings, len(sequences))
                sequences.extend(_core.lists_from_ids(ids, offsets, list(map(index_of, words))))
            sequences.extend(
                [index for index in map(indices.__getitem__, sequence) if index is not None] for sequence in tokens
            )
        return sequences

    def texts_to_sequences_generator(self, texts: Iterable[str | list[Any]]) -> Iterator[list[int]]:
        """Like `texts_to_sequences`, one text at a time.

        Args:
            texts: The texts.

        Yields:
            The list of the numbers of one text's words.
        """
        for text in texts:
            yield from self.texts_to_sequences([text])

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Turns sequences of word numbers into texts, the words separated by spaces.

        Args:
            sequences: Sequences of word numbers: lists, or the rows of an array.

        Returns:
            One text per sequence. Numbers without a word, as padding has them, become `oov_token` or vanish.

        Raises:
            TypeError: If an element is not a sequence.
        """
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Like `sequences_to_texts`, one sequence at a time.

        Args:
            sequences: Sequences of word numbers.

        Yields:
            One text.
        """
        words = _words.Memory(self._word())
        for row in _words.plain_rows(sequences):
            yield " ".join(word for word in map(words.__getitem__, row) if word is not None)

    def texts_to_matrix(
        self, texts: Iterable[str | list[Any]], mode: Literal["binary", "count", "freq", "tfidf"] = "binary"
    ) -> npt.NDArray[np.float64]:
        """Turns texts into a matrix with one row per text and one column per word number.

        Args:
            texts: The texts.
            mode: See `sequences_to_matrix`.

        Returns:
            The matrix.
        """
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Iterable[Iterable[int]], mode: Literal["binary", "count", "freq", "tfidf"] = "binary"
    ) -> npt.NDArray[np.float64]:
        """Turns sequences of word numbers into a matrix with one row per sequence and one column per number.

        Args:
            sequences: Sequences of word numbers. Those that have no column are left out.
            mode: What an element says about a number that occurs `c` times in a sequence of length `n`:
                `"binary"`: 1, `"count"`: `c`, `"freq"`: `c / n`,
                `"tfidf"`: `(1 + log(c)) * log(1 + documents / (1 + d))`, where `d` of the `documents` texts contain it.

        Returns:
            The matrix, with `num_words` columns, or one more than there are words.

        Raises:
            TypeError: If an element is not a sequence of integers.
            ValueError: If `mode` is unknown, a number is negative, there is no word yet, or no text for `"tfidf"`.

        Example:
            >>> tokenizer = Tokenizer()
            >>> tokenizer.fit_on_texts(["to be or not to be"])
            >>> tokenizer.texts_to_matrix(["to be, to be"], mode="count")
            array([[0., 2., 2., 0., 0.]])
        """
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"`mode`: expected 'binary', 'count', 'freq' or 'tfidf'; received {mode!r}")
        columns = self.num_words
        if columns is None:
            if not self.word_index:
                raise ValueError("`num_words`: expected a number, or a call of fit_on_texts first; received None")
            columns = len(self.word_index) + 1
        if mode == "tfidf" and not self.document_count:
            raise ValueError(
                "`mode`: expected a call of fit_on_texts or fit_on_sequences before 'tfidf'; received none"
            )
        ids, offsets = _words.flatten(sequences)
        matrix = np.zeros((len(offsets) - 1, columns))
        term = document = np.empty(0)
        if mode == "tfidf":
            longest = int(np.diff(offsets).max(initial=0))
            term = 1.0 + np.log(np.arange(1, longest + 1))
            found = np.array([self.index_docs.get(index, 0) for index in range(columns)])
            document = np.log(1 + self.document_count / (1 + found))
        _core.fill_matrix(ids, offsets, matrix, mode, term, document)
        return matrix

    def get_config(self) -> dict[str, Any]:
        """The configuration and what was learnt, in Keras's form: the dictionaries as JSON texts.

        Returns:
            A dictionary that `from_config` understands. `analyzer`, being a function, is not in it.
        """
        return {
            "num_words": self.num_words,
            "filters": self.filters if isinstance(self.filters, str) else list(self.filters),
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in _LEARNT},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Tokenizer:
        """Makes a tokenizer of what `get_config` returned.

        Args:
            config: The configuration, ours or Keras's.

        Returns:
            The tokenizer.

        Raises:
            ValueError: If an entry is missing, unknown, or of the wrong form.
        """
        missing = sorted(set(_LEARNT) - config.keys())
        unknown = sorted(config.keys() - _OPTIONS - set(_LEARNT))
        if missing or unknown:
            raise ValueError(f"`config`: expected Tokenizer's entries; received none of {missing}, unknown {unknown}")
        tokenizer = cls(**{name: entry for name, entry in config.items() if name in _OPTIONS})
        tokenizer.word_counts.update(_words.counts(config, "word_counts"))
        tokenizer.word_docs.update(_words.counts(config, "word_docs"))
        tokenizer.word_index.update(_words.counts(config, "word_index"))
        tokenizer.index_docs.update(_words.by_number("index_docs", _words.counts(config, "index_docs")))
        tokenizer.index_word.update(
            _words.by_number("index_word", _words.json_object("index_word", config["index_word"]))
        )
        return tokenizer

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, which `tokenizer_from_json` reads, ours and Keras's.

        Args:
            **kwargs: Passed on to `json.dumps`.

        Returns:
            A JSON text.

        Warns:
            UserWarning: If there is an `analyzer`, which JSON cannot hold.
        """
        if self.analyzer is not None:
            warn("`analyzer` is a function and is not saved: set it again after loading.")
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)

    def _splitter(self) -> _core.Splitter:
        return _words.splitter(self.filters, self.lower, self.split, self.char_level)

    def _runs(self, texts: Iterable[Any]) -> Iterator[tuple[list[str], list[list[Any]]]]:
        """The texts in order, as runs of strings to be split natively, or of token lists (the other list is empty)."""
        if isinstance(texts, str) and not self.char_level:
            warn("`texts` is a single string: each of its characters is taken as a text.")
        analyzer = None if self.char_level else self.analyzer
        first = 0
        for batch in _words.batches(texts):
            for kind, group in groupby(batch, type):
                run = list(group)
                if issubclass(kind, str):
                    if analyzer is None:
                        yield run, []
                    else:
                        yield [], [list(analyzer(text)) for text in run]
                elif issubclass(kind, list):
                    yield [], [self._lowered(first + index, tokens) for index, tokens in enumerate(run)]
                else:
                    raise TypeError(
                        f"`texts[{first}]`: expected a string or a list of tokens; received {_short(run[0])}"
                    )
                first += len(run)

    def _lowered(self, index: int, tokens: list[Any]) -> list[Any]:
        if not self.lower:
            return tokens
        try:
            return [token.lower() for token in tokens]
        except AttributeError as error:
            raise TypeError(
                f"`texts[{index}]`: expected a list of strings, since `lower` is True; received {_short(tokens)}"
            ) from error

    def _unknown(self) -> int | None:
        """The number that stands for words without one."""
        if self.oov_token is None:
            return None
        index = self.word_index.get(self.oov_token)
        if index is None:
            raise ValueError(
                f"`oov_token`: expected a token with a number in `word_index` (fit_on_texts gives it one); "
                f"received {self.oov_token!r}"
            )
        return index

    def _index(self) -> Callable[[Any], int | None]:
        """What a word becomes; `None` if it vanishes."""
        get = self.word_index.get
        limit = float("inf") if self.num_words is None else self.num_words
        drops = self.oov_token is None

        def index_of(word: Any) -> int | None:
            index = get(word)
            if index is not None and index < limit:
                return index
            return None if drops else self._unknown()

        return index_of

    def _word(self) -> Callable[[Any], Any]:
        """What a number becomes; `None` if it vanishes."""
        get = self.index_word.get
        limit = float("inf") if self.num_words is None else self.num_words

        def word_of(number: Any) -> Any:
            word = get(number)
            if word is None or number >= limit:
                unknown = self._unknown()
                return None if unknown is None else self.index_word[unknown]
            return word

        return word_of


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Makes a tokenizer of the JSON that `Tokenizer.to_json` wrote, ours or Keras's.

    Args:
        json_string: The JSON text.

    Returns:
        The tokenizer.

    Raises:
        TypeError: If `json_string` is not a string.
        ValueError: If it is not the JSON of a tokenizer.

    Example:
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["to be or not to be"])
        >>> tokenizer_from_json(tokenizer.to_json()).word_index
        {'to': 1, 'be': 2, 'or': 3, 'not': 4}
    """
    config = _words.json_object("json_string", json_string).get("config")
    if not isinstance(config, dict):
        raise ValueError(f"`json_string`: expected an object with an object 'config'; received {_short(config)}")
    return Tokenizer.from_config(config)


# In Keras's order.
_LEARNT = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
_OPTIONS = {"num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count"}
