"""The golden cases: what is computed, as plain data that Keras, the oracle and foliot all build from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.graphs import (
    ACTIVATIONS,
    CELL_KINDS,
    LINEAR,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SOFTMAX,
    Graph,
    Spec,
    Tensor,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    optimizer,
    recurrent,
    sparse_categorical_crossentropy,
    states_of,
    training,
)
from parity.problems import Problem

from . import recipe


@dataclass(kw_only=True)
class Case(Problem):
    """A problem with a name. With an optimizer it is trained for STEPS steps of BATCH rows in turn; without, it is run
    once."""

    name: str
    optimizer: Spec | None = None

    def description(self) -> dict[str, Any]:
        """Everything that decides the values, for the manifest's hash; arrays as rounded numbers."""

        def rounded(arrays: list[Any] | None) -> list[Any] | None:
            return arrays and [None if a is None else np.round(a.astype(float), 6).tolist() for a in arrays]

        return {
            "name": self.name,
            "graph": self.graph.to_dict(),
            "training": self.training,
            "inputs": rounded(self.inputs),
            "targets": rounded(self.targets),
            "masks": rounded(self.all_masks),
            "sample_weights": rounded(self.sample_weights),
            "optimizer": self.optimizer,
            "weights": rounded(self.weights),
        }


STEPS = 10
BATCH = 4
ROWS = 12


def batch_rows(step: int) -> np.ndarray:
    """The rows of a training step: the next BATCH, around and around."""
    return (np.arange(BATCH, dtype=np.int64) + step * BATCH) % ROWS


def _case(
    name: str, graph: Graph, plan: Spec, inputs: list[np.ndarray], targets: list[np.ndarray], **options: Any
) -> Case:
    weights = recipe.weights(graph.shapes)
    return Case(name=name, graph=graph, training=plan, weights=weights, inputs=inputs, targets=targets, **options)


def _layer_case(name: str, cell: str, mask: str | None = None, initial_state: bool = False, **options: Any) -> Case:
    """A recurrent layer alone: sequence or last output and all states, mean squared error on each."""
    batch, time, features, units = 3, 5, 3, 4
    graph = Graph()
    x = graph.input("x", (None, features), masked=mask is not None)
    spec = recurrent(cell, units, return_state=True, **options)
    states = [graph.input(f"state_{i}", (units,)) for i in range(states_of(spec))] if initial_state else []
    graph.outputs = graph.add(spec, x, *states, name="layer")
    inputs = [recipe.wave((batch, time, features), 0.1, 1.0)]
    inputs += [recipe.wave((batch, units), 2.0 + i, 0.8) for i in range(len(states))]
    targets = []
    for index, output in enumerate(graph.outputs):
        shape = (batch, *(time if axis is None else axis for axis in output.shape))
        targets.append(recipe.wave(shape, 3.0 + index))
    masks = [recipe.mask(mask, batch, time) if mask else None, *([None] * len(states))]
    return _case(f"{cell}/{name}", graph, training([MEAN_SQUARED_ERROR] * len(targets)), inputs, targets, masks=masks)


def layer_cases() -> list[Case]:
    """Every cell with every mask, direction, initial state and kind of output."""
    cases = []
    for cell in CELL_KINDS:
        cases += [
            _layer_case("plain", cell),
            _layer_case("no_bias", cell, use_bias=False, return_sequences=True),
            _layer_case("sequences_initial_state", cell, initial_state=True, return_sequences=True),
            _layer_case("backwards", cell, go_backwards=True, return_sequences=True),
            _layer_case("mask_right", cell, "right", initial_state=True, return_sequences=True),
            _layer_case("mask_left", cell, "left", initial_state=True, return_sequences=True),
            _layer_case("mask_interior", cell, "interior", return_sequences=True),
            _layer_case("mask_full_row", cell, "full", initial_state=True),
            _layer_case("mask_backwards", cell, "right", initial_state=True, go_backwards=True, return_sequences=True),
            _layer_case("mask_zero_output", cell, "interior", zero_output_for_mask=True, return_sequences=True),
            _layer_case("mask_zero_last_output", cell, "interior", initial_state=True, zero_output_for_mask=True),
            _layer_case(
                "activations",
                cell,
                return_sequences=True,
                activation={"kind": "softsign"},
                **_recurrent_activation(cell),
            ),
        ]
    return cases


