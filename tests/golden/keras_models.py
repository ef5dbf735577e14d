"""The graphs of these tests as Keras models. Imports Keras, so only the generator and the peer tests may import this
module."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

Spec = dict[str, Any]


class WithMask(keras.layers.Layer):  # type: ignore[misc]  # Keras need not be installed where types are checked
    """Hands its first input on, masked by its second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs[0] + 0

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return keras.ops.cast(inputs[1], "bool")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def activation(spec: Spec) -> Any:
    """The function of an activation's dictionary."""
    numbers = {key: value for key, value in spec.items() if key != "kind"}
    function = getattr(keras.activations, spec["kind"])
    return (lambda x: function(x, **numbers)) if numbers else function


def _treatment(parameters: Sequence[Spec], roles: Sequence[str]) -> Spec:
    options: Spec = {}
    for name, parameter in zip(roles, parameters, strict=True):
        role = name.replace("recurrent_kernel", "recurrent")
        if parameter["regularizer"]:
            options[f"{role}_regularizer"] = keras.regularizers.L1L2(**parameter["regularizer"])
        if parameter["constraint"]:
            spec = dict(parameter["constraint"])
            classes = {
                "max_norm": "MaxNorm",
                "non_neg": "NonNeg",
                "unit_norm": "UnitNorm",
                "min_max_norm": "MinMaxNorm",
            }
            options[f"{role}_constraint"] = getattr(keras.constraints, classes[spec.pop("kind")])(**spec)
    return options


def layer(spec: Spec, name: str, parameters: Sequence[Spec]) -> keras.layers.Layer:
    """A layer's dictionary as a Keras layer."""
    options = {key: value for key, value in spec.items() if key != "kind"}
    kind = spec["kind"]
    for key in ("activation", "recurrent_activation"):
        if key in options:
            options[key] = activation(options[key])
    if kind == "embedding":
        return keras.layers.Embedding(name=name, **options, **_treatment(parameters, ["embeddings"]))
    if kind == "dense":
        return keras.layers.Dense(name=name, **options, **_treatment(parameters, ["kernel", "bias"][: len(parameters)]))
    if kind == "activation":
        return keras.layers.Activation(options["activation"], name=name)
    if kind == "flatten":
        return keras.layers.Flatten(name=name)
    if kind == "activity_regularization":
        return keras.layers.ActivityRegularization(name=name, **options)
    classes = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    zero_output = options.pop("zero_output_for_mask")
    roles = ["kernel", "recurrent_kernel", "bias"][: len(parameters)]
    made = classes[kind](name=name, **options, **_treatment(parameters, roles))
    made.zero_output_for_mask = zero_output
    return made


def model(graph: Spec, weights: Sequence[np.ndarray]) -> keras.Model:
    """A graph as a functional model that holds `weights`. A masked input is followed by an input for its mask."""
    inputs: list[Any] = []
    tensors: dict[tuple[int, int], Any] = {}
    for index, node in enumerate(graph["nodes"]):
        spec = node["layer"]
        if spec["kind"] == "input":
            value = keras.Input(tuple(spec["shape"]), dtype=spec["dtype"], name=node["name"])
            inputs.append(value)
            if spec["masked"]:
                inputs.append(keras.Input(tuple(spec["shape"][:1]), dtype="bool", name=f"{node['name']}_mask"))
                value = WithMask()([value, inputs[-1]])
            tensors[index, 0] = value
            continue
        made = layer(spec, node["name"], [graph["parameters"][p] for p in node["parameters"]])
        arguments = [tensors[tuple(edge)] for edge in node["inputs"]]
        options = {}
        if len(arguments) > 1:
            # Keras 3 finds the mask of a layer by itself only where the layer gets a single tensor.
            options = {"initial_state": arguments[1:], "mask": getattr(arguments[0], "_keras_mask", None)}
        results = made(arguments[0], **options)
        for tensor, value in enumerate(results if isinstance(results, (list, tuple)) else [results]):
            tensors[index, tensor] = value
        made.set_weights([weights[p] for p in node["parameters"]])
    return keras.Model(inputs, [tensors[tuple(edge)] for edge in graph["outputs"]])


