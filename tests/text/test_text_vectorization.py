"""TextVectorization, StringLookup and IntegerLookup. The numbers are Keras 3.15's; tests/peers has random texts."""

import json

import numpy as np
import pandas as pd
import pytest

from foliot.layers import GRU, Dense, Embedding, IntegerLookup, StringLookup, TextVectorization
from foliot.models import Sequential

TEXTS = ["the cat Sat on. the mat", "the dog\tran", "É dog cat", ""]
ASKED = ["the cat flew", "dog", ""]


def adapted(**options) -> TextVectorization:
    layer = TextVectorization(**options)
    layer.adapt(TEXTS)
    return layer


@pytest.mark.parametrize(
    ("options", "vocabulary", "numbers"),
    [
        ({}, ["", "[UNK]", "the", "dog", "cat", "É", "sat", "ran", "on", "mat"], [[2, 4, 1], [3, 0, 0], [0, 0, 0]]),
        ({"max_tokens": 5}, ["", "[UNK]", "the", "dog", "cat"], [[2, 4, 1], [3, 0, 0], [0, 0, 0]]),
        (
            {"output_mode": "count", "max_tokens": 5, "pad_to_max_tokens": True},
            ["[UNK]", "the", "dog", "cat", "É"],
            [[1, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]],
        ),
        (
            {"output_mode": "tf_idf", "max_tokens": 6},
            ["[UNK]", "the", "dog", "cat", "É", "sat"],
            [
                [0.9478236436843872, 0.8472978472709656, 0, 0.8472978472709656, 0, 0],
                [0, 0, 0.8472978472709656, 0, 0, 0],
                [0] * 6,
            ],
        ),
        (
            {"ngrams": 2, "output_sequence_length": 4, "max_tokens": 10},
            ["", "[UNK]", "the", "dog", "cat", "É dog", "É", "the mat", "the dog", "the cat"],
            [[2, 4, 1, 9], [3, 0, 0, 0], [0, 0, 0, 0]],
        ),
        (
            {"ngrams": (2,)},
            [
                "",
                "[UNK]",
                "É dog",
                "the mat",
                "the dog",
                "the cat",
                "sat on",
                "on the",
                "dog ran",
                "dog cat",
                "cat sat",
            ],
            [[5, 1], [0, 0], [0, 0]],
        ),
        (
            {"split": "character", "max_tokens": 8, "output_sequence_length": 5},
            ["", "[UNK]", " ", "t", "a", "o", "h", "e"],
            [[3, 6, 7, 2, 1], [1, 5, 1, 0, 0], [0, 0, 0, 0, 0]],
        ),
        ({"split": None}, ["", "[UNK]", "É dog cat", "the dog\tran", "the cat sat on the mat"], [1, 1, 0]),
        (
            {"standardize": None, "output_sequence_length": 2},
            ["", "[UNK]", "the", "dog", "cat", "É", "ran", "on.", "mat", "Sat"],
            [[2, 4], [3, 0], [0, 0]],
        ),
    ],
)
def test_as_keras(options, vocabulary, numbers) -> None:
    layer = adapted(**options)
    assert layer.get_vocabulary() == vocabulary
    assert layer.vocabulary_size() == len(vocabulary)
    special = 1 if options.get("output_mode", "int") != "int" else 2
    assert layer.get_vocabulary(include_special_tokens=False) == vocabulary[special:]
    np.testing.assert_allclose(layer(ASKED), numbers, rtol=1e-6)
    np.testing.assert_allclose(layer(np.array(ASKED)), numbers, rtol=1e-6)
    np.testing.assert_allclose(layer(pd.Series(ASKED)), numbers, rtol=1e-6)
    np.testing.assert_allclose(layer("dog"), layer(["dog"])[0])

    # The configuration holds what was learnt.
    again = TextVectorization.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_vocabulary() == vocabulary
    np.testing.assert_array_equal(again(ASKED), layer(ASKED))
    assert again.get_config() == layer.get_config()


