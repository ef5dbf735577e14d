"""Short film reviews made by a grammar, in which the order of the words decides.

Every review weighs a favourable word against an unfavourable one, or moves a single "not": which clause follows the
"but", which word is negated, whose opinion the writer shares, what came first and what came last. Reviews are made in
twins: the twin has the very same words, two of them in each other's place, and the opposite label. So each word occurs
equally often in both classes, and a model that only counts words is left with a coin to toss.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from foliot._checks import check_integer

_Item = TypeVar("_Item")

# (favourable, unfavourable) words by their part in the sentence. Adjectives and nouns begin with a consonant, so that
# "a" stays right when twins exchange them.
WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "adjective": (
        (
            "brilliant", "charming", "clever", "delightful", "fresh", "funny", "graceful", "gripping", "heartfelt",
            "lively", "lovely", "magical", "memorable", "moving", "playful", "sharp", "stylish", "superb", "tender",
            "thrilling", "touching", "vivid", "warm", "witty",
        ),
        (
            "bland", "clumsy", "confused", "dreary", "dull", "feeble", "flat", "forgettable", "hollow", "joyless",
            "lazy", "lifeless", "messy", "muddled", "pointless", "pompous", "predictable", "shallow", "silly", "sloppy",
            "stale", "tedious", "tiresome", "wooden",
        ),
    ),
    "noun": (
        ("delight", "gem", "joy", "marvel", "pleasure", "treat", "triumph", "wonder"),
        ("bore", "chore", "disaster", "failure", "flop", "mess", "nuisance", "waste of time"),
    ),
    "verb": (
        ("admired", "adored", "cherished", "enjoyed", "loved"),
        ("despised", "detested", "disliked", "hated", "loathed"),
    ),
    "adverb": (
        ("beautifully", "brilliantly", "gracefully", "wonderfully"),
        ("badly", "clumsily", "lazily", "terribly"),
    ),
}  # fmt: skip

# Words that take no side. Within a review a field stands for the same word everywhere; a digit tells two fields of one
# kind apart, which are then filled with different words.
_NEUTRAL: dict[str, tuple[str, ...]] = {
    "film": ("comedy", "drama", "film", "movie", "mystery", "picture", "thriller", "western"),
    "part": (
        "camera work", "casting", "dialogue", "editing", "lead performance", "music", "photography", "plot", "script",
        "second half", "story", "supporting cast",
    ),
    "person": (
        "my aunt", "my brother", "my colleague", "my cousin", "my father", "my mother", "my neighbour", "my sister",
        "my teacher", "the woman beside me",
    ),
    "group": ("the audience", "the jury", "the papers", "the reviewers", "the students", "the tourists"),
    "start": ("at first", "early on", "for an hour", "in the opening scenes", "in the first act", "to begin with"),
    "end": ("at last", "before long", "by the end", "in the final act", "in the last hour", "when the credits roll"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "town": ("Bergen", "Lisbon", "Naples", "Prague", "Seville", "Vienna"),
    "place": ("a border town", "a fishing port", "a lighthouse", "a mountain village", "an old hotel", "an orchard"),
    "who": ("a baker", "a clockmaker", "a detective", "a pianist", "a retired judge", "a sailor", "two sisters"),
    "aside": (
        "after three weeks of talk about it", "as far as I can tell", "for all the noise around it", "if you ask me",
        "in spite of everything that was said on the radio", "long after the lights went up",
        "now that I have seen it twice", "to my own surprise",
    ),
}  # fmt: skip

_OPENINGS = (
    "I saw this {film} on a {day}.",
    "We went on a {day} evening, {person} and I.",
    "It is set in {place} and follows {who}.",
    "The story follows {who} to {town}.",
    "This {film} about {who} runs for two hours.",
    "On {day} the cinema was half full.",
    "{person} chose this {film}.",
    "{who} and a lost letter: that is the story.",
)
_MIDDLES = (
    "The scene changes to {place2}.",
    "There is a long walk through {town2}.",
    "{who2} enters the story.",
    "A letter arrives on a {day2}.",
    "{person2} looked at the clock.",
    "Somewhere behind us {group2} laughed.",
)
_CLOSINGS = (
    "I saw it in {town3}.",
    "{person3} drove us home.",
    "It runs again on {day3}.",
    "We talked about it until {day3}.",
    "There will be another part, set in {town3}.",
    "{group3} stayed for the credits.",
)

# In a verdict, {yes} is the word that holds in the end and {no} the one that is overruled, denied or outdated: in a
# favourable review {yes} is favourable and {no} is not. The part of speech stands before the verdicts.
_WEIGHED: tuple[tuple[str, str], ...] = (
    # The clause after the "but" counts, ...
    ("adjective", "{start} it is {no}, but {end} it is {yes}."),
    ("adjective", "the {part} is {no} {start}, but, {aside}, I found the whole {film} {yes}."),
    ("adjective", "{no} {start}, but {yes} {end}."),
    ("adjective", "you may find the {part} {no} and {no2}, but, {aside}, the {film} is {yes} and {yes2}."),
    ("adjective", "{person} warned me that it would be {no}, but it is {yes}."),
    ("noun", "{start} it looks like a {no}, but, {aside}, it is a {yes}."),
    ("verb", "{start} I {no} the {part}, but {end} I {yes} it."),
    ("adverb", "the {part} is {no} done, but the {film} as a whole is {yes} made."),
    # ... unless the concession comes second, ...
    ("adjective", "{aside}, it is a {yes} {film}, although the {part} is {no}."),
    ("adjective", "the {film} is {yes}, even though {person} called it {no}."),
    ("noun", "what a {yes} this {film} is, although {group} called it a {no}."),
    ("verb", "I {yes} this {film}, although, {aside}, I {no} the {part}."),
    # ... or stands in front.
    ("adjective", "although the {part} is {no} {start}, the {film} is {yes}."),
    ("adjective", "although {group} called it {no}, I call it, {aside}, {yes}."),
    ("noun", "although {person} had promised a {no}, it is a {yes}."),
    # What is negated.
    ("adjective", "it is never {no}, only {yes}."),
    ("adjective", "it is {yes}, {aside}, and never {no}."),
    ("adjective", "this is not a {no} {film}: it is a {yes} one."),
    ("adjective", "this is a {yes} {film} and not, {aside}, a {no} one."),
    ("adjective", "far from being {no}, the {part} is {yes}."),
    ("adjective", "the {part} is {yes}, far from being {no}."),
    ("noun", "not a {no} but a {yes}, {aside}."),
    ("noun", "a {yes}, {aside}, and not a {no}."),
    # Whose opinion it is.
    ("adjective", "{person} found it {no}; I found it {yes}."),
    ("adjective", "I found it {yes}; {person} found it {no}."),
    ("verb", "{person} {no} every minute of it, and, {aside}, I {yes} every minute of it."),
    ("verb", "I {yes} every minute of it, {aside}, and {person} {no} every minute of it."),
    ("adjective", "{person} says that the {film} is {no} and {group} that it is {yes}, and {group} got it right."),
    ("adjective", "{person} says that the {film} is {yes} and {group} that it is {no}, and {person} got it right."),
    ("adjective", "they told me that the {film} was {no} and they were wrong: {aside}, it is {yes}."),
    # What is compared with what.
    ("adjective", "the book was {no}, the {film} is {yes}."),
    ("adjective", "the {film} is {yes}, the book was {no}."),
    ("adjective", "unlike the {no} {film} that came before it, this one is {yes}."),
    ("adjective", "this one is {yes}, unlike the {no} {film} that came before it."),
    ("adverb", "it is {yes} acted, where the one before it was {no} acted."),
    ("adverb", "I have seen such stories {no} told; this one is {yes} told."),
    # What came first and what came last.
    ("adverb", "{start} it is {no} told. {middle} {end} it is {yes} told."),
    ("adjective", "{start} the {part} seems {no}. {middle} {end} it is {yes}."),
    ("adjective", "what begins as a {no} {film} ends, {aside}, as a {yes} one."),
    ("adjective", "it ends as a {yes} {film}, having begun, {aside}, as a {no} one."),
    ("noun", "{start} I took it for a {no}. {middle} {end} I knew it for a {yes}."),
    ("noun", "I came for a {no} and got a {yes}."),
)

# Here one word is weighed, and a single "not" stands either in {not_aside}, where it touches nothing that matters, or
# in {not_here}, where it turns {word} round.
_NEGATED: tuple[tuple[str, str], ...] = (
    ("adjective", "{person} could {not_aside} come along, and I would {not_here} call the {film} {word}."),
    ("adjective", "the {part} does {not_aside} last long, and, {aside}, it is {not_here} {word}."),
    ("adjective", "the {film} is {not_here} {word}, and {person} did {not_aside} sleep."),
    ("adjective", "{person}, who does {not_aside} go out much, called it {word}, and I do {not_here} agree."),
    ("adjective", "I do {not_here} agree with {person}, who does {not_aside} go out much and called it {word}."),
    ("noun", "it is {not_aside} set in {place2}, and it is {not_here}, {aside}, a {word}."),
    ("noun", "it is {not_here}, {aside}, a {word}, and it is {not_aside} set in {place2}."),
    ("adverb", "it was {not_aside} filmed in {town2}, and the {film} is {not_here} {word} made."),
)


class _Draft(NamedTuple):
    """A review with everything chosen except what its twin has the other way round."""

    part_of_speech: str
    text: str
    weighed: bool


def _pick(rng: random.Random, items: Sequence[_Item]) -> _Item:
    # Of all methods of Random only random() is promised to give the same numbers in every version of Python.
    return items[int(rng.random() * len(items))]


def _fill_neutral(rng: random.Random, text: str) -> str:
    """Chooses a word for each field of `_NEUTRAL`; the other fields stay."""
    chosen: dict[str, str] = {}
    for field, kind in dict.fromkeys(re.findall(r"{(([a-z]+)\d?)}", text)):
        if kind in _NEUTRAL:
            chosen[field] = _pick(rng, [word for word in _NEUTRAL[kind] if word not in chosen.values()])
    return _fill(text, chosen)


def _fill(text: str, words: dict[str, str]) -> str:
    for field, word in words.items():
        text = text.replace("{" + field + "}", word)
    return text


def _capitalize(text: str) -> str:
    """Puts a capital at the start of each sentence.

    Example:
        >>> _capitalize("it ends. my aunt slept.")
        'It ends. My aunt slept.'
    """
    return ". ".join(sentence[:1].upper() + sentence[1:] for sentence in text.split(". "))


def _draft(rng: random.Random) -> _Draft:
    weighed = rng.random() < len(_WEIGHED) / (len(_WEIGHED) + len(_NEGATED))
    part_of_speech, verdict = _pick(rng, _WEIGHED if weighed else _NEGATED)
    sentences = [verdict.replace("{middle}", _pick(rng, _MIDDLES))]
    if rng.random() < 0.5:
        sentences.insert(0, _pick(rng, _OPENINGS))
    if rng.random() < 0.3:
        sentences.append(_pick(rng, _CLOSINGS))
    return _Draft(part_of_speech, _fill_neutral(rng, " ".join(sentences)), weighed)


def _twins(rng: random.Random) -> tuple[str, str]:
    """Makes a favourable review and its unfavourable twin of the same words."""
    draft = _draft(rng)
    favourable, unfavourable = WORDS[draft.part_of_speech]
    if draft.weighed:
        good, bad = _pick(rng, favourable), _pick(rng, unfavourable)
        good2 = _pick(rng, [word for word in favourable if word != good])
        bad2 = _pick(rng, [word for word in unfavourable if word != bad])
        positive = {"yes": good, "no": bad, "yes2": good2, "no2": bad2}
        negative = {"yes": bad, "no": good, "yes2": bad2, "no2": good2}
    else:
        is_good = rng.random() < 0.5
        word = _pick(rng, favourable if is_good else unfavourable)
        stands = {"not_here": "", "not_aside": "not", "word": word}
        turned = {"not_here": "not", "not_aside": "", "word": word}
        positive, negative = (stands, turned) if is_good else (turned, stands)
    return _finish(draft.text, positive), _finish(draft.text, negative)


def _finish(text: str, words: dict[str, str]) -> str:
    # A "not" that is left out leaves two blanks, or one in front of a comma.
    return _capitalize(_fill(text, words).replace("  ", " ").replace(" ,", ","))


def load_reviews(count: int = 4000, seed: int = 1) -> tuple[list[str], NDArray[np.int32]]:
    """Makes a corpus of short film reviews in which the order of the words decides.

    The same `count` and `seed` give the same reviews on every machine. No review occurs twice. A review and its twin,
    which has the same words and the other label, stand next to each other, so a cut at an even place separates no
    twins; with an odd `count` the last review has none.

    Args:
        count: Number of reviews, at least 1.
        seed: Any integer.

    Returns:
        The texts, and their labels: 1 for a favourable review, 0 for an unfavourable one.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If `count` is smaller than 1.

    Example:
        >>> texts, labels = load_reviews(count=2, seed=69)
        >>> print(labels[0], texts[0])
        0 The woman beside me warned me that it would be tender, but it is stale.
        >>> print(labels[1], texts[1])
        1 The woman beside me warned me that it would be stale, but it is tender.
    """
    count = check_integer("count", count, minimum=1)
    rng = random.Random(check_integer("seed", seed))
    seen: set[str] = set()
    texts: list[str] = []
    labels: list[int] = []
    while len(texts) < count:
        positive, negative = _twins(rng)
        if positive in seen or negative in seen:
            continue
        seen.update((positive, negative))
        first_is_positive = rng.random() < 0.5
        texts += [positive, negative] if first_is_positive else [negative, positive]
        labels += [1, 0] if first_is_positive else [0, 1]
    return texts[:count], np.array(labels[:count], dtype=np.int32)
