"""The Tokenizer against values worked out by hand from Keras's rules."""

import copy
import inspect
import json
import os
import pickle
import signal
import sys
import threading
import unicodedata
from collections import OrderedDict, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from foliot.preprocessing.text import (
    Tokenizer,
    hashing_trick,
    one_hot,
    text_to_word_sequence,
    tokenizer_from_json,
)

TEXTS = ["The film was good, the cast was better.", "The plot?", "good GOOD good"]


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


# --- text_to_word_sequence ---


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("Don't STOP, it's 9-5!\tÉté", {}, ["don't", "stop", "it's", "9", "5", "été"]),
        ("A b", {"lower": False}, ["A", "b"]),
        ("a,b c", {"filters": "", "split": ","}, ["a", "b c"]),
        ("aXb", {"filters": "X"}, ["axb"]),
        ("aXb", {"filters": ["x"]}, ["a", "b"]),
        ("x-!y", {"filters": "!", "split": "--"}, ["x", "-y"]),
        ("a-b\x1cc\u00a0d", {"filters": "-", "split": None}, ["ab", "c", "d"]),
        ("今天。天气", {"filters": "。"}, ["今天", "天气"]),
        ("ΟΔΟΣ ΣΑΣ", {}, ["οδος", "σας"]),
        ("", {}, []),
    ],
)
def test_text_to_word_sequence(text, options, words):
    assert text_to_word_sequence(text, **options) == words


def test_lowercase_is_pythons_on_every_assigned_character():
    # A separator that no lowercase contains keeps the characters apart.
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF and code != 1]
    words = text_to_word_sequence("\1".join(characters), filters="", split="\1")
    different = [c for c, word in zip(characters, words, strict=True) if word != c.lower()]
    assert all(unicodedata.category(c) == "Cn" for c in different), different


def test_final_sigma_is_pythons_beside_every_assigned_character():
    known = {"\u0295", "\U0001171e"}  # the two whose casing the Unicode versions disagree about, see split.rs
    characters = [
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) not in ("Cn", "Cs")
    ]
    texts = [text for c in characters if c != "\1" for text in (f"aΣ{c}b", f"aΣ{c}", f"{c}Σ", f"a{c}Σ")]
    words = text_to_word_sequence("\1".join(texts), filters="", split="\1")
    different = {text for text, word in zip(texts, words, strict=True) if word != text.lower()}
    assert {text for text in different if not known & set(text)} == set()


def test_whitespace_is_pythons():
    characters = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF)
    assert text_to_word_sequence(characters, filters="", lower=False, split=None) == characters.split()


# --- hashing ---


def test_hashing_trick():
    # 64-bit FNV-1a of "foobar" is 0x85944171F73967E8 (its authors' test vector).
    assert hashing_trick("foobar FOOBAR", 1000) == [1 + 0x85944171F73967E8 % 999] * 2
    assert one_hot("foobar", 1000) == hashing_trick("foobar", 1000)
    # md5("a") = 0cc175b9c0f1b6a831c399e269772661 (RFC 1321).
    assert hashing_trick("a", 100, hash_function="md5") == [1 + 0x0CC175B9C0F1B6A831C399E269772661 % 99]
    assert hashing_trick("a bb", 100, hash_function=len) == [2, 3]
    assert hashing_trick("a bb", 100, hash_function=len, analyzer=list) == [2, 2, 2, 2]
    assert hashing_trick("x", 2) == [1]


@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        (("a", 1), ValueError, ["`n`", "at least 2", "1"]),
        (("a", 2.5), TypeError, ["`n`", "2.5"]),
        ((5, 10), TypeError, ["`input_text`", "int 5"]),
        (("a", 10, "sha1"), ValueError, ["`hash_function`", "'md5'", "'sha1'"]),
    ],
)
def test_hashing_trick_errors(arguments, error, parts):
    with pytest.raises(error) as caught:
        hashing_trick(*arguments)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_hashing_trick_wants_strings_for_its_own_hash():
    with pytest.raises(TypeError, match="`analyzer`"):
        hashing_trick("a", 10, analyzer=lambda text: [1])


