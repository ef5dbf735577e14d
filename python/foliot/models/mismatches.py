"""Output layers and losses that do not go together: nothing is refused, for Keras trains on, but the user is told."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from foliot import activations, losses
from foliot._arrays import Array
from foliot._graph import SymbolicTensor
from foliot._warnings import warn
from foliot.layers import Activation, ActivityRegularization, Conv1D, Dense, Dropout, Identity, Layer, ReLU, Softmax
from foliot.losses import Loss
from foliot.models.data import Data

_BINARY = (losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy)
# What divides predictions by their sum, of which exponentials become a softmax.
_DIVIDE = (
    losses.CategoricalCrossentropy,
    losses.CategoricalFocalCrossentropy,
    losses.SparseCategoricalCrossentropy,
)
_CATEGORICAL = (*_DIVIDE, losses.CategoricalGeneralizedCrossEntropy, losses.KLDivergence)
# Of one class these say so themselves.
_TELL_OF_ONE_CLASS = (losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy)
# Each row is a distribution.
_DISTRIBUTIONS = frozenset(("softmax", "sparsemax"))
# Each value is a probability for itself.
_PROBABILITIES = frozenset(("sigmoid", "hard_sigmoid", "sparse_sigmoid"))
# Values from 0 on, without a bound above, so neither probabilities nor what a sigmoid or softmax is made of.
_POSITIVE = frozenset(("exponential", "relu", "relu6", "softplus", "sparse_plus", "squareplus"))
# Values up to 0: of no use as logits where one value decides alone.
_NEGATIVE = frozenset(("log_sigmoid", "log_softmax"))
# Values that are no probabilities, below 0 or above 1.
_UNBOUNDED = (
    _POSITIVE
    | _NEGATIVE
    | frozenset(
        (
            *("celu", "elu", "gelu", "glu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "linear", "mish"),
            *("selu", "silu", "soft_shrink", "softsign", "tanh", "tanh_shrink", "threshold"),
        )
    )
)
# What leaves values as they are, in evaluation at least.
_PLAIN = (Dropout, Identity, ActivityRegularization)


def warn_of_mismatches(outputs: Sequence[SymbolicTensor], chosen: Sequence[Loss], data: Data) -> None:
    """Says which outputs do not fit their losses, and which targets are no labels of a binary cross-entropy.

    Args:
        outputs: The outputs that have a loss.
        chosen: Their losses.
        data: The first arrays.
    """
    for output, loss, target, weight in zip(outputs, chosen, data.targets, data.sample_weights, strict=True):
        found = _last(output)
        text = None if found is None else _mismatch(*found, output.shape[-1], loss)
        text = text or _odd_labels(loss, target, weight)
        if text is not None:
            warn(text)


def _last(tensor: SymbolicTensor) -> tuple[Layer, str] | None:
    """The layer whose activation gives a tensor, and the activation; None where nothing says."""
    while True:
        node = tensor.node
        layer = node.layer
        if node.body is not None:
            inner = node.body.outputs[tensor.index]
            if inner not in node.body.inputs:
                return _last(inner)
            tensor = node.inputs[node.body.inputs.index(inner)]
            continue
        if isinstance(layer, Softmax):
            return layer, "softmax"
        if isinstance(layer, ReLU):
            return layer, _relu(layer.max_value, layer.negative_slope)
        if isinstance(layer, (Activation, Dense, Conv1D)):
            spec = activations.spec_of(layer.activation)
            kind = str(spec["kind"])
            if isinstance(layer, Activation) and kind == "linear":
                tensor = node.inputs[0]
                continue
            return layer, _relu(spec["max_value"], spec["negative_slope"]) if kind == "relu" else kind
        if isinstance(layer, _PLAIN):
            tensor = node.inputs[0]
            continue
        return None


def _relu(max_value: Any, negative_slope: Any) -> str:
    """What a ReLU with such options does to a range of values."""
    return "clipped" if max_value is not None else "leaky_relu" if negative_slope else "relu"


def _mismatch(layer: Layer, activation: str, units: int | None, loss: Loss) -> str | None:
    called = f"{layer.label}, an output layer, has activation={activation!r}, and its loss is {loss.name}"
    from_logits = bool(getattr(loss, "from_logits", False))
    binary = isinstance(loss, _BINARY)
    if activation in _DISTRIBUTIONS and units == 1:
        if isinstance(loss, _TELL_OF_ONE_CLASS):
            return None
        return f"{called}: a {activation} over one unit is always 1, so nothing is learnt; use activation='sigmoid'"
    if from_logits:
        applied = "sigmoid" if binary else "softmax"
        if activation in _DISTRIBUTIONS | _PROBABILITIES:
            return (
                f"{called} with from_logits=True, which applies a {applied} once more: leave the activation or "
                "from_logits away"
            )
        side = "below" if activation in _POSITIVE else "above" if binary and activation in _NEGATIVE else None
        if side is None:
            return None
        return (
            f"{called} with from_logits=True, which expects values of either sign for its {applied}; these are never "
            f"{side} 0: leave the activation away"
        )
    logits = ", or from_logits=True in the loss" if activation == "linear" and hasattr(loss, "from_logits") else ""
    if isinstance(loss, _DIVIDE) and activation == "exponential":
        return None
    if isinstance(loss, _CATEGORICAL) and activation in _UNBOUNDED | _PROBABILITIES:
        more = "; for several labels at a time use binary_crossentropy" if activation in _PROBABILITIES else ""
        return f"{called}, which expects probabilities that add up to 1: use activation='softmax'{logits}{more}"
    if binary and activation in _UNBOUNDED:
        return f"{called}, which expects probabilities between 0 and 1: use activation='sigmoid'{logits}"
    return None


def _odd_labels(loss: Loss, target: Array, weight: Array | None) -> str | None:
    """What is wrong with the targets of a binary cross-entropy. Those of sequences may hold anything where padded."""
    if not isinstance(loss, _BINARY) or target.ndim > 2 or not target.size:
        return None
    rows = target if weight is None else target[weight.reshape(len(target), -1).any(axis=1)]
    if not rows.size or (float(rows.min()) >= 0 and float(rows.max()) <= 1):
        return None
    values = np.unique(rows[~np.isnan(rows)])
    shown = ", ".join(f"{value:g}" for value in values[:4]) + (", ..." if len(values) > 4 else "")
    advice = "pass (y + 1) / 2, or use a hinge loss" if set(values) <= {-1.0, 1.0} else "pass labels 0 and 1"
    if values.size and values[0] >= 0 and not (values % 1).any():
        advice = "for classes by number use sparse_categorical_crossentropy with a unit for each class"
    return f"{loss.name} expects targets between 0 and 1; received {shown}: {advice}"
