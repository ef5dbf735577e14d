"""A vocabulary: which terms there are, their numbers, and how rows of terms become numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from foliot._arrays import Array
from foliot._checks import value_error

Term = TypeVar("Term", bound=Hashable)

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def check_output_mode(value: Any) -> str:
    """One of Keras's output modes, also in its older spellings."""
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(value, value)
    if mode not in OUTPUT_MODES:
        raise value_error("output_mode", f"one of {', '.join(map(repr, OUTPUT_MODES))}", value)
    return str(mode)


class Vocabulary(Generic[Term]):
    """Terms with numbers: first the mask (for the output mode `int`), then unknown terms, then the known ones.

    Args:
        mask: The term that stands for nothing, None for none.
        unknown: What stands for unknown terms.
        unknowns: How many numbers unknown terms share.
        output_mode: What rows become.
        max_terms: The greatest number of terms, those for the mask and the unknown included.
        pad: Make rows of `max_terms` numbers even if there are fewer terms.
    """

    def __init__(
        self, mask: Term | None, unknown: Term | None, unknowns: int, output_mode: str, max_terms: int | None, pad: bool
    ) -> None:
        self.mask, self.unknown, self.unknowns = mask, unknown, unknowns
        self.output_mode, self.max_terms, self.pad = output_mode, max_terms, pad
        self.first_unknown = 1 if mask is not None and output_mode == "int" else 0
        self.first = self.first_unknown + unknowns
        if max_terms is not None and max_terms < self.first:
            raise ValueError(
                f"`max_tokens`: expected at least the {self.first} that stand for padding and for unknown terms; "
                f"received {max_terms}"
            )
        self.terms: list[Term] = []
        self.numbers: dict[Term, int] = {}
        #: The weight of each number, for `tf_idf`.
        self.weights: Array | None = None

    def __len__(self) -> int:
        return self.first + len(self.terms)

    def listed(self, special: bool) -> list[Term | None]:
        """All terms in the order of their numbers."""
        front: list[Term | None] = [self.mask] * self.first_unknown + [self.unknown] * self.unknowns
        return [*(front if special else []), *self.terms]

    def learn(self, documents: Iterable[Sequence[Term]]) -> None:
        """Takes the most frequent terms; of equally frequent ones the greater first, as in Keras."""
        counts: Counter[Term] = Counter()
        containing: Counter[Term] = Counter()
        number = 0
        for document in documents:
            number += 1
            counts.update(document)
            if self.output_mode == "tf_idf":
                containing.update(set(document))
        for special in (self.mask, self.unknown):
            if special is not None:
                counts.pop(special, None)
        ordered: list[Any] = list(counts.items())
        ordered.sort(key=lambda item: (item[1], item[0]), reverse=True)
        if self.max_terms is not None:
            ordered = ordered[: self.max_terms - self.first]
        self._set([term for term, _ in ordered])
        if self.output_mode == "tf_idf":
            known = np.array([math.log(1 + number / (1 + containing[term])) for term in self.terms], dtype=np.float32)
            self._set_weights(known, front=True)

    def assign(self, terms: Sequence[Term], weights: Any) -> None:
        """Takes given terms, with or without the special ones at the beginning."""
        if not len(terms):
            raise value_error("vocabulary", "at least one term", terms)
        special = self.listed(special=True)[: self.first]
        complete = list(terms[: self.first]) == special
        known = list(terms[self.first :] if complete else terms)
        repeated = [term for term, count in Counter(known).items() if count > 1]
        if repeated:
            raise ValueError(f"`vocabulary`: expected every term once; received {repeated[:5]} more than once")
        if self.mask is not None and self.mask in known:
            raise ValueError(
                f"`vocabulary`: expected the mask token {self.mask!r} only at the beginning, as in {special}, or not "
                f"at all; received it as term {known.index(self.mask)}"
            )
        if self.max_terms is not None and self.first + len(known) > self.max_terms:
            raise ValueError(
                f"`vocabulary`: expected at most {self.max_terms} terms (`max_tokens`), {self.first} special ones "
                f"included; received {self.first + len(known)}"
            )
        if (weights is None) == (self.output_mode == "tf_idf"):
            expected = "one weight for each term" if weights is None else "None unless `output_mode` is 'tf_idf'"
            raise value_error("idf_weights", expected, weights)
        found = None
        if weights is not None:
            found = np.asarray(weights, dtype=np.float32)
            if found.shape != (len(terms),):
                raise ValueError(
                    f"`idf_weights`: expected one weight for each of {len(terms)} terms; received shape {found.shape}"
                )
        self._set(known)
        if found is not None:
            self._set_weights(found, front=not complete)

    def _set(self, terms: list[Term]) -> None:
        self.terms = terms
        self.numbers = {term: number for number, term in enumerate(terms, self.first)}

    def _set_weights(self, known: Array, front: bool) -> None:
        """`front`: unknown terms get the mean, for how many documents they were in is not known."""
        before = np.full(self.first if front else 0, known.mean() if len(known) else 0, dtype=np.float32)
        weights = np.concatenate([before, known])
        self.weights = np.pad(weights, (0, self.depth() - len(weights)))

    def depth(self) -> int:
        """How many numbers a row has in the modes that count."""
        return self.max_terms if self.pad and self.max_terms is not None else len(self)

    def number(self, term: Term) -> int:
        """A term's number, -1 for the mask where it counts for nothing."""
        found = self.numbers.get(term)
        if found is not None:
            return found
        if self.mask is not None and term == self.mask:
            return 0 if self.output_mode == "int" else -1
        if self.unknowns == 0:
            raise ValueError(f"expected terms of the vocabulary, for `num_oov_indices` is 0; received {term!r}")
        return self.first_unknown + (0 if self.unknowns == 1 else int(term) % self.unknowns)  # type: ignore[call-overload]

    def one_hot(self, numbers: Array) -> Array:
        """`(..., depth)` with a 1 at each number."""
        result = np.zeros((*numbers.shape, self.depth()), dtype=np.int64)
        places = np.nonzero(numbers >= 0)
        result[(*places, numbers[places])] = 1
        return result

    def count(self, rows: Sequence[Sequence[int]]) -> Array:
        """`(rows, depth)`: how often each number is in each row, whether it is, or that times its weight."""
        result = np.zeros((len(rows), self.depth()), dtype=np.int64)
        for place, row in zip(result, rows, strict=True):
            numbers = np.asarray(row, dtype=np.int64)
            np.add.at(place, numbers[numbers >= 0], 1)
        if self.output_mode == "multi_hot":
            return np.minimum(result, 1)
        if self.output_mode == "tf_idf":
            if self.weights is None:
                raise RuntimeError("no weights for 'tf_idf': call adapt or set_vocabulary first")
            return result.astype(np.float32) * self.weights
        return result