# --- fitting ---


def test_fit_on_texts():
    tokenizer = fitted()
    counts = OrderedDict(the=3, film=1, was=2, good=4, cast=1, better=1, plot=1)
    assert tokenizer.word_counts == counts
    assert isinstance(tokenizer.word_counts, OrderedDict)
    assert tokenizer.word_docs == {"the": 2, "film": 1, "was": 1, "good": 2, "cast": 1, "better": 1, "plot": 1}
    assert isinstance(tokenizer.word_docs, defaultdict)
    assert tokenizer.word_index == {"good": 1, "the": 2, "was": 3, "film": 4, "cast": 5, "better": 6, "plot": 7}
    assert tokenizer.index_word == {1: "good", 2: "the", 3: "was", 4: "film", 5: "cast", 6: "better", 7: "plot"}
    assert tokenizer.index_docs == {1: 2, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1}
    assert tokenizer.document_count == 3


def test_fitting_twice_adds_up():
    tokenizer = Tokenizer(document_count=4)
    tokenizer.fit_on_texts(TEXTS[:1])
    tokenizer.fit_on_texts(TEXTS[1:])
    assert tokenizer.word_counts == fitted().word_counts
    assert tokenizer.word_index == fitted().word_index
    assert tokenizer.document_count == 7


def test_every_kind_of_collection():
    expected = fitted().word_index
    for texts in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), iter(TEXTS), dict.fromkeys(TEXTS)):
        tokenizer = Tokenizer()
        tokenizer.fit_on_texts(texts)
        assert tokenizer.word_index == expected


def test_an_iterator_longer_than_a_batch():
    texts = [f"word{i % 7} x{i}" for i in range(20_000)]
    tokenizer, streamed = Tokenizer(), Tokenizer()
    tokenizer.fit_on_texts(texts)
    streamed.fit_on_texts(text for text in texts)
    assert list(streamed.word_counts.items()) == list(tokenizer.word_counts.items())
    assert streamed.texts_to_sequences(iter(texts)) == tokenizer.texts_to_sequences(texts)


def test_token_lists_and_texts_mixed():
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["b a", ["New York", "A"], "a c"])
    assert tokenizer.word_index == {"a": 1, "b": 2, "new york": 3, "c": 4}
    assert tokenizer.texts_to_sequences([["New York"], "b C", [], ""]) == [[3], [2, 4], [], []]


def test_tokens_need_not_be_strings():
    tokenizer = Tokenizer(lower=False)
    tokenizer.fit_on_texts([[7, (1, 2)], [7]])
    assert tokenizer.word_index == {7: 1, (1, 2): 2}
    assert tokenizer.texts_to_sequences([[(1, 2), 7, 8]]) == [[2, 1]]


def test_analyzer():
    tokenizer = Tokenizer(analyzer=lambda text: (pair for pair in pairwise(text)))
    tokenizer.fit_on_texts(["aab", "aa"])
    assert tokenizer.word_counts == {("a", "a"): 2, ("a", "b"): 1}
    assert tokenizer.word_docs == {("a", "a"): 2, ("a", "b"): 1}
    assert tokenizer.texts_to_sequences(["baab"]) == [[1, 2]]


def test_char_level():
    tokenizer = Tokenizer(char_level=True, analyzer=str.split)
    tokenizer.fit_on_texts(["Aa!", ["b", "A"]])
    assert tokenizer.word_counts == {"a": 3, "!": 1, "b": 1}
    assert tokenizer.texts_to_sequences(["ab!c"]) == [[1, 3, 2]]


def test_a_string_as_the_collection():
    # Character models are fitted like this: each character is a text.
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts("abca")
    assert tokenizer.document_count == 4
    assert tokenizer.word_index == {"a": 1, "b": 2, "c": 3}
    with pytest.warns(UserWarning, match="single string"):
        Tokenizer().fit_on_texts("ab")