def test_batches_and_columns() -> None:
    whole = adapted(output_mode="tf_idf", name="words")
    parts = TextVectorization(output_mode="tf-idf", name="words")
    parts.adapt(iter([TEXTS[:1], np.array(TEXTS[1:3])[:, None], TEXTS[3:], ["never taken"]]), steps=3)
    assert parts.get_config() == whole.get_config()
    np.testing.assert_array_equal(whole([[text] for text in ASKED]), whole(ASKED))


def test_functions() -> None:
    layer = TextVectorization(
        standardize=lambda texts: np.char.replace(np.char.upper(texts), "É", "E"),
        split=lambda texts: [text.split("-") for text in texts],
    )
    layer.adapt(["é-b", "b-c"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B", "E", "C"]
    assert layer(["C-x-é"]).tolist() == [[4, 1, 3]]
    with pytest.raises(TypeError, match="`standardize`: expected a name or None"):
        layer.get_config()


def test_vocabularies_from_elsewhere(tmp_path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("the\ncat\n", encoding="utf-8")
    for given in (["the", "cat"], ("", "[UNK]", "the", "cat"), np.array(["the", "cat"]), path):
        layer = TextVectorization(vocabulary=given)
        assert layer.get_vocabulary() == ["", "[UNK]", "the", "cat"]
        with pytest.raises(ValueError, match="expected no `vocabulary` in the constructor"):
            layer.adapt(TEXTS)
    weighted = TextVectorization(output_mode="tf_idf", vocabulary=["a", "b"], idf_weights=[0.5, 1.5])
    assert weighted(["a b b c"]).tolist() == [[1.0, 0.5, 3.0]]
    weighted.set_vocabulary(["[UNK]", "b"], [2.0, 3.0])
    assert weighted(["a b b c"]).tolist() == [[4.0, 6.0]]


def test_into_a_model() -> None:
    layer = TextVectorization(output_sequence_length=6)
    texts, labels = ["good film", "bad film", "very good", "so bad"], np.array([1, 0, 1, 0])
    layer.adapt(texts)
    model = Sequential([Embedding(layer.vocabulary_size(), 4, mask_zero=True), GRU(4), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    losses = model.fit(layer(texts), labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_tokens": 1}, "`max_tokens`"),
        ({"standardize": "upper"}, "`standardize`: expected one of"),
        ({"split": "words"}, "`split`: expected one of"),
        ({"ngrams": 0}, "`ngrams`"),
        ({"output_mode": "hot"}, "`output_mode`: expected one of"),
        ({"output_mode": "count", "output_sequence_length": 3}, "`output_sequence_length`: expected None"),
        ({"pad_to_max_tokens": True}, "`max_tokens`: expected a number"),
        ({"ragged": True}, "`ragged`"),
        ({"sparse": True}, "`sparse`"),
        ({"vocabulary": ["a", "b", "a"]}, "`vocabulary`: expected every term once"),
        ({"vocabulary": ["a", ""]}, "`vocabulary`: expected the mask token"),
        ({"vocabulary": []}, "`vocabulary`: expected at least one term"),
        ({"vocabulary": ["a", "b"], "max_tokens": 3}, "`vocabulary`: expected at most 3 terms"),
        ({"vocabulary": ["a"], "output_mode": "tf_idf"}, "`idf_weights`: expected one weight for each term"),
        ({"vocabulary": ["a"], "idf_weights": [1.0]}, "`idf_weights`: expected None"),
        ({"vocabulary": ["a"], "idf_weights": [1, 2], "output_mode": "tf_idf"}, "`idf_weights`: expected one weight"),
    ],
)
def test_what_is_refused(options, text) -> None:
    with pytest.raises(ValueError, match=text):
        TextVectorization(**options)


def test_inputs_that_are_no_texts() -> None:
    layer = adapted()
    for bad in (3, [1, 2], [None], pd.Series(["a", None]), {"a": 1}):
        with pytest.raises(TypeError, match="expected texts"):
            layer(bad)
    for ragged in ([["a", "b"], ["c"]], [["a", "b"], ["c", "d"]]):
        with pytest.raises(ValueError, match="`inputs`: expected"):
            layer(ragged)
    with pytest.raises(ValueError, match="'one_hot' for texts of different lengths"):
        adapted(output_mode="one_hot")(ASKED)
    assert TextVectorization()(["nothing is known"]).tolist() == [[1, 1, 1]]


def test_string_lookup() -> None:
    lookup = StringLookup(vocabulary=["a", "b"], mask_token="")
    assert lookup([["b", "", "z"]]).tolist() == [[3, 0, 1]]
    assert lookup("a") == 2
    back = StringLookup(vocabulary=lookup.get_vocabulary(), mask_token="", invert=True)
    assert back([[3, 0, 1, 9]]).tolist() == [["b", "", "[UNK]", "[UNK]"]]
    assert StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(["a", "z"]).tolist() == [[0, 1, 0], [1, 0, 0]]
    count = StringLookup(vocabulary=["a", "b"], output_mode="count")
    assert count([["a", "z", "a"]]).tolist() == [[1, 2, 0]]
    assert count(["a", "a", "b"]).tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match="`num_oov_indices` is 0; received b'z'"):
        StringLookup(vocabulary=["a"], num_oov_indices=0)(["z"])
    with pytest.raises(ValueError, match="`num_oov_indices`"):
        StringLookup(num_oov_indices=2)
    with pytest.raises(ValueError, match="`output_mode`: expected 'int'"):
        StringLookup(invert=True, output_mode="count")
    learnt = StringLookup(max_tokens=3)
    learnt.adapt([["b", "a"], ["a", "c"]])
    assert learnt.get_vocabulary() == ["[UNK]", "a", "c"]
    assert StringLookup.from_config(learnt.get_config()).get_vocabulary() == learnt.get_vocabulary()


def test_integer_lookup() -> None:
    lookup = IntegerLookup(vocabulary=[10, 20])
    assert lookup([10, 5, 20]).tolist() == [1, 0, 2]
    assert lookup.get_vocabulary() == [-1, 10, 20]
    assert IntegerLookup(vocabulary=[10, 20], invert=True)([2, 0, 7]).tolist() == [20, -1, -1]
    several = IntegerLookup(vocabulary=[10], num_oov_indices=3, mask_token=0)
    assert several([10, 0, 4, 5, -1]).tolist() == [4, 0, 2, 3, 3]
    learnt = IntegerLookup(output_mode="multi_hot")
    learnt.adapt(np.array([[3, 3], [7, 8]]))
    assert learnt.get_vocabulary() == [-1, 3, 8, 7]
    assert learnt([[3, 1], [8, 8]]).tolist() == [[1, 1, 0, 0], [0, 0, 1, 0]]
    assert IntegerLookup.from_config(json.loads(json.dumps(learnt.get_config()))).get_config() == learnt.get_config()
    with pytest.raises(ValueError, match="`inputs`: expected whole numbers"):
        lookup([1.5])


def test_lookups_of_nothing_and_of_more_unknowns_than_terms() -> None:
    lookup = StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")
    assert lookup(np.zeros((0, 3), object)).shape == (0, 3)
    counts = StringLookup(vocabulary=["a", "b"], output_mode="count")
    np.testing.assert_array_equal(counts(np.zeros((2, 0), object)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`max_tokens`: expected at least the 5"):
        IntegerLookup(max_tokens=3, num_oov_indices=5, output_mode="multi_hot")


def test_characters_in_another_encoding() -> None:
    layer = TextVectorization(vocabulary=["a", "é"], split="character", encoding="latin-1")
    np.testing.assert_array_equal(layer(["aé"]), [[2, 3]])


@pytest.mark.parametrize("dtype", ["string", "int64", {"class_name": "DTypePolicy", "config": {"name": "float32"}}])
@pytest.mark.parametrize("layer", [TextVectorization, StringLookup])
def test_what_keras_says_of_types(layer, dtype):
    """It changes nothing of the numbers."""
    config = {"vocabulary": ["a", "b"], "dtype": dtype}
    made = layer.from_config(config)
    assert made.get_vocabulary() == layer(vocabulary=["a", "b"], dtype=dtype).get_vocabulary()
    assert layer.from_config(made.get_config()).get_vocabulary() == made.get_vocabulary()


def test_a_lookup_of_keras():
    made = StringLookup.from_config({"vocabulary": ["a"], "oov_method": "floormod", "salt": None})
    assert made(["a", "b"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match="`oov_method`"):
        StringLookup.from_config({"vocabulary": ["a"], "oov_method": "farmhash"})


SURROGATE = "ab \ud800c"


@pytest.mark.parametrize(
    ("run", "named"),
    [
        (lambda: TextVectorization().adapt(["ok", SURROGATE]), r"data\[1\]"),
        (lambda: TextVectorization(vocabulary=["a"])(["ok", SURROGATE]), r"inputs\[1\]"),
        (lambda: TextVectorization(vocabulary=["a"])([["ok"], [SURROGATE]]), r"inputs\[1\]\[0\]"),
        (lambda: TextVectorization(vocabulary=["a"])(SURROGATE), "inputs"),
        (lambda: TextVectorization(vocabulary=["a", SURROGATE]), r"vocabulary\[1\]"),
        (lambda: TextVectorization(vocabulary=["a"], split=lambda _: [["b", SURROGATE]])(["a"]), r"split\[1\]"),
        (lambda: TextVectorization(vocabulary=["a"], standardize=lambda _: [SURROGATE])(["a"]), r"standardize\[0\]"),
        (lambda: StringLookup().adapt(["ok", SURROGATE]), r"data\[1\]"),
        (lambda: StringLookup(vocabulary=["a"])([["a", SURROGATE]]), r"inputs\[0\]\[1\]"),
        (lambda: StringLookup(vocabulary=[SURROGATE]), r"vocabulary\[0\]"),
        (lambda: StringLookup(mask_token=SURROGATE), "mask_token"),
        (lambda: StringLookup(oov_token=SURROGATE), "oov_token"),
        (
            lambda: Sequential([TextVectorization(vocabulary=["a"]), Embedding(4, 2)]).predict(["ok", SURROGATE]),
            r"x\[1\]",
        ),
    ],
)
def test_lone_surrogates_are_named(run, named):
    message = (
        rf"^`{named}`: expected text that can be encoded as UTF-8; received the lone surrogate '\\ud800' at index 3"
    )
    with pytest.raises(ValueError, match=message) as raised:
        run()
    assert type(raised.value) is ValueError


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            lambda: TextVectorization(vocabulary=["a"], encoding="ascii")(["a", "né"]),
            r"^`inputs\[1\]`: expected text that can be encoded as ASCII; received the character 'é' at index 1",
        ),
        (
            lambda: TextVectorization(vocabulary=["a"], split="character")([b"a", b"a\xff"]),
            r"^`inputs\[1\]`: expected text in UTF-8; received the byte 0xff at index 1",
        ),
        (
            lambda: TextVectorization(vocabulary=["a"], standardize=lambda texts: texts)([b"\xff"]),
            r"^`inputs\[0\]`: expected text in UTF-8; received the byte 0xff",
        ),
        (lambda: TextVectorization(vocabulary=["a", b"\xff"]).get_vocabulary(), r"^`vocabulary\[3\]`: .* byte 0xff"),
        (lambda: StringLookup(vocabulary=[b"\xff"], invert=True)([1]), "^`vocabulary`: expected text in UTF-8"),
        (lambda: TextVectorization(encoding="nope"), "^`encoding`: expected the name of an encoding"),
        (lambda: StringLookup(encoding="nope"), "^`encoding`: expected the name of an encoding"),
        (lambda: TextVectorization(encoding="hex"), "^`encoding`: expected the name of an encoding"),
    ],
)
def test_texts_of_another_encoding_are_named(run, message):
    with pytest.raises(ValueError, match=message) as raised:
        run()
    assert type(raised.value) is ValueError