def _recurrent_activation(cell: str) -> Spec:
    return {} if cell == "simple_rnn" else {"recurrent_activation": {"kind": "hard_sigmoid"}}


def activation_cases() -> list[Case]:
    """Every activation behind a Dense layer, on both sides of its bends."""
    cases = []
    for index, activation in enumerate(ACTIVATIONS):
        graph = Graph()
        x = graph.input("x", (3,))
        graph.outputs = graph.add(dense(5, activation), x, name="layer")
        inputs, targets = [recipe.wave((4, 3), 0.1, 4.0)], [recipe.wave((4, 5), 3.0)]
        name = f"{activation['kind']}_{index}"
        cases.append(_case(name, graph, training([MEAN_SQUARED_ERROR]), inputs, targets))
    return cases


def _text_model(cell: str, output: Spec, mask_zero: bool = True, sequences: bool = False, **treatments: Any) -> Graph:
    """Embedding, a recurrent layer of 3 units, Dense. `treatments`: per layer name, per parameter name."""
    graph = Graph()
    x: Tensor = graph.input("x", (None,), dtype="int32")
    (x,) = graph.add(embedding(9, 3, mask_zero), x, name="embedding", **treatments.get("embedding", {}))
    (x,) = graph.add(
        recurrent(cell, 3, return_sequences=sequences), x, name="recurrent", **treatments.get("recurrent", {})
    )
    graph.outputs = graph.add(output, x, name="dense", **treatments.get("dense", {}))
    return graph


