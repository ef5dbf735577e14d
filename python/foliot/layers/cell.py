"""What recurrent cells have in common: their options, weights and states, and a call that makes one step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foliot import _nest, activations, initializers
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, value_error
from foliot._custom import is_ours
from foliot._graph import Shape
from foliot.activations.identifiers import get_keeping_shape
from foliot.layers.arguments import Seed
from foliot.layers.base import Layer
from foliot.layers.weights import set_weight_options

if TYPE_CHECKING:
    from foliot.layers.recurrent_cells import AnyCell

# What a cell's node has that a layer's user chooses: a cell by itself makes one step and returns its states.
_ONE_STEP = {
    "return_sequences": False,
    "return_state": True,
    "go_backwards": False,
    "zero_output_for_mask": False,
    "single_step": True,
}


def arguments_of(scope: dict[str, Any]) -> dict[str, Any]:
    """A constructor's arguments from its `locals()`, so that the long signature is written once per class."""
    kwargs: dict[str, Any] = scope.pop("kwargs")
    return {name: value for name, value in scope.items() if name not in ("self", "__class__")} | kwargs


def without_implementation(rest: Mapping[str, Any]) -> dict[str, Any]:
    """The remaining keyword arguments without Keras's choice between two ways to the same numbers."""
    if rest.get("implementation", 2) not in (0, 1, 2):
        raise ValueError(
            f"`implementation`: expected 0, 1 or 2 (all the same here); received {rest['implementation']!r}"
        )
    return {name: value for name, value in rest.items() if name != "implementation"}


def check_states(argument: str, owner: str, sizes: Sequence[int], batch: int | None, shapes: Sequence[Shape]) -> None:
    """Refuses states of shapes other than (batch, size)."""
    for position, (size, shape) in enumerate(zip(sizes, shapes, strict=True)):
        if len(shape) != 2 or shape[1] != size or (None not in (batch, shape[0]) and batch != shape[0]):
            raise ValueError(
                f"`{argument}[{position}]`: expected shape {(batch, size)} for {owner}; received shape {shape}"
            )


def check_state_count(argument: str, owner: str, cell: "AnyCell", received: int) -> None:
    """Refuses states that are not as many as the cell has."""
    if received != cell.state_count:
        plural = "s"[: cell.state_count - 1]
        several = any(cell.state_form)  # a list for each cell of a stack
        form = f", as in {str(cell.state_form).replace('None', 'array')}" if several else ""
        raise ValueError(
            f"`{argument}`: expected {cell.state_count} array{plural} for {owner}{form}; received {received}"
        )


def flatten_states(states: Any) -> list[Any]:
    """States in a row: an array by itself, a list of them, or with several cells a list of such lists."""

    def leaves(value: Any) -> list[Any]:
        # A list of numbers is an array, a list of arrays is not.
        if isinstance(value, (list, tuple)) and any(hasattr(leaf, "__array__") for leaf in _nest.flatten(value)):
            return [leaf for item in value for leaf in leaves(item)]
        return [value]

    if not isinstance(states, (list, tuple)):
        return [states]
    return [leaf for item in states for leaf in leaves(item)]


