"""Muon, which makes the updates of matrices orthogonal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from foliot._checks import check_flag, check_integer, check_number, check_text
from foliot.optimizers.base import LearningRate, Optimizer, check_epsilon


class Muon(Optimizer):
    """Momentum whose matrices are made nearly orthogonal by iterations of Newton and Schulz (Jordan et al., 2024).

    Weights with two axes go by Muon: `m = momentum * m + g`, and the weight moves by the orthogonal part of `g +
    momentum * m` (of `m` without `nesterov`), times `learning_rate * sqrt(max(rows, columns)) * rms_rate`. All others,
    and those that are left out, go by Adam.

    Args:
        learning_rate: The step's size, at least 0, or a schedule.
        adam_beta_1: How slowly the gradient's average moves in Adam, from 0 to below 1.
        adam_beta_2: How slowly the square's average moves in Adam, from 0 to below 1.
        adam_weight_decay: As `weight_decay`, of the weights that go by Adam; None for none.
        epsilon: Keeps Adam's divisor from 0; None for 1e-7.
        weight_decay: See `Optimizer`, of the weights that go by Muon.
        clipnorm: The largest norm of each gradient.
        clipvalue: The largest magnitude of each element.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep moving averages of the weights.
        ema_momentum: How slowly they move.
        ema_overwrite_frequency: Every so many steps the weights take them over.
        loss_scale_factor: None.
        gradient_accumulation_steps: How many batches make one update.
        name: The optimizer's name.
        exclude_layers: Regular expressions; a weight goes by Adam if one is found in its path, the names of the layers
            around it and its own, such as "sequential/dense_1/kernel". Keras advises to name the output layer. None for
            none.
        exclude_embeddings: Whether weights with "embedding" in their path go by Adam.
        muon_a: The coefficient of `x` in an iteration.
        muon_b: The coefficient of `x xᵀ x`.
        muon_c: The coefficient of `x xᵀ x xᵀ x`.
        adam_lr_ratio: Adam's learning rate in parts of Muon's.
        momentum: How much of the sum of gradients is kept.
        ns_steps: The number of iterations.
        nesterov: Whether the gradient counts once more.
        rms_rate: The root mean square of an update in parts of the learning rate (Liu et al., 2025); None for a plain
            orthogonal matrix.
        lr: An old spelling of `learning_rate`.
        decay: The decay of the learning rate.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> Muon(0.01, exclude_layers=["output"])
    Muon(learning_rate=0.01, name='muon', exclude_layers=['output'])
    """

    _kind = "muon"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float | None = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        *,
        lr: float | None = None,
        decay: float = 0.0,
    ) -> None:
        super().__init__(**self._shared(locals()))
        self.adam_beta_1 = check_number("adam_beta_1", adam_beta_1, minimum=0, below=1)
        self.adam_beta_2 = check_number("adam_beta_2", adam_beta_2, minimum=0, below=1)
        self.adam_weight_decay = (
            None if adam_weight_decay is None else check_number("adam_weight_decay", adam_weight_decay, minimum=0)
        )
        self.epsilon = check_epsilon(epsilon)
        patterns = [check_text("exclude_layers", pattern) for pattern in exclude_layers or ()]
        self.exclude_layers = patterns or None  # Keras writes an empty list for None
        self.exclude_embeddings = check_flag("exclude_embeddings", exclude_embeddings)
        self.muon_a = check_number("muon_a", muon_a)
        self.muon_b = check_number("muon_b", muon_b)
        self.muon_c = check_number("muon_c", muon_c)
        self.adam_lr_ratio = check_number("adam_lr_ratio", adam_lr_ratio, minimum=0)
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.ns_steps = check_integer("ns_steps", ns_steps, minimum=0, maximum=1000)
        self.nesterov = check_flag("nesterov", nesterov)
        self.rms_rate = None if rms_rate is None else check_number("rms_rate", rms_rate, minimum=0)

    def _leaves_out(self, path: str) -> bool:
        embedding = self.exclude_embeddings and "embedding" in path.lower()
        return embedding or any(re.search(pattern, path) for pattern in self.exclude_layers or ())

    def _numbers(self) -> dict[str, Any]:
        return {
            "adam_beta_1": self.adam_beta_1,
            "adam_beta_2": self.adam_beta_2,
            "adam_weight_decay": self.adam_weight_decay,
            "adam_lr_ratio": self.adam_lr_ratio,
            "epsilon": self.epsilon,
            "coefficients": [self.muon_a, self.muon_b, self.muon_c],
            "momentum": self.momentum,
            "ns_steps": self.ns_steps,
            "nesterov": self.nesterov,
            "rms_rate": self.rms_rate,
        }
