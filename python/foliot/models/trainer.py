"""Training, evaluation and prediction: the loops over batches. All arithmetic happens in `foliot._core`."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_number, value_error
from foliot._graph import Shape
from foliot._orders import turned
from foliot.callbacks import BackupAndRestore, Callback, CallbackList, History
from foliot.callbacks.progress import ProgressLine, resolve_verbose
from foliot.models import sequences
from foliot.models.batches import ArrayFeed, Feed, Parts, StreamFeed, is_stream, refuse_beside_stream
from foliot.models.compiled import CompiledNetwork
from foliot.models.data import Batches, Data
from foliot.models.diagnosis import describe_failure
from foliot.models.run import Run

if TYPE_CHECKING:
    from foliot.models.model import Model

_Found = TypeVar("_Found", bound=Callback)

# Keras's default.
_BATCH_SIZE = 32
# Outputs do not depend on how rows are put together, so `predict` takes batches that keep all threads busy.
_PREDICT_BATCH_SIZE = 256


class Trainer(CompiledNetwork):
    """What a model can do once its graph of layers is known. `Model` adds the structure."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stop_training = False
        self.history: History | None = None
        # The `fit` that runs.
        self._training_run: Run | None = None

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_training_run": None}

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
        tbptt: int | None = None,
        *,
        lengths: Any = None,
        bucket_by_length: bool = False,
        validation_lengths: Any = None,
        **kwargs: Any,
    ) -> History:
        """Trains the model.

        Args:
            x: The inputs: an array, a list, a pandas or polars column or frame; for several inputs a list of such, or a
                dict by the inputs' names. The rows of a list may have different lengths: token ids, or arrays of shape
                (time, features). So may those of targets for each time step. What layers with `time_major=True` read
                and give are arrays (time, batch, ...), see `foliot.layers.RNN`. Or a source of batches `(x, y)` or
                `(x, y, sample_weight)`: a generator, a `foliot.utils.PyDataset`, PyTorch's `DataLoader`, a
                `tf.data.Dataset` or any other iterable; `batch_size` is its own then.
            y: The targets, as many rows as `x`; for several outputs a list, or a dict by the outputs' names. None for a
                source of batches, as `sample_weight`.
            batch_size: Rows per training step; None is 32, or the size that stateful layers were built for. The last
                batch of an epoch holds what is left, which stateful layers do not take.
            epochs: The epoch to stop at.
            verbose: 1 draws a progress line, 2 prints one line per epoch, 0 nothing; `'auto'` is 1 on a terminal or in
                a notebook and 2 elsewhere.
            callbacks: Callbacks to run.
            validation_split: The part at the end of the data (before shuffling) that is kept for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, or a source of batches: to validate on after each
                epoch. Its `x` may have rows of different lengths, and `validation_lengths` says those of an array.
            shuffle: Put the rows, or the batches of a `PyDataset`, in a new random order in every epoch. Turn it off
                for stateful layers, where a row goes on in the next batch.
            class_weight: Weights of the classes by class index.
            sample_weight: Weights of the rows; for several outputs one array for all, a list, or a dict by output name.
            initial_epoch: The epoch to start at, for training that goes on.
            steps_per_epoch: Batches per epoch; None is one pass over the data. A generator goes on from epoch to epoch,
                and training ends when it does.
            validation_steps: Batches of validation; None is all.
            validation_batch_size: Rows per validation batch; None is `batch_size`.
            validation_freq: Validate every so many epochs, or after the epochs in a list (counted from 1).
            lengths: How many steps of each row count, an array of whole numbers; what comes behind is padding, which is
                masked as `Embedding(mask_zero=True)` would mask it and costs no computation. For several inputs a list
                or dict in their form, with None for an input without; a single array is refused if several have a time
                axis. Rows of different lengths in `x` say theirs themselves.
            bucket_by_length: Put rows of similar length into one batch: the same rows in every epoch, in other batches.
                Rows are shuffled, brought in order of length and cut into batches, which are then shuffled, too. The
                lengths are those of `lengths` or `x`, or count the ids other than 0 for an `Embedding(mask_zero=True)`.
            validation_lengths: The lengths of the rows of `validation_data`, as `lengths` says those of `x`. Those of
                `validation_split` are in `lengths`.
            tbptt: Truncated backpropagation through time, for models with outputs and targets for each time step: the
                sequences of a batch are cut into pieces of so many steps, the last of which may be shorter, and each
                piece is an optimizer step of its own. States go on from piece to piece, and begin anew with each batch
                unless layers are stateful; gradients end at the pieces' edges, so memory depends on the length of a
                piece. Dropout draws for each piece. In the means of loss and metrics a piece counts by its steps.
                Validation takes sequences whole. None backpropagates through all of time.
            **kwargs: `nb_epoch`, an older name of `epochs`.

        Returns:
            A `History`; its `history` holds the loss and metrics of each epoch, `val_` ones for validation.

        Raises:
            ValueError: Data that cannot be trained on; the message names the argument.
            RuntimeError: The model was not compiled.

        Example:
            >>> import numpy as np
            >>> from foliot.layers import LSTM, Dense, Input
            >>> from foliot.models import Sequential
            >>> model = Sequential([Input((None, 3)), LSTM(8, return_sequences=True), Dense(1)])
            >>> model.compile("adam", "mse")
            >>> x, y = np.ones((4, 1000, 3)), np.ones((4, 1000, 1))
            >>> history = model.fit(x, y, tbptt=100, verbose=0)
            >>> model.optimizer.iterations
            10

            Rows of different lengths, in batches of similar ones; padding with lengths says the same:

            >>> rows = [np.ones((5, 3)), np.ones((2, 3)), np.ones((9, 3)), np.ones((2, 3))]
            >>> model = Sequential([Input((None, 3)), LSTM(8), Dense(1)])
            >>> model.compile("adam", "mse")
            >>> history = model.fit(rows, np.ones(4), batch_size=2, bucket_by_length=True, verbose=0)
            >>> padded = np.zeros((4, 9, 3))
            >>> for row, values in zip(padded, rows):
            ...     row[: len(values)] = values
            >>> predicted = model.predict(padded, lengths=[5, 2, 9, 2], verbose=0)
            >>> bool(np.allclose(predicted, model.predict(rows, verbose=0), atol=1e-6))
            True
        """
        epochs = kwargs.pop("nb_epoch", epochs)
        if kwargs:
            raise TypeError(f"fit() got unexpected arguments: {', '.join(sorted(kwargs))}")
        batch_size = _check_batch_size("batch_size", batch_size)
        if validation_batch_size is None:
            validation_batch_size = batch_size
        else:
            validation_batch_size = check_integer("validation_batch_size", validation_batch_size, minimum=1)
        epochs = check_integer("epochs", epochs, minimum=0)
        initial_epoch = check_integer("initial_epoch", initial_epoch, minimum=0)
        steps = None if steps_per_epoch is None else check_integer("steps_per_epoch", steps_per_epoch, minimum=1)
        shuffle = check_flag("shuffle", shuffle)
        if tbptt is not None:
            tbptt = check_integer("tbptt", tbptt, minimum=1)
            if self._compiled()[1].schedule_runs_in_python:
                expected = "None beside a learning rate schedule of yours, which is asked per batch"
                raise value_error("tbptt", expected, tbptt)
        is_validation_due = _check_validation_freq(validation_freq)
        shown = resolve_verbose(verbose)

        validation_steps = (
            None if validation_steps is None else check_integer("validation_steps", validation_steps, minimum=1)
        )
        validation_split = check_number("validation_split", validation_split, minimum=0, below=1)
        seed_and_pass = self._next_shuffle if shuffle else None
        training: Feed
        validation: Feed | None = None
        if is_stream(x):
            refuse_beside_stream(
                "x",
                x,
                y=y,
                sample_weight=sample_weight,
                validation_split=validation_split or None,
                lengths=lengths,
                bucket_by_length=check_flag("bucket_by_length", bucket_by_length) or None,
            )
            training = self._stream("x", x, steps, class_weight, seed_and_pass)
        else:
            data = self._data(x, y, sample_weight, class_weight, lengths=lengths)
            last = data.rows
            if validation_split and validation_data is None:
                last = _split(data.rows, validation_split)
                # Class weights belong to training; the user's sample weights to both.
                kept = data if class_weight is None else replace(data, sample_weights=[None] * len(data.targets))
                size = self._rows_per_batch("validation_split", validation_batch_size, data.rows - last)
                validation = ArrayFeed(kept, Batches(last, data.rows, size, validation_steps))
            lengths_of_rows = self._bucket_lengths(data) if check_flag("bucket_by_length", bucket_by_length) else None
            size = self._rows_per_batch("x", batch_size, last)
            training = ArrayFeed(data, Batches(0, last, size, steps, seed_and_pass, lengths_of_rows))
        if is_stream(validation_data):
            refuse_beside_stream("validation_data", validation_data, validation_lengths=validation_lengths)
            validation = self._stream("validation_data", validation_data, validation_steps)
        elif validation_data is not None:
            data = self._validation_data(validation_data, validation_lengths)
            size = self._rows_per_batch("validation_data", validation_batch_size, data.rows)
            validation = ArrayFeed(data, Batches(0, data.rows, size, validation_steps))
        elif validation_lengths is not None:
            raise value_error("validation_lengths", "None without validation_data", validation_lengths)

        # It fills up as epochs end, so an interrupted training leaves it with those that were finished.
        self.history = history = _find(callbacks, History) or History()
        self.stop_training = False
        logs: dict[str, float] = {}
        line = ProgressLine(shown, epochs)
        with (
            closing(training),
            closing(validation or training),
            self._hooks(callbacks, line, training.steps, history) as hooks,
            self._running(Run(self, training, hooks, initial_epoch)) as run,
        ):
            hooks.on_train_begin()
            trained = run.resumed
            for epoch in range(run.first_epoch, epochs):
                # Where a backup was made after training had been told to stop.
                if (run.resumed and not run.done and self.stop_training) or not training.has_more():
                    break
                hooks.on_epoch_begin(epoch)
                logs = self._train_epoch(run, training, hooks, tbptt)
                trained = True
                if validation is not None and is_validation_due(epoch + 1) and validation.has_more():
                    values = self._test(validation, hooks)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                run.leave()
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
        # A backup holds what the other callbacks have made of the same epoch or batch.
        hooks.callbacks.sort(key=lambda callback: isinstance(callback, BackupAndRestore))
        hooks.set_model(cast("Model", self))
        hooks.set_params({"verbose": progress.verbose, "epochs": progress.epochs or 1, "steps": steps})
        try:
            yield hooks
        finally:
            (shown or progress).interrupt()

    @contextmanager
    def _running(self, run: Run) -> Iterator[Run]:
        # A callback may call `fit`.
        before, self._training_run = self._training_run, run
        try:
            yield run
        finally:
            self._training_run = before

    @property
    def training_run(self) -> Run:
        """The `fit` that runs, for callbacks that keep and restore it."""
        if self._training_run is None:
            raise RuntimeError("no fit runs: callbacks may ask for it from on_train_begin to on_train_end")
        return self._training_run

    def _train_epoch(self, run: Run, feed: Feed, hooks: CallbackList, tbptt: int | None) -> dict[str, float]:
        optimizer = self._prepared_optimizer()
        with self._means(feed.masked) as part:
            run.enter(part)
            # A backup may have been made after training had been told to stop.
            batches = () if run.done and self.stop_training else feed.epoch(run.done)
            for step, (data, rows) in enumerate(batches, run.done):
                hooks.on_train_batch_begin(step)
                self._step = part, data, rows, tbptt is not None
                self._compiled()[1].begin_step()
                logs = self._logs(part.train(optimizer, data, rows, tbptt))
                run.done, run.logs = step + 1, logs
                hooks.on_train_batch_end(step, logs)
                self._step = None
                if self.stop_training:
                    break
        return dict(run.logs)

    def describe_failure(self) -> str | None:
        """In a callback, after a batch of training: why the loss is not finite.

        Returns:
            Which layer first gave such a value, at which time step and for which sample, or that stateful layers have
            gone on since; None where the loss of every batch of this epoch was finite.
        """
        if self._step is None:
            return None
        part, data, rows, in_pieces = self._step
        step = self._prepared_optimizer().iterations - 1
        return describe_failure(part, data, rows, step, in_pieces=in_pieces)

    def _bucket_lengths(self, data: Data) -> Array:
        assembly = self._part().assembly
        ids = [False] * len(data.inputs)
        for node in json.loads(assembly.graph)["nodes"]:
            if node["layer"].get("mask_zero"):
                ids[node["inputs"][0][0]] = True
        return sequences.bucket_lengths("bucket_by_length", data.inputs, data.masks, ids)

    def _rows_per_batch(self, argument: str, given: int | None, rows: int, default: int = _BATCH_SIZE) -> int:
        """The rows of each batch of an array with `rows` rows; stateful layers know one size only."""
        states = [layer.carried_states() for layer in self.stateful_layers()]
        if not states or not rows:
            return default if given is None else given
        fixed = states[0][0].shape[0]
        size = fixed if given is None else min(given, rows)
        if size != fixed:
            raise value_error("batch_size", f"{fixed}, the rows for which stateful layers carry states", size)
        if rows % fixed:
            raise ValueError(
                f"`{argument}`: expected a multiple of {fixed} rows, for which stateful layers carry states; "
                f"received {rows} rows"
            )
        return size

    def _validation_data(self, validation_data: Any, lengths: Any) -> Data:
        if not isinstance(validation_data, (list, tuple)) or len(validation_data) not in (2, 3):
            raise value_error("validation_data", "(x, y) or (x, y, sample_weight)", validation_data)
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]", "validation_lengths")
        x, y, weight = (*validation_data, None)[:3]
        return self._data(x, y, weight, None, names, lengths)

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
        *,
        lengths: Any = None,
    ) -> Any:
        """The loss and metrics on a data set, with dropout off.

        Args:
            x: The inputs, or a source of batches as in `fit`.
            y: The targets.
            batch_size: Rows per batch; None is 32, or the size that stateful layers were built for.
            verbose: As in `fit`.
            sample_weight: Weights of the rows.
            steps: How many batches to take, all if None.
            callbacks: Callbacks to run.
            return_dict: Return a dict by name.
            lengths: As in `fit`.

        Returns:
            `[loss, metric, ...]`, the loss alone if there are no metrics, or a dict.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> x, y = np.ones((8, 5, 3), "float32"), np.zeros((8, 1), "float32")
            >>> model.compile("sgd", loss="mse", metrics=["mae"])
            >>> loss, mae = model.evaluate(x, y, verbose=0)
            >>> sorted(model.evaluate(x, y, verbose=0, return_dict=True))
            ['loss', 'mae']
        """
        batch_size = _check_batch_size("batch_size", batch_size)
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        check_flag("return_dict", return_dict)
        shown = resolve_verbose(verbose)
        feed: Feed
        if is_stream(x):
            refuse_beside_stream("x", x, y=y, sample_weight=sample_weight, lengths=lengths)
            feed = self._stream("x", x, steps)
        else:
            data = self._data(x, y, sample_weight, lengths=lengths)
            feed = ArrayFeed(data, Batches(0, data.rows, self._rows_per_batch("x", batch_size, data.rows), steps))
        with closing(feed), self._hooks(callbacks, ProgressLine(shown), feed.steps) as hooks:
            logs = self._test(feed, hooks)
        return self._answer(logs, return_dict)

    def _test(self, feed: Feed, hooks: CallbackList) -> dict[str, float]:
        hooks.on_test_begin()
        feed.restart()  # every validation is of the same batches
        logs: dict[str, float] = {}
        with self._means(feed.masked) as part:
            for step, (data, rows) in enumerate(feed.epoch()):
                hooks.on_test_batch_begin(step)
                logs = self._logs(part.test(data, rows))
                hooks.on_test_batch_end(step, logs)
        hooks.on_test_end(logs)
        return logs

    # predict

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        *,
        lengths: Any = None,
    ) -> Any:
        """The model's outputs, with dropout off. The model need not be compiled.

        Args:
            x: The inputs, or a source of batches as in `fit`, of which the inputs count.
            batch_size: Rows per batch; None chooses.
            verbose: As in `fit`, but `'auto'` prints nothing where there is no terminal: a script may call this a lot.
            steps: How many batches to take, all if None.
            callbacks: Callbacks to run.
            lengths: As in `fit`.

        Returns:
            A float32 array, or a list or dict of them as the model's outputs are.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> model.predict(np.ones((8, 5, 3), "float32"), verbose=0).shape
            (8, 1)
        """
        batch_size = _check_batch_size("batch_size", batch_size)
        steps = None if steps is None else check_integer("steps", steps, minimum=1)
        shown = resolve_verbose(verbose, without_terminal=0)
        feed: Feed
        if is_stream(x):
            refuse_beside_stream("x", x, lengths=lengths)
            feed = StreamFeed("x", x, self._inputs_of, self._prepare_texts, steps)
            shapes: list[Shape] = []
        else:
            data, shapes = self._input_data("x", x, lengths)
            # Where batches are as long as their longest texts, outputs depend on which rows are put together.
            usual = _BATCH_SIZE if data.ends else _PREDICT_BATCH_SIZE
            size = self._rows_per_batch("x", batch_size, data.rows, usual)
            feed = ArrayFeed(data, Batches(0, data.rows, size, steps))
        parts: list[list[Array]] = []
        with closing(feed), self._hooks(callbacks, ProgressLine(shown), feed.steps) as hooks:
            hooks.on_predict_begin()
            # No rows give no batch, but still an answer of the right shape.
            for step, (data, rows) in enumerate(feed.epoch()):
                hooks.on_predict_batch_begin(step)
                outputs = self._forward(data, rows)
                seen = [turned(*item) for item in zip(outputs, self.time_major_outputs, strict=True)]
                hooks.on_predict_batch_end(step, {"outputs": seen})
                parts.append(outputs)
            hooks.on_predict_end()
        if not parts:
            joined = [np.zeros([size or 0 for size in shape], dtype=np.float32) for shape in shapes]
        elif len(parts) == 1:
            joined = parts[0]
        else:
            joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return self._pack_arrays(joined)

    def _inputs_of(self, name: str, parts: Parts) -> Data:
        """The inputs of a source's batch; what it holds beside them is left alone."""
        return self._input_data(f"inputs of {name}", parts[0])[0]

    # Single batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
        *,
        lengths: Any = None,
    ) -> Any:
        """One training step on the given rows.

        Returns:
            `[loss, metric, ...]` of this batch, the loss alone if there are no metrics, or a dict.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> x, y = np.ones((8, 5, 3), "float32"), np.zeros((8, 1), "float32")
            >>> model.compile("sgd", loss="mse")
            >>> first = model.train_on_batch(x, y)
            >>> model.train_on_batch(x, y) < first
            True
        """
        check_flag("return_dict", return_dict)
        data = self._data(x, y, sample_weight, class_weight, lengths=lengths)
        optimizer = self._prepared_optimizer()
        self._compiled()[1].begin_step()
        with self._means(data.masked) as part:
            values = part.train(optimizer, data, None)
        return self._answer(self._logs(values), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False, *, lengths: Any = None
    ) -> Any:
        """The loss and metrics of one batch.

        Returns:
            As `train_on_batch`.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> x, y = np.ones((8, 5, 3), "float32"), np.zeros((8, 1), "float32")
            >>> model.compile("sgd", loss="mse")
            >>> bool(np.isclose(model.test_on_batch(x, y), np.mean(model.predict_on_batch(x) ** 2)))
            True
        """
        check_flag("return_dict", return_dict)
        data = self._data(x, y, sample_weight, lengths=lengths)
        with self._means(data.masked) as part:
            values = part.test(data, None)
        return self._answer(self._logs(values), return_dict)

    def predict_on_batch(self, x: Any, *, lengths: Any = None) -> Any:
        """The outputs for one batch: `predict` without its loop.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> model.predict_on_batch(np.ones((8, 5, 3), "float32")).shape
            (8, 1)
        """
        data, _ = self._input_data("x", x, lengths)
        return self._pack_arrays(self._forward(data, None))


def _find(callbacks: Any, kind: type[_Found]) -> _Found | None:
    """The first of the user's callbacks of a class."""
    return next((callback for callback in CallbackList(callbacks).callbacks if isinstance(callback, kind)), None)


def _check_batch_size(argument: str, value: Any) -> int | None:
    return None if value is None else check_integer(argument, value, minimum=1)


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
