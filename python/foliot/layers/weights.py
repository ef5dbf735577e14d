"""The weights of layers: how they are made, named, read and set."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from foliot import _arrays, _core, constraints, initializers, regularizers
from foliot._arrays import Array
from foliot._checks import check_flag, type_error
from foliot._serialization import Configurable
from foliot.initializers.base import Function

_WEIGHT_OPTIONS: dict[str, Callable[[Any, str], Any]] = {
    "_initializer": initializers.get,
    "_regularizer": regularizers.get,
    "_constraint": constraints.get,
}

#: While a model is loaded: gives the stored value for the next weight by name and shape, in place of an initializer.
weight_source: ContextVar[Callable[[str, tuple[int, ...]], Array] | None] = ContextVar("weight_source", default=None)


@dataclass(eq=False)
class Weight:
    """A parameter with what training does to it. Compared by identity: a shared layer's weight is one weight."""

    layer: "Weighted"
    parameter: _core.Parameter
    regularizer: regularizers.Regularizer | None
    constraint: constraints.Constraint | None
    learned: bool = True  # False for what a layer counts for itself, such as moving means

    @property
    def trainable(self) -> bool:
        """Whether the optimizer changes it."""
        return self.learned and self.layer.trainable

    def to_spec(self) -> dict[str, Any]:
        return {
            "trainable": self.trainable,
            "regularizer": None if self.regularizer is None else self.regularizer.to_spec(),
            "constraint": None if self.constraint is None else self.constraint.to_spec(),
        }


