"""A recurrent layer in both directions: a composite of two recurrent layers, a reversal and a merge."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from foliot import _core, _nest
from foliot._checks import check_choice, check_flag, type_error, unknown_keys, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot.layers.base import Layer, has_symbolic
from foliot.layers.cell import flatten_states
from foliot.layers.merging import Add, Average, Concatenate, Merge, Multiply
from foliot.layers.rnn import RNN, Reverse

_MERGES: dict[str, type[Merge]] = {"concat": Concatenate, "sum": Add, "mul": Multiply, "ave": Average}
# What both directions have to have in common.
_COMMON = ("stateful", "return_sequences", "return_state", "time_major")


class _Ends(Merge):
    """The outputs of both directions as one, by the `merge_mode` that the layer has when a program is made."""

    def __init__(self, owner: "Bidirectional") -> None:
        super().__init__(name=f"{owner.name}_merge")
        self.owner = owner

    def _form(self) -> Merge:
        return _MERGES[str(self.owner.merge_mode)](name=self.name)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return self._form().infer(shapes)

    def to_spec(self) -> dict[str, Any]:
        return self._form().to_spec()


class _OfBoth:
    """An option that both directions have in common."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, layer: "Bidirectional | None", owner: type) -> Any:
        return self if layer is None else getattr(layer.forward_layer, self._name)

    def __set__(self, layer: "Bidirectional", value: Any) -> None:
        value = check_flag(self._name, value)
        for one in (layer.forward_layer, layer.backward_layer):
            setattr(one, self._name, value)
            if self._name == "return_sequences":
                one.zero_output_for_mask = value


