"""Losses: value per row, derivative with respect to the predictions, and Keras's reductions with masks and sample
weights.

y is the target, p the prediction, C the size of the last axis; means and sums are over the last axis.

- mean_squared_error:       mean((p - y)^2);   half_mean_squared_error: half of it
- mean_absolute_error:      mean(|p - y|)
- binary_crossentropy:      mean(-y ln p - (1 - y) ln(1 - p)), p clipped to [eps, 1 - eps]; label smoothing y (1 - s) +
  s / 2
- categorical_crossentropy: -sum(y ln q), q = p / sum(p) clipped to [eps, 1 - eps]; label smoothing y (1 - s) + s / C
- sparse_categorical_crossentropy: the same with y given as the index of the class

With `from_logits` p is sigmoid (binary) or softmax (categorical) of the prediction, and nothing is clipped.
"""

import numpy as np

from .activations import Array, Spec, log_softmax, sigmoid, softmax, softplus

# What keras.config.epsilon() returns.
EPSILON = 1e-7


def dense_targets(spec: Spec, targets: Array, prediction: Array) -> Array:
    """Targets of the shape of the prediction, one-hot where given as indices, smoothed where asked."""
    classes = prediction.shape[-1]
    if spec["kind"] == "sparse_categorical_crossentropy":
        return np.eye(classes)[targets.astype(int).reshape(prediction.shape[:-1])]
    targets = np.asarray(targets, np.float64).reshape(prediction.shape)
    smoothing = spec.get("label_smoothing", 0.0)
    others = 2 if spec["kind"] == "binary_crossentropy" else classes
    return targets * (1 - smoothing) + smoothing / others


def values(spec: Spec, targets: Array, prediction: Array) -> Array:
    """The loss of every row, of the shape of the prediction without its last axis."""
    kind = spec["kind"]
    y = dense_targets(spec, targets, prediction)
    p = prediction
    if kind == "mean_squared_error":
        return np.mean((p - y) ** 2, axis=-1)
    if kind == "half_mean_squared_error":
        return 0.5 * np.mean((p - y) ** 2, axis=-1)
    if kind == "mean_absolute_error":
        return np.mean(np.abs(p - y), axis=-1)
    if kind == "binary_crossentropy":
        if spec["from_logits"]:
            return np.mean(y * softplus(-p) + (1 - y) * softplus(p), axis=-1)
        q = np.clip(p, EPSILON, 1 - EPSILON)
        return np.mean(-y * np.log(q) - (1 - y) * np.log(1 - q), axis=-1)
    if kind in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        if spec["from_logits"]:
            return -np.sum(y * log_softmax(p), axis=-1)
        q = np.clip(p / p.sum(axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
        return -np.sum(y * np.log(q), axis=-1)
    raise ValueError(f"unknown loss {kind!r}")


def derivative(spec: Spec, targets: Array, prediction: Array) -> Array:
    """d values / d prediction, row by row. Where a probability was clipped the derivative is 0."""
    kind = spec["kind"]
    y = dense_targets(spec, targets, prediction)
    p = prediction
    classes = p.shape[-1]
    if kind == "mean_squared_error":
        return 2 * (p - y) / classes
    if kind == "half_mean_squared_error":
        return (p - y) / classes
    if kind == "mean_absolute_error":
        return np.sign(p - y) / classes
    if kind == "binary_crossentropy":
        if spec["from_logits"]:
            return (sigmoid(p) - y) / classes
        inside = (p > EPSILON) & (p < 1 - EPSILON)
        q = np.clip(p, EPSILON, 1 - EPSILON)
        return np.where(inside, (q - y) / (q * (1 - q)) / classes, 0)
    if kind in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        if spec["from_logits"]:
            return softmax(p) * y.sum(axis=-1, keepdims=True) - y
        total = p.sum(axis=-1, keepdims=True)
        q = p / total
        dq = np.where((q > EPSILON) & (q < 1 - EPSILON), -y / np.clip(q, EPSILON, 1 - EPSILON), 0)
        # q_i = p_i / sum(p): dq_i/dp_j = (delta_ij - q_i) / sum(p).
        return (dq - np.sum(dq * q, axis=-1, keepdims=True)) / total
    raise ValueError(f"unknown loss {kind!r}")


def row_weights(
    shape: tuple[int, ...], reduction: str, sample_weight: Array | None = None, mask: Array | None = None
) -> Array:
    """The factor with which each row's loss enters the total.

    A mask gives the valid rows the weight total/valid, so that the mean over all rows is the mean over the valid ones.
    """
    weight = np.ones(shape)
    if mask is not None:
        valid = mask.astype(np.float64).reshape(shape)
        if reduction == "sum_over_batch_size":
            valid = valid * (valid.size / valid.sum() if valid.any() else 0)
        weight = weight * valid
    if sample_weight is not None:
        weight = weight * sample_weight.reshape(sample_weight.shape + (1,) * (len(shape) - sample_weight.ndim))
    if reduction == "sum":
        return weight
    divisor = weight.sum() if reduction == "mean_with_sample_weight" else weight.size
    return weight / divisor if divisor else np.zeros(shape)


def evaluate(
    spec: Spec, targets: Array, prediction: Array, sample_weight: Array | None = None, mask: Array | None = None
) -> tuple[float, Array]:
    """The reduced loss and its gradient; `spec` is `{"loss": ..., "reduction": ...}`."""
    rows = row_weights(prediction.shape[:-1], spec["reduction"], sample_weight, mask)
    total = float(np.sum(rows * values(spec["loss"], targets, prediction)))
    return total, rows[..., None] * derivative(spec["loss"], targets, prediction)
