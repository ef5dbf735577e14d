"""Attention: weights from scores of queries and keys, and the sum of the values by them."""

import numpy as np

from .activations import Array
from .base import Layer, Mask
from .dropout import factors


class Attention(Layer):
    """P = softmax(S), D = dropout(P), y = D v; for each head, of the features that are its own.

    S is factor * scale * q.k, or weight * sum tanh(scale * (q + k)), or sum scale * tanh(q + k). What a query does not
    see is 1e9 less ("lower"; the mask of the queries makes outputs 0), or counts for nothing; where nothing counts the
    weights are equal ("uniform") or 0 ("zero").
    """

    def forward(self, inputs: list[Array], masks: list[Mask]) -> tuple[list[Array], list[Mask]]:
        spec = self.spec
        heads, score = spec["heads"], spec["score"]
        q, v = (self._split(x) for x in inputs[:2])
        k = self._split(inputs[2]) if spec["has_key"] else v
        self.q, self.k, self.v = q, k, v
        lower = spec["masked_scores"] == "lower"
        weights = iter(self.weights)
        self.scale = next(weights) if spec["use_scale"] else np.ones(())
        self.weight = next(weights) if score == "concat" else np.ones(())
        if score == "dot":
            self.products = np.einsum("bthd,bshd->bhts", q, k)
            scores = spec["factor"] * self.scale * self.products
        else:
            self.sums = q[:, :, None, 0] + k[:, None, :, 0]
            self.tanh = np.tanh(self.sums * (self.scale if score == "concat" else 1))
            outer = self.scale if score == "additive" else self.weight
            scores = (outer * self.tanh).sum(-1)[:, None]

        batch, _, queries, keys = scores.shape
        sees = np.ones((batch, queries, keys), bool)
        steps = np.arange(queries)[:, None], np.arange(keys)
        if spec["use_causal_mask"]:
            sees &= steps[0] >= steps[1]
        if spec["sliding_window"] is not None:
            sees &= np.abs(steps[0] - steps[1]) < spec["sliding_window"]
        if masks[1] is not None:
            sees &= masks[1][:, None, :]
        if not lower and masks[0] is not None:
            sees &= masks[0][:, :, None]
        if not lower and spec["has_key"] and masks[2] is not None:
            sees &= masks[2][:, None, :]
        if spec["has_mask"]:
            sees &= inputs[-1] != 0
        self.sees = np.broadcast_to(sees[:, None], scores.shape)
        if lower:
            # In float32, where most of what the scores were is rounded away.
            scores = np.where(self.sees, scores, scores.astype(np.float32) - np.float32(1e9))
        else:
            scores = np.where(self.sees, scores, -1e30)
        exponentials = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
        self.p = exponentials / exponentials.sum(-1, keepdims=True)
        if spec["masked_scores"] == "zero":
            self.p = np.where(self.sees, self.p, 0.0)
        self.kept = np.ones(self.p.shape)
        if self.step is not None and spec["dropout"] > 0:
            self.kept = factors(spec["seed"], self.step, 0, self.p.shape, spec["dropout"])
        self.y_mask = masks[0] if lower else None
        y = np.einsum("bhts,bshd->bthd", self.kept * self.p, v).reshape(batch, queries, -1)
        outputs = [y if self.y_mask is None else np.where(self.y_mask[..., None], y, 0)]
        if spec["return_attention_scores"]:
            outputs.append((self.kept * self.p)[:, 0] if lower else self.p)
        assert heads == q.shape[2]
        return outputs, [masks[0], None][: len(outputs)]

    def _split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:2], self.spec["heads"], -1)

    def backward(self, d_outputs: list[Array]) -> tuple[list[Array], list[Array]]:
        spec, score = self.spec, self.spec["score"]
        lower = spec["masked_scores"] == "lower"
        dy = d_outputs[0] if self.y_mask is None else np.where(self.y_mask[..., None], d_outputs[0], 0)
        dy = self._split(dy)
        dv = np.einsum("bhts,bthd->bshd", self.kept * self.p, dy)
        dd = np.einsum("bthd,bshd->bhts", dy, self.v)
        if spec["return_attention_scores"] and lower:
            dd = dd + d_outputs[1][:, None]
        dp = dd * self.kept
        if spec["return_attention_scores"] and not lower:
            dp = dp + d_outputs[1]
        ds = self.p * (dp - (self.p * dp).sum(-1, keepdims=True))
        if not lower:
            ds = np.where(self.sees, ds, 0.0)
        if score == "dot":
            d_scale = (spec["factor"] * ds * self.products).sum()
            d_weights = [d_scale]
            ds = ds * spec["factor"] * self.scale
            dq, dk = np.einsum("bhts,bshd->bthd", ds, self.k), np.einsum("bhts,bthd->bshd", ds, self.q)
        else:
            inner = self.scale if score == "concat" else np.ones(())
            outer = self.scale if score == "additive" else self.weight
            ds = ds[:, 0, :, :, None]
            before = ds * outer * (1 - self.tanh**2)
            dq, dk = (before * inner).sum(2)[:, :, None], (before * inner).sum(1)[:, :, None]
            d_weights = [(ds * self.tanh).sum((0, 1, 2))]
            if score == "concat":
                d_weights = [(before * self.sums).sum(), (ds * self.tanh).sum()]
        if not spec["use_scale"]:
            d_weights = d_weights[1:]
        d_inputs = [dq, dv, dk] if spec["has_key"] else [dq, dv + dk]
        flat = [d.reshape(*d.shape[:2], -1) for d in d_inputs]
        if spec["has_mask"]:
            flat.append(np.zeros(self.sees[:, 0].shape))
        return flat, [np.asarray(d) for d in d_weights]


LAYERS: dict[str, type[Layer]] = {"attention": Attention}
