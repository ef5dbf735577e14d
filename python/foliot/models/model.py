"""The structure of a model: its layers, weights, configuration, table and file."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from foliot import _custom, _nest
from foliot._checks import check_flag, check_integer, type_error, value_error
from foliot._graph import Shape, SymbolicTensor, copy_between, nodes_between
from foliot.layers import InputLayer, Layer
from foliot.layers.base import BUILDING, layers_in
from foliot.layers.overrides import check_model_class
from foliot.layers.tracing import form_of, split_shapes, trace
from foliot.models import saving
from foliot.models.configs import check_plain, serialize_layer
from foliot.models.stream import Stream
from foliot.models.summary import print_summary
from foliot.models.trainer import Trainer


class Model(Trainer):
    """A network of layers with training, evaluation, prediction and files.

    There are three ways to make one: `Sequential` for a stack; `Model(inputs, outputs)` for any graph, out of symbolic
    tensors that layers were called on; and a subclass whose `__init__` makes layers and whose `call(self, inputs)`
    applies them. `call` runs once, on symbolic tensors, when data come or in `build`; with `training` among its
    arguments it gets something to pass on to the layers.

    Args:
        inputs: What the model takes: a symbolic tensor, or a list or dict of such. Usually they come from `Input`; with
            others the model begins in the middle of a graph.
        outputs: What it returns: likewise.
        name: The model's name; None numbers it.
        trainable: Whether training changes the weights.
        **kwargs: `dtype` and `activity_regularizer` of any layer.

    Raises:
        TypeError: An input or output is no symbolic tensor.
        ValueError: An output depends on something that is not among the inputs, two layers have one name, or an input
            is there twice.

    Example:
        >>> import numpy as np
        >>> from foliot import Input, Model
        >>> from foliot.layers import LSTM, Dense
        >>> question, answer = Input((None, 3)), Input((None, 3))
        >>> read = LSTM(8, return_state=True)
        >>> _, h, c = read(question)
        >>> last, _, _ = read(answer, initial_state=[h, c])
        >>> model = Model([question, answer], Dense(1)(last))
        >>> model.predict([np.zeros((2, 5, 3)), np.zeros((2, 7, 3))], verbose=0).shape
        (2, 1)

        >>> class Classifier(Model):
        ...     def __init__(self, classes):
        ...         super().__init__()
        ...         self.read, self.choose = LSTM(8), Dense(classes, activation="softmax")
        ...     def call(self, inputs):
        ...         return self.choose(self.read(inputs))
        >>> Classifier(4).predict(np.zeros((2, 5, 3)), verbose=0).shape
        (2, 4)
    """

    #: Whether inputs and outputs must be given.
    is_functional: ClassVar[bool] = False

    def __new__(cls, *_: Any, **__: Any) -> Self:
        if cls is not Model:
            return super().__new__(cls)
        from foliot.models.functional import Functional

        made: Any = super().__new__(Functional)
        return made  # type: ignore[no-any-return]  # a Functional is a Model

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        check_model_class(type(self))
        super().__init__(name=name, trainable=trainable, **kwargs)
        if inputs is None and outputs is None and not self.is_functional:
            return  # data, or layers that are added, decide
        if self.is_traced():
            raise type_error("inputs", f"None, for {type(self).__name__} has a `call` that makes its graph", inputs)
        for argument, nest in (("inputs", inputs), ("outputs", outputs)):
            _nest.check_keys(argument, nest)
            leaves = _nest.flatten(nest)
            if not leaves:
                raise value_error(argument, "a symbolic tensor at least", nest)
            for leaf in leaves:
                if not isinstance(leaf, SymbolicTensor):
                    raise type_error(argument, "symbolic tensors, which Input and layers called on such return", leaf)
        if len(set(_nest.flatten(inputs))) != len(_nest.flatten(inputs)):
            raise value_error("inputs", "each tensor once", inputs)
        self._set_graph(*_begun(inputs, outputs))
        names = [layer.name for layer in self.graph.layers]
        for repeated in names:
            if names.count(repeated) > 1:
                raise ValueError(
                    f"`outputs`: expected layers with names of their own; received {names.count(repeated)} of the name "
                    f"{repeated!r}: pass name=... to them"
                )
        self.built = True
        if not trainable:
            self.trainable = False

    @property
    def layers(self) -> list[Layer]:
        """The layers in order: input layers too if the model was made from inputs and outputs."""
        return self.graph.layers if self.inputs and not self.is_traced() else layers_in(vars(self))

    def sublayers(self) -> list[Layer]:
        return self.layers

    @property
    def input(self) -> Any:
        """The inputs in the form that the model takes."""
        return _known("input", self, self._input_form)

    @property
    def output(self) -> Any:
        """The outputs in the form that the model returns."""
        return _known("output", self, self._output_form)

    @property
    def input_shape(self) -> Any:
        """The input's shape with the batch axis, a list for several inputs."""
        _known("input_shape", self, self._input_form)
        return _nest.simplify([tensor.shape for tensor in self.inputs])

    @property
    def output_shape(self) -> Any:
        """The output's shape with the batch axis, a list for several outputs."""
        _known("output_shape", self, self._output_form)
        return _nest.simplify([tensor.shape for tensor in self.outputs])

    # Building

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of a model that data would build, for inputs of the given shape.

        Args:
            input_shape: A shape with the batch axis first, such as `(None, 50)`, or a list or dict of shapes. Not
                needed for a model made from inputs and outputs.
        """
        if not self.inputs and not self._in_own_build:
            self._build_for(*split_shapes("input_shape", input_shape), keeps_batch=True)

    def build_for_shapes(self, form: Any, shapes: Sequence[Shape], texts: Sequence[bool]) -> None:
        """Creates the weights for inputs in a nest of the form of `form`, some of which may be texts."""
        self._build_for(form, shapes, keeps_batch=True, hold_texts=texts)

    def _form_for(self, x: Any) -> Any:
        return _nest.simplify(form_of(x))

    def _build_for(
        self, form: Any, shapes: Sequence[Shape], keeps_batch: bool = False, hold_texts: Sequence[bool] = ()
    ) -> None:
        if not self.is_traced():
            raise NotImplementedError(
                f"{type(self).__name__} has no graph: define call(self, inputs), or use Sequential or "
                "Model(inputs, outputs)"
            )
        with BUILDING:
            if self.inputs:
                return
            flat = isinstance(form, Mapping) and not any(map(_nest.is_nest, form.values()))
            names = sorted(form) if flat else [""] * len(shapes)
            dtypes = ["string" if text else None for text in hold_texts or [False] * len(shapes)]
            tensors = [
                InputLayer(
                    batch_shape=shape if keeps_batch else (None, *shape[1:]), dtype=dtype, name=name or None
                ).output
                for name, shape, dtype in zip(names, shapes, dtypes, strict=True)
            ]
            fresh = [layer for layer in self.layers if not layer.built]
            inputs = _nest.pack(form, tensors)
            try:
                outputs = trace(self, [[inputs], {}])
                nodes_between(tensors, _nest.flatten(outputs))
            except (ValueError, TypeError):
                # A second attempt with a right shape must start afresh, not with weights for the wrong one.
                for layer in fresh:
                    layer.unbuild()
                self.built = False
                raise
            self._set_graph(inputs, outputs)
            if not keeps_batch:
                self._free_batch(shapes)

    def unbuild(self) -> None:
        super().unbuild()
        if self.is_traced():
            self._clear_graph()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its position.

        Raises:
            ValueError: There is none, or both are given.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> model.get_layer(index=1).units
            1
            >>> model.get_layer(model.layers[0].name) is model.layers[0]
            True
        """
        layers = self.layers
        if index is not None and name is not None:
            raise value_error("name", "a name or an index", (name, index))
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
        """The shapes of a layer's outputs, of the last call where there are several; None while it is not built."""
        if not layer.inbound_nodes:
            return None
        return [tensor.shape for tensor in layer.inbound_nodes[-1].outputs]

    def summary(
        self,
        line_length: int | None = None,
        *,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        batch_size: int | None = None,
        time: int | None = None,
    ) -> None:
        """Prints a table of the layers; where they do not follow one another, with what each is connected to.

        Args:
            line_length: Width of the table; None takes what the terminal has, and no more than is needed.
            print_fn: Called with each line instead of `print`.
            expand_nested: Show the layers of models inside the model, too.
            batch_size: Also show what a batch of so many rows costs: each layer's multiplications and additions in
                products of matrices (elementwise work is not counted) and the size of its outputs, and the memory that
                the whole takes, which is less than the sum where values are needed for a short while only.
            time: The length of axes of any length, for the same.

        Raises:
            ValueError: Costs are asked for, and the model is not built or a length is missing.
        """
        print_summary(self, line_length, print_fn, check_flag("expand_nested", expand_nested), batch_size, time)

    def reset_states(self) -> None:
        """Sets what stateful layers carry from batch to batch to zero.

        Keras 3 has this on layers only, older versions on models too.

        Example:
            >>> import foliot
            >>> from foliot.layers import GRU, Input
            >>> model = foliot.Sequential([Input(batch_shape=(2, 5, 3)), GRU(4, stateful=True)])
            >>> outputs = model.predict_on_batch([[[1.0] * 3] * 5] * 2)
            >>> model.reset_states()
            >>> bool((model.predict_on_batch([[[1.0] * 3] * 5] * 2) == outputs).all())
            True
        """
        for layer in self.stateful_layers():
            layer.reset_state()

    def reset_state(self) -> None:
        """The same as `reset_states`."""
        self.reset_states()

    def stream(self, batch_size: int = 1) -> Stream:
        """A session that takes sequences step by step and gives what `predict` gives for the whole ones; see `Stream`.

        Args:
            batch_size: How many sequences go on side by side.

        Returns:
            A session at the beginning of new sequences.
        """
        return Stream(self, batch_size)

    # Files

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the model with its weights, its compilation and the optimizer's state to one file.

        The file is data only (safetensors with a JSON description). It is written beside and then renamed, so an
        interrupted save leaves the old file whole.

        Args:
            filepath: Where to; the extension `.foliot` is customary.
            overwrite: Replace a file that exists.

        A class of yours with a `call` needs a `get_config` that returns the constructor's arguments; to read the file,
        pass the class to `load_model` in `custom_objects`.

        Raises:
            ValueError: The path ends in `.h5` or `.keras`, which foliot does not write, or the model is not built, or
                a class of yours in it says not what it was made with.
            FileExistsError: The file exists and `overwrite` is False.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(Path(folder) / "model.foliot")
            ...     same = foliot.models.load_model(Path(folder) / "model.foliot")
            >>> bool((same.get_weights()[0] == model.get_weights()[0]).all())
            True
        """
        saving.write_model(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the weights alone, for `load_weights` of a model of the same layers."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Reads the weights from a file of `save` or `save_weights`, matching layers by their position.

        Raises:
            ValueError: Their number or a shape differs. Nothing is changed then.

        Example:
            >>> import tempfile
            >>> from pathlib import Path
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> other = foliot.models.clone_model(model)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save_weights(Path(folder) / "model.weights")
            ...     other.load_weights(Path(folder) / "model.weights")
            >>> bool((other.get_weights()[0] == model.get_weights()[0]).all())
            True
        """
        saving.load_weights(self, filepath)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data, None if the model is not compiled."""
        return saving.compile_config(self)

    def to_json(self, **kwargs: Any) -> str:
        """The model's structure, without weights and compilation, as text that `model_from_json` reads.

        Args:
            **kwargs: Handed to `json.dumps`.

        Raises:
            ValueError: A layer is of a class of yours without a `get_config`.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> foliot.models.model_from_json(model.to_json()).count_params() == model.count_params()
            True
        """
        return json.dumps(serialize_layer(self), **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What a class of yours begins its own `get_config` with: `name` and the like; it adds its own arguments.

        Raises:
            ValueError: The class has no `get_config` of its own.
        """
        check_plain(self)
        # A `call` makes these anew.
        return {name: value for name, value in super().get_config().items() if name not in ("inputs", "outputs")}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A model with new weights from what `get_config` returned.

        Args:
            config: The configuration.
            custom_objects: Classes of yours by name, for layers of them.

        Raises:
            ValueError: An unknown key or class.
        """
        if not isinstance(config, Mapping):
            raise type_error("config", f"a dict of {cls.__name__}'s arguments", config)
        with _custom.scope(custom_objects):
            if cls is not Model:
                return cls._from_config(config)
            from foliot.models.functional import Functional

            made: Any = Functional.from_config(config)
            return made  # type: ignore[no-any-return]  # a Functional is a Model

    @classmethod
    def _from_config(cls, config: Mapping[str, Any]) -> Self:
        return super().from_config(config)

    def seeds(self) -> dict[str, int]:
        return super().seeds() | {"shuffle": self._shuffle_seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        if set(seeds) != set(self.seeds()):
            raise value_error("seeds", f"those of {sorted(self.seeds())}", sorted(seeds))
        for seed in seeds.values():
            check_integer("seeds", seed, minimum=0, maximum=2**64 - 1)
        super().set_seeds(seeds)
        self._shuffle_seed = seeds["shuffle"]


def _begun(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Inputs and outputs such that all inputs are input layers': the graph is copied from where others cut it."""
    tensors = _nest.flatten(inputs)
    if not any(tensor.node.inputs for tensor in tensors):
        return inputs, outputs
    known = {
        tensor: InputLayer(batch_shape=tensor.shape).output if tensor.node.inputs else tensor for tensor in tensors
    }
    nodes = nodes_between(tensors, _nest.flatten(outputs))
    for copy in copy_between(nodes, known, open_bodies=False):
        copy.layer.record(copy)
    return _nest.transform(inputs, known.__getitem__), _nest.transform(outputs, known.__getitem__)


def _known(what: str, model: Model, form: Any) -> Any:
    if not model.inputs:
        raise AttributeError(f"{model.name!r} has no {what} yet: it is built when data come, or by build(input_shape)")
    return form