def test_fit_on_sequences():
    tokenizer = Tokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 2, 1], np.array([2, 5])])
    assert tokenizer.document_count == 2
    assert tokenizer.index_docs == {1: 1, 2: 2, 5: 1}
    assert all(type(index) is int for index in tokenizer.index_docs)
    tokenizer.fit_on_sequences([[2]])
    assert tokenizer.index_docs == {1: 1, 2: 3, 5: 1}


# --- converting ---


def test_num_words_and_oov_token():
    text = ["The unknown film was good"]
    assert fitted().texts_to_sequences(text) == [[2, 4, 3, 1]]
    assert fitted(num_words=3).texts_to_sequences(text) == [[2, 1]]
    assert fitted(oov_token="<oov>").texts_to_sequences(text) == [[3, 1, 5, 4, 2]]
    assert fitted(oov_token="<oov>", num_words=3).texts_to_sequences(text) == [[1, 1, 1, 1, 2]]
    assert fitted(num_words=1.0).num_words == 1


def test_an_oov_token_among_the_words_has_the_words_number():
    tokenizer = Tokenizer(oov_token="b")
    tokenizer.fit_on_texts(["a a b"])
    assert tokenizer.word_index == {"b": 3, "a": 2}
    assert tokenizer.texts_to_sequences(["a x"]) == [[2, 3]]


def test_programs_may_edit_the_dictionaries():
    tokenizer = fitted(oov_token="<oov>")
    tokenizer.word_index["<pad>"] = 0
    tokenizer.index_word[0] = "<pad>"
    tokenizer.word_index = {word: index for word, index in tokenizer.word_index.items() if index < 3}
    assert tokenizer.texts_to_sequences(["good <pad> was", ["<pad>"]]) == [[2, 1, 1], [0]]
    assert tokenizer.sequences_to_texts([[0, 2]]) == ["<pad> good"]


def test_sequences_to_texts():
    assert fitted().sequences_to_texts([[2, 4, 99], np.array([0, 1], np.int32), ()]) == ["the film", "good", ""]
    tokenizer = fitted(oov_token="<oov>", num_words=4)
    assert tokenizer.sequences_to_texts(np.array([[0, 2, 5]])) == ["<oov> good <oov>"]


def test_generators_are_lazy():
    tokenizer = fitted()

    def endless():
        while True:
            yield "good film"

    assert next(tokenizer.texts_to_sequences_generator(endless())) == [1, 4]
    assert next(tokenizer.sequences_to_texts_generator([1] for _ in iter(int, 1))) == "good"


# --- matrices ---


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("binary", [0, 1, 1, 0]),
        ("count", [0, 2, 1, 0]),
        ("freq", [0, 2 / 4, 1 / 4, 0]),
        ("tfidf", [0, (1 + np.log(2)) * np.log(1 + 3 / 3), np.log(1 + 3 / 3), 0]),
    ],
)
def test_matrix_modes(mode, row):
    tokenizer = fitted(num_words=4)
    np.testing.assert_array_equal(tokenizer.sequences_to_matrix([[1, 2, 9, 1], []], mode), [row, [0] * 4])


def test_matrix_of_texts():
    matrix = fitted().texts_to_matrix(TEXTS, mode="count")
    assert matrix.dtype == np.float64
    assert matrix.shape == (3, 8)
    np.testing.assert_array_equal(matrix.sum(axis=0), [0, 4, 3, 2, 1, 1, 1, 1])


def test_matrix_takes_arrays_and_numpy_integers():
    tokenizer = Tokenizer(num_words=3)
    expected = [[0, 1, 1], [1, 0, 0]]
    for sequences in (np.array([[1, 2], [0, 0]]), [np.array([1, 2], np.uint8), (np.int64(0),)], iter([[1, 2], [0]])):
        np.testing.assert_array_equal(tokenizer.sequences_to_matrix(sequences), expected)


# --- saving ---


