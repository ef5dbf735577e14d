"""A model whose layers follow one another."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from foliot._checks import type_error, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot.layers import InputLayer, Layer
from foliot.layers.base import BUILDING
from foliot.models.configs import layer_from_config, serialize_layer, sharing
from foliot.models.model import Model
from foliot.models.network import Network


class Sequential(Model):
    """A stack of layers.

    Args:
        layers: The layers, the first of which may be an `Input`. Without one the model is built when data come.
        trainable: Whether training changes the weights.
        name: The model's name.

    Example:
        >>> from foliot.layers import LSTM, Dense, Input
        >>> from foliot.models import Sequential
        >>> model = Sequential([Input((10, 3)), LSTM(4), Dense(1, activation="sigmoid")])
        >>> model.output_shape
        (None, 1)
        >>> model.count_params()
        133
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        if self.is_traced():
            raise TypeError(
                f"`call` of {type(self).__name__}: expected none, for a Sequential applies its layers one after "
                "another; derive the class from Model, keep the layers as attributes and apply them in `call`"
            )
        super().__init__(name=name, trainable=trainable)
        self._layers: list[Layer] = []
        if isinstance(layers, (str, Mapping)):
            raise type_error("layers", "a list of layers", layers)
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top.

        Args:
            layer: A layer, an `Input` (first only) or a model with one input and one output.
            rebuild: Accepted for Keras's scripts.

        Example:
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential()
            >>> model.add(Input((5, 3)))
            >>> model.add(LSTM(4))
            >>> model.add(Dense(1))
            >>> model.output_shape
            (None, 1)
        """
        self._check_alone("add")
        if isinstance(layer, SymbolicTensor):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise type_error("layer", "a layer of foliot.layers", layer)
        if any(layer.name == other.name for other in self._layers):
            raise value_error("layer", "a name that no layer of this model has; pass name=...", layer.name)
        if isinstance(layer, InputLayer) and (self._layers or self.inputs):
            raise value_error("layer", "an Input at the bottom of the stack only", layer.name)
        if (
            not self._layers
            and not self.inputs
            and not isinstance(layer, InputLayer)
            and (shape := first_shape(layer)) is not None
        ):
            self.add(InputLayer(batch_shape=shape, dtype="string" if layer.takes_text else None))
        if not self._trainable:
            layer.trainable = False
        self._connect_layer(layer)
        self._layers.append(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the top layer off.

        Args:
            rebuild: Accepted for Keras's scripts.

        Returns:
            The layer.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> model.pop().units
            1
            >>> model.output_shape
            (None, 4)
        """
        self._check_alone("pop")
        if not self.layers:
            raise ValueError("`pop`: expected a model with layers; received one without")
        layer = self._layers.pop()
        built = self.inputs
        self._reset()
        if built and self._layers:
            if not isinstance(self._layers[0], InputLayer):
                self._enter(built[0].shape, self._layers[0])
            self._connect_all()
        return layer

    def _check_alone(self, method: str) -> None:
        """The model that this one is part of goes on with the layers that it met."""
        if self._nodes:
            raise ValueError(f"`{method}`: expected a model that is not part of another one; received {self.label}")

    @property
    def takes_text(self) -> bool:
        if self.inputs:
            return super().takes_text
        return bool(self._layers) and self._layers[0].takes_text

    def _reset(self) -> None:
        self._clear_graph()
        self.built = False

    def _connect_layer(self, layer: Layer) -> None:
        """Extends the graph by a layer, if it has begun."""
        if isinstance(layer, InputLayer):
            self._set_graph(layer.output, layer.output)
        elif self.outputs:
            outputs = layer.connect(self.outputs)
            if len(outputs) != 1:
                advice = (
                    "leave return_state off" if getattr(layer, "return_state", False) else "use Model(inputs, outputs)"
                )
                raise ValueError(f"Sequential takes layers with one output; {layer.label} has {len(outputs)}: {advice}")
            self._set_graph(self._input_form, outputs[0])
            self.built = True

    def unbuild(self) -> None:
        for layer in self.layers:
            layer.unbuild()
        self._reset()

    def _enter(self, input_shape: Sequence[int | None], first: Layer) -> None:
        """Begins the graph of a model without an Input of its own, for what its first layer takes."""
        dtype = "string" if first.takes_text else None
        self._connect_layer(InputLayer(batch_shape=tuple(input_shape), dtype=dtype, name=f"{self.name}_input"))

    def _connect_all(self) -> None:
        for layer in self._layers:
            self._connect_layer(layer)

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Creates the weights for inputs of the given shape, batch axis first.

        Args:
            input_shape: Such as `(None, 50)`; not needed if the model begins with an `Input`.
        """
        with BUILDING:
            if self.inputs:
                return
            if input_shape is None:
                raise value_error("input_shape", "a tuple with the batch axis first, such as (None, 50)", input_shape)
            if not self._layers:
                raise ValueError(f"{self.name!r} has no layers: add some before it is built")
            fresh = [layer for layer in self._layers if not layer.built]
            try:
                self._enter(input_shape, self._layers[0])
                self._connect_all()
            except ValueError:
                # A second attempt with a right shape must start afresh, not with weights for the wrong one.
                for layer in fresh:
                    layer.unbuild()
                self._reset()
                raise

    def text_reader(self, position: int) -> str:
        first = self._layers[0]
        if isinstance(first, Network):
            return first.text_reader(position)
        return first.label

    def _form_for(self, x: Any) -> Any:
        return None

    def _build_for(
        self, form: Any, shapes: Sequence[Shape], keeps_batch: bool = False, hold_texts: Sequence[bool] = ()
    ) -> None:
        if self._layers:
            if any(hold_texts) and not self.takes_text:
                raise ValueError(
                    f"{self._layers[0].label}, the first layer of {self.label}, expects numbers; received texts: put "
                    "TextVectorization or StringLookup before it"
                )
            if self.takes_text and not all(hold_texts):
                raise ValueError(
                    f"{self.text_reader(0)}, with which {self.label} begins, expects texts, those of an "
                    'Input(..., dtype="string"); received numbers'
                )
            # With the size of the batch, so that the message shows the shape that the user knows.
            self._layers[0].check_input(shapes[0])
        self.build(shapes[0] if keeps_batch else (None, *shapes[0][1:]))
        if not keeps_batch:
            self._free_batch(shapes)

    def check_input(self, shape: Shape) -> None:
        if self._layers:
            self._layers[0].check_input(shape)

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return ("name", "trainable", "layers", "build_input_shape")

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations, and the input's shape if data decided it."""
        with sharing():
            layers = [serialize_layer(layer) for layer in self._layers]
        deferred = bool(self.inputs) and not isinstance(self._layers[0], InputLayer)
        return {
            "name": self.name,
            "trainable": self._trainable,
            "layers": layers,
            "build_input_shape": list(self.inputs[0].shape) if deferred else None,
        }

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Self:
        """A model of the same layers with new weights.

        Raises:
            ValueError: An unknown key or class.
        """
        unknown = set(config) - set(cls.argument_names()) - {"dtype"}
        if unknown or not isinstance(config.get("layers"), list):
            raise value_error("config", f"a dict with {', '.join(cls.argument_names())}", sorted(map(str, config)))
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        shape = config.get("build_input_shape")
        with sharing():
            for position, written in enumerate(config["layers"]):
                layer = layer_from_config(written)
                if position == 0 and shape is not None:
                    model._enter(shape, layer)
                model.add(layer)
        return model


def first_shape(layer: Layer) -> Shape | None:
    """The batch shape that a first layer declares: by `input_shape=` and the like, or as a model with an Input."""
    if isinstance(layer, Model):
        return layer.inputs[0].shape if layer.inputs else None
    return layer.declared_shape
