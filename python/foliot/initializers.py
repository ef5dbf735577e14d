"""First values of weights.

A layer takes one as an object or a name: `Dense(1, kernel_initializer="he_normal")`. Called on its own, an initializer
gives an array: `initializers.GlorotUniform(seed=1)((3, 4))`. Without a seed it draws one when it is made, from foliot's
stream of seeds (`foliot.utils.set_random_seed`): as in Keras, calling one initializer twice gives the same values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foliot import _serialization
from foliot._checks import (
    check_choice,
    check_dtype,
    check_integer,
    check_number,
    check_off,
    type_error,
    value_error,
)
from foliot._random import next_seed
from foliot._rows import check_unmasked
from foliot._serialization import Registry, Value, snake_case

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]


def _check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise type_error("shape", "a sequence of integers", shape)
    return tuple(check_integer("shape", size, minimum=0) for size in shape)


class Initializer(Value):
    """What all initializers have in common.

    A class of one's own may be passed to a layer when it defines `__call__(shape, dtype=None)` and `get_config()`; a
    model file with it cannot be loaded, for a file names foliot's own classes only.
    """

    def to_spec(self) -> dict[str, Any]:
        """The initializer as the core takes it: its kind and numbers, without the seed.

        Example:

        >>> RandomUniform(-1, 1, seed=3).to_spec()
        {'kind': 'random_uniform', 'minval': -1.0, 'maxval': 1.0}
        """
        if type(self) not in _REGISTRY.classes:
            raise NotImplementedError(f"{type(self).__name__} defines no `__call__`")
        return {"kind": snake_case(type(self).__name__), **self._numbers()}

    def _numbers(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_config().items() if name != "seed"}

    def _seed(self) -> int:
        return 0  # unused by kinds that draw nothing

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values.

        Args:
            shape: The shape of the weights.
            dtype: None or "float32", in which foliot computes.

        Returns:
            A new float32 array of that shape.

        Raises:
            TypeError: `shape` holds something other than integers.
            ValueError: The initializer cannot fill this shape.
        """
        from foliot import _core

        sizes = _check_shape(shape)
        check_dtype(dtype)
        return _core.initialize(json.dumps(self.to_spec()), sizes, self._seed())


class Zeros(Initializer):
    """All 0.

    Example:

    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """


class Ones(Initializer):
    """All 1.

    Example:

    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """


class Constant(Initializer):
    """All the same value, or the values of an array.

    Args:
        value: A number, or an array that broadcasts to the weights' shape, such as pretrained word vectors for an
            `Embedding`.

    Raises:
        TypeError: `value` is no number and no array of numbers.
        ValueError: `value` is not finite.

    Example:

    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    >>> Constant([[1, 2], [3, 4]])((2, 2))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        self.value: float | NDArray[np.float32]
        check_unmasked("value", value)
        array = np.asarray(value)
        if array.ndim == 0:
            self.value = check_number("value", array.item())
            return
        if array.dtype.kind not in "fiu":
            raise type_error("value", "a number or an array of numbers", value)
        self.value = array.astype(np.float32)
        if not np.isfinite(self.value).all():
            raise value_error("value", "finite numbers within float32", value)

    def get_config(self) -> dict[str, Any]:
        """Returns the value; an array becomes nested lists, which JSON can hold."""
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values; see `Initializer.__call__`."""
        if not isinstance(self.value, np.ndarray):
            return super().__call__(shape, dtype)
        sizes = _check_shape(shape)
        check_dtype(dtype)
        try:
            return np.broadcast_to(self.value, sizes).copy()
        except ValueError as error:
            raise ValueError(
                f"`shape`: expected one that an array of shape {self.value.shape} broadcasts to; received {sizes}"
            ) from error