class Bidirectional(Layer):
    """Runs a recurrent layer from the start and a second one from the end, and brings their outputs together.

    Both are made anew from the configuration of `layer`, under the names `forward_*` and `backward_*`, so the weights
    are new, as in Keras. Where they return sequences, the backward one is turned around and masked steps are 0.

    Args:
        layer: An `RNN`, `SimpleRNN`, `LSTM` or `GRU`.
        merge_mode: `'concat'`, `'sum'`, `'mul'`, `'ave'`, or None to return both outputs. The attribute may be set; a
            model goes by it from the next `compile` on.
        weights: Initial weights, those of the forward layer first.
        backward_layer: The layer for the way back, used as it is; None makes it of `layer`.
        **kwargs: `name`, `trainable`, `dtype`, `input_shape`.

    Call arguments:
        sequences: `(batch, time, features)`, or `(time, batch, features)` if `layer` has `time_major=True`.
        initial_state: A list of the forward states, then the backward ones; zeros if None.
        mask: `(batch, time)`, False at padding, or `(time, batch)`.
        training: True to apply dropout.

    Returns:
        The merged output, or both with `merge_mode=None`; with `return_state` then the forward and the backward states.

    Raises:
        TypeError: `layer` or `backward_layer` is no recurrent layer.
        ValueError: The two differ in `stateful`, `return_sequences`, `return_state` or `time_major`, or run the same
            way.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTM, Bidirectional
        >>> Bidirectional(LSTM(4, return_sequences=True))(np.ones((2, 5, 3))).shape
        (2, 5, 8)
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)
    _merge_mode: str | None

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, RNN):
            raise type_error("layer", "a recurrent layer: RNN, LSTM, GRU or another", layer)
        if backward_layer is not None and not isinstance(backward_layer, RNN):
            raise type_error("backward_layer", "None or a recurrent layer: RNN, LSTM, GRU or another", backward_layer)
        super().__init__(weights=weights, **kwargs)
        if self.activity_regularizer is not None:
            raise value_error(
                "activity_regularizer", "None: give it to `layer`, each direction by itself", self.activity_regularizer
            )
        self.merge_mode = merge_mode
        self.forward_layer = _renamed(layer, "forward_")
        self.backward_layer = (
            _renamed(layer, "backward_", go_backwards=True) if backward_layer is None else backward_layer
        )
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError(
                "`backward_layer`: expected another `go_backwards` than that of the forward layer; received "
                f"go_backwards={self.backward_layer.go_backwards} for both"
            )
        for name in _COMMON:
            forth, back = getattr(self.forward_layer, name), getattr(self.backward_layer, name)
            if forth != back:
                raise ValueError(
                    f"`backward_layer`: expected the `{name}` of the forward layer, {forth}; received {back}"
                )
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = one.return_sequences
            one.set_later.discard("zero_output_for_mask")  # nothing that the user set, and nothing to check
        self._reverse = Reverse(self, "return_sequences")
        self._merge = _Ends(self)
        if not self.trainable:
            self.trainable = False  # of the inner layers too

    return_sequences, return_state, stateful, time_major = (
        _OfBoth(name) for name in ("return_sequences", "return_state", "stateful", "time_major")
    )

    @property
    def merge_mode(self) -> str | None:
        """How the outputs of both directions become one; None returns both."""
        return self._merge_mode

    @merge_mode.setter
    def merge_mode(self, value: str | None) -> None:
        if value is not None:
            check_choice("merge_mode", value, tuple(_MERGES))
        if vars(self).get("built") and (value is None) != (self._merge_mode is None):
            expected = "None still" if self._merge_mode is None else f"one of {', '.join(map(repr, _MERGES))}"
            raise value_error("merge_mode", f"{expected} for {self.label}, which is built with so many outputs", value)
        self._merge_mode = value

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return tuple(name for name in super().argument_names() if name != "weights")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the configurations of both layers."""
        from foliot.models.configs import serialize_part

        return {
            "layer": serialize_part(self.forward_layer),
            "merge_mode": self.merge_mode,
            "backward_layer": serialize_part(self.backward_layer),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype,
            "activity_regularizer": None,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a layer from what `get_config` gave, with new weights."""
        if not isinstance(config, Mapping):
            raise type_error("config", "a dict of Bidirectional's arguments", config)
        unknown = set(config) - set(cls.argument_names())
        if unknown:
            raise ValueError(unknown_keys("the config of Bidirectional", unknown, cls.argument_names()))
        from foliot.models.configs import part_from_config

        inner = {key: config[key] for key in ("layer", "backward_layer") if config.get(key) is not None}
        return cls(**dict(config) | {key: part_from_config(value, key) for key, value in inner.items()})

    def call(self, sequences: Any, *states: Any) -> Any:
        """The graph of layers; `__call__` is what scripts use."""
        half = len(states) // 2
        forth = _nest.flatten(self.forward_layer(sequences, initial_state=list(states[:half]) or None))
        back = _nest.flatten(self.backward_layer(sequences, initial_state=list(states[half:]) or None))
        ends = [forth[0], self._reverse(back[0])]
        outputs = ends if self.merge_mode is None else [self._merge(ends)]
        return [*outputs, *forth[1:], *back[1:]]

    def __call__(  # type: ignore[override]  # Keras has the states second
        self, sequences: Any, /, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        """Runs both layers over whole sequences; see the class."""
        states = [] if initial_state is None else flatten_states(initial_state)
        count = 2 * self.forward_layer.state_count
        if len(states) not in (0, count):
            raise ValueError(f"`initial_state`: expected {count} arrays for {self.label}; received {len(states)}")
        inputs = _nest.flatten(sequences) if has_symbolic(sequences) else [sequences]
        results = self._apply([*inputs, *states], mask, training)
        if not self.return_state:
            return results
        count = self.forward_layer.state_count
        back = len(results) - count
        forth = back - count
        forward_states = self.forward_layer.pack_states(results[forth:back])
        return (*results[:forth], *forward_states, *self.backward_layer.pack_states(results[back:]))

    def connect(self, inputs: Sequence[SymbolicTensor], training: bool | None = None) -> tuple[SymbolicTensor, ...]:
        self.check_input(inputs[0].shape)
        outputs = super().connect(inputs, training)
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None
        return outputs

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        """The outputs' shapes for an input of the given shape."""
        output, *states = _nest_shapes(self.forward_layer.compute_output_shape(input_shape), self.return_state)
        back, *back_states = _nest_shapes(self.backward_layer.compute_output_shape(input_shape), self.return_state)
        outputs: list[Shape] = [output, back]
        if self.merge_mode is not None:
            outputs = [self._merge.compute_output_shape(outputs)]
        shapes = [*outputs, *states, *back_states]
        return shapes[0] if len(shapes) == 1 else shapes

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask goes on with sequences of outputs, and ends with last outputs."""
        output = mask if self.return_sequences else None
        outputs = [output, output] if self.merge_mode is None else [output]
        outputs += [None] * (2 * len(self.forward_layer.cell.state_form) if self.return_state else 0)
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def states(self) -> tuple[_core.Parameter, ...] | None:
        """What a stateful layer carries from batch to batch, the forward states first; see `LSTM`."""
        forth, back = self.forward_layer.states, self.backward_layer.states
        return None if forth is None or back is None else (*forth, *back)

    def reset_state(self) -> None:
        """Sets the states that a stateful layer carries to zero; without effect on other layers."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """Keras's older name of `reset_state`."""
        self.reset_state()


def _renamed(layer: RNN, prefix: str, **changes: Any) -> RNN:
    """A new layer of the same configuration, under Keras's name for its direction."""
    from foliot.models.configs import apart, remade

    name = prefix + layer.name.removeprefix(prefix)
    with apart():
        made: Any = remade(layer, name=name, **changes)
        return made  # type: ignore[no-any-return]  # of the same class


def _nest_shapes(shapes: Any, several: bool) -> list[Shape]:
    return list(shapes) if several else [shapes]
