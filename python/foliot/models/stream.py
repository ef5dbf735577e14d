"""Sessions that take sequences step by step: a model's state detached from its layers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foliot import _arrays, _core, _nest
from foliot._arrays import Array
from foliot._checks import check_integer, type_error, value_error
from foliot._graph import assemble
from foliot._orders import exchanged, turned
from foliot.models import data as datasets

if TYPE_CHECKING:
    from foliot.models.model import Model


class Stream:
    """A session that goes on from time step to time step; `model.stream()` makes one.

    `step` and `run` give what `predict` gives for the whole sequences, bit by bit, and keep what they need to go on.
    The session has states and memory of its own: a model may have any number of sessions, each used by one thread at a
    time, and neither `fit` nor `predict` nor stateful layers touch them. Weights are the model's: a change, by `fit` or
    `set_weights`, counts from the next step on, and the states stay. The graph is that of the model when the session
    began.

    After the first step a session asks for no memory beside the arrays that it returns (merges such as `Add`, and
    models of more than one input or output, ask for a little). A short step keeps the GIL, for handing it over takes
    longer; a long one, and `run`, give it to other threads.

    Args:
        model: The model.
        batch_size: How many sequences go on side by side.

    Raises:
        ValueError: A layer needs whole sequences: `Bidirectional`, `go_backwards`, pooling, convolutions, `Flatten` on
            a sequence, an `initial_state`; the message names it.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import LSTM, Dense, Input
        >>> from foliot.models import Sequential
        >>> model = Sequential([Input((None, 3)), LSTM(8, return_sequences=True), LSTM(8), Dense(2)])
        >>> x = np.random.default_rng(0).normal(size=(1, 10, 3)).astype("float32")
        >>> session = model.stream()
        >>> for t in range(10):
        ...     y = session.step(x[:, t])
        >>> bool((y == model.predict(x, verbose=0)).all())
        True
        >>> session.reset()
        >>> y = session.run(x[:, :6])
        >>> kept = session.state
        >>> one = session.run(x[:, 6:])
        >>> session.state = kept
        >>> bool((session.run(x[:, 6:]) == one).all())
        True
    """

    def __init__(self, model: "Model", batch_size: int = 1) -> None:
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        if not model.inputs:
            raise ValueError(
                f"`stream`: expected a model that is built; received {model.label}: begin it with Input, or call "
                "build(input_shape)"
            )
        if model.takes_text:
            raise ValueError(
                f"`stream`: expected a model of numbers, which come step by step; received {model.label}, which takes "
                "texts: begin a model behind its text layer"
            )
        assembly = assemble(model.inputs, model.outputs)
        self._entrances, self._time_major = assembly.entrances, assembly.time_major
        parameters = [weight.parameter for weight in assembly.weights]
        axes = [[axis for axis in tensor.shape[2:] if axis is not None] for tensor in model.inputs]
        for tensor, known in zip(model.inputs, axes, strict=True):
            if len(known) != len(tensor.shape[2:]):
                raise ValueError(
                    f"`stream`: expected inputs whose axes behind the time axis are known; received {tensor.name!r} of "
                    f"shape {tensor.shape}"
                )
        self._native = _core.Stream(assembly.graph, parameters, self.batch_size, axes)
        self._dtypes = [np.dtype(name) for name in assembly.input_dtypes]
        self._input_form, self._input_names = model.input, model.input_names
        self._output_form = model.output
        inputs, outputs, self._by_step = self._native.shapes()
        self._input_shapes = [tuple(shape) for shape in inputs]
        self._output_shapes = [tuple(shape) for shape in outputs]
        self._is_single = len(inputs) == len(outputs) == 1 and not isinstance(self._output_form, dict)
        self._dtype, self._output_shape = self._dtypes[0], self._output_shapes[0]

    def __repr__(self) -> str:
        return f"<Stream batch_size={self.batch_size}, layers={[name for name, _ in self._native.states()]}>"

    def step(self, x: Any, out: Any = None) -> Any:
        """Takes one time step of each sequence.

        Args:
            x: `(batch, features)`, or token ids `(batch,)`; for several inputs a list, or a dict by name. An array of
                float32 (int32 for token ids) in C order is taken as it is.
            out: A float32 array in C order of the result's shape to write to, for a loop that makes no arrays; a list
                of such for several outputs. None makes new ones.

        Returns:
            The output of this step `(batch, ...)`, where the model returns sequences; else the output for the sequences
            so far.
        """
        if self._is_single:
            if not (type(x) is np.ndarray and x.dtype == self._dtype and x.flags.c_contiguous):
                x = self._convert(x, self._input_shapes)[0]
            if out is None:
                out = np.empty(self._output_shape, np.float32)
            elif out.__class__ is not np.ndarray or out.shape != self._output_shape:
                raise type_error("out", f"a float32 array of shape {self._output_shape}", out)
            self._native.step(x, out)
            return out
        outputs = [np.empty(shape, np.float32) for shape in self._output_shapes] if out is None else _nest.flatten(out)
        for array, shape in zip(outputs, self._output_shapes, strict=False):
            if array.shape != shape:
                raise value_error("out", f"float32 arrays of the shapes {self._output_shapes}", array.shape)
        self._native.step_all(self._convert(x, self._input_shapes), outputs)
        return self._pack(outputs)

    def run(self, x: Any) -> Any:
        """Takes a piece of each sequence, as many time steps as there are.

        Args:
            x: `(batch, time, features)`, or token ids `(batch, time)`; for several inputs a list, or a dict by name.
                Time comes first where layers with `time_major=True` read it.

        Returns:
            The outputs of all steps `(batch, time, ...)`, or `(time, batch, ...)` of time-major layers, where the model
            returns sequences; else the output for the sequences so far.
        """
        shapes: list[tuple[int | None, ...]] = [
            exchanged((shape[0], None, *shape[1:]), entrance.time_major)
            for shape, entrance in zip(self._input_shapes, self._entrances, strict=True)
        ]
        arrays = self._convert(x, shapes, turns=True)
        outputs = self._native.run(arrays)
        return self._pack([turned(*item) for item in zip(outputs, self._time_major, strict=True)])

    def reset(self) -> None:
        """Lets new sequences begin: sets all states to zero."""
        self._native.reset()

    @property
    def state(self) -> dict[str, list[Array]]:
        """The states `(batch, units)` of each recurrent layer by its name, as copies; set it to go on from there.

        NaN and infinity are set as they are, so that whatever was read can be put back.
        """
        return {name: [state.numpy() for state in states] for name, states in self._native.states()}

    @state.setter
    def state(self, value: Mapping[str, Sequence[Any]]) -> None:
        own = dict(self._native.states())
        if not isinstance(value, Mapping) or set(value) != set(own):
            raise value_error("state", f"a dict with the states of {', '.join(own) or 'no layer'}", value)
        converted = []
        for name, states in own.items():
            arrays = value[name]
            if len(arrays) != len(states):
                raise ValueError(f"`state[{name!r}]`: expected {len(states)} arrays; received {len(arrays)}")
            for position, (state, given) in enumerate(zip(states, arrays, strict=True)):
                argument = f"state[{name!r}][{position}]"
                array = _arrays.float32_as_is(argument, _arrays.numeric(argument, given), f"a state of {name!r}")
                if array.shape != state.shape:
                    raise ValueError(f"`{argument}`: expected shape {state.shape}; received shape {array.shape}")
                converted.append((state, array))
        for state, array in converted:
            state.assign(array)

    def _convert(self, x: Any, shapes: Sequence[tuple[int | None, ...]], *, turns: bool = False) -> list[Array]:
        """The arrays in the model's order, checked and converted; with `turns` those with time first turned round."""
        rank = len(shapes[0])
        named = datasets.split("x", x, self._input_form, self._input_names, lambda item: np.ndim(item) >= rank)
        arrays = []
        for (name, value), shape, entrance in zip(named, shapes, self._entrances, strict=True):
            array = datasets.adjust_rank(_arrays.numeric(name, value), shape)
            fits = len(array.shape) == len(shape) and all(
                known in (None, size) for known, size in zip(shape, array.shape, strict=True)
            )
            if not fits:
                raise ValueError(f"`{name}`: expected shape {shape}; received shape {array.shape}")
            arrays.append(_arrays.convert(name, turned(array, turns and entrance.time_major), entrance.dtype))
        return arrays

    def _pack(self, outputs: Sequence[Any]) -> Any:
        return _nest.simplify(_nest.pack(self._output_form, outputs))
