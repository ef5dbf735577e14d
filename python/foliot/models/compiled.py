"""A model with an optimizer, losses and metrics: what it was compiled with, its state, and the arrays that fit it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from foliot import _core, _random, optimizers
from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, value_error
from foliot._graph import Shape
from foliot._orders import turned
from foliot.layers import options
from foliot.layers.base import BUILDING
from foliot.models import data as datasets
from foliot.models import sequences
from foliot.models.batches import Parts, StreamFeed
from foliot.models.compiling import Compilation, Resolved
from foliot.models.data import Data
from foliot.models.mismatches import warn_of_mismatches
from foliot.models.network import Compiled, Network

_COMPILED_WHILE_RUNNING = "`compile` was called while the model ran: call it before or after, not in a callback"


class CompiledNetwork(Network):
    """What a network has once `compile` was called, and what a file keeps of it. `Trainer` adds the loops."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.optimizer: optimizers.Optimizer | None = None
        self._compilation: Compilation | None = None
        self._resolved: Resolved | None = None
        self._judged: tuple[int, ...] | None = None
        # Whether it was looked at if outputs, losses and targets go together, since `compile`.
        self._mismatches_told = False
        # Both are saved with the model, so that a resumed training sees the rows in the order it would have seen.
        self._shuffle_seed = _random.next_seed()
        self._shuffles = 0
        # The parts that series of batches run through: one, or more where a callback evaluates.
        self._measuring: list[Compiled] = []
        # What a training step of `fit` works on, until its callbacks have been called.
        self._step: tuple[Compiled, Data, Array | None, bool] | None = None

    def _forget_graph(self) -> None:
        super()._forget_graph()
        self._resolved, self._judged, self._mismatches_told = None, None, False

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_measuring": [], "_step": None}

    # Means

    @contextmanager
    def _means(self, masked: tuple[bool, ...] = ()) -> Iterator[Compiled]:
        """A part of the model whose losses and metrics begin anew, for a series of batches.

        Meanwhile the model does not have it: where a callback evaluates, the model makes another one, with the same
        weights, and the means of the series go on. (In Keras they begin anew too.)
        """
        positions = self._judged_positions()
        with BUILDING:
            key = self._part_key(positions, masked)
            part, resolved = self._part(positions, masked), self._resolved
            if resolved is not None:
                part.set_training(resolved)
            known, compilation = self._when_compiled, self._compilation
            del self._compiled_parts[key]
            # An object of a user's class gathers for every part.
            kept = part.gathered_in_python() if self._measuring else None
            self._measuring.append(part)
        part.reset_metrics()
        try:
            yield part
        finally:
            with BUILDING:
                self._measuring.remove(part)
                if kept is not None:
                    part.set_gathered_in_python(kept)
                # Unless layers were added or frozen in between.
                if self._when_compiled is known and self._compilation is compilation:
                    self._compiled_parts[key], self._resolved = part, resolved
        if self._compilation is not compilation:
            raise RuntimeError(_COMPILED_WHILE_RUNNING)

    def reset_metrics(self) -> None:
        """Lets the means of losses and metrics begin anew, also those of an epoch that runs.

        `fit`, `evaluate` and the like do so by themselves.
        """
        for part in (*self._compiled_parts.values(), *self._measuring):
            part.reset_metrics()

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

        What was changed of the layers since the model first ran, such as `model.layers[0].go_backwards = True` or a
        Dropout's `rate`, counts and is checked from now on; until now the model went on as it was, unless a changed
        `trainable` or device had its program made anew; a file has what the layers say when it is saved. (In Keras
        likewise, but for calls `model(x)`, which follow at once, and `output_shape`, which never does.) What decides
        how many weights or outputs a layer has, such as `units` and `return_state`, is refused. Regularizers and
        constraints belong to the weights, and stay those that the layers were built with.

        Args:
            optimizer: Name, optimizer or configuration.
            loss: Name or loss object; for several outputs one for all, a list, or a dict by output name. None for an
                output leaves it out of training.
            loss_weights: Factors of the outputs' losses: a number, a list, or a dict by output name.
            metrics: Names or metric objects, shown and returned under the name that you pass: `["acc"]`; for several
                outputs a list with a list for each, or a dict by output name. A function of your own takes two NumPy
                arrays, see `foliot.metrics.MeanMetricWrapper`.
            weighted_metrics: Metrics that sample weights apply to, likewise.
            run_eagerly: Accepted for Keras's scripts, as are the following: every step is one native call.
            steps_per_execution: See `run_eagerly`.
            jit_compile: See `run_eagerly`.
            auto_scale_loss: See `run_eagerly`.

        Raises:
            ValueError: An unknown optimizer, loss or metric, or an option of a layer to which it cannot be changed.

        Example:
            >>> import numpy as np
            >>> import foliot
            >>> from foliot.layers import LSTM, Dense, Input
            >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
            >>> model.compile("adam", loss="mse", metrics=["mae"])
            >>> model.compile(foliot.optimizers.Adam(1e-3, clipnorm=1.0), foliot.losses.Huber())

            Several outputs have a loss each, and a share in the whole:

            >>> x = Input((5, 3))
            >>> h = LSTM(4)(x)
            >>> model = foliot.Model(x, [Dense(1, name="price")(h), Dense(1, activation="sigmoid", name="up")(h)])
            >>> losses = {"price": "mse", "up": "binary_crossentropy"}
            >>> model.compile("adam", losses, loss_weights={"price": 0.1, "up": 1.0})
            >>> history = model.fit(np.ones((4, 5, 3)), {"price": np.ones(4), "up": np.ones(4)}, verbose=0)
            >>> sorted(history.history)
            ['loss', 'price_loss', 'up_loss']
        """
        check_flag("run_eagerly", run_eagerly)
        check_integer("steps_per_execution", steps_per_execution, minimum=1)
        check_flag("auto_scale_loss", auto_scale_loss)
        if jit_compile != "auto":
            check_flag("jit_compile", jit_compile)
        chosen = optimizers.get(optimizer)
        compilation = Compilation(loss, loss_weights, metrics, weighted_metrics)
        # Options of layers may have changed since the programs were made.
        self._compiled_parts.clear()
        if self.inputs and any(map(options.were_set, self.graph.layers)):
            self._part()
        self._compilation, self.optimizer = compilation, chosen
        self._resolved, self._judged, self._mismatches_told = None, None, False

    def _compiled(self) -> tuple[Compilation, optimizers.Optimizer]:
        if self._compilation is None or self.optimizer is None:
            raise RuntimeError("the model has no loss and optimizer: call model.compile(optimizer=..., loss=...) first")
        return self._compilation, self.optimizer

    def _judged_positions(self) -> tuple[int, ...]:
        """The positions of the outputs that have a loss."""
        if self._judged is None:
            compilation, _ = self._compiled()
            self._judged = tuple(compilation.judged(self.output_names))
        return self._judged

    def _prepared_optimizer(self) -> _core.Optimizer:
        """The native optimizer, with its state for the trainable weights."""
        _, optimizer = self._compiled()
        parameters = self._part(self._judged_positions()).assembly.trainable_parameters()
        return optimizer.build(parameters, None if optimizer.built else self.weight_paths())

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

    @property
    def measures(self) -> list[str]:
        """What losses and metrics gather with, as plain data; nothing before there are data."""
        resolved = self._resolved
        return [] if resolved is None else [resolved.training, *(own.metric.name for own in resolved.own)]

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

    def _next_shuffle(self) -> tuple[int, int]:
        """The seed and the number of the next random order; the number goes on from one `fit` to the next."""
        self._shuffles += 1
        return self._shuffle_seed, self._shuffles

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
        weights = dict(enumerate(self.weights))
        # Those that were trained, whichever are trainable now.
        parameters = [weights[place] for place in state["trained"]]
        if not optimizer.built:
            optimizer.exclude_from_weight_decay([parameters[position] for position in state["undecayed"]])
        optimizer.build(parameters, self.weight_paths())
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
        prefix: tuple[str, str, str, str] = ("x", "y", "sample_weight", "lengths"),
        lengths: Any = None,
    ) -> Data:
        """Checked and converted arrays for a training or test step; also settles losses and metrics."""
        data, resolved = self._convert(x, y, sample_weight, class_weight, prefix, lengths)
        self._settle(resolved, data)
        return data

    def _settle(self, resolved: Resolved, data: Data) -> None:
        judged = self._judged_positions()
        # At once: a thread that has taken the program by then must not have its means begin anew.
        with BUILDING:
            self._resolved = resolved
            self._part(judged, data.masked).set_training(resolved)
            is_first, self._mismatches_told = not self._mismatches_told, True
        if is_first:
            warn_of_mismatches([self.outputs[position] for position in judged], resolved.losses, data)

    def _convert(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Any,
        prefix: tuple[str, str, str, str],
        lengths: Any = None,
        always_masked: bool = False,
    ) -> tuple[Data, Resolved]:
        """Checked and converted arrays, with the losses and metrics that fit them."""
        compilation, _ = self._compiled()
        datasets.check_no_batches(prefix[0], x, y)
        found = self._input_arrays(prefix[0], x, lengths, always_masked, prefix[3])
        inputs, masks, predicted = found.named, found.masks, found.outputs
        datasets.check_not_empty(inputs)
        rows = len(inputs[0][1])
        if y is None:
            raise value_error(prefix[1], "the targets, an array with one row per row of x", y)
        names, form = self.output_names, self._output_form
        judged = self._judged_positions()
        predicted = [predicted[position] for position in judged]
        time_major = [self.time_major_outputs[position] for position in judged]
        given_targets = datasets.split_targets(
            prefix[1], y, form, names, judged, lambda item: datasets.is_whole(item, rows, predicted[0], time_major[0])
        )
        raw = [
            # Rows of different lengths would be those of time steps.
            (name, sequences.pad_targets(name, value, [] if is_major else masks))
            for (name, value), is_major in zip(given_targets, time_major, strict=True)
        ]
        datasets.check_axes(raw)
        resolved = compilation.resolve(names, predicted, [array.shape for _, array in raw])
        # Labels without times have none that could come first.
        turn = [is_major and not loss.labels for is_major, loss in zip(time_major, resolved.losses, strict=True)]
        datasets.check_same_length([*inputs, *raw], [False] * len(inputs) + turn)
        raw = [(name, turned(array, is_major)) for (name, array), is_major in zip(raw, turn, strict=True)]
        targets = [
            datasets.convert_target(name, array, shape, loss, is_major)
            for (name, array), shape, loss, is_major in zip(raw, predicted, resolved.losses, time_major, strict=True)
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
                None if value is None else datasets.convert_sample_weight(name, value, target, is_major)
                for (name, value), target, is_major in zip(given, targets, time_major, strict=True)
            ]
        as_passed = [array for _, array in raw]
        return Data([array for _, array in inputs], targets, weights, as_passed, masks, found.ends), resolved

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
        masked: list[tuple[bool, ...]] = []

        def convert(name: str, parts: Parts) -> Data:
            names = f"inputs of {name}", f"targets of {name}", f"sample weights of {name}", "lengths"
            # Lists may differ from batch to batch in whether their rows have one length.
            data, resolved = self._convert(*parts, class_weight, names, always_masked=True)
            data = self._masked_alike(data, masked, names[0])
            if not first:
                first.append(resolved)
                self._settle(resolved, data)
            elif resolved.training != first[0].training:
                raise ValueError(
                    f"`targets of {name}`: expected the form of those of the first batch; received shapes "
                    f"{[target.shape for target in data.targets]}, for which losses or metrics would be others"
                )
            return data

        return StreamFeed(argument, source, convert, self._prepare_texts, steps, seed_and_pass)

    @staticmethod
    def _masked_alike(data: Data, masked: list[tuple[bool, ...]], argument: str) -> Data:
        """The batch, checked to have masks where the first one of its source had them."""
        if not masked:
            masked.append(data.masked)
        if data.masked != masked[0]:
            raise ValueError(
                f"`{argument}`: expected lists of rows, or arrays, as in the first batch; received the other kind, and "
                "lists have masks"
            )
        return data

    def _logs(self, values: Sequence[float]) -> dict[str, float]:
        """The values of a step by name, sorted as Keras shows them."""
        if self._resolved is None:
            raise RuntimeError(_COMPILED_WHILE_RUNNING)
        return dict(sorted(zip(self._resolved.results, values, strict=True)))

    def _answer(self, logs: Mapping[str, float], return_dict: bool) -> Any:
        if return_dict:
            return dict(logs)
        values = [logs[name] for name in self.metrics_names]
        return values[0] if len(values) == 1 else values