def with_masks(graph: Spec, inputs: Sequence[Any], masks: Sequence[Any]) -> list[Any]:
    """The arguments of `model`: every masked input followed by its mask."""
    specs = [node["layer"] for node in graph["nodes"] if node["layer"]["kind"] == "input"]
    arguments = []
    for spec, value, mask in zip(specs, inputs, masks, strict=True):
        arguments.append(value)
        if spec["masked"]:
            arguments.append(mask)
    return arguments


def loss(spec: Spec) -> keras.losses.Loss:
    """`{"loss": ..., "reduction": ...}` as a Keras loss."""
    options = dict(spec["loss"])
    name = "".join(part.title() for part in options.pop("kind").split("_"))
    return getattr(keras.losses, name)(**options, reduction=spec["reduction"])


def optimizer(spec: Spec) -> keras.optimizers.Optimizer:
    """An optimizer's dictionary as a Keras optimizer; the legacy `decay` as the schedule that it stands for."""
    options = dict(spec)
    made = {cls.__name__.lower(): cls for cls in vars(keras.optimizers).values() if isinstance(cls, type)}
    options["use_ema"] = options.get("ema_momentum") is not None
    decay = options.pop("decay")
    if decay:
        options["learning_rate"] = keras.optimizers.schedules.InverseTimeDecay(options["learning_rate"], 1, decay)
    return made[options.pop("kind")](**options)


def weights_in_order(graph: Spec, made: keras.Model) -> list[np.ndarray]:
    """The model's weights in the order of the graph's parameters."""
    values: list[Any] = [None] * len(graph["parameters"])
    for node in graph["nodes"]:
        if node["parameters"]:
            for parameter, value in zip(node["parameters"], made.get_layer(node["name"]).get_weights(), strict=True):
                values[parameter] = value
    return values


def loss_and_gradients(
    graph: Spec,
    made: keras.Model,
    training: Spec,
    arguments: Sequence[Any],
    targets: Sequence[Any],
    sample_weights: Sequence[Any] | None = None,
) -> tuple[list[np.ndarray], float, list[np.ndarray]]:
    """Outputs, loss with all penalties and gradients in the order of the graph's parameters, by JAX."""
    losses = [loss(spec) for spec in training["losses"]]
    scales = training["loss_weights"] or [1.0] * len(losses)
    fixed = [variable.value for variable in made.non_trainable_variables]

    def total(trainable: list[Any]) -> tuple[Any, Any]:
        outputs, _, added = made.stateless_call(trainable, fixed, list(arguments), return_losses=True)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        value = sum(added) if added else 0.0
        for i, output in enumerate(outputs):
            value = value + scales[i] * losses[i](targets[i], output, sample_weights[i] if sample_weights else None)
        return value, list(outputs)

    variables = made.trainable_variables
    (value, outputs), gradients = jax.value_and_grad(total, has_aux=True)([v.value for v in variables])
    by_id = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
    ordered: list[Any] = [None] * len(graph["parameters"])
    for node in graph["nodes"]:
        if node["parameters"]:
            trained = made.get_layer(node["name"]).trainable_variables
            for parameter, variable in zip(node["parameters"], trained, strict=True):
                ordered[parameter] = np.asarray(by_id[id(variable)])
    return [np.asarray(output) for output in outputs], float(value), ordered


def train(
    made: keras.Model,
    training: Spec,
    optimizer_spec: Spec,
    batches: Sequence[tuple[list[Any], list[Any], list[Any] | None]],
    after_step: Callable[[], None] = lambda: None,
) -> list[float]:
    """Trains on each batch (inputs, targets, sample weights) in turn; the loss of every step."""
    losses = [loss(spec) for spec in training["losses"]]
    made.compile(optimizer=optimizer(optimizer_spec), loss=losses, loss_weights=training["loss_weights"])
    history = []
    for inputs, targets, sample_weights in batches:
        # train_on_batch of Keras 3 returns the mean since the last reset.
        made.reset_metrics()
        history.append(float(made.train_on_batch(inputs, targets, sample_weight=sample_weights)))
        after_step()
    return history
