"""What `compile` was given, and its native form once the shapes of outputs and targets are known."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foliot import losses, metrics
from foliot._checks import check_number, value_error
from foliot._custom import definer
from foliot._graph import Shape
from foliot._serialization import Configurable
from foliot.metrics.own_classes import InPython, own_object

# Names whose meaning depends on shapes, so that `compile` cannot look them up yet.
_LOSSES_BY_SHAPE = ("ce", "crossentropy")
_METRICS_BY_SHAPE = ("acc", "accuracy", *_LOSSES_BY_SHAPE)


@dataclass(frozen=True)
class OwnMetric:
    """A metric of a user's function, and what it is told."""

    metric: InPython
    #: The position among the outputs that have a loss.
    output: int
    weighted: bool


@dataclass(frozen=True)
class Resolved:
    """The native description of losses and metrics."""

    training: str
    #: The names of what is reported, `loss` first.
    names: list[str]
    #: The names of what a step returns, in its order.
    results: list[str]
    #: The loss of each output.
    losses: list[losses.Loss]
    #: `'min'` or `'max'` per name, None for a metric of the user's.
    directions: dict[str, str | None]
    #: Metrics of the user's functions.
    own: list["OwnMetric"]


class Compilation:
    """Losses and metrics as the user named them; unknown ones are refused here, at `compile`."""

    def __init__(self, loss: Any, loss_weights: Any, metrics_: Any, weighted_metrics: Any) -> None:
        self.loss = loss
        self.loss_weights = loss_weights
        # A configuration's functions are looked up now, while it is read.
        self.metrics = _with_own(metrics_)
        self.weighted_metrics = _with_own(weighted_metrics)
        # The shapes of the last batch and what they led to: most batches are alike.
        self._last: tuple[Any, Resolved] | None = None
        for identifier in _leaves(loss):
            if not _is_by_shape(identifier, _LOSSES_BY_SHAPE):
                losses.get(identifier, "loss")
        for argument, given in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics)):
            for identifier in _leaves(given):
                if _is_by_shape(identifier, _METRICS_BY_SHAPE):
                    continue
                metric = metrics.get(identifier, argument)
                # A class of the user's may make values of targets and predictions.
                if isinstance(metric, (metrics.Mean, metrics.Sum)) and definer(type(metric), "update_state") is None:
                    expected = "metrics of targets and predictions, not Mean or Sum, which take values"
                    raise value_error(argument, expected, identifier)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `compile` for another model, which gets metric objects of its own."""
        return self._arguments(lambda loss: loss, _apart)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `compile`, as plain data."""
        return self._arguments(_plain_loss, _plain_metric)

    def _arguments(self, for_loss: Callable[[Any], Any], for_metric: Callable[[Any], Any]) -> dict[str, Any]:
        return {
            "loss": _mapped(self.loss, for_loss),
            "loss_weights": self.loss_weights,
            "metrics": _mapped(self.metrics, for_metric),
            "weighted_metrics": _mapped(self.weighted_metrics, for_metric),
        }

    def judged(self, outputs: Sequence[str]) -> list[int]:
        """The positions of the outputs that have a loss: the others are neither trained nor measured."""
        positions = [
            position for position, loss in enumerate(_per_output("loss", self.loss, outputs)) if loss is not None
        ]
        if not positions:
            raise value_error("loss", "a loss for an output at least, in compile(loss=...)", self.loss)
        return positions

    def resolve(
        self, outputs: Sequence[str], predicted: Sequence[Shape], targets: Sequence[tuple[int, ...]]
    ) -> Resolved:
        """Chooses what depends on shapes, as Keras does, and writes all in the native form.

        Args:
            outputs: The names of the model's outputs.
            predicted: The shapes of the outputs that are judged.
            targets: The shapes of their targets as they were passed.
        """
        key = (tuple(outputs), tuple(predicted), tuple(targets))
        if self._last is None or self._last[0] != key:
            self._last = key, self._resolve(outputs, predicted, targets)
        return self._last[1]

    def _resolve(
        self, outputs: Sequence[str], predicted: Sequence[Shape], targets: Sequence[tuple[int, ...]]
    ) -> Resolved:
        judged = self.judged(outputs)
        identifiers = _per_output("loss", self.loss, outputs)
        chosen: list[losses.Loss] = []
        for position, output, target in zip(judged, predicted, targets, strict=True):
            loss = losses.resolve(identifiers[position], output, target, "loss")
            if loss is None:
                raise value_error("loss", "a loss", identifiers[position])
            chosen.append(loss)

        directions: dict[str, str | None] = {"loss": "min"}
        own: dict[str, OwnMetric] = {}
        for position in judged if len(judged) > 1 else ():
            # Numbered where two outputs come from one layer; Keras shows the last of such under the one name.
            directions[_unused(f"{outputs[position]}_loss", directions)] = "min"
        specs: dict[str, list[list[dict[str, Any]]]] = {"metrics": [], "weighted_metrics": []}
        for argument, given in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics)):
            entries = _metrics_per_output(argument, given, outputs)
            for position, entry in enumerate(entries):
                if position not in judged and _leaves(entry):
                    expected = f"none for the output {outputs[position]!r}, which has no loss"
                    raise value_error(argument, expected, entry)
            for position, output, target, loss in zip(judged, predicted, targets, chosen, strict=True):
                found = [
                    metrics.resolve(identifier, output, target, loss, argument)
                    for identifier in _leaves(entries[position])
                ]
                native = [metric for metric in found if not isinstance(metric, InPython)]
                specs[argument].append([metric.to_spec() for metric in native])
                prefix = "" if len(outputs) == 1 else f"{outputs[position]}_"
                for metric in found:
                    label = f"{prefix}{metric.name}"
                    if argument == "weighted_metrics" and label in directions:
                        label = f"{prefix}weighted_{metric.name}"
                    label = _unused(label, directions)
                    directions[label] = metric.direction
                    if isinstance(metric, InPython):
                        own[label] = OwnMetric(metric, judged.index(position), argument == "weighted_metrics")

        weights = self.loss_weights
        if weights is not None:
            given = _per_output("loss_weights", weights, outputs)
            weights = [check_number("loss_weights", given[position]) for position in judged]
        training = {"losses": [loss.to_training_spec() for loss in chosen], "loss_weights": weights, **specs}
        results = [*(name for name in directions if name not in own), *own]
        return Resolved(json.dumps(training), list(directions), results, chosen, directions, list(own.values()))