class Identity(Initializer):
    """`gain` on the main diagonal of a matrix, 0 elsewhere.

    Args:
        gain: The value on the diagonal.

    Raises:
        TypeError: `gain` is no number.
        ValueError: `gain` is not finite; on the call: the shape is no matrix.

    Example:

    >>> Identity()((2, 2))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("gain", gain)


class RandomInitializer(Initializer):
    """What initializers that draw numbers have in common: a seed.

    Args:
        seed: A whole number, or None to draw one from foliot's stream of seeds, which `seed` then holds.

    Raises:
        TypeError: `seed` is no integer.
        ValueError: `seed` is negative or beyond 64 bits.
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

    >>> get("uniform")
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

    >>> get("glorot_normal")
    GlorotNormal()
    """


class HeUniform(_NamedScaling):
    """Uniform values within `sqrt(6 / inputs)`, meant for relu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> get("he_uniform")
    HeUniform()
    """


class HeNormal(_NamedScaling):
    """Truncated normal values with the variance `2 / inputs`, meant for relu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> get("he_normal")
    HeNormal()
    """


class LecunUniform(_NamedScaling):
    """Uniform values within `sqrt(3 / inputs)`.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> get("lecun_uniform")
    LecunUniform()
    """


class LecunNormal(_NamedScaling):
    """Truncated normal values with the variance `1 / inputs`, meant for selu.

    Args:
        seed: See `RandomInitializer`.
        input_axes: None: which axes count as inputs cannot be chosen yet.
        output_axes: None, likewise.

    Example:

    >>> get("lecun_normal")
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


class _Function(Initializer):
    """A function of a user's, called with the shape. It runs when weights are made, never inside a training step."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def get_config(self) -> dict[str, Any]:
        """Refuses: a function is no data."""
        raise ValueError(
            "`initializer`: expected one of foliot's initializers, which a configuration can name; "
            f"received the function {self.function!r}"
        )

    def __repr__(self) -> str:
        return f"<initializer {self.function!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Function) and other.function is self.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> NDArray[np.float32]:
        """Makes the values; see `Initializer.__call__`."""
        sizes = _check_shape(shape)
        check_dtype(dtype)
        values = np.array(self.function(sizes, dtype="float32"), dtype=np.float32)
        if values.shape != sizes:
            raise ValueError(
                f"`initializer`: expected {self.function!r} to return shape {sizes}; received shape {values.shape}"
            )
        return values


constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_REGISTRY: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    (
        Zeros,
        Ones,
        Constant,
        Identity,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
    ),
    {
        "zero": Zeros,
        "one": Ones,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
    },
)


def get(identifier: object, argument: str | None = None) -> Initializer | None:
    """The initializer that an identifier stands for.

    Args:
        identifier: A name ("glorot_uniform", "GlorotUniform", "uniform", ...), a dict with "class_name" and "config",
            an initializer, one of the classes, an array of the values themselves, a function `f(shape, dtype=None)`, or
            None.
        argument: What errors call the identifier; "initializer" when None.

    Returns:
        The initializer, or None.

    Raises:
        TypeError: The identifier is of none of these kinds.
        ValueError: The name, the class or a key is unknown.

    Example:

    >>> get("orthogonal")
    Orthogonal()
    >>> get({"class_name": "Constant", "config": {"value": 2}})
    Constant(value=2.0)
    """
    if identifier is None:
        return None
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    if isinstance(identifier, Initializer):
        return identifier
    if callable(identifier) and not isinstance(identifier, type):
        return _Function(identifier)
    return _REGISTRY.get(identifier, argument)


def serialize(initializer: Initializer | None) -> dict[str, Any] | None:
    """The configuration of an initializer as plain data; None stays None.

    Raises:
        ValueError: The initializer is a function of a user's.
    """
    return _serialization.serialize(initializer)


def deserialize(config: object) -> Initializer:
    """The initializer of a configuration that `serialize` gave.

    Raises:
        TypeError: `config` is no dict.
        ValueError: The class or a key is unknown.
    """
    return _REGISTRY.deserialize(config)
