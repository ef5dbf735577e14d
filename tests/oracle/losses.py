"""Losses: value per row, derivative with respect to the predictions, and Keras's reductions with masks and sample
weights.

y is the target, p the prediction, C the size of the last axis; means and sums are over the last axis.

- mean_squared_error:       mean((p - y)^2);   half_mean_squared_error: half of it
- mean_absolute_error:      mean(|p - y|)
- binary_crossentropy:      mean(-y ln p - (1 - y) ln(1 - p)), p clipped to [eps, 1 - eps]; label smoothing y (1 - s) +
  s / 2
- categorical_crossentropy: -sum(y ln q), q = p / sum(p) clipped to [eps, 1 - eps]; label smoothing y (1 - s) + s / C
- sparse_categorical_crossentropy: the same with y given as the index of the class; `ignore_class` masks rows
- mean_absolute_percentage_error: 100 mean(|p - y| / max(|y|, eps))
- mean_squared_logarithmic_error: mean((ln(1 + max(p, eps)) - ln(1 + max(y, eps)))^2)
- huber: mean of e^2 / 2, but delta |e| - delta^2 / 2 where |e| > delta, with e = p - y;  log_cosh: mean(ln cosh e)
- cosine_similarity: -sum(y p) / (|y| |p|);  poisson: mean(p - y ln(p + eps))
- kl_divergence: sum(y ln(y / p)), both clipped to [eps, 1]
- hinge, squared_hinge: mean(max(1 - y p, 0)) and of its square, y from -1 to 1: targets that are all 0 or 1 are made so
- categorical_hinge: max(1 + max((1 - y) p) - sum(y p), 0)
- binary_focal_crossentropy: mean((1 - p_t)^gamma binary_crossentropy), p_t = y p + (1 - y)(1 - p), times y alpha +
  (1 - y)(1 - alpha) with class balancing
- categorical_focal_crossentropy: -sum(alpha (1 - q)^gamma y ln q)

With `from_logits` p is sigmoid (binary) or softmax (categorical) of the prediction, and nothing is clipped but in focal
losses.
"""

import numpy as np

from .activations import Array, Spec, log_softmax, sigmoid, softmax, softplus

# What keras.config.epsilon() returns.
EPSILON = 1e-7


def dense_targets(spec: Spec, targets: Array, prediction: Array) -> Array:
    """Targets of the shape of the prediction, one-hot where given as indices, smoothed where asked."""
    classes = prediction.shape[-1]
    if spec["kind"] == "sparse_categorical_crossentropy":
        # Those outside are ignored ones, which weigh nothing.
        return np.eye(classes)[np.clip(targets.astype(int), 0, classes - 1).reshape(prediction.shape[:-1])]
    targets = np.asarray(targets, np.float64).reshape(prediction.shape)
    smoothing = spec.get("label_smoothing", 0.0)
    if spec["kind"] in ("hinge", "squared_hinge") and np.isin(targets, (0, 1)).all():
        return 2 * targets - 1
    others = 2 if spec["kind"].startswith("binary") else classes
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
    return _rows(kind, spec, y, p)[0]


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
    return _rows(kind, spec, y, p)[1]


