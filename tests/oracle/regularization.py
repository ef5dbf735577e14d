"""Weight penalties and constraints.

Penalty: l1 * sum|w| + l2 * sum(w^2). Constraints act on a weight after the optimizer's step; norms are taken along
`axis`, and every quotient has keras.config.epsilon() added below, as in Keras.
"""

import numpy as np

from .activations import Array, Spec
from .losses import EPSILON


def penalty(spec: Spec | None, weight: Array) -> float:
    """The loss that a regularizer adds."""
    if spec is None:
        return 0.0
    return float(spec["l1"] * np.abs(weight).sum() + spec["l2"] * (weight**2).sum())


def penalty_gradient(spec: Spec | None, weight: Array) -> Array:
    """d penalty / d weight."""
    if spec is None:
        return np.zeros_like(weight)
    return spec["l1"] * np.sign(weight) + 2 * spec["l2"] * weight


def constrain(spec: Spec | None, weight: Array) -> Array:
    """The weight that the constraint leaves."""
    if spec is None:
        return weight
    if spec["kind"] == "non_neg":
        return np.maximum(weight, 0)
    norm = np.sqrt((weight**2).sum(axis=spec["axis"], keepdims=True))
    if spec["kind"] == "max_norm":
        wanted = np.clip(norm, 0, spec["max_value"])
    elif spec["kind"] == "unit_norm":
        wanted = np.ones_like(norm)
    elif spec["kind"] == "min_max_norm":
        wanted = spec["rate"] * np.clip(norm, spec["min_value"], spec["max_value"]) + (1 - spec["rate"]) * norm
    else:
        raise ValueError(f"unknown constraint {spec['kind']!r}")
    return weight * wanted / (EPSILON + norm)
