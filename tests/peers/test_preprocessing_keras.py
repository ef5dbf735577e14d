"""Vocabularies and normalization against Keras's, on random texts and numbers."""

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: `make test-peers` installs it")

import keras

import foliot
from foliot import layers as ours

theirs = keras.layers
texts = st.lists(st.text("aAbBé .,-'\t\n[]日", max_size=12), min_size=1, max_size=6)
words = st.lists(
    st.lists(st.sampled_from(["a", "b", "B", "é", "", "zz"]), min_size=2, max_size=2), min_size=1, max_size=5
)


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed, which Keras needs for strings")


def assert_same(mine, other, *inputs):
    assert mine.get_vocabulary() == [str(term) for term in other.get_vocabulary()]
    for value in inputs:
        np.testing.assert_allclose(mine(value), np.asarray(other(value)), rtol=1e-6)


@given(
    texts,
    texts,
    st.fixed_dictionaries(
        {},
        optional={
            "max_tokens": st.integers(3, 8),
            "standardize": st.sampled_from([None, "lower", "strip_punctuation", "lower_and_strip_punctuation"]),
            "split": st.sampled_from(["whitespace", "character"]),
            "ngrams": st.sampled_from([1, 2, 3, (2,), (1, 3)]),
        },
    ),
    st.sampled_from(["int", "multi_hot", "count", "tf_idf"]),
    st.integers(1, 5) | st.none(),
)
@settings(max_examples=40)
def test_text_vectorization(known, asked, options, mode, length):
    options = options | {"output_mode": mode}
    if mode == "int":
        options["output_sequence_length"] = length
    mine, other = ours.TextVectorization(**options), theirs.TextVectorization(**options)
    for layer in (mine, other):
        layer.adapt(known)
    if len(mine.get_vocabulary(include_special_tokens=False)):
        assert_same(mine, other, known, asked)
        config = other.get_config() | {"vocabulary": other.get_vocabulary()}
        if mode == "tf_idf":
            config["idf_weights"] = mine.get_config()["idf_weights"]
        np.testing.assert_allclose(ours.TextVectorization.from_config(config)(asked), mine(asked), rtol=1e-6)


@given(texts, texts, st.booleans(), st.integers(1, 5) | st.none(), st.integers(1, 4))
@settings(max_examples=15)
def test_models_of_texts(known, asked, mask_zero, length, batch_size):
    mine, other = (module.TextVectorization(output_sequence_length=length) for module in (ours, theirs))
    for layer in (mine, other):
        layer.adapt(known)
    if not len(mine.get_vocabulary(include_special_tokens=False)):
        return
    size = mine.vocabulary_size()
    model = foliot.Sequential(
        [ours.Input((1,), dtype="string"), mine, ours.Embedding(size, 3, mask_zero=mask_zero), ours.GRU(4)]
    )
    # Keras's model behind its text layer, for its JAX backend takes no texts in a model: batch by batch, as it runs.
    bare = keras.Sequential([keras.Input((None,)), theirs.Embedding(size, 3, mask_zero=mask_zero), theirs.GRU(4)])
    bare.set_weights(model.get_weights())
    batches = [asked[at : at + batch_size] for at in range(0, len(asked), batch_size)]
    expected = [bare(np.asarray(other(batch))) for batch in batches]
    np.testing.assert_allclose(
        model.predict(asked, batch_size=batch_size, verbose=0), np.concatenate(expected), atol=1e-6
    )


@given(
    words, words, st.sampled_from([None, "", "b"]), st.sampled_from(["int", "one_hot", "multi_hot", "count", "tf_idf"])
)
@settings(max_examples=30)
def test_string_lookup(known, asked, mask, mode):
    options = {"mask_token": mask, "output_mode": mode}
    mine, other = ours.StringLookup(**options), theirs.StringLookup(**options)
    for layer in (mine, other):
        layer.adapt(np.array(known))
    if len(mine.get_vocabulary(include_special_tokens=False)):
        assert_same(mine, other, np.array(known), np.array(asked))


@given(
    st.lists(st.lists(st.integers(-3, 6), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(1, 3),
    st.sampled_from([None, 0]),
    st.sampled_from(["int", "multi_hot", "count"]),
)
@settings(max_examples=30)
def test_integer_lookup(known, unknowns, mask, mode):
    options = {"num_oov_indices": unknowns, "mask_token": mask, "output_mode": mode}
    mine, other = ours.IntegerLookup(**options), theirs.IntegerLookup(**options)
    for layer in (mine, other):
        layer.adapt(np.array(known))
    if len(mine.get_vocabulary(include_special_tokens=False)):
        assert mine.get_vocabulary() == [int(term) for term in other.get_vocabulary()]
        asked = np.array(known) + 1
        np.testing.assert_array_equal(mine(asked), np.asarray(other(asked)))


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
@pytest.mark.parametrize("invert", [False, True])
def test_normalization(axis, invert):
    x = np.random.default_rng(0).normal(2, 3, size=(6, 4, 3)).astype(np.float32)
    mine, other = ours.Normalization(axis, invert=invert), theirs.Normalization(axis, invert=invert)
    for layer in (mine, other):
        layer.adapt(x)
    np.testing.assert_allclose(mine(x), np.asarray(other(x)), rtol=1e-4, atol=1e-5)


def test_what_keras_refuses_is_refused():
    for options in ({"vocabulary": ["a", "a"]}, {"vocabulary": ["a", ""]}, {"max_tokens": 1}, {"vocabulary": []}):
        for module in (ours, theirs):
            with pytest.raises(ValueError, match=re.compile("vocab|max_tokens")):
                module.TextVectorization(**options)
