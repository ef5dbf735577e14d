"""What `compile` was given, and its native form once the shapes of outputs and targets are known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foliot import losses, metrics
from foliot._checks import check_number, value_error
from foliot._graph import Shape
from foliot._serialization import Configurable, serialize

# Names whose meaning depends on shapes, so that `compile` cannot look them up yet.
_LOSSES_BY_SHAPE = ("ce", "crossentropy")
_METRICS_BY_SHAPE = ("acc", "accuracy", *_LOSSES_BY_SHAPE)


@dataclass(frozen=True)
class Resolved:
    """The native description of losses and metrics."""

    training: str
    #: The names of what a step returns, `loss` first.
    names: list[str]
    #: The loss of each output.
    losses: list[losses.Loss]
    #: `'min'` or `'max'` per name.
    directions: dict[str, str]


class Compilation:
    """Losses and metrics as the user named them; unknown ones are refused here, at `compile`."""

    def __init__(self, loss: Any, loss_weights: Any, metrics_: Any, weighted_metrics: Any) -> None:
        self.loss = loss
        self.loss_weights = loss_weights
        self.metrics = metrics_
        self.weighted_metrics = weighted_metrics
        for identifier in _leaves(loss):
            if not _is_by_shape(identifier, _LOSSES_BY_SHAPE):
                losses.get(identifier, "loss")
        for argument, given in (("metrics", metrics_), ("weighted_metrics", weighted_metrics)):
            for identifier in _leaves(given):
                if not _is_by_shape(identifier, _METRICS_BY_SHAPE):
                    metrics.get(identifier, argument)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `compile`, as plain data."""
        return {
            "loss": _plain(self.loss),
            "loss_weights": _plain(self.loss_weights),
            "metrics": _plain(self.metrics),
            "weighted_metrics": _plain(self.weighted_metrics),
        }

    def resolve(
        self, outputs: Sequence[str], predicted: Sequence[Shape], targets: Sequence[tuple[int, ...]]
    ) -> Resolved:
        """Chooses what depends on shapes, as Keras does, and writes all in the native form.

        Args:
            outputs: The names of the model's outputs.
            predicted: The outputs' shapes.
            targets: The shapes of the targets as they were passed.
        """
        chosen: list[losses.Loss] = []
        for identifier, output, target in zip(_per_output("loss", self.loss, outputs), predicted, targets, strict=True):
            loss = losses.resolve(identifier, output, target, "loss")
            if loss is None:
                raise value_error("loss", "a loss for every output, in compile(loss=...)", None)
            chosen.append(loss)

        names, directions = ["loss"], {"loss": "min"}
        specs: dict[str, list[list[dict[str, Any]]]] = {"metrics": [], "weighted_metrics": []}
        for argument, given in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics)):
            entries = _per_output(argument, _as_one_output(given) if len(outputs) == 1 else given, outputs)
            for entry, name, output, target, loss in zip(entries, outputs, predicted, targets, chosen, strict=True):
                found = [metrics.resolve(identifier, output, target, loss, argument) for identifier in _leaves(entry)]
                specs[argument].append([metric.to_spec() for metric in found])
                for metric in found:
                    label = metric.name if len(outputs) == 1 else f"{name}_{metric.name}"
                    unique, count = label, 1
                    while unique in directions:
                        unique, count = f"{label}_{count}", count + 1
                    names.append(unique)
                    directions[unique] = metric.direction

        weights = self.loss_weights
        if weights is not None:
            weights = [check_number("loss_weights", weight) for weight in _per_output("loss_weights", weights, outputs)]
        training = {"losses": [loss.to_training_spec() for loss in chosen], "loss_weights": weights, **specs}
        return Resolved(json.dumps(training), names, chosen, directions)


def _leaves(value: Any) -> list[Any]:
    """The identifiers in a nest of lists and dicts by output name."""
    if value is None:
        return []
    if isinstance(value, Mapping) and "class_name" not in value:
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _as_one_output(given: Any) -> Any:
    """For a model with one output a flat list holds that output's metrics."""
    nested = isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], (list, tuple))
    return [given] if isinstance(given, (list, tuple)) and not nested else given


def _per_output(argument: str, value: Any, outputs: Sequence[str]) -> list[Any]:
    """One value per output, from a value for all, a list, or a dict by output name."""
    if isinstance(value, Mapping) and "class_name" not in value:
        if not set(value) <= set(outputs):
            raise value_error(argument, f"a dict with keys among {list(outputs)}", sorted(map(str, value)))
        return [value.get(name) for name in outputs]
    if isinstance(value, (list, tuple)):
        if len(value) != len(outputs):
            raise value_error(argument, f"one entry per output, {len(outputs)}", value)
        return list(value)
    return [value] * len(outputs)


def _is_by_shape(identifier: Any, names: Sequence[str]) -> bool:
    return isinstance(identifier, str) and identifier.lower() in names


def _plain(value: Any) -> Any:
    if isinstance(value, Configurable):
        return serialize(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.__name__ if callable(value) else value  # a loss function, or a class
