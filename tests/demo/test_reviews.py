"""The generated corpus: deterministic, balanced, and decided by nothing but the order of the words."""

import hashlib
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot.datasets import load_reviews
from foliot.datasets.reviews import WORDS


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@given(st.integers(1, 300), st.integers(-(2**70), 2**70))
def test_same_arguments_give_same_reviews(count: int, seed: int) -> None:
    texts, labels = load_reviews(count, seed)
    again, labels_again = load_reviews(count, seed)
    assert len(texts) == count
    assert texts == again
    np.testing.assert_array_equal(labels, labels_again)


def test_reviews_are_the_same_on_every_machine() -> None:
    texts, labels = load_reviews()
    digest = hashlib.sha256("\n".join([*texts, *map(str, labels)]).encode()).hexdigest()
    assert digest == "b596f792507ba6fb4f70b899b681c7562185f38725ce03918330117a8764a004"


def test_a_longer_corpus_continues_a_shorter_one() -> None:
    assert load_reviews(101)[0] == load_reviews(500)[0][:101]


def test_seeds_differ() -> None:
    assert not set(load_reviews(100, seed=1)[0]) & set(load_reviews(100, seed=2)[0])


@given(st.integers(1, 200), st.integers())
def test_every_word_occurs_equally_often_in_both_classes(pairs: int, seed: int) -> None:
    texts, labels = load_reviews(2 * pairs, seed)
    counts = (Counter[str](), Counter[str]())
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(words(text))
    assert counts[0] == counts[1]


@given(st.integers(1, 200), st.integers())
def test_twins_stand_together_with_the_same_words_and_opposite_labels(pairs: int, seed: int) -> None:
    texts, labels = load_reviews(2 * pairs, seed)
    for first in range(0, 2 * pairs, 2):
        assert texts[first] != texts[first + 1]
        assert Counter(words(texts[first])) == Counter(words(texts[first + 1]))
        assert sorted(labels[first : first + 2].tolist()) == [0, 1]


def test_reviews_are_distinct_sentences() -> None:
    texts, labels = load_reviews(4000)
    assert len(set(texts)) == 4000
    assert labels.dtype == np.int32
    assert labels.mean() == 0.5
    for text in texts:
        assert re.fullmatch(r"[A-Z][A-Za-z,.:; ]+\.", text), text
        assert not re.search(r"  | [,.:;]|,[^ ]|\. [a-z]|[{}]", text), text
    # The label is not given away by which twin comes first.
    assert 0.45 < labels[::2].mean() < 0.55


def test_every_word_that_takes_a_side_is_used_and_stands_on_one_side_only() -> None:
    text = " ".join(load_reviews(4000)[0]).lower()
    for favourable, unfavourable in WORDS.values():
        assert not set(favourable) & set(unfavourable)
        for word in (*favourable, *unfavourable):
            assert len(re.findall(rf"\b{word}\b", text)) >= 30, word
    for part_of_speech in ("adjective", "noun"):
        assert not [word for side in WORDS[part_of_speech] for word in side if word[0] in "aeiou"]


@pytest.mark.parametrize("ending", ["witty.", "dull."])
def test_the_clause_after_the_but_decides(ending: str) -> None:
    texts, labels = load_reviews(4000)
    found = {label for text, label in zip(texts, labels, strict=True) if " but" in text and text.endswith(ending)}
    assert found == {1 if ending == "witty." else 0}


def test_counting_words_does_not_help() -> None:
    text_features = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")
    texts, labels = load_reviews(4000)
    features = text_features.CountVectorizer().fit_transform(texts)
    model = linear.LogisticRegression(max_iter=1000).fit(features[:3200], labels[:3200])
    # Twins have the same features, so one of them is always judged wrongly.
    assert model.score(features[3200:], labels[3200:]) == 0.5


@pytest.mark.parametrize("count", [0, -3])
def test_a_corpus_has_at_least_one_review(count: int) -> None:
    with pytest.raises(ValueError, match=rf"`count`: expected an integer, at least 1; received {count}"):
        load_reviews(count)


@pytest.mark.parametrize("wrong", [1.5, "a", None, True])
def test_count_and_seed_are_integers(wrong: object) -> None:
    with pytest.raises(TypeError, match="`count`: expected an integer"):
        load_reviews(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`seed`: expected an integer"):
        load_reviews(2, seed=wrong)  # type: ignore[arg-type]
