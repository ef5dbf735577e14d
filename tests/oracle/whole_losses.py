"""Losses that are one number for a sample or a batch, or of an index.

- dice:    1 - 2 sum(y p) / (sum y + sum p + eps), along the axes
- tversky: 1 - s / (s + alpha sum((1 - p) y) + beta sum(p (1 - y)) + eps) with s = sum(y p), likewise
- ctc:     -ln of the sum of the probabilities of all paths of classes, one for each step, that give the labels once
           repetitions and then blanks (class 0) are taken away; a row's labels are as many of its first numbers as are
           not 0
- categorical_generalized_cross_entropy: (1 - p^q) / q, p that of the row's class
- circle:  ln(1 + sum exp a * sum exp b), with the distances d = max(1 - p q, 0) to the rows q of the same class, and
           a = -gamma max(margin + d, 0) (margin - d), and to those of others b = gamma max(1 + margin - d, 0)
           (1 - margin - d); 0 where there are no such rows
"""

from itertools import groupby, product
from typing import Any

import numpy as np

from .activations import Array, Spec, log_softmax

EPSILON = 1e-7


def values(spec: Spec, y: Array, p: Array) -> Array:
    """The losses before any reduction."""
    if spec["kind"] == "ctc":
        return np.array([_ctc(labels, logits) for labels, logits in zip(y, p, strict=True)])
    if spec["kind"] == "categorical_generalized_cross_entropy":
        return np.asarray((1 - p[np.arange(len(y)), y.astype(int)] ** spec["q"]) / spec["q"])
    if spec["kind"] == "circle":
        return _circle(spec, y.ravel(), p)
    axis: Any = None if spec["axis"] is None else tuple(spec["axis"])
    overlap = (y * p).sum(axis=axis)
    if spec["kind"] == "dice":
        whole = y.sum(axis=axis) + p.sum(axis=axis)
        return np.asarray(1 - 2 * overlap / (whole + EPSILON))
    missing, excess = ((1 - p) * y).sum(axis=axis), (p * (1 - y)).sum(axis=axis)
    return np.asarray(1 - overlap / (overlap + spec["alpha"] * missing + spec["beta"] * excess + EPSILON))


def _ctc(labels: Array, logits: Array) -> float:
    wanted = [int(label) for label in labels[: int((labels != 0).sum())]]
    log = log_softmax(logits)
    steps, classes = log.shape
    total = -np.inf
    for path in product(range(classes), repeat=steps):
        if [label for label, _ in groupby(path) if label != 0] == wanted:
            total = np.logaddexp(total, log[np.arange(steps), list(path)].sum())
    return -float(total)


def _circle(spec: Spec, y: Array, p: Array) -> Array:
    d = np.maximum(1 - p @ p.T, 0)
    gamma, margin = spec["gamma"], spec["margin"]
    alike = y[:, None] == y[None]
    near = alike & ~np.eye(len(y), dtype=bool) if spec["remove_diagonal"] else alike
    a = (np.exp(-gamma * np.maximum(margin + d, 0) * (margin - d)) * near).sum(axis=1)
    b = (np.exp(gamma * np.maximum(1 + margin - d, 0) * (1 - margin - d)) * ~alike).sum(axis=1)
    return np.asarray(np.log1p(a * b))