class Cell(Layer):
    """What the cells share: their options, their weights, and a call that makes one step."""

    axes = "(batch, features)"
    ranks = (2, 2)
    state_argument = "states"
    #: The cell's name in the native graph.
    kind: ClassVar[str]
    #: How many blocks of `units` columns the kernels hold.
    gates: ClassVar[int]
    #: How many states are carried from step to step.
    state_count: ClassVar[int] = 1
    #: Whether the state is multiplied with a matrix.
    has_recurrent_kernel: ClassVar[bool] = True
    #: How many groups of units there are whose recurrent kernels are apart.
    heads: int = 1

    activation: Any
    use_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    seed = Seed()
    _seed: int

    def __init__(self, arguments: dict[str, Any]) -> None:
        set_weight_options(self, arguments)
        # A user's class may have a signature of its own.
        ours: Any = next(cls for cls in type(self).__mro__ if is_ours(cls))
        own = {name: arguments.pop(name) for name in ours.signature_names()}
        super().__init__(**without_implementation(arguments))
        if self.activity_regularizer is not None:
            raise value_error(
                "activity_regularizer", "None: give it to the layer that runs the cell", self.activity_regularizer
            )
        self.units = check_integer("units", own["units"], minimum=1)
        self.activation = get_keeping_shape(own["activation"], "activation")
        if self.gates > 1:
            self.recurrent_activation = get_keeping_shape(own["recurrent_activation"], "recurrent_activation")
        self.use_bias = check_flag("use_bias", own.get("use_bias", False))
        # Keras clamps these into [0, 1] and then treats 1 as 0; a wrong rate had better be heard.
        self.dropout = check_number("dropout", own["dropout"], minimum=0, below=1)
        dropped = own.get("recurrent_dropout", 0.0)
        self.recurrent_dropout = check_number("recurrent_dropout", dropped, minimum=0, below=1)
        self.zoneout = check_number("zoneout", own["zoneout"], minimum=0, maximum=1)
        self.seed = own["seed"]

    @classmethod
    def signature_names(cls) -> tuple[str, ...]:
        """The names in the constructor's signature."""
        return super(Layer, cls).argument_names()

    def _build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        columns = self.gates * self.units
        self.kernel = self._add_weight("kernel", (features, columns), "kernel")
        if self.has_recurrent_kernel:
            shape: tuple[int, ...] = (self.output_size, columns)
            initializer = None
            if self.heads > 1:
                shape = (self.heads, self.output_size // self.heads, columns // self.heads)
                initializer = (self.recurrent_initializer or initializers.GlorotUniform()).make_blocks
            self.recurrent_kernel = self._add_weight("recurrent_kernel", shape, "recurrent", initializer)
        if self.use_bias:
            self.bias = self._add_weight("bias", self._bias_shape(), "bias", self._initial_bias)

    def _check_heads(self, heads: Any) -> int:
        """`heads`, of which units and outputs have equal parts."""
        count = check_integer("heads", heads, minimum=1)
        for name, size in (("units", self.units), ("proj_size", self.output_size)):
            if size % count:
                raise value_error("heads", f"a divisor of `{name}`, which is {size}", heads)
        return count

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: tuple[int, ...]) -> Any:
        return self.bias_initializer(shape)

    @property
    def state_size(self) -> int | list[int]:
        """Size of the state, or of each of several."""
        return self.output_size if self.state_count == 1 else self._state_sizes()

    def _state_sizes(self) -> list[int]:
        """The sizes of the states, the first of which is the output."""
        return [self.output_size, self.units][: self.state_count]

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.units

    @property
    def state_form(self) -> list[Any]:
        """The nest in which a call takes and returns states."""
        return [None] * self.state_count

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """The states that a sequence starts from: zeros, `(batch_size, size)` for each size in `state_size`."""
        rows = check_integer("batch_size", batch_size, minimum=0)
        return [np.zeros((rows, size), np.float32) for size in self._state_sizes()]

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built:
            self._check_features(shape, self.kernel.shape[0])

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(input_shape[0], size) for size in (self.output_size, *self._state_sizes())]

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        outputs = super().infer(shapes[:1])
        check_state_count("states", self.label, self, len(shapes) - 1)
        check_states("states", self.label, self._state_sizes(), shapes[0][0], shapes[1:])
        return outputs

    def __call__(  # type: ignore[override]  # Keras has the states second
        self, inputs: Any, /, states: Any, training: bool | None = None
    ) -> Any:
        """Makes one step.

        Args:
            inputs: `(batch, features)`.
            states: The states before the step, a list of `(batch, size)`; one may come without a list.
            training: True to apply dropout and zoneout. In a model None follows the model and False turns dropout off.

        Returns:
            The output, and the states after the step in the form of `states`.
        """
        output, *after = self._apply([inputs, *flatten_states(states)], None, training)
        return output, after if isinstance(states, (list, tuple)) else after[0]

    def cell_spec(self) -> dict[str, Any]:
        """The cell as the native graph writes it, without what a layer around it decides."""
        spec = {
            "kind": self.kind,
            "units": self.units,
            "activation": activations.spec_of(self.activation),
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "zoneout": self.zoneout,
            "seed": self._seed,
        }
        if self.gates > 1:
            spec["recurrent_activation"] = activations.spec_of(self.recurrent_activation)
        return spec

    def to_spec(self) -> dict[str, Any]:
        return self.cell_spec() | _ONE_STEP

    def to_inference_spec(self) -> dict[str, Any]:
        return self.to_spec() | WITHOUT_DROPOUT

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


def with_forget_bias(cell: Cell) -> Any:
    """The first bias of an LSTM as Keras makes it: the forget block is 1, the others follow `bias_initializer`."""
    units = (cell.units,)
    blocks = [cell.bias_initializer(units), initializers.Ones()(units), cell.bias_initializer((2 * cell.units,))]
    return np.concatenate(blocks)


#: The part of a cell's spec that turns dropout off, and replaces zoneout by its mean.
WITHOUT_DROPOUT = {"dropout": 0.0, "recurrent_dropout": 0.0, "zoneout_mean": True}
