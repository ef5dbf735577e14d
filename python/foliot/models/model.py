"""The structure of a model: its layers, weights, configuration, table and file."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from foliot._checks import check_flag, check_integer, value_error
from foliot._graph import Shape, SymbolicTensor
from foliot.layers import LAYERS, Layer
from foliot.layers.base import Weight
from foliot.models import saving
from foliot.models.summary import print_summary
from foliot.models.trainer import Trainer


class Model(Trainer):
    """Base of models: a graph of layers from `inputs` to `outputs` with Keras's methods. `Sequential` is one."""

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        raise NotImplementedError(f"{type(self).__name__} has no layers: use Sequential")

    @property
    def input_shape(self) -> Any:
        """The input's shape with the batch axis, a list for several inputs."""
        return _one_or_all("input_shape", self, self.inputs)

    @property
    def output_shape(self) -> Any:
        """The output's shape with the batch axis, a list for several outputs."""
        return _one_or_all("output_shape", self, self.outputs)

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for all layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = check_flag("trainable", value)
        for layer in self.layers:
            layer.trainable = value

    def weight_entries(self) -> list[Weight]:
        entries = [entry for layer in self.layers for entry in layer.weight_entries()]
        return list(dict.fromkeys(entries))  # a shared layer's weights count once

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its position.

        Raises:
            ValueError: There is none.
        """
        layers = self.layers
        if index is not None:
            position = check_integer("index", index)
            if not -len(layers) <= position < len(layers):
                raise value_error("index", f"a position among {len(layers)} layers", index)
            return layers[position]
        for layer in layers:
            if layer.name == name:
                return layer
        raise value_error("name", f"one of {', '.join(repr(layer.name) for layer in layers)}", name)

    def layer_output_shapes(self, layer: Layer) -> list[Shape] | None:
        """The shapes of a layer's outputs in this model, None while it is not built."""
        raise NotImplementedError

    def summary(self, line_length: int | None = None, *, print_fn: Callable[[str], object] | None = None) -> None:
        """Prints a table of the layers.

        Args:
            line_length: Width of the table.
            print_fn: Called with each line instead of `print`.
        """
        print_summary(self, line_length, print_fn)

    def reset_states(self) -> None:
        """Accepted for Keras's scripts; every batch starts from zero states here."""

    reset_state = reset_states

    # Files

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the model with its weights, its compilation and the optimizer's state to one file.

        The file is data only (safetensors with a JSON description). It is written beside and then renamed, so an
        interrupted save leaves the old file whole.

        Args:
            filepath: Where to; the extension `.foliot` is customary.
            overwrite: Replace a file that exists.

        Raises:
            ValueError: The path ends in `.h5` or `.keras`, which foliot does not write, or the model is not built.
            FileExistsError: The file exists and `overwrite` is False.
        """
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the weights alone, for `load_weights` of a model of the same layers."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Reads the weights from a file of `save` or `save_weights`, matching layers by their position.

        Raises:
            ValueError: Their number or a shape differs. Nothing is changed then.
        """
        saving.load_weights(self, filepath)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data, None if the model is not compiled."""
        return saving.compile_config(self)

    def seeds(self) -> dict[str, int]:
        named = {f"{layer.name}/{name}": seed for layer in self.layers for name, seed in layer.seeds().items()}
        return named | {"shuffle": self._shuffle_seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        if set(seeds) != set(self.seeds()):
            raise value_error("seeds", f"those of {sorted(self.seeds())}", sorted(seeds))
        for seed in seeds.values():
            check_integer("seeds", seed, minimum=0, maximum=2**64 - 1)
        for layer in self.layers:
            prefix = f"{layer.name}/"
            own = {name.removeprefix(prefix): seed for name, seed in seeds.items() if name.startswith(prefix)}
            if own:
                layer.set_seeds(own)
        self._shuffle_seed = seeds["shuffle"]


def layer_from_config(config: Mapping[str, Any]) -> Layer:
    """A layer, or a nested model, of a serialized configuration."""
    from foliot.models.sequential import Sequential

    if isinstance(config, Mapping) and config.get("class_name") == "Sequential":
        return Sequential.from_config(config.get("config", {}))
    return LAYERS.deserialize(config)


def _one_or_all(what: str, model: Model, tensors: list[SymbolicTensor]) -> Any:
    if not tensors:
        raise AttributeError(f"{model.name!r} has no {what} yet: it is built when data come, or by build(input_shape)")
    shapes = [tensor.shape for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else shapes
