"""Random changes that training makes, so that a model does not rely on single values."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from foliot._checks import check_number
from foliot.layers.arguments import Seed, check_shape
from foliot.layers.base import Layer


class _Noise(Layer):
    passes_mask = True
    takes_any_order = True
    method: ClassVar[str]

    seed = Seed()
    _seed: int

    def _spec(self, rate: float, noise_shape: Sequence[int | None] | None = None) -> dict[str, Any]:
        shape = None if noise_shape is None else list(noise_shape)
        return {"kind": "noise", "method": self.method, "rate": rate, "seed": self._seed, "noise_shape": shape}

    def seeds(self) -> dict[str, int]:
        return {"noise": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["noise"]


class GaussianNoise(_Noise):
    """During training adds normal numbers with a mean of 0.

    Args:
        stddev: Their standard deviation, in `[0, 1]`.
        seed: Seed of the numbers; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: Any shape.
        training: True to add; `fit` does.

    Example:
        >>> from foliot.layers import GaussianNoise
        >>> GaussianNoise(0.5)([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    method = "gaussian"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = check_number("stddev", stddev, minimum=0, maximum=1)
        self.seed = seed

    def to_spec(self) -> dict[str, Any]:
        return self._spec(self.stddev)


class GaussianDropout(_Noise):
    """During training multiplies with normal numbers of mean 1 and standard deviation `sqrt(rate / (1 - rate))`.

    The method is Srivastava et al., "Dropout" (2014), section 10.

    Args:
        rate: As of a `Dropout` of the same variance, in `[0, 1)`. (Keras takes 1, too, and fails in training.)
        seed: Seed of the numbers; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: Any shape.
        training: True to multiply; `fit` does.

    Example:
        >>> from foliot.layers import GaussianDropout
        >>> GaussianDropout(0.5)([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    method = "gaussian_dropout"

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, minimum=0, below=1)
        self.seed = seed

    def to_spec(self) -> dict[str, Any]:
        return self._spec(self.rate)


class AlphaDropout(_Noise):
    """Dropout for `selu`, which keeps mean and variance.

    During training a random part of the inputs becomes selu's limit at minus infinity, and all are scaled and shifted.

    The method is Klambauer et al., "Self-normalizing neural networks" (2017).

    Args:
        rate: The part to drop, in `[0, 1)`. (Keras takes 1, too, and fails in training.)
        noise_shape: Shape of the random mask, 1 where it is shared along an axis; None draws each element.
        seed: Seed of the mask; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: Any shape.
        training: True to drop; `fit` does.

    Example:
        >>> from foliot.layers import AlphaDropout
        >>> AlphaDropout(0.5)([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    method = "alpha_dropout"

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, minimum=0, below=1)
        self.noise_shape = None if noise_shape is None else check_shape("noise_shape", noise_shape)
        self.seed = seed

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]  # others always or never
        return self.noise_shape is None

    def to_spec(self) -> dict[str, Any]:
        return self._spec(self.rate, self.noise_shape)
