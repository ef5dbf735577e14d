"""The native description of connected layers."""

import json

import numpy as np

from foliot import regularizers
from foliot._graph import assemble, infer_shapes, nodes_between
from foliot.layers import LSTM, Dense, Embedding, Flatten, Input


def _graph(inputs: list, outputs: list) -> tuple[dict, list]:
    assembly = assemble(inputs, outputs)
    return json.loads(assembly.graph), assembly.weights


def test_nodes_refer_to_earlier_ones_and_parameters_are_in_order() -> None:
    x = Input((None,))
    hidden = LSTM(3, return_sequences=True)(Embedding(9, 4)(x))
    graph, weights = _graph([x], [Dense(1)(hidden)])
    assert [node["layer"]["kind"] for node in graph["nodes"]] == ["input", "embedding", "lstm", "dense"]
    assert [node["inputs"] for node in graph["nodes"]] == [[], [[0, 0]], [[1, 0]], [[2, 0]]]
    assert [node["parameters"] for node in graph["nodes"]] == [[], [0], [1, 2, 3], [4, 5]]
    assert graph["outputs"] == [[3, 0]]
    assert len(graph["parameters"]) == len(weights) == 6
    assert graph["nodes"][0]["layer"] == {"kind": "input", "dtype": "int32", "shape": [None], "masked": False}


def test_a_layer_used_twice_is_two_nodes_with_one_set_of_weights() -> None:
    left, right = Input((5, 4)), Input((5, 4))
    shared = LSTM(3)
    graph, weights = _graph([left, right], [shared(left), shared(right)])
    assert [node["name"] for node in graph["nodes"]] == ["input_layer", "input_layer_1", "lstm", "lstm:2"]
    assert graph["nodes"][2]["parameters"] == graph["nodes"][3]["parameters"] == [0, 1, 2]
    assert len(weights) == 3


def test_states_and_several_outputs() -> None:
    x, start = Input((5, 4)), Input((3,))
    encoder = LSTM(3, return_state=True)
    _, h, c = encoder(x)
    decoded = LSTM(3)(x, initial_state=[h, start])
    graph, _ = _graph([x, start], [decoded, c])
    assert graph["nodes"][3]["inputs"] == [[0, 0], [2, 1], [1, 0]]
    assert graph["outputs"] == [[3, 0], [2, 2]]


def test_activity_regularizer_follows_its_layer() -> None:
    x = Input((4,))
    graph, _ = _graph([x], [Dense(1)(Dense(2, activity_regularizer=regularizers.L1(0.5))(x))])
    assert graph["nodes"][2]["layer"] == {"kind": "activity_regularization", "l1": 0.5, "l2": 0.0}
    assert [node["inputs"] for node in graph["nodes"]] == [[], [[0, 0]], [[1, 0]], [[2, 0]]]


def test_frozen_regularized_and_constrained_weights() -> None:
    x = Input((4,))
    layer = Dense(2, kernel_regularizer="l2", kernel_constraint="non_neg")
    layer.trainable = False
    graph, _ = _graph([x], [layer(x)])
    assert graph["parameters"] == [
        {"trainable": False, "regularizer": {"l1": 0.0, "l2": 0.01}, "constraint": {"kind": "non_neg"}},
        {"trainable": False, "regularizer": None, "constraint": None},
    ]


def test_length_is_free_unless_a_layer_fixes_it() -> None:
    x = Input((5, 4))
    graph, _ = _graph([x], [LSTM(2)(x)])
    assert graph["nodes"][0]["layer"]["shape"] == [None, 4]
    graph, _ = _graph([x], [Dense(1)(Flatten()(x))])
    assert graph["nodes"][0]["layer"]["shape"] == [5, 4]


def test_shapes_are_inferred_for_other_lengths() -> None:
    x = Input((5, 4))
    y = LSTM(2, return_sequences=True)(x)
    assert infer_shapes(nodes_between([x], [y]), [(3, 8, 4)], [y]) == [(3, 8, 2)]


def test_a_deep_stack_meets_no_recursion_limit() -> None:
    x = tensor = Input((1,))
    for _ in range(2000):
        tensor = Dense(1, use_bias=False, kernel_initializer="ones")(tensor)
    assembly = assemble([x], [tensor])
    (result,) = assembly.program().forward([np.ones((1, 1), np.float32)], [None], None, training=False, step=0)
    assert result.item() == 1.0