class Weighted(Configurable):
    """What a layer is as the owner of weights."""

    name: str
    #: Whether it has its weights.
    built: bool
    #: The layer that has made this one for its own work.
    owner: Any = None
    _trainable: bool
    _entries: list[Weight]

    @property
    def label(self) -> str:
        """What messages call the layer; one that its user knows nothing of is called what it is a part of."""
        return f"{type(self).__name__} {self.name!r}" if self.owner is None else self.owner.label

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = check_flag("trainable", value)
        for layer in self.sublayers():
            layer.trainable = value

    def sublayers(self) -> Sequence["Weighted"]:
        """The layers that this one is made of."""
        return ()

    def weight_entries(self) -> list[Weight]:
        """The weights with their regularizers and constraints; one that several layers share counts once."""
        inner = self.sublayers()
        if not inner:
            return self._entries
        return list(dict.fromkeys([*self._entries, *(entry for layer in inner for entry in layer.weight_entries())]))

    def weight_paths(self) -> dict[_core.Parameter, str]:
        """For each weight the names of the layers around it and its own, as in "lstm/lstm_cell/kernel"."""
        paths = {entry.parameter: f"{self.name}/{entry.parameter.name}" for entry in self._entries}
        for layer in self.sublayers():
            for parameter, path in layer.weight_paths().items():
                paths.setdefault(parameter, f"{self.name}/{path}")
        return paths

    @property
    def weights(self) -> list[_core.Parameter]:
        """All weights, in Keras's order."""
        return [entry.parameter for entry in self.weight_entries()]

    @property
    def trainable_weights(self) -> list[_core.Parameter]:
        """The weights that training changes."""
        return [entry.parameter for entry in self.weight_entries() if entry.trainable]

    @property
    def non_trainable_weights(self) -> list[_core.Parameter]:
        """The weights that training leaves alone."""
        return [entry.parameter for entry in self.weight_entries() if not entry.trainable]

    def get_weights(self) -> list[Array]:
        """Copies of the weights as NumPy arrays, in Keras's order and shapes.

        Example:
            >>> from foliot.layers import Dense
            >>> layer = Dense(2)
            >>> layer.build((None, 3))
            >>> [weight.shape for weight in layer.get_weights()]
            [(3, 2), (2,)]
        """
        return [parameter.numpy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all weights from arrays in the order and shapes of `get_weights`.

        NaN and infinity are set as they are, as in Keras: what a training that went wrong has left can be put back.

        Raises:
            TypeError: `weights` is no list, or an array holds no numbers.
            ValueError: A wrong number of arrays, a wrong shape, or a finite number beyond float32. Nothing is changed
                in either case.

        Example:
            >>> import numpy as np
            >>> from foliot.layers import Dense
            >>> layer = Dense(2)
            >>> layer.build((None, 3))
            >>> layer.set_weights([np.ones((3, 2)), np.zeros(2)])
            >>> layer(np.ones((1, 3), "float32"))
            array([[3., 3.]], dtype=float32)
        """
        parameters = self.weights
        owner = self.label
        if isinstance(weights, (str, bytes, Mapping)) or not hasattr(weights, "__len__"):
            raise type_error("weights", f"a list of {len(parameters)} arrays for {owner}", weights)
        if len(weights) != len(parameters):
            advice = "" if self.built else f" ({owner} is not built yet: call it or build(input_shape) first)"
            expected = f"{len(parameters)} arrays for {owner}"
            raise ValueError(f"`weights`: expected {expected}; received {len(weights)}{advice}")
        converted = []
        for position, (parameter, value) in enumerate(zip(parameters, weights, strict=True)):
            argument = f"weights[{position}]"
            array = _arrays.numeric(argument, value)
            if array.shape != parameter.shape:
                expected = f"shape {parameter.shape} for {parameter.name} of {owner}"
                raise ValueError(f"`{argument}`: expected {expected}; received shape {array.shape}")
            converted.append(_arrays.float32_as_is(argument, array, f"{parameter.name} of {owner}"))
        for parameter, array in zip(parameters, converted, strict=True):
            parameter.assign(array)

    def count_params(self) -> int:
        """The number of weights, counted by element."""
        return sum(math.prod(parameter.shape) for parameter in self.weights)

    def _add_weight(
        self, name: str, shape: tuple[int, ...], options: str, initializer: Any = None, *, learned: bool = True
    ) -> _core.Parameter:
        """A new weight under the layer's `<options>_initializer`, `_regularizer`, `_constraint` if it has them."""
        source = weight_source.get()
        if source is None:
            self._check_fits_memory(name, shape)
            # Keras's answer to `None` as an initializer is glorot_uniform, even for a bias.
            initializer = initializer or getattr(self, f"{options}_initializer") or initializers.GlorotUniform()
            try:
                value = initializer(shape)
            except ValueError as error:
                given = getattr(self, f"{options}_initializer", None)
                if not isinstance(given, initializers.Initializer) or isinstance(given, Function):
                    raise
                expected = f"one that can make {name} of {self.label}, whose shape is {shape}"
                raise ValueError(
                    f"`{options}_initializer`: expected {expected}; received {given!r} ({error})"
                ) from error
        else:
            value = source(name, shape)
        parameter = _core.Parameter(name, value)
        regularizer = getattr(self, f"{options}_regularizer", None)
        if regularizer is not None:
            regularizer.check_shape(f"{options}_regularizer", shape)
        constraint = getattr(self, f"{options}_constraint", None)
        self._entries.append(Weight(self, parameter, regularizer, constraint, learned))
        return parameter

    def _check_fits_memory(self, name: str, shape: tuple[int, ...]) -> None:
        try:
            np.empty(shape, dtype=np.float32)
        except (MemoryError, OverflowError, ValueError) as error:  # the last two for sizes beyond any memory
            sizes = {size: getattr(self, size) for size in ("units", "input_dim", "output_dim") if hasattr(self, size)}
            named = ", ".join(f"`{size}`" for size in sizes) or "`input_shape`"
            received = "".join(f"{size}={value}, " for size, value in sizes.items())
            raise ValueError(
                f"{named}: expected weights that fit into memory; received {received}which gives {name} of "
                f"{self.label} the shape {shape}, {4 * math.prod(shape)} bytes"
            ) from error


def set_weight_options(layer: Weighted, options: Mapping[str, Any]) -> None:
    """Turns a constructor's `*_initializer`, `*_regularizer` and `*_constraint` arguments into attributes."""
    for suffix, resolve in _WEIGHT_OPTIONS.items():
        for argument, value in options.items():
            if argument.endswith(suffix):
                setattr(layer, argument, resolve(value, argument))