def assert_same(one, other):
    assert one.get_config() == other.get_config()
    for name in ("word_counts", "word_docs", "word_index", "index_word", "index_docs", "document_count"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("options", [{}, {"num_words": 4, "oov_token": "é\U0001f600", "split": None, "filters": ["a"]}])
def test_json_round_trip(options):
    tokenizer = fitted(**options)
    text = tokenizer.to_json(indent=1)
    assert_same(tokenizer_from_json(text), tokenizer)
    assert json.loads(text)["class_name"] == "Tokenizer"


def test_a_loaded_tokenizer_can_be_fitted_further():
    loaded = tokenizer_from_json(fitted().to_json())
    loaded.fit_on_texts(["brand new words"])
    assert loaded.document_count == 4
    assert loaded.word_docs["brand"] == 1


def test_json_of_keras():
    # Written by Keras 3.15.1: Tokenizer(num_words=5, oov_token="<o>") fitted on ["a b a", "É"].
    text = (
        '{"class_name": "Tokenizer", "config": {"num_words": 5, "filters": "!", "lower": true, "split": " ", '
        '"char_level": false, "oov_token": "<o>", "document_count": 2, '
        '"word_counts": "{\\"a\\": 2, \\"b\\": 1, \\"\\\\u00e9\\": 1}", '
        '"word_docs": "{\\"b\\": 1, \\"a\\": 1, \\"\\\\u00e9\\": 1}", '
        '"index_docs": "{\\"3\\": 1, \\"2\\": 1, \\"4\\": 1}", '
        '"index_word": "{\\"1\\": \\"<o>\\", \\"2\\": \\"a\\", \\"3\\": \\"b\\", \\"4\\": \\"\\\\u00e9\\"}", '
        '"word_index": "{\\"<o>\\": 1, \\"a\\": 2, \\"b\\": 3, \\"\\\\u00e9\\": 4}"}}'
    )
    tokenizer = tokenizer_from_json(text)
    assert tokenizer.word_index == {"<o>": 1, "a": 2, "b": 3, "é": 4}
    assert tokenizer.index_docs == {2: 1, 3: 1, 4: 1}
    assert tokenizer.texts_to_sequences(["É b x"]) == [[4, 3, 1]]
    assert tokenizer.to_json() == text


def test_copies():
    tokenizer = fitted(num_words=5)
    assert_same(pickle.loads(pickle.dumps(tokenizer)), tokenizer)
    assert_same(copy.deepcopy(tokenizer), tokenizer)


def test_config_holds_every_option():
    options = set(inspect.signature(Tokenizer).parameters) - {"kwargs", "analyzer"}
    assert options <= Tokenizer().get_config().keys()
    with pytest.warns(UserWarning, match="`analyzer`"):
        Tokenizer(analyzer=list).to_json()


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "error", "parts"),
    [
        ({"num_words": 0}, ValueError, ["`num_words`", "at least 1", "0"]),
        ({"num_words": -3}, ValueError, ["`num_words`", "-3"]),
        ({"num_words": 2.5}, TypeError, ["`num_words`", "2.5"]),
        ({"num_words": "9"}, TypeError, ["`num_words`", "str '9'"]),
        ({"document_count": -1}, ValueError, ["`document_count`", "-1"]),
        ({"split": ""}, ValueError, ["`split`", "''"]),
        ({"split": 5}, TypeError, ["`split`", "int 5"]),
        ({"split": "\ud800"}, ValueError, ["`split`", "surrogate"]),
        ({"filters": ["ab"]}, ValueError, ["`filters`", "single characters", "ab"]),
        ({"analyzer": "words"}, TypeError, ["`analyzer`", "'words'"]),
        ({"word_limit": 3}, TypeError, ["word_limit"]),
    ],
)
def test_bad_options(options, error, parts):
    with pytest.raises(error) as caught:
        Tokenizer(**options)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_old_name_of_num_words():
    with pytest.warns(UserWarning, match="nb_words"):
        assert Tokenizer(nb_words=7).num_words == 7


