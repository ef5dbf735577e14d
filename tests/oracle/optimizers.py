"""The optimizers as Keras 3 computes them. t counts steps from 1, lr is the learning rate, g the clipped gradient.

- legacy decay: lr = learning_rate / (1 + decay * (t - 1))
- accumulation: each n batches make one step, with the mean of their gradients
- clipping, the first that is set: per weight to norm `clipnorm`, all together to norm `global_clipnorm`, per element to
  `clipvalue`
- weight decay, before the update: w -= w * weight_decay * lr
- SGD:      w -= lr g; with momentum m = mu m - lr g, w += m, and with Nesterov w += mu m - lr g
- RMSprop:  v = rho v + (1 - rho) g^2, d = lr g / sqrt(v + eps), w -= d; centered: a = rho a + (1 - rho) g, and v - a^2
            + eps below the root; with momentum m = mu m + d, w -= m
- Adam:     m += (g - m)(1 - beta_1), v += (g^2 - v)(1 - beta_2), w -= alpha m / (sqrt(v) + eps) with
            alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t); amsgrad takes the largest v so far
- Adagrad:  n += g^2 from an initial value, w -= lr g / sqrt(n + eps)
- Adadelta: v = rho v + (1 - rho) g^2, d = sqrt(u + eps) / sqrt(v + eps) g, u = rho u + (1 - rho) d^2, w -= lr d
- Adamax:   m as Adam's, u = max(beta_2 u, |g|), w -= lr m / ((1 - beta_1^t) (u + eps))
- Nadam:    m, v as Adam's, mu_t = beta_1 (1 - 0.96^t / 2), U the product of all mu so far,
            w -= lr (mu_{t+1} m / (1 - U mu_{t+1}) + (1 - mu_t) g / (1 - U)) / (sqrt(v / (1 - beta_2^t)) + eps)
- Ftrl:     h = g + 2 shrinkage w, N = n + g^2, z += h - (N^p - n^p) / lr w with p = -learning_rate_power,
            w = (clip(z, -l1, l1) - z) / (N^p / lr + 2 (l2 + beta / (2 lr)))
- Lion:     w -= lr sign(beta_1 m + (1 - beta_1) g), m = beta_2 m + (1 - beta_2) g
- Lamb:     m, v as Adam's, d = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + eps), w -= lr |w| / |d| d, the ratio 1
            where a norm is 0
- Adafactor: rho = min(lr, 1 / sqrt(t)), b = 1 - t^beta_2_decay, s = g^2 + eps_1; of vectors v = b v + (1 - b) s; else r
            and c are such averages of the means of s over the last axis and the last but one, v = r / mean(r) c;
            u = g / sqrt(v), w -= max(eps_2, rms(w)) rho u / max(1, rms(u) / clip_threshold)
- Muon:     of matrices m = mu m + g, x = g + mu m with Nesterov, else m; x /= |x| + 1e-7, transposed if it is higher
            than wide; ns_steps times s = x x^T, x = a x + (b s + c s s) x; w -= lr sqrt(max(rows, columns)) rms_rate x.
            All else, and what is excluded, by Adam with lr adam_lr_ratio, after w -= w adam_weight_decay lr
- Schedule-free AdamW: v as Adam's, z begins as w; y = z - lr min(t / warmup, 1) g / (sqrt(v / (1 - beta_2^t)) + eps),
            x = (w - (1 - beta_1) z) / beta_1, x += (y - x) / t, w = (1 - beta_1) y + beta_1 x, z = y
- averages: after each batch a = mu a + (1 - mu) w, but w itself in the first step; w = a where
  `ema_overwrite_frequency` divides t
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
        self.batches = 0
        self.iterations = 0
        self.slots: dict[str, list[Array]] = {}
        self._product = 1.0  # Nadam's U

    def _slot(self, name: str, index: int) -> Array:
        return self.slots[name][index]

    def step(self, weights: Sequence[Array], gradients: Sequence[Array], undecayed: Sequence[int] = ()) -> list[Array]:
        """The weights after one batch; those at the positions `undecayed` do not decay."""
        spec = self.spec
        if not self.slots:
            begin = spec.get("initial_accumulator_value", 0.0)
            names = (
                "momentum velocity average_gradient velocity_hat accumulated_grad accumulated_delta_var norm linear "
                "accumulated average"
            )
            self.slots = {name: [np.zeros_like(w) for w in weights] for name in names.split()}
            self.slots["accumulator"] = [np.full_like(w, begin) for w in weights]
            self.slots["z"] = [np.array(w) for w in weights]
            matrices = [w if w.ndim > 1 else np.zeros((1, 1)) for w in weights]
            self.slots["row"] = [np.zeros(w.shape[:-1]) for w in matrices]
            self.slots["column"] = [np.zeros((*w.shape[:-2], w.shape[-1])) for w in matrices]
        self.batches += 1
        self.iterations = (self.batches - 1) // (spec.get("gradient_accumulation_steps") or 1) + 1
        result = [np.array(w) for w in weights]
        every = spec.get("gradient_accumulation_steps")
        if every:
            sums = self.slots["accumulated"]
            for sum_, g in zip(sums, gradients, strict=True):
                sum_ += g
        if not every or self.batches % every == 0:
            if every:
                gradients = [sum_ / every for sum_ in sums]
                for sum_ in sums:
                    sum_[...] = 0
            result = self._update(weights, gradients, undecayed)
        if spec.get("ema_momentum") is not None:
            for average, w in zip(self.slots["average"], result, strict=True):
                mu = 0.0 if self.iterations == 1 else spec["ema_momentum"]
                average[...] = mu * average + (1 - mu) * w
                if spec.get("ema_overwrite_frequency") and self.iterations % spec["ema_overwrite_frequency"] == 0:
                    w[...] = average
        return result

    def _update(self, weights: Sequence[Array], gradients: Sequence[Array], undecayed: Sequence[int]) -> list[Array]:
        spec = self.spec
        rate = spec["learning_rate"] / (1 + spec.get("decay", 0.0) * (self.batches - 1))
        if spec["kind"] == "nadam":
            self._product *= self._warmed(self.iterations)
        update = getattr(self, f"_{spec['kind']}")
        result = []
        for index, (w, g) in enumerate(zip(weights, clip(spec, gradients), strict=True)):
            decays = spec["weight_decay"]
            if spec["kind"] == "muon" and not self._is_orthogonal(index, w):
                decays = spec["adam_weight_decay"]
            decay = 0.0 if index in undecayed else decays or 0.0
            decayed = w - w * decay * rate
            measured = spec["kind"] in ("ftrl", "lamb", "adafactor", "muon", "schedule_free_adamw")
            result.append(decayed + (update(index, g, rate, decayed) if measured else update(index, g, rate)))
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

    def _means(self, index: int, g: Array) -> tuple[Array, Array]:
        m, v = self._slot("momentum", index), self._slot("velocity", index)
        m += (g - m) * (1 - self.spec["beta_1"])
        v += (g**2 - v) * (1 - self.spec["beta_2"])
        return m, v

    def _adagrad(self, index: int, g: Array, rate: float) -> Array:
        n = self._slot("accumulator", index)
        n += g**2
        return -rate * g / np.sqrt(n + self.spec["epsilon"])

    def _adadelta(self, index: int, g: Array, rate: float) -> Array:
        rho, epsilon = self.spec["rho"], self.spec["epsilon"]
        v, u = self._slot("accumulated_grad", index), self._slot("accumulated_delta_var", index)
        v[...] = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + epsilon) / np.sqrt(v + epsilon) * g
        u[...] = rho * u + (1 - rho) * d**2
        return -rate * d

    def _adamax(self, index: int, g: Array, rate: float) -> Array:
        m, u = self._slot("momentum", index), self._slot("norm", index)
        m += (g - m) * (1 - self.spec["beta_1"])
        u[...] = np.maximum(self.spec["beta_2"] * u, abs(g))
        return -rate * m / ((1 - self.spec["beta_1"] ** self.iterations) * (u + self.spec["epsilon"]))

    def _warmed(self, t: int) -> float:
        return self.spec["beta_1"] * (1 - 0.5 * 0.96**t)

    def _nadam(self, index: int, g: Array, rate: float) -> Array:
        t, product = self.iterations, self._product
        m, v = self._means(index, g)
        now, following = self._warmed(t), self._warmed(t + 1)
        d = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
        return -rate * d / (np.sqrt(v / (1 - self.spec["beta_2"] ** t)) + self.spec["epsilon"])

    def _ftrl(self, index: int, g: Array, rate: float, w: Array) -> Array:
        spec = self.spec
        power, l1 = -spec["learning_rate_power"], spec["l1_regularization_strength"]
        n, z = self._slot("accumulator", index), self._slot("linear", index)
        shrunk = g + 2 * spec["l2_shrinkage_regularization_strength"] * w
        new = n + g**2
        z += shrunk - (new**power - n**power) / rate * w
        n[...] = new
        quadratic = new**power / rate + 2 * (spec["l2_regularization_strength"] + spec["beta"] / (2 * rate))
        return (np.clip(z, -l1, l1) - z) / quadratic - w

    def _lion(self, index: int, g: Array, rate: float) -> Array:
        beta_1, beta_2 = self.spec["beta_1"], self.spec["beta_2"]
        m = self._slot("momentum", index)
        change = -rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m[...] = beta_2 * m + (1 - beta_2) * g
        return change

    def _schedule_free_adamw(self, index: int, g: Array, rate: float, w: Array) -> Array:
        spec, t = self.spec, self.iterations
        beta_1, beta_2 = spec["beta_1"], spec["beta_2"]
        v, z = self._slot("velocity", index), self._slot("z", index)
        v += (g**2 - v) * (1 - beta_2)
        rise = min(t / spec["warmup_steps"], 1.0) if spec["warmup_steps"] else 1.0
        x = (w - (1 - beta_1) * z) / beta_1
        z -= rate * rise * g / (np.sqrt(v / (1 - beta_2**t)) + spec["epsilon"])
        x += (z - x) / t
        return (1 - beta_1) * z + beta_1 * x - w

    def _lamb(self, index: int, g: Array, rate: float, w: Array) -> Array:
        t = self.iterations
        m, v = self._means(index, g)
        below = np.sqrt(v / (1 - self.spec["beta_2"] ** t)) + self.spec["epsilon"]
        d = m / (1 - self.spec["beta_1"] ** t) / below
        lengths = np.linalg.norm(w), np.linalg.norm(d)
        return -rate * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0) * d

    def _is_orthogonal(self, index: int, w: Array) -> bool:
        return w.ndim == 2 and index not in self.spec.get("excluded", ())

    def _muon(self, index: int, g: Array, rate: float, w: Array) -> Array:
        spec = self.spec
        m, mu = self._slot("momentum", index), spec["momentum"]
        if not self._is_orthogonal(index, w):
            v, (beta_1, beta_2), t = (
                self._slot("velocity", index),
                (spec["adam_beta_1"], spec["adam_beta_2"]),
                self.iterations,
            )
            m += (g - m) * (1 - beta_1)
            v += (g**2 - v) * (1 - beta_2)
            alpha = rate * spec["adam_lr_ratio"] * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            return -alpha * m / (np.sqrt(v) + spec["epsilon"])
        m[...] = mu * m + g
        x = g + mu * m if spec["nesterov"] else m
        turned = x.shape[0] > x.shape[1]
        x = (x.T if turned else x) / (np.linalg.norm(x) + 1e-7)
        a, b, c = spec["coefficients"]
        for _ in range(spec["ns_steps"]):
            s = x @ x.T
            x = a * x + (b * s + c * s @ s) @ x
        scale = 1.0 if spec["rms_rate"] is None else np.sqrt(max(x.shape)) * spec["rms_rate"]
        return -rate * scale * (x.T if turned else x)

    def _adafactor(self, index: int, g: Array, rate: float, w: Array) -> Array:
        spec, t = self.spec, self.iterations
        rho = min(rate, 1 / np.sqrt(t))
        new = t ** spec["beta_2_decay"]
        square = g**2 + spec["epsilon_1"]
        if w.ndim > 1:
            r, c = self._slot("row", index), self._slot("column", index)
            r += new * (square.mean(-1) - r)
            c += new * (square.mean(-2) - c)
            v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        else:
            v = self._slot("velocity", index)
            v += new * (square - v)
        u = g / np.sqrt(v)
        scale = max(spec["epsilon_2"], float(np.sqrt((w**2).mean()))) * rho
        return -scale * u / max(1.0, float(np.sqrt((u**2).mean())) / spec["clip_threshold"])