def _unused(label: str, used: Mapping[str, Any]) -> str:
    """The label with the first number that makes it new, as Keras counts: `acc`, `acc_1`, `acc_2`."""
    unique, count = label, 0
    while unique in used:
        count += 1
        unique = f"{label}_{count}"
    return unique


def _leaves(value: Any) -> list[Any]:
    """The identifiers in a nest of lists and dicts by output name."""
    if value is None:
        return []
    if isinstance(value, Mapping) and "class_name" not in value:
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _metrics_per_output(argument: str, given: Any, outputs: Sequence[str]) -> list[Any]:
    """The metrics of each output: for a model with one output all that are given, however they are nested."""
    if len(outputs) == 1:
        if isinstance(given, Mapping) and "class_name" not in given and not set(given) <= set(outputs):
            raise value_error(argument, f"a dict with keys among {list(outputs)}", sorted(map(str, given)))
        return [given]
    if given is None or (isinstance(given, (list, tuple)) and not given):
        return [None] * len(outputs)
    if isinstance(given, Mapping) and "class_name" not in given:
        if set(given) <= set(outputs):
            return [given.get(name) for name in outputs]
    elif isinstance(given, (list, tuple)) and len(given) == len(outputs):
        return list(given)
    expected = f"a list with one entry (a metric, a list or None) for each of the outputs {list(outputs)}, or a dict"
    raise value_error(argument, expected, given)


def _per_output(argument: str, value: Any, outputs: Sequence[str]) -> list[Any]:
    """One value per output, from a value for all, a list, or a dict by output name."""
    if isinstance(value, Mapping) and "class_name" not in value:
        if set(value) != set(outputs):
            expected = f"a dict with the keys {list(outputs)} (None for an output without a loss)"
            raise value_error(argument, expected, sorted(map(str, value)))
        return [value[name] for name in outputs]
    if isinstance(value, (list, tuple)):
        if len(value) != len(outputs):
            raise value_error(argument, f"one entry per output, {len(outputs)}", value)
        return list(value)
    return [value] * len(outputs)


def _is_by_shape(identifier: Any, names: Sequence[str]) -> bool:
    return isinstance(identifier, str) and identifier.lower() in names


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A nest with what a function makes of its objects, classes and functions."""
    if isinstance(value, Mapping):
        return {key: _mapped(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(item, function) for item in value]
    return function(value) if callable(value) or isinstance(value, Configurable) else value


def _apart(metric: Any) -> Any:
    """Objects of the user's classes gather themselves, others in a native program."""
    return metric if own_object(metric) is None else copy.deepcopy(metric)


def _plain_loss(value: Any) -> Any:
    return losses.serialize(losses.get(value))


def _plain_metric(value: Any) -> Any:
    metric = metrics.get(value)
    # A function is one again when it is read, so that it has its name in errors.
    is_own = isinstance(metric, metrics.MeanMetricWrapper) and metric is not value
    return metrics.functions.function_config(value) if is_own else metrics.serialize(metric)


def _with_own(value: Any) -> Any:
    """A nest of metrics with the functions and objects of the user's that it names."""
    own = own_object(value)
    if own is not None:
        return own
    if isinstance(value, Mapping):
        if "class_name" in value:
            metric = metrics.functions.own_metric(value)
            if metric is not None and value["class_name"] == metrics.functions.FUNCTION:
                return metric.fn
            return metric or value
        return {key: _with_own(item) for key, item in value.items()}
    return [_with_own(item) for item in value] if isinstance(value, (list, tuple)) else value
