"""The text functions against Keras's, on random texts and options."""

import json
import os
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` installs it")

from keras.src.legacy.preprocessing import text as keras_text
from keras.utils import pad_sequences as keras_pad_sequences

from foliot.preprocessing import sequence as our_sequence
from foliot.preprocessing import text as our_text

ATTRIBUTES = ("word_counts", "word_docs", "word_index", "index_word", "index_docs", "document_count")
MODES = ("binary", "count", "freq", "tfidf")

# Few letters, so that words meet again; capitals with unusual lowercase; separators that overlap.
dense = st.text("aAbB.,- '\t\nΣσéÉİß。", max_size=30)
any_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cn"]), max_size=30).filter(
    # The two characters beside which the Unicode versions write a small sigma differently.
    lambda text: not {"\u0295", "\U0001171e"} & set(text)
)
texts = st.lists(dense | any_text, max_size=8)
tokens = st.lists(st.sampled_from(["a", "A", "b c", "", "É"]), max_size=6)
filters = st.sampled_from([our_text._FILTERS, "", ".,", "a-", "。é"])
separators = st.sampled_from([" ", "-", "a", "--", ", ", "。", None])
splitting = st.fixed_dictionaries({}, optional={"filters": filters, "lower": st.booleans(), "split": separators})
options = st.builds(
    lambda split, rest: split | rest,
    splitting,
    st.fixed_dictionaries(
        {},
        optional={
            "num_words": st.integers(1, 9),
            "char_level": st.booleans(),
            "oov_token": st.sampled_from(["<oov>", "a"]),
            "analyzer": st.sampled_from([None, str.split, list]),
            "document_count": st.integers(0, 5),
        },
    ),
)


@given(dense | any_text, splitting)
def test_text_to_word_sequence(text, options):
    assert our_text.text_to_word_sequence(text, **options) == keras_text.text_to_word_sequence(text, **options)


@given(dense, st.integers(2, 100), splitting)
def test_hashing_trick(text, n, options):
    for hash_function in ("md5", len, hash):
        ours = our_text.hashing_trick(text, n, hash_function, **options)
        assert ours == keras_text.hashing_trick(text, n, hash_function, **options)


def both(options, *fits):
    pair = our_text.Tokenizer(**options), keras_text.Tokenizer(**options)
    for tokenizer in pair:
        for fit in fits:
            tokenizer.fit_on_texts(fit)
    return pair


def assert_same(ours, theirs):
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(ours.word_counts) == list(theirs.word_counts)
    assert list(ours.word_index) == list(theirs.word_index)


@settings(max_examples=300)
@given(options, st.lists(dense | any_text | tokens, max_size=8), texts, st.lists(dense | tokens, max_size=4))
def test_tokenizer(options, first, second, unseen):
    ours, theirs = both(options, first, second)
    assert_same(ours, theirs)
    if not theirs.document_count or not theirs.word_index:
        return
    everything = first + second + unseen
    sequences = theirs.texts_to_sequences(everything)
    assert ours.texts_to_sequences(everything) == sequences
    assert list(ours.texts_to_sequences_generator(everything)) == sequences
    sequences += [[0, 1, 2, 99], []]
    if 1 in ours.index_word or ours.oov_token is None:
        assert ours.sequences_to_texts(sequences) == theirs.sequences_to_texts(sequences)
        assert list(ours.sequences_to_texts_generator(sequences)) == ours.sequences_to_texts(sequences)
    for mode in MODES:
        np.testing.assert_array_equal(
            ours.sequences_to_matrix(sequences, mode), theirs.sequences_to_matrix(sequences, mode), err_msg=mode
        )
        np.testing.assert_array_equal(ours.texts_to_matrix(unseen, mode), theirs.texts_to_matrix(unseen, mode))


@given(st.lists(st.lists(st.integers(0, 6), max_size=6), max_size=6), st.integers(1, 8))
def test_fit_on_sequences(sequences, num_words):
    ours, theirs = our_text.Tokenizer(num_words), keras_text.Tokenizer(num_words)
    for tokenizer in (ours, theirs):
        tokenizer.fit_on_sequences(sequences)
    assert_same(ours, theirs)
    if sequences:
        for mode in MODES:
            np.testing.assert_array_equal(
                ours.sequences_to_matrix(sequences, mode), theirs.sequences_to_matrix(sequences, mode), err_msg=mode
            )


@given(options.map(lambda options: options | {"analyzer": None}), texts)
def test_json_both_ways(options, texts):
    ours, theirs = both(options, texts)
    ours_from_theirs = our_text.tokenizer_from_json(theirs.to_json())
    theirs_from_ours = keras_text.tokenizer_from_json(ours.to_json())
    assert_same(ours_from_theirs, theirs)
    assert_same(ours, theirs_from_ours)
    assert ours_from_theirs.texts_to_sequences(texts) == theirs_from_ours.texts_to_sequences(texts)
    # Keras writes word_docs in the order of a set of strings, which differs from process to process.
    one, other = (json.loads(tokenizer.to_json()) for tokenizer in (ours, theirs))
    for name in ("word_docs", "index_docs"):
        one["config"][name], other["config"][name] = (json.loads(side["config"][name]) for side in (one, other))
    assert one == other
    assert list(one["config"]) == list(other["config"])


scalars = st.integers(-100, 100)
vectors = st.lists(st.integers(0, 9), min_size=2, max_size=2)
rows = st.one_of(*(st.lists(st.lists(step, max_size=6), min_size=1, max_size=6) for step in (scalars, vectors)))


def as_given(rows, form):
    if form == "lists":
        return rows
    return [np.array(row, dtype=form) for row in rows]


@settings(max_examples=300)
@given(
    rows,
    st.sampled_from(["lists", "int64", "float32", "uint8"]),
    st.none() | st.integers(1, 8),
    st.sampled_from(["int32", "int64", "float16", "float32", "float64", "object", "bool", "complex128"]),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
    st.sampled_from([0.0, 0, -1, 2.0]),
)
def test_pad_sequences(rows, form, maxlen, dtype, padding, truncating, value):
    if form == "uint8":
        rows = [[np.abs(step).tolist() for step in row] for row in rows]
    sequences = as_given(rows, form)
    ours = our_sequence.pad_sequences(sequences, maxlen, dtype, padding, truncating, value)
    theirs = keras_pad_sequences(sequences, maxlen, dtype, padding, truncating, value)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


@given(
    st.lists(st.lists(st.text(string.ascii_letters, max_size=4), max_size=5), min_size=1, max_size=5),
    st.none() | st.integers(1, 6),
    st.sampled_from([object, str, "<U3"]),
    st.sampled_from(["", "<pad>"]),
)
def test_pad_strings(rows, maxlen, dtype, value):
    ours = our_sequence.pad_sequences(rows, maxlen, dtype, value=value)
    theirs = keras_pad_sequences(rows, maxlen, dtype, value=value)
    assert ours.dtype == theirs.dtype
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "x"},
        {"truncating": "x"},
        {"maxlen": -1},
        {"value": "x"},
        {"sequences": []},
        {"sequences": iter([])},
        {"sequences": [1]},
        {"sequences": [[1], [[1]]]},
        {"sequences": [["a"]]},
        {"sequences": [[300]], "dtype": "int8"},
        {"sequences": [[None]]},
        {"dtype": "nonsense"},
    ],
)
def test_pad_sequences_errors(arguments):
    arguments = {"sequences": [[1]], **arguments}
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - which exception Keras raises is the question
        keras_pad_sequences(**arguments)
    with pytest.raises(theirs.type):
        our_sequence.pad_sequences(**arguments)
