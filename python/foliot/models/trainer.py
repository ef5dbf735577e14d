"""Training, evaluation and prediction: the loops over batches. All arithmetic happens in `foliot._core`."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from foliot import _arrays, _copies, _core, _random, optimizers
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, value_error
from foliot._graph import Assembly, Node, Shape, SymbolicTensor, assemble, infer_shapes, nodes_between
from foliot.callbacks import Callback, CallbackList, History
from foliot.layers.base import BUILDING, Layer
from foliot.models import data as datasets
from foliot.models.compiling import Compilation, Resolved
from foliot.models.data import Batches, Data
from foliot.models.progress import ProgressLine, resolve_verbose

if TYPE_CHECKING:
    from foliot.models.model import Model

# Keras's default.
_BATCH_SIZE = 32
# Outputs do not depend on how rows are put together, so `predict` takes batches that keep all threads busy.
_PREDICT_BATCH_SIZE = 256


class Trainer(Layer):
    """What a model can do once its graph of layers is known. `Model` adds the structure."""

    inputs: list[SymbolicTensor]
    outputs: list[SymbolicTensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inputs, self.outputs = [], []
        self.stop_training = False
        self.history: History | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self._compilation: Compilation | None = None
        self._resolved: Resolved | None = None
        # Both are saved with the model, so that a resumed training sees the rows in the order it would have seen.
        self._shuffle_seed = _random.next_seed()
        self._shuffles = 0
        # The programs of series of batches that run: one, or more where a callback evaluates.
        self._measuring: list[_core.Program] = []
        self._forget_graph()

    # The graph

    def _forget_graph(self) -> None:
        """Called when layers are added or removed."""
        self._nodes: list[Node] = []
        self._assembly: Assembly | None = None
        self._trainable_when_assembled: list[bool] = []
        self._native: _core.Program | None = None
        self._native_training: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        graph = _copies.flatten(state.pop("inputs"), state.pop("outputs")) if self.inputs else None
        for name in ("_nodes", "_assembly", "_native", "_native_training"):
            del state[name]
        return state | {"graph": graph, "_measuring": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        graph = state.pop("graph")
        self.__dict__.update(state)
        self.inputs, self.outputs = ([], []) if graph is None else _copies.restore(graph)
        self._forget_graph()

    def _assembled(self) -> Assembly:
        """The graph; a new one if a layer's `trainable` has changed."""
        with BUILDING:
            if not self._nodes:
                self._nodes = nodes_between(self.inputs, self.outputs)
            trainable = [node.layer.trainable for node in self._nodes]
            if self._assembly is None or trainable != self._trainable_when_assembled:
                self._assembly = assemble(self.inputs, self.outputs)
                self._trainable_when_assembled = trainable
                self._native = None
                self._native_training = None
            return self._assembly

    def _program(self) -> _core.Program:
        """The native program of the graph."""
        with BUILDING:
            assembly = self._assembled()
            if self._native is None:
                self._native = assembly.program()
            return self._native

    def _compiled_program(self) -> _core.Program:
        """The native program with the losses and metrics of the last data."""
        with BUILDING:
            program = self._program()
            if self._resolved is not None and self._native_training != self._resolved.training:
                program.compile(self._resolved.training)
                self._native_training = self._resolved.training
            return program

    @contextmanager
    def _means(self) -> Iterator[_core.Program]:
        """A program whose losses and metrics begin anew, for a series of batches.

        Meanwhile the model has no program: where a callback evaluates, it makes one of its own, with the same weights,
        and the means of the series go on. (In Keras they begin anew too.)
        """
        with BUILDING:
            program, resolved = self._compiled_program(), self._resolved
            assembly, training = self._assembly, self._native_training
            self._native = self._native_training = None
            self._measuring.append(program)
        program.reset_metrics()
        try:
            yield program
        finally:
            with BUILDING:
                self._measuring.remove(program)
                # Unless layers were added or frozen in between.
                if self._assembly is assembly:
                    self._native, self._native_training, self._resolved = program, training, resolved

    def reset_metrics(self) -> None:
        """Lets the means of losses and metrics begin anew, also those of an epoch that runs.

        `fit`, `evaluate` and the like do so by themselves.
        """
        for program in (self._native, *self._measuring):
            if program is not None:
                program.reset_metrics()

    def _build_for(self, shapes: Sequence[Shape]) -> None:
        """Builds a model whose input was not declared for arrays of the given shapes."""
        raise NotImplementedError

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [tensor.node.layer.name for tensor in self.inputs] or ["input"]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs."""
        return [tensor.node.layer.name for tensor in self.outputs] or ["output"]

    # compile

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how the model is trained.

        Args:
            optimizer: Name, optimizer or configuration.
            loss: Name or loss object; a list or a dict by output name for several outputs.
            loss_weights: Factors of the outputs' losses.
            metrics: Names or metric objects, shown and returned under the name that you pass: `["acc"]`.
            weighted_metrics: Metrics that sample weights apply to.
            run_eagerly: Accepted for Keras's scripts, as are the following: every step is one native call.
            steps_per_execution: See `run_eagerly`.
            jit_compile: See `run_eagerly`.
            auto_scale_loss: See `run_eagerly`.

        Raises:
            ValueError: An unknown optimizer, loss or metric.
        """
        check_flag("run_eagerly", run_eagerly)
        check_integer("steps_per_execution", steps_per_execution, minimum=1)
        check_flag("auto_scale_loss", auto_scale_loss)
        if jit_compile != "auto":
            check_flag("jit_compile", jit_compile)
        chosen = optimizers.get(optimizer)
        self._compilation = Compilation(loss, loss_weights, metrics, weighted_metrics)
        self.optimizer = chosen
        self._resolved = None
        self._native_training = None

    def _compiled(self) -> tuple[Compilation, optimizers.Optimizer]:
        if self._compilation is None or self.optimizer is None:
            raise RuntimeError("the model has no loss and optimizer: call model.compile(optimizer=..., loss=...) first")
        return self._compilation, self.optimizer

    def _prepared_optimizer(self) -> _core.Optimizer:
        """The native optimizer, with its state for the trainable weights."""
        _, optimizer = self._compiled()
        return optimizer.build(self._assembled().trainable_parameters())

    def optimizer_size(self) -> int:
        """How many numbers the optimizer keeps, 0 before training: its state, the iteration and the learning rate."""
        if self.optimizer is None or not self.optimizer.built:
            return 0
        return 2 + self.optimizer.native.size()

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns: `["loss", "acc"]`."""
        if self._resolved is not None:
            return list(self._resolved.names)
        if self._compilation is None:
            return []
        resolved = self._compilation.resolve(
            self.output_names,
            [tensor.shape for tensor in self.outputs] or [(None, 1)],
            [(1,)] * max(len(self.outputs), 1),
        )
        return resolved.names

    def metric_direction(self, name: str) -> str | None:
        """`'min'` or `'max'` for a loss or metric of the compiled model, None if there is none of that name."""
        return None if self._resolved is None else self._resolved.directions.get(name)

    # What a file holds beside layers and weights

    @property
    def compilation(self) -> Compilation | None:
        """What `compile` was given, None before."""
        return self._compilation

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles the model with what `get_compile_config` returned."""
        self.compile(**config)

    @property
    def shuffles(self) -> int:
        """How many random orders `fit` has used so far."""
        return self._shuffles

    def restore_randomness(self, seeds: Mapping[str, int], shuffles: int) -> None:
        """Takes over the seeds and the number of random orders used of a saved model."""
        self.set_seeds(seeds)
        self._shuffles = check_integer("shuffles", shuffles, minimum=0)

    def optimizer_state(self) -> dict[str, Any] | None:
        """The optimizer's iteration, its undecayed weights and its slots by name, None before training."""
        if self.optimizer is None or not self.optimizer.built:
            return None
        slots = dict(zip(self.optimizer.slot_names(), self.optimizer.get_slots(), strict=True))
        return {**self.optimizer.state(), "slots": slots}

    def restore_optimizer(self, state: Mapping[str, Any], slots: Mapping[str, list[Array]]) -> None:
        """Sets the optimizer to what `optimizer_state` returned."""
        _, optimizer = self._compiled()
        parameters = self._assembled().trainable_parameters()
        # Files of earlier versions do not have it.
        undecayed = state.get("undecayed", [])
        optimizer.exclude_from_weight_decay([parameters[position] for position in undecayed])
        optimizer.build(parameters)
        names = optimizer.slot_names()
        if set(state) - {"undecayed"} != {"iterations"} or not set(slots) <= set(names):
            raise value_error("optimizer", f"iterations and the slots {names}", [*state, *slots])
        optimizer.set_slots([slots.get(name, []) for name in names])
        optimizer.restore_state(state)

    # Arrays

    def _input_arrays(self, argument: str, x: Any) -> tuple[list[tuple[str, Array]], list[Shape]]:
        """The converted inputs with their names for messages, and the shapes of the outputs."""
        rank = len(self.inputs[0].shape) if self.inputs else 2
        named = [
            (name, _arrays.numeric(name, value))
            for name, value in datasets.split_by_name(argument, x, self.input_names, lambda item: np.ndim(item) >= rank)
        ]
        datasets.check_same_length(named)
        if not self.inputs:
            self._build_for([array.shape for _, array in named])
        dtypes = self._assembled().input_dtypes
        named = [
            (name, datasets.adjust_rank(array, tensor.shape))
            for (name, array), tensor in zip(named, self.inputs, strict=True)
        ]
        shapes: list[Shape] = [array.shape for _, array in named]
        outputs = infer_shapes(self._nodes, shapes, self.outputs)
        converted = [
            (name, _arrays.convert(name, array, dtype)) for (name, array), dtype in zip(named, dtypes, strict=True)
        ]
        return converted, outputs

    def _data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        prefix: tuple[str, str, str] = ("x", "y", "sample_weight"),
    ) -> Data:
        """Checked and converted arrays for a training or test step; also settles losses and metrics."""
        compilation, _ = self._compiled()
        inputs, predicted = self._input_arrays(prefix[0], x)
        datasets.check_not_empty(inputs)
        rows = len(inputs[0][1])
        if y is None:
            raise value_error(prefix[1], "the targets, an array with one row per row of x", y)
        raw = [
            (name, _arrays.numeric(name, value))
            for name, value in datasets.split_by_name(prefix[1], y, self.output_names, lambda item: len(item) == rows)
        ]
        datasets.check_same_length([*inputs, *raw])
        resolved = compilation.resolve(self.output_names, predicted, [array.shape for _, array in raw])
        targets = [
            datasets.convert_target(name, array, shape, loss)
            for (name, array), shape, loss in zip(raw, predicted, resolved.losses, strict=True)
        ]
        weights: list[Array | None] = [None] * len(targets)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("`class_weight`: expected None together with `sample_weight`; received both")
            weights = [datasets.class_weights_by_row(class_weight, target) for target in targets]
        elif sample_weight is not None:
            given = datasets.split_by_name(prefix[2], sample_weight, self.output_names, lambda item: len(item) == rows)
            weights = [
                None if value is None else datasets.convert_sample_weight(name, value, target)
                for (name, value), target in zip(given, targets, strict=True)
            ]
        self._resolved = resolved
        self._compiled_program()
        return Data([array for _, array in inputs], targets, weights)

    def _logs(self, values: Sequence[float]) -> dict[str, float]:
        """The values of a step by name, sorted as Keras shows them."""
        names = self._resolved.names if self._resolved is not None else []
        return dict(sorted(zip(names, values, strict=True)))

    # fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        **kwargs: Any,
    ) -> History:
        """Trains the model.

        Args:
            x: The inputs: an array, a list, a pandas column or frame.
            y: The targets, as many rows as `x`.
            batch_size: Rows per training step, 32 if None. The last batch of an epoch holds what is left.
            epochs: The epoch to stop at.
            verbose: 1 draws a progress line, 2 prints one line per epoch, 0 nothing; `'auto'` is 1 on a terminal or in
                a notebook and 2 elsewhere.
            callbacks: Callbacks to run.
            validation_split: The part at the end of the data (before shuffling) that is kept for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)` to validate on after each epoch.
            shuffle: Put the rows in a new random order in every epoch.
            class_weight: Weights of the classes by class index.
            sample_weight: Weights of the rows.
            initial_epoch: The epoch to start at, for training that goes on.
            steps_per_epoch: Batches per epoch; None is one pass over the data.
            validation_steps: Batches of validation; None is all.
            validation_batch_size: Rows per validation batch; None is `batch_size`.
            validation_freq: Validate every so many epochs, or after the epochs in a list (counted from 1).
            **kwargs: `nb_epoch`, an older name of `epochs`.

        Returns:
            A `History`; its `history` holds the loss and metrics of each epoch, `val_` ones for validation.

        Raises:
            ValueError: Data that cannot be trained on; the message names the argument.
            RuntimeError: The model was not compiled.
        """
        epochs = kwargs.pop("nb_epoch", epochs)
        if kwargs:
            raise TypeError(f"fit() got unexpected arguments: {', '.join(sorted(kwargs))}")
        batch_size = _check_batch_size("batch_size", batch_size)
        epochs = check_integer("epochs", epochs, minimum=0)
        initial_epoch = check_integer("initial_epoch", initial_epoch, minimum=0)
        steps = None if steps_per_epoch is None else check_integer("steps_per_epoch", steps_per_epoch, minimum=1)
        shuffle = check_flag("shuffle", shuffle)
        is_validation_due = _check_validation_freq(validation_freq)
        shown = resolve_verbose(verbose)

        training = self._data(x, y, sample_weight, class_weight)
        validation: Data | None = None
        validation_rows = (0, 0)
        last = training.rows
        if validation_data is not None:
            validation = self._validation_data(validation_data)
            validation_rows = 0, validation.rows
        elif check_number("validation_split", validation_split, minimum=0, below=1):
            last = _split(training.rows, validation_split)
            # Class weights belong to training; the user's sample weights to both.
            validation = (
                training
                if class_weight is None
                else Data(training.inputs, training.targets, [None] * len(training.targets))
            )
            validation_rows = last, training.rows
        batches = Batches(0, last, batch_size, steps, self._next_shuffle if shuffle else None)
        validation_batches = Batches(
            *validation_rows,
            _check_batch_size("validation_batch_size", validation_batch_size, batch_size),
            None if validation_steps is None else check_integer("validation_steps", validation_steps, minimum=1),
        )

        # It fills up as epochs end, so an interrupted training leaves it with those that were finished.
        self.history = history = History()
        self.stop_training = False
        logs: dict[str, float] = {}
        with self._hooks(callbacks, ProgressLine(shown, epochs), len(batches), history) as hooks:
            hooks.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                hooks.on_epoch_begin(epoch)
                logs = self._train_epoch(training, batches, hooks)
                if validation is not None and is_validation_due(epoch + 1):
                    values = self._test(validation, validation_batches, hooks)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            self._compiled()[1].finalize_variable_values()
            hooks.on_train_end(logs)
        return history

    @contextmanager
    def _hooks(self, callbacks: Any, progress: ProgressLine, steps: int, *more: Callback) -> Iterator[CallbackList]:
        """The user's callbacks, the progress line and others as one, told about the model and the run."""
        users = callbacks.callbacks if isinstance(callbacks, CallbackList) else callbacks
        # A list of its own, so that what is added to it stays out of the user's.
        hooks = CallbackList(users)
        hooks.append(progress)
        for callback in more:
            hooks.append(callback)
        hooks.set_model(cast("Model", self))
        hooks.set_params({"verbose": progress.verbose, "epochs": progress.epochs or 1, "steps": steps})
        try:
            yield hooks
        finally:
            progress.interrupt()

    def _next_shuffle(self) -> tuple[int, int]:
        """The seed and the number of the next random order; the number goes on from one `fit` to the next."""
        self._shuffles += 1
        return self._shuffle_seed, self._shuffles

    def _train_epoch(self, data: Data, batches: Batches, hooks: CallbackList) -> dict[str, float]:
        logs: dict[str, float] = {}
        with self._means() as program:
            optimizer = self._prepared_optimizer()
            for step, rows in enumerate(batches.epoch()):
                hooks.on_train_batch_begin(step)
                logs = self._logs(program.train_batch(optimizer, data.inputs, data.targets, data.sample_weights, rows))
                hooks.on_train_batch_end(step, logs)
                if self.stop_training:
                    break
        return dict(logs)

    def _validation_data(self, validation_data: Any) -> Data:
        if not isinstance(validation_data, (list, tuple)) or len(validation_data) not in (2, 3):
            raise value_error("validation_data", "(x, y) or (x, y, sample_weight)", validation_data)
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        x, y, weight = (*validation_data, None)[:3]
        return self._data(x, y, weight, None, names)

    # evaluate

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on a data set, with dropout off.

        Args:
            x: The inputs.
            y: The targets.
            batch_size: Rows per batch, 32 if None.
            verbose: As in `fit`.
            sample_weight: Weights of the rows.
            steps: How many batches to take, all if None.
            callbacks: Callbacks to run.
            return_dict: Return a dict by name.

        Returns:
            `[loss, metric, ...]`, the loss alone if there are no metrics, or a dict.
        """
        batch_size = _check_batch_size("batch_size", batch_size)
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        check_flag("return_dict", return_dict)
        shown = resolve_verbose(verbose)
        data = self._data(x, y, sample_weight)
        batches = Batches(0, data.rows, batch_size, steps)
        with self._hooks(callbacks, ProgressLine(shown), len(batches)) as hooks:
            logs = self._test(data, batches, hooks)
        return self._answer(logs, return_dict)

    def _test(self, data: Data, batches: Batches, hooks: CallbackList) -> dict[str, float]:
        hooks.on_test_begin()
        logs: dict[str, float] = {}
        with self._means() as program:
            for step, rows in enumerate(batches.epoch()):
                hooks.on_test_batch_begin(step)
                logs = self._logs(program.test_batch(data.inputs, data.targets, data.sample_weights, rows))
                hooks.on_test_batch_end(step, logs)
        hooks.on_test_end(logs)
        return logs

    def _answer(self, logs: Mapping[str, float], return_dict: bool) -> Any:
        if return_dict:
            return dict(logs)
        values = [logs[name] for name in self.metrics_names]
        return values[0] if len(values) == 1 else values

    # predict

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
    ) -> Any:
        """The model's outputs, with dropout off. The model need not be compiled.

        Args:
            x: The inputs.
            batch_size: Rows per batch; None chooses.
            verbose: As in `fit`, but `'auto'` prints nothing where there is no terminal: a script may call this a lot.
            steps: How many batches to take, all if None.
            callbacks: Callbacks to run.

        Returns:
            A float32 array, or a list of them if the model has several outputs.
        """
        batch_size = _check_batch_size("batch_size", batch_size, _PREDICT_BATCH_SIZE)
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        shown = resolve_verbose(verbose, without_terminal=0)
        named, shapes = self._input_arrays("x", x)
        inputs = [array for _, array in named]
        program = self._program()
        masks: list[Array | None] = [None] * len(inputs)
        batches = Batches(0, len(inputs[0]), batch_size, steps)
        parts: list[list[Array]] = []
        with self._hooks(callbacks, ProgressLine(shown), len(batches)) as hooks:
            hooks.on_predict_begin()
            # No rows give no batch, but still an answer of the right shape.
            for step, rows in enumerate(batches.epoch() if len(inputs[0]) else ()):
                hooks.on_predict_batch_begin(step)
                outputs = program.forward(inputs, masks, rows, training=False, step=0)
                hooks.on_predict_batch_end(step, {"outputs": outputs})
                parts.append(outputs)
            hooks.on_predict_end()
        if not parts:
            joined = [np.zeros([size or 0 for size in shape], dtype=np.float32) for shape in shapes]
        elif len(parts) == 1:
            joined = parts[0]
        else:
            joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return joined[0] if len(joined) == 1 else joined

    def _run(self, inputs: list[Any], mask: Any, training: bool) -> list[Array]:
        """The model called on arrays."""
        if mask is not None:
            raise value_error("mask", "None for a model, whose masks come from Embedding(mask_zero=True)", mask)
        named, _ = self._input_arrays("inputs", inputs if len(inputs) > 1 else inputs[0])
        arrays = [array for _, array in named]
        self._eager_step += training
        return self._program().forward(arrays, [None] * len(arrays), None, training, self._eager_step)

    # Single batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on the given rows.

        Returns:
            `[loss, metric, ...]` of this batch, the loss alone if there are no metrics, or a dict.
        """
        check_flag("return_dict", return_dict)
        data = self._data(x, y, sample_weight, class_weight)
        with self._means() as program:
            optimizer = self._prepared_optimizer()
            values = program.train_batch(optimizer, data.inputs, data.targets, data.sample_weights, None)
        return self._answer(self._logs(values), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch.

        Returns:
            As `train_on_batch`.
        """
        check_flag("return_dict", return_dict)
        data = self._data(x, y, sample_weight)
        with self._means() as program:
            values = program.test_batch(data.inputs, data.targets, data.sample_weights, None)
        return self._answer(self._logs(values), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch: `predict` without its loop."""
        named, _ = self._input_arrays("x", x)
        inputs = [array for _, array in named]
        outputs = self._program().forward(inputs, [None] * len(inputs), None, training=False, step=0)
        return outputs[0] if len(outputs) == 1 else outputs


def _check_batch_size(argument: str, value: Any, default: int = _BATCH_SIZE) -> int:
    return default if value is None else check_integer(argument, value, minimum=1)


def _check_validation_freq(value: Any) -> Any:
    """A function from the epoch's number, counted from 1, to whether to validate after it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        epochs = {check_integer("validation_freq", epoch, minimum=1) for epoch in value}
        return epochs.__contains__
    every = check_integer("validation_freq", value, minimum=1)
    return lambda epoch: epoch % every == 0


def _split(rows: int, validation_split: float) -> int:
    """The number of training rows: Keras's formula, rounding down."""
    last = math.floor(rows * (1.0 - validation_split))
    if last in (0, rows):
        raise ValueError(
            f"`validation_split`: expected a part that leaves rows on both sides; "
            f"received {validation_split} for {rows} rows"
        )
    return last
