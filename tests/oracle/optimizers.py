"""SGD, RMSprop and Adam as Keras 3 computes them. t counts steps from 1, lr is the learning rate, g the clipped
gradient.

- legacy decay: lr = learning_rate / (1 + decay * (t - 1))
- clipping, the first that is set: per weight to norm `clipnorm`, all together to norm `global_clipnorm`, per element to
  `clipvalue`
- weight decay, before the update: w -= w * weight_decay * lr
- SGD:      w -= lr g; with momentum m = mu m - lr g, w += m, and with Nesterov w += mu m - lr g
- RMSprop:  v = rho v + (1 - rho) g^2, d = lr g / sqrt(v + eps), w -= d; centered: a = rho a + (1 - rho) g, and v - a^2
            + eps below the root; with momentum m = mu m + d, w -= m
- Adam:     m += (g - m)(1 - beta_1), v += (g^2 - v)(1 - beta_2), w -= alpha m / (sqrt(v) + eps) with
            alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t); amsgrad takes the largest v so far
"""

from collections.abc import Sequence

import numpy as np

from .activations import Array, Spec


def clip(spec: Spec, gradients: Sequence[Array]) -> list[Array]:
    """The gradients after the one kind of clipping that applies."""
    if spec["clipnorm"]:
        limit = spec["clipnorm"]
        return [g * limit / max(float(np.sqrt((g**2).sum())), limit) for g in gradients]
    if spec["global_clipnorm"]:
        norm = np.sqrt(sum(float((g**2).sum()) for g in gradients))
        return [g * min(1.0, spec["global_clipnorm"] / norm) if norm else g for g in gradients]
    if spec["clipvalue"]:
        return [np.clip(g, -spec["clipvalue"], spec["clipvalue"]) for g in gradients]
    return list(gradients)


class Optimizer:
    """State of an optimizer described by a dictionary such as `{"kind": "sgd", "learning_rate": 0.01, ...}`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.iterations = 0
        self.slots: dict[str, list[Array]] = {}

    def _slot(self, name: str, index: int) -> Array:
        return self.slots[name][index]

    def step(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """The weights after one step."""
        spec = self.spec
        if not self.slots:
            names = ("momentum", "velocity", "average_gradient", "velocity_hat")
            self.slots = {name: [np.zeros_like(w) for w in weights] for name in names}
        self.iterations += 1
        rate = spec["learning_rate"] / (1 + spec.get("decay", 0.0) * (self.iterations - 1))
        update = {"sgd": self._sgd, "rmsprop": self._rmsprop, "adam": self._adam}[spec["kind"]]
        result = []
        for index, (w, g) in enumerate(zip(weights, clip(spec, gradients), strict=True)):
            decayed = w - w * (spec["weight_decay"] or 0.0) * rate
            result.append(decayed + update(index, g, rate))
        return result

    def _sgd(self, index: int, g: Array, rate: float) -> Array:
        mu = self.spec["momentum"]
        if mu == 0:
            return -rate * g
        m = self._slot("momentum", index)
        m[...] = mu * m - rate * g
        return mu * m - rate * g if self.spec["nesterov"] else m.copy()

    def _rmsprop(self, index: int, g: Array, rate: float) -> Array:
        rho, mu = self.spec["rho"], self.spec["momentum"]
        v = self._slot("velocity", index)
        v[...] = rho * v + (1 - rho) * g**2
        below = v + self.spec["epsilon"]
        if self.spec["centered"]:
            a = self._slot("average_gradient", index)
            a[...] = rho * a + (1 - rho) * g
            below = below - a**2
        increment = rate * g / np.sqrt(below)
        if mu == 0:
            return -increment
        m = self._slot("momentum", index)
        m[...] = mu * m + increment
        return -m

    def _adam(self, index: int, g: Array, rate: float) -> Array:
        beta_1, beta_2 = self.spec["beta_1"], self.spec["beta_2"]
        m, v = self._slot("momentum", index), self._slot("velocity", index)
        m += (g - m) * (1 - beta_1)
        v += (g**2 - v) * (1 - beta_2)
        second = v
        if self.spec["amsgrad"]:
            second = self._slot("velocity_hat", index)
            second[...] = np.maximum(second, v)
        alpha = rate * np.sqrt(1 - beta_2**self.iterations) / (1 - beta_1**self.iterations)
        return -alpha * m / (np.sqrt(second) + self.spec["epsilon"])