@pytest.mark.parametrize(
    ("texts", "error", "parts"),
    [
        (["a", 5], TypeError, ["`texts[1]`", "int 5"]),
        (["a", "b", None], TypeError, ["`texts[2]`", "None"]),
        ([b"a"], TypeError, ["`texts[0]`", "bytes"]),
        ([("a", "b")], TypeError, ["`texts[0]`", "tuple"]),
        (["a", ["b", 5]], TypeError, ["`texts[1]`", "`lower`"]),
        (7, TypeError, ["`texts`", "int 7"]),
        (["a", "b\ud800"], ValueError, ["`texts[1]`", "'\\ud800'", "index 1"]),
        ((text for text in ["x"] * 9000 + ["\udfff"]), ValueError, ["`texts[9000]`", "index 0"]),
    ],
)
def test_bad_texts(texts, error, parts):
    tokenizer = fitted()
    before = tokenizer.get_config()
    with pytest.raises(error) as caught:
        tokenizer.fit_on_texts(texts)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert tokenizer.get_config() == before


def test_an_oov_token_without_a_number():
    with pytest.raises(ValueError, match=r"`oov_token`.*'<oov>'"):
        Tokenizer(oov_token="<oov>").texts_to_sequences(["a"])


@pytest.mark.parametrize(
    ("sequences", "options", "error", "parts"),
    [
        ([[1]], {"mode": "tf"}, ValueError, ["`mode`", "'tf'"]),
        ([[1], [0, -2]], {}, ValueError, ["sequences[1]", "-2"]),
        ([[1.5]], {}, TypeError, ["`sequences[0]`", "1.5"]),
        ([1], {}, TypeError, ["`sequences[0]`", "int 1"]),
        (["12"], {}, TypeError, ["`sequences[0]`", "str '12'"]),
        ([[2**70]], {}, ValueError, ["64 bits"]),
        (5, {}, TypeError, ["`sequences`", "int 5"]),
    ],
)
def test_bad_sequences(sequences, options, error, parts):
    with pytest.raises(error) as caught:
        fitted().sequences_to_matrix(sequences, **options)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_a_matrix_needs_words():
    with pytest.raises(ValueError, match="`num_words`"):
        Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="tfidf"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], mode="tfidf")


def change_config(**changes):
    """The JSON of a tokenizer with changed entries; `None` removes one."""
    config = fitted().get_config() | changes
    return json.dumps(
        {"config": {name: entry for name, entry in config.items() if entry is not None or name == "num_words"}}
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "`json_string`"),
        ("[]", "`json_string`"),
        ("{}", "'config'"),
        ("[" * 100_000, "`json_string`"),
        (change_config(word_index=None), "word_index"),
        (change_config(surprise=1), "surprise"),
        (change_config(word_counts="[1]"), "`word_counts`"),
        (change_config(word_counts='{"a": "b"}'), "`word_counts`"),
        (change_config(word_index='{"a": 1.5}'), "`word_index`"),
        (change_config(index_docs='{"a": 1}'), "`index_docs`"),
        (change_config(num_words=-1), "`num_words`"),
    ],
)
def test_bad_json(text, part):
    with pytest.raises(ValueError, match="expected") as caught:
        tokenizer_from_json(text)
    assert part in str(caught.value)


# --- threads and processes ---


def corpus():
    # Several chunks on any number of threads.
    return [" ".join(f"w{(i * j) % (i + 11)}" for j in range(60)) for i in range(2000)]


def test_threads_share_the_pool():
    texts = corpus()
    expected = Tokenizer()
    expected.fit_on_texts(texts)
    results = []

    def work():
        tokenizer = Tokenizer()
        tokenizer.fit_on_texts(texts)
        results.append(list(tokenizer.word_index.items()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(expected.word_index.items())] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on():
    texts = corpus()
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(texts)
    expected = tokenizer.texts_to_sequences(texts)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if tokenizer.texts_to_sequences(texts) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0, "the child hung or computed something else"