def _rows(kind: str, spec: Spec, y: Array, p: Array) -> tuple[Array, Array]:
    """Value and derivative of the losses whose two formulas share parts."""
    if kind in ("cosine_similarity", "kl_divergence", "categorical_hinge", "categorical_focal_crossentropy"):
        return _joint(kind, spec, y, p)
    e = p - y
    if kind == "mean_absolute_percentage_error":
        scale = 100 / np.maximum(abs(y), EPSILON)
        term, d = abs(e) * scale, np.sign(e) * scale
    elif kind == "mean_squared_logarithmic_error":
        above = np.maximum(p, EPSILON)
        difference = np.log(1 + above) - np.log(1 + np.maximum(y, EPSILON))
        term, d = difference**2, 2 * difference * (p > EPSILON) / (1 + above)
    elif kind == "huber":
        delta, far = spec["delta"], abs(e) > spec["delta"]
        term = np.where(far, delta * abs(e) - delta**2 / 2, e**2 / 2)
        d = np.where(far, delta * np.sign(e), e)
    elif kind == "log_cosh":
        term, d = np.log(np.cosh(e)), np.tanh(e)
    elif kind == "poisson":
        term, d = p - y * np.log(p + EPSILON), 1 - y / (p + EPSILON)
    elif kind == "hinge":
        term, d = np.maximum(1 - y * p, 0), -y * (1 - y * p > 0)
    elif kind == "squared_hinge":
        term, d = np.maximum(1 - y * p, 0) ** 2, -2 * y * np.maximum(1 - y * p, 0)
    elif kind == "binary_focal_crossentropy":
        gamma, outer = spec["gamma"], np.ones_like(p)
        if spec["from_logits"]:
            p = sigmoid(p)
            outer = p * (1 - p)
        q = np.clip(p, EPSILON, 1 - EPSILON)
        entropy, of_entropy = -y * np.log(q) - (1 - y) * np.log(1 - q), (q - y) / (q * (1 - q)) * (p == q)
        missing = 1 - y * p - (1 - y) * (1 - p)
        term = missing**gamma * entropy
        d = outer * (missing**gamma * of_entropy + gamma * missing ** (gamma - 1) * (1 - 2 * y) * entropy)
        if spec["apply_class_balancing"]:
            weight = y * spec["alpha"] + (1 - y) * (1 - spec["alpha"])
            term, d = weight * term, weight * d
    else:
        raise ValueError(f"unknown loss {kind!r}")
    return term.mean(axis=-1), d / p.shape[-1]


def _joint(kind: str, spec: Spec, y: Array, p: Array) -> tuple[Array, Array]:
    """`_rows` for losses whose features do not stand by themselves."""
    if kind == "cosine_similarity":
        u = y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), EPSILON)
        length = np.maximum(np.linalg.norm(p, axis=-1, keepdims=True), EPSILON)
        cosine = np.sum(u * p / length, axis=-1, keepdims=True)
        return -cosine[..., 0], -(u - cosine * p / length) / length
    if kind == "kl_divergence":
        t, q = np.clip(y, EPSILON, 1), np.clip(p, EPSILON, 1)
        return np.sum(t * np.log(t / q), axis=-1), -t / q * (p == q)
    if kind == "categorical_hinge":
        wrong = (1 - y) * p
        margin = 1 + wrong.max(axis=-1, keepdims=True) - np.sum(y * p, axis=-1, keepdims=True)
        largest = wrong == wrong.max(axis=-1, keepdims=True)
        shared = largest * (1 - y) / largest.sum(axis=-1, keepdims=True)
        return np.maximum(margin[..., 0], 0), (shared - y) * (margin > 0)
    total = np.ones((*p.shape[:-1], 1)) if spec["from_logits"] else p.sum(axis=-1, keepdims=True)
    q = softmax(p) if spec["from_logits"] else p / total
    c, gamma = np.clip(q, EPSILON, 1 - EPSILON), spec["gamma"]
    value = -np.sum(spec["alpha"] * (1 - c) ** gamma * y * np.log(c), axis=-1)
    d = spec["alpha"] * y * (gamma * (1 - c) ** (gamma - 1) * np.log(c) - (1 - c) ** gamma / c) * (c == q)
    centred = d - np.sum(d * q, axis=-1, keepdims=True)
    return value, centred * q if spec["from_logits"] else centred / total


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
    ignored = spec["loss"].get("ignore_class")
    if ignored is not None:
        kept = targets.reshape(prediction.shape[:-1]) != ignored
        mask = kept if mask is None else kept & mask.astype(bool).reshape(kept.shape)
    rows = row_weights(prediction.shape[:-1], spec["reduction"], sample_weight, mask)
    total = float(np.sum(rows * values(spec["loss"], targets, prediction)))
    return total, rows[..., None] * derivative(spec["loss"], targets, prediction)
