"""Training, evaluation and prediction: the loops over batches. All arithmetic happens in `foliot._core`."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from foliot import _arrays, _core, _random, optimizers
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, value_error
from foliot._graph import Shape
from foliot.callbacks import Callback, CallbackList, History
from foliot.callbacks.progress import ProgressLine, resolve_verbose
from foliot.layers.base import BUILDING
from foliot.models import data as datasets
from foliot.models.batches import ArrayFeed, Feed, Parts, StreamFeed, is_stream, refuse_beside_stream
from foliot.models.compiling import Compilation, Resolved
from foliot.models.data import Batches, Data
from foliot.models.network import Network

if TYPE_CHECKING:
    from foliot.models.model import Model

_Found = TypeVar("_Found", bound=Callback)

# Keras's default.
_BATCH_SIZE = 32
# Outputs do not depend on how rows are put together, so `predict` takes batches that keep all threads busy.
_PREDICT_BATCH_SIZE = 256
_COMPILED_WHILE_RUNNING = "`compile` was called while the model ran: call it before or after, not in a callback"


class Trainer(Network):
    """What a model can do once its graph of layers is known. `Model` adds the structure."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stop_training = False
        self.history: History | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self._compilation: Compilation | None = None
        self._resolved: Resolved | None = None
        # Both are saved with the model, so that a resumed training sees the rows in the order it would have seen.
        self._shuffle_seed = _random.next_seed()
        self._shuffles = 0
        # Set by `resume_at`, for the `fit` that runs.
        self._first_epoch: int | None = None
        # The programs of series of batches that run: one, or more where a callback evaluates.
        self._measuring: list[_core.Program] = []

    def _forget_graph(self) -> None:
        super()._forget_graph()
        self._resolved = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_measuring": []}

    # Means

    @contextmanager
    def _means(self) -> Iterator[_core.Program]:
        """A program whose losses and metrics begin anew, for a series of batches.

        Meanwhile the model does not have it: where a callback evaluates, the model makes another one, with the same
        weights, and the means of the series go on. (In Keras they begin anew too.)
        """
        positions = self._judged_positions()
        with BUILDING:
            part, resolved = self._part(positions), self._resolved
            if resolved is not None:
                part.set_training(resolved.training)
            known, compilation = self._trainable_when_compiled, self._compilation
            del self._compiled_parts[positions]
            self._measuring.append(part.program)
        part.program.reset_metrics()
        try:
            yield part.program
        finally:
            with BUILDING:
                self._measuring.remove(part.program)
                # Unless layers were added or frozen in between.
                if self._trainable_when_compiled is known and self._compilation is compilation:
                    self._compiled_parts[positions], self._resolved = part, resolved
        if self._compilation is not compilation:
            raise RuntimeError(_COMPILED_WHILE_RUNNING)

    def reset_metrics(self) -> None:
        """Lets the means of losses and metrics begin anew, also those of an epoch that runs.

        `fit`, `evaluate` and the like do so by themselves.
        """
        for program in (*(part.program for part in self._compiled_parts.values()), *self._measuring):
            program.reset_metrics()

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
            loss: Name or loss object; for several outputs one for all, a list, or a dict by output name. None for an
                output leaves it out of training.
            loss_weights: Factors of the outputs' losses: a number, a list, or a dict by output name.
            metrics: Names or metric objects, shown and returned under the name that you pass: `["acc"]`; for several
                outputs a list with a list for each, or a dict by output name.
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
        # Options of layers may have changed since the programs were made.
        self._compiled_parts.clear()

    def _compiled(self) -> tuple[Compilation, optimizers.Optimizer]:
        if self._compilation is None or self.optimizer is None:
            raise RuntimeError("the model has no loss and optimizer: call model.compile(optimizer=..., loss=...) first")
        return self._compilation, self.optimizer

    def _judged_positions(self) -> tuple[int, ...]:
        """The positions of the outputs that have a loss."""
        compilation, _ = self._compiled()
        return tuple(compilation.judged(self.output_names))

    def _prepared_optimizer(self) -> _core.Optimizer:
        """The native optimizer, with its state for the trainable weights."""
        _, optimizer = self._compiled()
        assembly = self._part(self._judged_positions()).assembly
        return optimizer.build(assembly.trainable_parameters(), assembly.trainable_paths())

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
        shapes: list[Shape] = [tensor.shape for tensor in self.outputs] or [(None, 1)]
        predicted = [shapes[position] for position in self._compilation.judged(self.output_names)]
        resolved = self._compilation.resolve(self.output_names, predicted, [(1,)] * len(predicted))
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
        self._compiled_parts.clear()  # seeds are part of the native graphs

    def optimizer_state(self) -> dict[str, Any] | None:
        """The optimizer's iteration, the places of its weights and its slots by name.

        None before training, and where the weights that were trained are the model's no more.
        """
        if self.optimizer is None or not self.optimizer.built:
            return None
        places = {id(weight): place for place, weight in enumerate(self.weights)}
        trained = [places.get(id(weight)) for weight in self.optimizer.parameters]
        if None in trained:
            return None
        slots = dict(zip(self.optimizer.slot_names(), self.optimizer.get_slots(), strict=True))
        return {**self.optimizer.state(), "trained": trained, "slots": slots}

    def restore_optimizer(self, state: Mapping[str, Any], slots: Mapping[str, list[Array]]) -> None:
        """Sets the optimizer to what `optimizer_state` returned."""
        _, optimizer = self._compiled()
        names = optimizer.slot_names()
        if set(state) != {"iterations", "undecayed", "trained"} or not set(slots) <= set(names):
            raise value_error("optimizer", f"iterations, undecayed, trained and the slots {names}", [*state, *slots])
        weights, entries = dict(enumerate(self.weights)), dict(enumerate(self.weight_entries()))
        # Those that were trained, whichever are trainable now.
        parameters = [weights[place] for place in state["trained"]]
        if not optimizer.built:
            optimizer.exclude_from_weight_decay([parameters[position] for position in state["undecayed"]])
        optimizer.build(parameters, [entries[place].path for place in state["trained"]])
        if optimizer.state()["undecayed"] != state["undecayed"]:
            raise value_error("optimizer", "the weights without decay that it was built with", state["undecayed"])
        optimizer.set_slots([slots.get(name, []) for name in names])
        optimizer.restore_state(state)

    # Arrays

    def _data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        prefix: tuple[str, str, str] = ("x", "y", "sample_weight"),
    ) -> Data:
        """Checked and converted arrays for a training or test step; also settles losses and metrics."""
        data, resolved = self._convert(x, y, sample_weight, class_weight, prefix)
        self._settle(resolved)
        return data

    def _settle(self, resolved: Resolved) -> None:
        # At once: a thread that has taken the program by then must not have its means begin anew.
        with BUILDING:
            self._resolved = resolved
            self._part(self._judged_positions()).set_training(resolved.training)

    def _convert(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, prefix: tuple[str, str, str]
    ) -> tuple[Data, Resolved]:
        """Checked and converted arrays, with the losses and metrics that fit them."""
        compilation, _ = self._compiled()
        inputs, predicted = self._input_arrays(prefix[0], x)
        datasets.check_not_empty(inputs)
        rows = len(inputs[0][1])
        if y is None:
            raise value_error(prefix[1], "the targets, an array with one row per row of x", y)
        names, form = self.output_names, self._output_form
        judged = compilation.judged(names)
        predicted = [predicted[position] for position in judged]
        raw = [
            (name, _arrays.numeric(name, value))
            for name, value in datasets.split_targets(prefix[1], y, form, names, judged, lambda item: len(item) == rows)
        ]
        datasets.check_same_length([*inputs, *raw])
        resolved = compilation.resolve(names, predicted, [array.shape for _, array in raw])
        targets = [
            datasets.convert_target(name, array, shape, loss)
            for (name, array), shape, loss in zip(raw, predicted, resolved.losses, strict=True)
        ]
        weights: list[Array | None] = [None] * len(targets)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("`class_weight`: expected None together with `sample_weight`; received both")
            if len(names) > 1:
                raise value_error("class_weight", "None for a model with several outputs", class_weight)
            weights = [datasets.class_weights_by_row(class_weight, target) for target in targets]
        elif sample_weight is not None:
            given = datasets.split_sample_weight(prefix[2], sample_weight, form, names, judged, rows)
            weights = [
                None if value is None else datasets.convert_sample_weight(name, value, target)
                for (name, value), target in zip(given, targets, strict=True)
            ]
        return Data([array for _, array in inputs], targets, weights), resolved

    def _stream(
        self,
        argument: str,
        source: Any,
        steps: int | None,
        class_weight: Any = None,
        seed_and_pass: Callable[[], tuple[int, int]] | None = None,
    ) -> StreamFeed:
        """The batches of a source for training or testing; the first one settles losses and metrics."""
        first: list[Resolved] = []

        def convert(name: str, parts: Parts) -> Data:
            names = f"inputs of {name}", f"targets of {name}", f"sample weights of {name}"
            data, resolved = self._convert(*parts, class_weight, names)
            if not first:
                first.append(resolved)
                self._settle(resolved)
            elif resolved.training != first[0].training:
                raise ValueError(
                    f"`targets of {name}`: expected the form of those of the first batch; received shapes "
                    f"{[target.shape for target in data.targets]}, for which losses or metrics would be others"
                )
            return data

        return StreamFeed(argument, source, convert, steps, seed_and_pass)

    def _logs(self, values: Sequence[float]) -> dict[str, float]:
        """The values of a step by name, sorted as Keras shows them."""
        if self._resolved is None:
            raise RuntimeError(_COMPILED_WHILE_RUNNING)
        names = self._resolved.names
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
            x: The inputs: an array, a list, a pandas or polars column or frame; for several inputs a list of such, or a
                dict by the inputs' names. Or a source of batches `(x, y)` or `(x, y, sample_weight)`: a generator, a
                `foliot.utils.PyDataset`, PyTorch's `DataLoader`, a `tf.data.Dataset` or any other iterable;
                `batch_size` is its own then.
            y: The targets, as many rows as `x`; for several outputs a list, or a dict by the outputs' names. None for a
                source of batches, as `sample_weight`.
            batch_size: Rows per training step, 32 if None. The last batch of an epoch holds what is left.
            epochs: The epoch to stop at.
            verbose: 1 draws a progress line, 2 prints one line per epoch, 0 nothing; `'auto'` is 1 on a terminal or in
                a notebook and 2 elsewhere.
            callbacks: Callbacks to run.
            validation_split: The part at the end of the data (before shuffling) that is kept for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, or a source of batches: to validate on after each
                epoch.
            shuffle: Put the rows, or the batches of a `PyDataset`, in a new random order in every epoch.
            class_weight: Weights of the classes by class index.
            sample_weight: Weights of the rows; for several outputs one array for all, a list, or a dict by output name.
            initial_epoch: The epoch to start at, for training that goes on.
            steps_per_epoch: Batches per epoch; None is one pass over the data. A generator goes on from epoch to epoch,
                and training ends when it does.
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

        validation_steps = (
            None if validation_steps is None else check_integer("validation_steps", validation_steps, minimum=1)
        )
        validation_batch_size = _check_batch_size("validation_batch_size", validation_batch_size, batch_size)
        validation_split = check_number("validation_split", validation_split, minimum=0, below=1)
        seed_and_pass = self._next_shuffle if shuffle else None
        training: Feed
        validation: Feed | None = None
        if is_stream(x):
            refuse_beside_stream("x", x, y=y, sample_weight=sample_weight, validation_split=validation_split or None)
            training = self._stream("x", x, steps, class_weight, seed_and_pass)
        else:
            data = self._data(x, y, sample_weight, class_weight)
            last = data.rows
            if validation_split and validation_data is None:
                last = _split(data.rows, validation_split)
                # Class weights belong to training; the user's sample weights to both.
                kept = data if class_weight is None else Data(data.inputs, data.targets, [None] * len(data.targets))
                validation = ArrayFeed(kept, Batches(last, data.rows, validation_batch_size, validation_steps))
            training = ArrayFeed(data, Batches(0, last, batch_size, steps, seed_and_pass))
        if is_stream(validation_data):
            validation = self._stream("validation_data", validation_data, validation_steps)
        elif validation_data is not None:
            data = self._validation_data(validation_data)
            validation = ArrayFeed(data, Batches(0, data.rows, validation_batch_size, validation_steps))

        # It fills up as epochs end, so an interrupted training leaves it with those that were finished.
        self.history = history = _find(callbacks, History) or History()
        self.stop_training = False
        self._first_epoch = None
        logs: dict[str, float] = {}
        line = ProgressLine(shown, epochs)
        with (
            closing(training),
            closing(validation or training),
            self._hooks(callbacks, line, training.steps, history) as hooks,
        ):
            hooks.on_train_begin()
            trained = False
            for epoch in range(initial_epoch if self._first_epoch is None else self._first_epoch, epochs):
                if not training.has_more():
                    break
                hooks.on_epoch_begin(epoch)
                logs = self._train_epoch(training, hooks)
                trained = True
                if validation is not None and is_validation_due(epoch + 1) and validation.has_more():
                    values = self._test(validation, hooks)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            if trained:
                self._compiled()[1].finalize_variable_values()
            hooks.on_train_end(logs)
        return history

    @contextmanager
    def _hooks(
        self, callbacks: Any, progress: ProgressLine, steps: int | None, *more: Callback
    ) -> Iterator[CallbackList]:
        """The user's callbacks, the progress line and others as one, told about the model and the run."""
        # A list of its own, so that what is added to it stays out of the user's.
        hooks = CallbackList(callbacks)
        shown = _find(hooks, ProgressLine)
        for callback in (*([] if shown else [progress]), *more):
            if callback not in hooks.callbacks:
                hooks.append(callback)
        hooks.set_model(cast("Model", self))
        hooks.set_params({"verbose": progress.verbose, "epochs": progress.epochs or 1, "steps": steps})
        try:
            yield hooks
        finally:
            (shown or progress).interrupt()

    def resume_at(self, epoch: int) -> None:
        """Called by a callback when `fit` begins: the epoch to start at, in place of `initial_epoch`."""
        self._first_epoch = check_integer("epoch", epoch, minimum=0)

    def _next_shuffle(self) -> tuple[int, int]:
        """The seed and the number of the next random order; the number goes on from one `fit` to the next."""
        self._shuffles += 1
        return self._shuffle_seed, self._shuffles

    def _train_epoch(self, feed: Feed, hooks: CallbackList) -> dict[str, float]:
        logs: dict[str, float] = {}
        optimizer = self._prepared_optimizer()
        with self._means() as program:
            for step, (data, rows) in enumerate(feed.epoch()):
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
            x: The inputs, or a source of batches as in `fit`.
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
        feed: Feed
        if is_stream(x):
            refuse_beside_stream("x", x, y=y, sample_weight=sample_weight)
            feed = self._stream("x", x, steps)
        else:
            data = self._data(x, y, sample_weight)
            feed = ArrayFeed(data, Batches(0, data.rows, batch_size, steps))
        with closing(feed), self._hooks(callbacks, ProgressLine(shown), feed.steps) as hooks:
            logs = self._test(feed, hooks)
        return self._answer(logs, return_dict)

    def _test(self, feed: Feed, hooks: CallbackList) -> dict[str, float]:
        hooks.on_test_begin()
        feed.restart()  # every validation is of the same batches
        logs: dict[str, float] = {}
        with self._means() as program:
            for step, (data, rows) in enumerate(feed.epoch()):
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
            x: The inputs, or a source of batches as in `fit`, of which the inputs count.
            batch_size: Rows per batch; None chooses.
            verbose: As in `fit`, but `'auto'` prints nothing where there is no terminal: a script may call this a lot.
            steps: How many batches to take, all if None.
            callbacks: Callbacks to run.

        Returns:
            A float32 array, or a list or dict of them as the model's outputs are.
        """
        batch_size = _check_batch_size("batch_size", batch_size, _PREDICT_BATCH_SIZE)
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        shown = resolve_verbose(verbose, without_terminal=0)
        feed: Feed
        if is_stream(x):
            feed = StreamFeed("x", x, self._inputs_of, steps)
            shapes: list[Shape] = []
        else:
            named, shapes = self._input_arrays("x", x)
            inputs = [array for _, array in named]
            feed = ArrayFeed(Data(inputs, [], []), Batches(0, len(inputs[0]), batch_size, steps))
        program = self._part().program
        parts: list[list[Array]] = []
        with closing(feed), self._hooks(callbacks, ProgressLine(shown), feed.steps) as hooks:
            hooks.on_predict_begin()
            # No rows give no batch, but still an answer of the right shape.
            for step, (data, rows) in enumerate(feed.epoch()):
                hooks.on_predict_batch_begin(step)
                masks: list[Array | None] = [None] * len(data.inputs)
                outputs = program.forward(data.inputs, masks, rows, training=False, step=0)
                hooks.on_predict_batch_end(step, {"outputs": outputs})
                parts.append(outputs)
            hooks.on_predict_end()
        if not parts:
            joined = [np.zeros([size or 0 for size in shape], dtype=np.float32) for shape in shapes]
        elif len(parts) == 1:
            joined = parts[0]
        else:
            joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return self._pack(joined)

    def _inputs_of(self, name: str, parts: Parts) -> Data:
        """The inputs of a source's batch; what it holds beside them is left alone."""
        named, _ = self._input_arrays(f"inputs of {name}", parts[0])
        return Data([array for _, array in named], [], [])

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
        optimizer = self._prepared_optimizer()
        with self._means() as program:
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
        return self._pack(self._part().program.forward(inputs, [None] * len(inputs), None, training=False, step=0))


def _find(callbacks: Any, kind: type[_Found]) -> _Found | None:
    """The first of the user's callbacks of a class."""
    return next((callback for callback in CallbackList(callbacks).callbacks if isinstance(callback, kind)), None)


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
