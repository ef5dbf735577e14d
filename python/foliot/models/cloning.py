"""Copies of models with layers of their own, which may be other ones than the model's."""

from collections.abc import Callable, Sequence
from typing import Any

from foliot import _nest, optimizers
from foliot._checks import check_flag, type_error, value_error
from foliot._graph import Node, SymbolicTensor
from foliot.layers import RNN, Bidirectional, InputLayer, Layer, StackedRNNCells
from foliot.layers.cell import Cell
from foliot.layers.heads import ManyHeads
from foliot.models.configs import remade
from foliot.models.functional import Functional
from foliot.models.model import Model
from foliot.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same structure with new layers, and so with new weights.

    A layer that the model calls several times is one layer in the clone, too. Two `RNN` that were given one cell have
    cells of their own in the clone, as in Keras, for each comes from its configuration; in a file they keep the one. A
    compiled model's clone is compiled with the same arguments and a new optimizer.

    Args:
        model: The model.
        input_tensors: Symbolic tensors to begin at, in the form of `model.input`; None makes new inputs.
        clone_function: Makes the clone of a layer, for each but the inputs; None makes one from its configuration. What
            it returns need not be of the same class, and may be the layer itself.
        call_function: `call_function(layer, *args, **kwargs)` calls a cloned layer as the model called the layer; None
            just calls it. Only for models that were made from inputs and outputs.
        recursive: Clone models inside the model layer by layer, with the same two functions.

    Returns:
        The clone.

    Raises:
        TypeError: `model` is no model, or a function returned no layer or tensor.
        ValueError: The model is of a class of yours without a `get_config`, `input_tensors` have another form, or an
            argument does not go with the kind of model.

    Example:
        >>> from foliot.layers import LSTM, Bidirectional, Dense, Input
        >>> from foliot.models import Sequential, clone_model
        >>> model = Sequential([Input((None, 3)), LSTM(4), Dense(1)])
        >>> def both_ways(layer):
        ...     copy = layer.from_config(layer.get_config())
        ...     return Bidirectional(copy) if isinstance(layer, LSTM) else copy
        >>> [type(layer).__name__ for layer in clone_model(model, clone_function=both_ways).layers]
        ['Bidirectional', 'Dense']
    """
    if not isinstance(model, Model):
        raise type_error("model", "a model", model)
    for argument, function in (("clone_function", clone_function), ("call_function", call_function)):
        if function is not None and not callable(function):
            raise type_error(argument, "None or a function", function)
    check_flag("recursive", recursive)
    return _Cloner(clone_function, call_function, recursive).clone(model, input_tensors)


class _Cloner:
    """The clones that were made so far, by what they are clones of."""

    def __init__(
        self,
        clone_function: Callable[[Layer], Layer] | None,
        call_function: Callable[..., Any] | None,
        recursive: bool,
    ) -> None:
        self._clone_function, self._call_function, self._recursive = clone_function, call_function, recursive
        self._clones: dict[Layer, Layer] = {}

    def clone(self, model: Model, input_tensors: Any = None) -> Model:
        copy: Model
        if isinstance(model, Sequential):
            if self._call_function is not None:
                raise value_error(
                    "call_function",
                    "None for a Sequential, whose layers follow one another without calls",
                    self._call_function,
                )
            copy = self._sequential(model, input_tensors)
        elif isinstance(model, Functional):
            copy = self._functional(model, input_tensors)
        else:
            for argument, value in (
                ("input_tensors", input_tensors),
                ("clone_function", self._clone_function),
                ("call_function", self._call_function),
            ):
                if value is not None:
                    raise value_error(argument, "None for a model of a class of yours", value)
            copy = remade(model)  # type: ignore[assignment]  # of the same class
        if model.compilation is not None and model.optimizer is not None:
            copy.compile(optimizers.get(optimizers.serialize(model.optimizer)), **model.compilation.arguments())
        return copy

    def _layer(self, layer: Layer) -> Layer:
        if layer not in self._clones:
            if self._recursive and isinstance(layer, (Sequential, Functional)):
                inner = _Cloner(self._clone_function, self._call_function, recursive=True)
                if isinstance(layer, Sequential):
                    inner._call_function = None  # it has no calls
                inner._clones = self._clones
                clone: Layer = inner.clone(layer)
            else:
                clone = (self._clone_function or remade)(layer)
            if not isinstance(clone, Layer):
                raise type_error("clone_function", "a function that returns a layer", clone)
            self._clones[layer] = clone
        return self._clones[layer]

    def _sequential(self, model: Sequential, input_tensors: Any) -> Sequential:
        entrance: list[Any] = []
        if input_tensors is not None:
            given = _nest.flatten(input_tensors)
            if len(given) != 1 or not isinstance(given[0], SymbolicTensor):
                raise value_error("input_tensors", "one symbolic tensor for a Sequential", input_tensors)
            # A tensor in the middle of a graph stands for its shape.
            entrance = [InputLayer(batch_shape=given[0].shape) if given[0].node.inputs else given[0]]
        elif model.inputs:
            own = model.inputs[0].node.layer
            entrance = [_new_input(own)]
        layers = [*entrance, *(self._layer(layer) for layer in model.layers)]
        return Sequential(layers, name=model.name, trainable=model.trainable)

    def _functional(self, model: Functional, input_tensors: Any) -> Functional:
        if input_tensors is None:
            given: Any = _nest.transform(model.input, lambda tensor: _new_input(tensor.node.layer).output)
        else:
            given = input_tensors
            for leaf in _nest.flatten(given):
                if not isinstance(leaf, SymbolicTensor):
                    raise type_error("input_tensors", "symbolic tensors", leaf)
            matched = _nest.match("input_tensors", given, model.input, model.input_names)
            given = _nest.pack(model.input, [tensor for _, tensor in matched])
        known = dict(zip(model.inputs, _nest.flatten(given), strict=True))
        for node in model.graph.nodes:
            if node.inputs:
                results = self._call(self._layer(node.layer), node, [known[tensor] for tensor in node.inputs])
                if len(results) != len(node.outputs):
                    raise ValueError(
                        f"`clone_function`: expected {len(node.outputs)} outputs in the place of {node.layer.label}; "
                        f"received {len(results)}"
                    )
                known.update(zip(node.outputs, results, strict=True))
        outputs = _nest.transform(model.output, known.__getitem__)
        return type(model)(given, outputs, name=model.name, trainable=model.trainable)

    def _call(self, layer: Layer, node: Node, tensors: Sequence[SymbolicTensor]) -> list[SymbolicTensor]:
        if self._call_function is None:
            return list(layer.connect(tensors, node.training, **node.options))
        args: Any = [_nest.simplify(list(tensors))]
        kwargs: dict[str, Any] = {} if node.training is None else {"training": node.training}
        if isinstance(node.layer, Model) and not node.layer.is_traced():
            args = [_nest.pack(node.layer.input, tensors)]
        elif isinstance(node.layer, (RNN, Bidirectional)):
            args = [tensors[0]]
            if len(tensors) > 1:
                kwargs = {"initial_state": list(tensors[1:]), **kwargs}
        elif isinstance(node.layer, (Cell, StackedRNNCells)):
            args = [tensors[0], list(tensors[1:])]
        elif node.options:
            roles = node.options["roles"]
            kwargs |= {name: value for name, value in node.options.items() if name != "roles"}
            if isinstance(node.layer, ManyHeads):
                args, kwargs = [], dict(zip(roles, tensors, strict=True)) | kwargs
                args = [kwargs.pop("query"), kwargs.pop("value")]
        elif node.layer.is_traced():
            args = list(tensors)
        results = _nest.flatten(self._call_function(layer, *args, **kwargs))
        for result in results:
            if not isinstance(result, SymbolicTensor):
                raise type_error("call_function", "a function that returns what the layer returned", result)
        return results


def _new_input(layer: Layer) -> InputLayer:
    return InputLayer.from_config(layer.get_config())
