"""Initializers that draw numbers."""

from __future__ import annotations

from typing import Any

from foliot._checks import check_choice, check_integer, check_number, check_off, value_error
from foliot._random import next_seed
from foliot.initializers.base import Initializer


class RandomInitializer(Initializer):
    """What initializers that draw numbers have in common: a seed.

    Args:
        seed: A whole number, or None to draw one from foliot's stream of seeds, which `seed` then holds.

    Raises:
        TypeError: `seed` is no integer.
        ValueError: `seed` is negative or beyond 64 bits.

    Example:

    >>> from foliot import initializers
    >>> initializer = initializers.get("glorot_uniform")
    >>> isinstance(initializer, initializers.RandomInitializer)
    True
    >>> again = initializers.GlorotUniform(seed=initializer.seed)
    >>> bool((again((3, 4)) == initializer((3, 4))).all())
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self._given = None if seed is None else check_integer("seed", seed, minimum=0, maximum=2**64 - 1)
        # Drawn here and not at the first call: which seed it is then depends on the order of creation alone.
        self.seed: int = next_seed() if self._given is None else self._given

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments; a seed that was drawn stays out, so that an object made from them draws its own."""
        return super().get_config() | {"seed": self._given}

    def _seed(self) -> int:
        return self.seed


class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Args:
        mean: Their mean.
        stddev: Their standard deviation, at least 0.
        seed: See `RandomInitializer`.

    Raises:
        TypeError: An argument is no number.
        ValueError: A number is out of its range.

    Example:

    >>> RandomNormal(stddev=0.1, seed=1)((3, 4)).shape
    (3, 4)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = check_number("mean", mean)
        self.stddev = check_number("stddev", stddev, minimum=0)


class TruncatedNormal(RandomInitializer):
    """Normally distributed values, drawn again when beyond two standard deviations from the mean.

    Args:
        mean: The mean.
        stddev: The standard deviation before truncation, at least 0.
        seed: See `RandomInitializer`.

    Raises:
        TypeError: An argument is no number.
        ValueError: A number is out of its range.

    Example:

    >>> values = TruncatedNormal(stddev=1.0, seed=1)((100,))
    >>> bool(abs(values).max() <= 2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = check_number("mean", mean)
        self.stddev = check_number("stddev", stddev, minimum=0)


class RandomUniform(RandomInitializer):
    """Uniformly distributed values. The default, from -0.05 to 0.05, is what "uniform" means for an `Embedding`.

    Args:
        minval: The lower end.
        maxval: The upper end, at least `minval`.
        seed: See `RandomInitializer`.

    Raises:
        TypeError: An argument is no number.
        ValueError: A number is out of its range.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("uniform")
    RandomUniform()
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = check_number("minval", minval)
        self.maxval = check_number("maxval", maxval)
        if self.minval > self.maxval:
            raise value_error("minval", f"at most `maxval`, which is {self.maxval:g}", minval)


class VarianceScaling(RandomInitializer):
    """Values whose variance is `scale` divided by the number of inputs or outputs of a unit.

    The variance is `scale / fan`. For a kernel `(inputs, outputs)` the fan is `inputs`, `outputs` or their mean; the
    outputs of an LSTM or GRU kernel are all its gates together, as in Keras.

    Args:
        scale: The factor, above 0.
        mode: "fan_in" (inputs), "fan_out" (outputs) or "fan_avg" (their mean).
        distribution: "truncated_normal" (also called "normal"), "untruncated_normal" or "uniform".
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:

    >>> VarianceScaling(2.0, mode="fan_out").to_spec()
    {'kind': 'variance_scaling', 'scale': 2.0, 'mode': 'fan_out', 'distribution': 'truncated_normal'}
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: None = None,
        output_axes: None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = check_number("scale", scale, above=0)
        self.mode = check_choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        known = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        checked = check_choice("distribution", distribution, known)
        # The name of Keras 1 and 2.
        self.distribution = "truncated_normal" if checked == "normal" else checked
        check_off("input_axes", input_axes, None)
        check_off("output_axes", output_axes, None)
        self.input_axes = input_axes
        self.output_axes = output_axes

    def _numbers(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}


class _NamedScaling(RandomInitializer):
    """A `VarianceScaling` that has a name of its own."""

    def __init__(self, seed: int | None = None, input_axes: None = None, output_axes: None = None) -> None:
        super().__init__(seed)
        check_off("input_axes", input_axes, None)
        check_off("output_axes", output_axes, None)
        self.input_axes = input_axes
        self.output_axes = output_axes

    def _numbers(self) -> dict[str, Any]:
        return {}


class GlorotUniform(_NamedScaling):
    """Uniform values within `sqrt(6 / (inputs + outputs))`, also called Xavier's.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> values = GlorotUniform(seed=1)((3, 3))
    >>> bool(abs(values).max() <= 1)
    True
    """


class GlorotNormal(_NamedScaling):
    """Truncated normal values with the variance `2 / (inputs + outputs)`.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("glorot_normal")
    GlorotNormal()
    """


class HeUniform(_NamedScaling):
    """Uniform values within `sqrt(6 / inputs)`, meant for relu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("he_uniform")
    HeUniform()
    """


class HeNormal(_NamedScaling):
    """Truncated normal values with the variance `2 / inputs`, meant for relu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("he_normal")
    HeNormal()
    """


class LecunUniform(_NamedScaling):
    """Uniform values within `sqrt(3 / inputs)`.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("lecun_uniform")
    LecunUniform()
    """


class LecunNormal(_NamedScaling):
    """Truncated normal values with the variance `1 / inputs`, meant for selu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> from foliot import initializers
    >>> initializers.get("lecun_normal")
    LecunNormal()
    """


class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    The recurrent kernels' default. For an LSTM `(units, 4 * units)` the rows are orthonormal over all gates together,
    as in Keras.

    Args:
        gain: The factor.
        seed: See `RandomInitializer`.

    Raises:
        TypeError: An argument is no number.
        ValueError: `gain` is not finite; on the call: the shape has fewer than two axes.

    Example:

    >>> import numpy as np
    >>> matrix = Orthogonal(seed=1)((3, 3))
    >>> bool(np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6))
    True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = check_number("gain", gain)
