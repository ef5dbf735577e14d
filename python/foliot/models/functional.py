"""Models of any graph: the class of what `Model(inputs, outputs)` makes, and its configuration."""

from collections.abc import Mapping
from typing import Any, Self

from foliot import _core
from foliot._checks import check_flag, value_error
from foliot._graph import Node, SymbolicTensor
from foliot.layers import InputLayer, Layer
from foliot.models.configs import layer_from_config, read_nest, serialize_layer, sharing, write_nest
from foliot.models.model import Model

_KEYS = ("name", "trainable", "layers", "calls", "inputs", "outputs")


class Functional(Model):
    """A model from given inputs to given outputs; `Model(inputs, outputs)` makes one.

    Args:
        inputs: A symbolic tensor, or a list or dict of such: what the model takes.
        outputs: Likewise what it returns.
        name: The model's name.
        trainable: Whether training changes the weights.

    Example:
        >>> from foliot.layers import GRU, Dense, Input
        >>> from foliot.models import Functional, Model
        >>> x = Input((5, 3))
        >>> model = Model(x, Dense(1)(GRU(4)(x)))
        >>> isinstance(model, Functional)
        True
    """

    is_functional = True

    def weight_paths(self) -> dict[_core.Parameter, str]:
        """As of any layer, but without the model's own name: the layers were built before it, as in Keras."""
        return {parameter: path.partition("/")[2] for parameter, path in super().weight_paths().items()}

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        return _KEYS

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations, and which of them is called on what."""
        references: dict[SymbolicTensor, list[Any]] = {}
        counts: dict[Layer, int] = {}
        calls: list[dict[str, Any]] = []
        for node in self.graph.nodes:
            count = counts[node.layer] = counts.get(node.layer, -1) + 1
            for tensor in node.outputs:
                references[tensor] = [node.layer.name, count, tensor.index]
            if node.inputs:
                inputs = [references[tensor] for tensor in node.inputs]
                call = {"layer": node.layer.name, "inputs": inputs, "training": node.training}
                calls.append(call | ({"options": node.options} if node.options else {}))
        with sharing():
            layers = [serialize_layer(layer) for layer in self.graph.layers]
        return {
            "name": self.name,
            "trainable": self._trainable,
            "layers": layers,
            "calls": calls,
            "inputs": write_nest(self._input_form, references),
            "outputs": write_nest(self._output_form, references),
        }

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Self:
        """A model of the same graph with new weights.

        Raises:
            ValueError: An unknown key or class, or calls that do not follow from one another.
        """
        if not isinstance(config, Mapping) or set(config) != set(_KEYS):
            raise value_error("config", f"a dict with {', '.join(_KEYS)}", config)
        for key in ("layers", "calls"):
            if not isinstance(config[key], list):
                raise value_error("config", f"a list of {key}", config[key])
        waiting = iter(config["layers"])
        found: dict[str, Layer] = {}
        nodes: dict[tuple[str, int], Node] = {}

        def find(name: Any) -> Layer:
            # A layer is made right before its first call, so that all weights come in the order of the layers.
            while name not in found:
                item = next(waiting, None)
                if item is None:
                    raise value_error("config", f"the name of a layer among {sorted(found)}", name)
                with sharing():
                    layer = layer_from_config(item)
                if layer.name in found:
                    raise value_error("config", "layers with names of their own", layer.name)
                found[layer.name] = layer
                if isinstance(layer, InputLayer):
                    nodes[layer.name, 0] = layer.output.node
            return found[name]

        def tensor_of(reference: Any) -> SymbolicTensor:
            if not isinstance(reference, list) or [type(part) for part in reference] != [str, int, int]:
                raise value_error("config", "a tensor as [layer, call, output]", reference)
            name, count, index = reference
            find(name)
            node = nodes.get((name, count))
            if node is None or not 0 <= index < len(node.outputs):
                raise value_error("config", "a tensor of a call before", reference)
            return node.outputs[index]

        with sharing():
            for call in config["calls"]:
                if not isinstance(call, Mapping) or set(call) - {"options"} != {"layer", "inputs", "training"}:
                    raise value_error("config", "calls with layer, inputs and training", call)
                options = call.get("options", {})
                if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
                    raise value_error("config", "options of a call by name", options)
                if not isinstance(call["layer"], str) or not isinstance(call["inputs"], list) or not call["inputs"]:
                    raise value_error("config", "a call of a layer on tensors", call)
                if call["training"] is not None and check_flag("training", call["training"]):
                    raise value_error("config", "None or False for training", call["training"])
                inputs = [tensor_of(reference) for reference in call["inputs"]]
                layer = find(call["layer"])
                if isinstance(layer, InputLayer):
                    raise value_error("config", "calls of layers other than inputs", call["layer"])
                outputs = layer.connect(inputs, call["training"], **options)
                count = sum(name == layer.name for name, _ in nodes)
                nodes[layer.name, count] = outputs[0].node
            inputs, outputs = (read_nest(config[key], tensor_of) for key in ("inputs", "outputs"))
        if next(waiting, None) is not None:
            raise value_error("config", "layers that are called", list(found))
        return cls(inputs, outputs, name=config["name"], trainable=config["trainable"])