def _targets(kind: str, shape: tuple[int, ...], classes: int) -> np.ndarray:
    k = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    labels = (k + k // 3) % max(classes, 2)
    if kind == "sparse_categorical_crossentropy":
        return labels.astype(np.int32)
    if kind == "categorical_crossentropy":
        return np.eye(classes, dtype=np.float32)[labels]
    if kind == "binary_crossentropy":
        return labels.astype(np.float32)[..., None]
    return recipe.wave((*shape, classes), 0.4, 1.0)


def _training_case(
    name: str,
    optimizer_spec: Spec,
    cell: str = "simple_rnn",
    loss: Spec | None = None,
    output: Spec | None = None,
    sequences: bool = False,
    sample_weights: bool = False,
    **treatments: Any,
) -> Case:
    loss = loss or binary_crossentropy()
    graph = _text_model(cell, output or dense(1, SIGMOID), sequences=sequences, **treatments)
    time = 6
    inputs = [recipe.tokens(ROWS, time, 9, [6, 5, 3, 6, 1, 4, 2, 6, 6, 5, 4, 3])]
    shape = (ROWS, time) if sequences else (ROWS,)
    classes = graph.outputs[0].shape[-1]
    assert classes is not None
    weights: list[np.ndarray | None] | None = [1 + recipe.wave(shape, 0.9)] if sample_weights else None
    targets = [_targets(loss["kind"], shape, classes)]
    return _case(name, graph, training([loss]), inputs, targets, sample_weights=weights, optimizer=optimizer_spec)


def training_cases() -> list[Case]:
    """Ten steps of a small text model: per optimizer setting, per loss, per regularizer and constraint."""
    sgd, rmsprop, adam = optimizer("sgd", 0.2), optimizer("rmsprop", 0.02), optimizer("adam", 0.03)
    settings: dict[str, tuple[str, Spec]] = {
        "sgd": ("simple_rnn", sgd),
        "sgd_momentum": ("lstm", sgd | {"momentum": 0.7}),
        "sgd_nesterov": ("gru", sgd | {"momentum": 0.7, "nesterov": True}),
        "sgd_decay": ("simple_rnn", sgd | {"decay": 0.3}),
        "sgd_weight_decay": ("gru_reset_before", sgd | {"weight_decay": 0.1}),
        "sgd_clipnorm": ("lstm", sgd | {"clipnorm": 0.03}),
        "sgd_clipvalue": ("gru", sgd | {"clipvalue": 0.01}),
        "sgd_global_clipnorm": ("simple_rnn", sgd | {"global_clipnorm": 0.05}),
        "sgd_global_clipnorm_idle": ("simple_rnn", sgd | {"global_clipnorm": 100.0}),
        "rmsprop": ("simple_rnn", rmsprop),
        "rmsprop_rho": ("lstm", rmsprop | {"rho": 0.6, "epsilon": 1e-3}),
        "rmsprop_centered": ("gru", rmsprop | {"centered": True, "epsilon": 1e-4}),
        "rmsprop_momentum": ("lstm", rmsprop | {"momentum": 0.5}),
        "rmsprop_centered_momentum": ("simple_rnn", rmsprop | {"centered": True, "momentum": 0.5, "epsilon": 1e-4}),
        "rmsprop_weight_decay_clipnorm": ("gru", rmsprop | {"weight_decay": 0.1, "clipnorm": 0.05}),
        "adam": ("lstm", adam),
        "adam_betas": ("gru", adam | {"beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-3}),
        "adam_amsgrad": ("gru_reset_before", adam | {"amsgrad": True, "beta_2": 0.5}),
        "adam_weight_decay": ("simple_rnn", adam | {"weight_decay": 0.2}),
        "adam_clipvalue": ("lstm", adam | {"clipvalue": 0.003}),
    }
    cases = [_training_case(name, spec, cell) for name, (cell, spec) in settings.items()]

    three = dense(3, SOFTMAX)
    losses: dict[str, tuple[Spec, Spec]] = {
        "bce_logits": (binary_crossentropy(from_logits=True), dense(1, LINEAR)),
        "bce_smoothing": (binary_crossentropy(label_smoothing=0.2), dense(1, SIGMOID)),
        "cce": (categorical_crossentropy(), three),
        "cce_unnormalized": (categorical_crossentropy(), dense(3, SIGMOID)),
        "cce_logits_smoothing": (categorical_crossentropy(from_logits=True, label_smoothing=0.1), dense(3, LINEAR)),
        "sparse": (sparse_categorical_crossentropy(), three),
        "sparse_logits": (sparse_categorical_crossentropy(from_logits=True), dense(3, LINEAR)),
        "mse": (MEAN_SQUARED_ERROR, dense(2, LINEAR)),
        "mae": ({"kind": "mean_absolute_error"}, dense(2, LINEAR)),
    }
    cases += [_training_case(f"loss_{name}", sgd, "gru", *pair) for name, pair in losses.items()]
    cases += [
        _training_case("sequence_mask", sgd, "gru", MEAN_SQUARED_ERROR, dense(2, LINEAR), sequences=True),
        _training_case(
            "sequence_sparse_weights", sgd, "lstm", losses["sparse"][0], three, sequences=True, sample_weights=True
        ),
        _training_case("sample_weights", sgd, "simple_rnn", sample_weights=True),
    ]

    regularizers = {"kernel": {"l1": 0.02, "l2": 0.0}, "recurrent_kernel": {"l1": 0.0, "l2": 0.05}}
    cases.append(
        _training_case(
            "regularizers",
            adam,
            "lstm",
            recurrent={role: {"regularizer": spec} for role, spec in regularizers.items()},
            embedding={"embeddings": {"regularizer": {"l1": 0.01, "l2": 0.02}}},
            dense={"bias": {"regularizer": {"l1": 0.0, "l2": 0.1}}},
        )
    )
    constraints: dict[str, Spec] = {
        "max_norm": {"kind": "max_norm", "max_value": 0.6, "axis": 0},
        "non_neg": {"kind": "non_neg"},
        "unit_norm": {"kind": "unit_norm", "axis": 1},
        "min_max_norm": {"kind": "min_max_norm", "min_value": 0.7, "max_value": 0.9, "rate": 0.5, "axis": 0},
    }
    for name, spec in constraints.items():
        treatment: Spec = {
            "recurrent": {"kernel": {"constraint": spec}},
            "embedding": {"embeddings": {"constraint": spec}},
        }
        cases.append(_training_case(f"constraint_{name}", sgd, "gru", **treatment))
    return cases
