"""One row for each way of using a layer: what every test of layers, those against Keras included, runs through."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foliot import _nest, layers
from foliot._graph import assemble
from foliot.layers import Input

from .graphs import MEAN_SQUARED_ERROR, Graph, Tensor, training
from .native import GRADIENT_FLOOR
from .problems import Array, Problem, random_mask

# How layers take their inputs beside one tensor by itself, or with what is called `initial_state`.
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")
IN_A_LIST = (*MERGES, "Attention", "AdditiveAttention")
ONE_BY_ONE = ("MultiHeadAttention", "GroupQueryAttention")
CELLS = ("Cell", "Cells")


@dataclass(frozen=True)
class Case:
    """A layer by its class's name and arguments, on an input of `shape` (without the batch axis).

    `sequence` says that the first axis is time, so that a mask may come with the input. `random` says that training
    draws numbers of our own, so that Keras cannot draw the same. `keras_masks` says that masks mean in Keras what they
    mean here, `in_keras` that Keras has the layer. An argument that is a Case, or a list of them, is a layer itself.
    `more` are the shapes of further inputs, `call` what a call says beside the inputs, `ids` how many token ids there
    are where the input are such, `floor` how far a gradient may be off whose parts cancel one another.
    """

    name: str
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    random: bool = False
    sequence: bool = True
    keras_masks: bool = True
    in_keras: bool = True
    more: tuple[tuple[int, ...], ...] = ()
    call: dict[str, Any] = field(default_factory=dict)
    ids: int | None = None
    floor: float = GRADIENT_FLOOR

    def __str__(self) -> str:
        def shown(value: Any) -> str:
            return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)

        options = ",".join(f"{key}={shown(value)}" for key, value in [*self.options.items(), *self.call.items()])
        return f"{self.name}({options})-{'-'.join('x'.join(map(str, shape)) for shape in self.shapes)}"

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of all inputs."""
        return [self.shape, *self.more]

    @property
    def takes_masks(self) -> bool:
        """Whether a (batch, time) mask makes sense."""
        return self.sequence and len(self.shape) == 2

    def inputs(self) -> list[Any]:
        """Symbolic inputs."""
        return [Input(shape, dtype=None if self.ids is None else "int32") for shape in self.shapes]

    def arrays(self, batch: int, random: np.random.Generator) -> list[Array]:
        """Random inputs."""
        if self.ids is not None:
            return [random.integers(0, self.ids, size=(batch, *shape)).astype(np.int32) for shape in self.shapes]
        return [random.normal(size=(batch, *shape)).astype(np.float32) for shape in self.shapes]

    def apply(self, layer: Any, tensors: Sequence[Any], **call: Any) -> list[Any]:
        """What the layer makes of tensors or arrays, in a row."""
        first, *rest = tensors
        call = self.call | call
        if self.name in IN_A_LIST:
            outputs = layer(list(tensors), **call)
        elif self.name in ONE_BY_ONE:
            outputs = layer(*tensors, **call)
        elif self.name.endswith(CELLS):
            outputs = layer(first, _nest.pack(layer.state_size, rest), **call)
        elif rest:
            states = _nest.pack(layer.state_size, rest) if hasattr(layer, "state_size") else rest
            outputs = layer(first, initial_state=states, **call)
        else:
            outputs = layer(first, **call)
        return _nest.flatten(outputs)

    def output_shapes(self, layer: Any, batch: int | None) -> list[tuple[int | None, ...]]:
        """What the layer says that the outputs' shapes will be, in a row."""
        shapes = [(batch, *shape) for shape in self.shapes]
        if self.name in ONE_BY_ONE:
            found = layer.compute_output_shape(*shapes)
        else:
            found = layer.compute_output_shape(shapes if self.name in IN_A_LIST else shapes[0])
        return list(in_a_row(found))

    def make(self, module: Any = layers) -> Any:
        """The layer, of foliot or of another package with the same names."""

        def made(value: Any) -> Any:
            if isinstance(value, list):
                return [made(item) for item in value]
            return value.make(module) if isinstance(value, Case) else value

        return getattr(module, self.name)(**{key: made(value) for key, value in self.options.items()})


def in_a_row(shapes: Any) -> Iterator[tuple[int | None, ...]]:
    """Shapes, which are tuples, in lists of lists."""
    if isinstance(shapes, list):
        for shape in shapes:
            yield from in_a_row(shape)
    else:
        yield shapes


STACK = [
    Case("LSTMCell", (3,), {"units": 4}),
    Case("SimpleRNNCell", (4,), {"units": 2}),
    Case("GRUCell", (2,), {"units": 3}),
]
OWN_STACK = [
    Case("MinLSTMCell", (3,), {"units": 4}),
    Case("LayerNormGRUCell", (4,), {"units": 6, "norm_epsilon": 0.1}),
    Case("LSTMCell", (6,), {"units": 5, "proj_size": 2}),
]
GATED = {"num_heads": 1, "key_dim": 3, "value_dim": 2, "output_shape": 4, "use_gate": True, "dropout": 0.3, "seed": 3}
SHARED = {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2, "sliding_window": 3}
# A constant for all keys changes no weight: what a bias of the keys gets cancels to 0.
CANCELS = 3e-6
# Where masks leave one or two steps, rounding is what their small variance divides.
FEW = 5e-6
CASES: list[Case] = [
    Case("Activation", (5, 3), {"activation": "tanh"}),
    Case("Activation", (5, 6), {"activation": "glu"}),
    Case("Activation", (34,), {"activation": "glu"}, sequence=False),
    Case("Dense", (5, 3), {"units": 4, "activation": "tanh"}),
    Case("Dropout", (5, 3), {"rate": 0.4, "seed": 3}, random=True),
    Case("Dropout", (5, 3), {"rate": 0.4, "noise_shape": (None, 5, 1), "seed": 3}, random=True),
    Case("SpatialDropout1D", (5, 3), {"rate": 0.4, "seed": 3}, random=True),
    Case("SimpleRNN", (5, 3), {"units": 4, "return_sequences": True}),
    Case("LSTM", (5, 3), {"units": 4}),
    Case("GRU", (5, 3), {"units": 4, "return_sequences": True, "go_backwards": True}),
    Case("SimpleRNN", (5, 3), {"units": 4, "zoneout": 0.3, "seed": 3}, random=True, in_keras=False),
    Case("LSTM", (5, 3), {"units": 4, "zoneout": 0.2, "zoneout_cell": 0.4, "seed": 3}, random=True, in_keras=False),
    Case("LSTM", (5, 3), {"units": 5, "proj_size": 2, "recurrent_dropout": 0.3, "seed": 3}, True, in_keras=False),
    Case("SimpleRNN", (5, 3), {"units": 6, "heads": 2, "return_sequences": True}, in_keras=False),
    Case("LSTM", (5, 3), {"units": 6, "heads": 3, "proj_size": 3, "zoneout": 0.2, "seed": 3}, True, in_keras=False),
    Case("GRU", (5, 3), {"units": 6, "heads": 6, "recurrent_dropout": 0.3, "seed": 3}, True, in_keras=False),
    Case("LayerNormLSTM", (5, 3), {"units": 6, "norm_epsilon": 0.1, "return_sequences": True}, in_keras=False),
    Case("LayerNormGRU", (5, 3), {"units": 6, "norm_epsilon": 0.1, "go_backwards": True}, in_keras=False),
    Case("LayerNormLSTM", (5, 3), {"units": 6, "norm_epsilon": 0.1, "recurrent_dropout": 0.3}, True, in_keras=False),
    Case("MinLSTM", (5, 3), {"units": 4, "return_sequences": True}, in_keras=False),
    Case("MinGRU", (5, 3), {"units": 4, "activation": "tanh", "dropout": 0.3, "seed": 3}, True, in_keras=False),
    Case("RNN", (5, 3), {"cell": Case("GRUCell", (3,), {"units": 4, "reset_after": False}), "return_sequences": True}),
    Case("RNN", (5, 3), {"cell": STACK, "return_sequences": True, "go_backwards": True}),
    Case("RNN", (5, 3), {"cell": STACK, "return_sequences": True, "zero_output_for_mask": True}),
    *(
        Case("RNN", (5, 3), {"cell": cell, "return_sequences": True}, in_keras=cell.in_keras)
        for cell in (
            Case("SimpleRNNCell", (3,), {"units": 4}),
            Case("LSTMCell", (3,), {"units": 4}),
            Case("LSTMCell", (3,), {"units": 4, "use_peepholes": True}, in_keras=False),
            Case("LayerNormLSTMCell", (3,), {"units": 6, "norm_epsilon": 0.1}, in_keras=False),
            Case("LayerNormGRUCell", (3,), {"units": 6, "norm_epsilon": 0.1}, in_keras=False),
            Case("MinLSTMCell", (3,), {"units": 4}, in_keras=False),
            Case("MinGRUCell", (3,), {"units": 4}, in_keras=False),
        )
    ),
    Case("RNN", (5, 3), {"cell": OWN_STACK, "return_state": True}, in_keras=False),
    # In a model of Keras's a layer that is given states loses the mask.
    Case("LSTM", (5, 3), {"units": 4, "return_state": True}, keras_masks=False, more=((4,), (4,))),
    Case("RNN", (5, 3), {"cell": STACK, "return_state": True}, keras_masks=False, more=((4,), (4,), (2,), (3,))),
    Case("SimpleRNNCell", (3,), {"units": 4}, more=((4,),), sequence=False),
    Case("LSTMCell", (3,), {"units": 4}, more=((4,), (4,)), sequence=False),
    Case("GRUCell", (3,), {"units": 4, "dropout": 0.3, "seed": 3}, True, more=((4,),), sequence=False),
    Case("LayerNormLSTMCell", (3,), {"units": 6, "norm_epsilon": 0.1}, False, False, in_keras=False, more=((6,), (6,))),
    Case("LayerNormGRUCell", (3,), {"units": 6, "norm_epsilon": 0.1}, False, False, in_keras=False, more=((6,),)),
    Case("MinLSTMCell", (3,), {"units": 4}, more=((4,),), sequence=False, in_keras=False),
    Case("MinGRUCell", (3,), {"units": 4}, more=((4,),), sequence=False, in_keras=False),
    Case("StackedRNNCells", (3,), {"cells": STACK}, more=((4,), (4,), (2,), (3,)), sequence=False),
    Case("Embedding", (5,), {"input_dim": 9, "output_dim": 4}, ids=9),
    Case("Embedding", (5,), {"input_dim": 9, "output_dim": 4, "mask_zero": True}, ids=9),
    Case("Masking", (5, 3)),
    Case("Masking", (5, 3), {"mask_value": 0.5}),
    Case("Masking", (4,), sequence=False),
    Case("Flatten", (5, 3)),
    Case("Flatten", (2, 3, 4)),
    Case("Identity", (5, 3)),
    Case("ActivityRegularization", (5, 3), {"l1": 0.1, "l2": 0.2}),
    Case("Reshape", (6, 2), {"target_shape": (4, 3)}),
    Case("Reshape", (6, 2), {"target_shape": (-1,)}),
    Case("Reshape", (12,), {"target_shape": (2, -1, 3)}, sequence=False),
    Case("Reshape", (2, 3, 4), {"target_shape": (4, 6)}),
    Case("Permute", (5, 3), {"dims": (2, 1)}),
    Case("Permute", (2, 3, 4), {"dims": (3, 1, 2)}),
    Case("Permute", (2, 3, 4), {"dims": (1, 3, 2)}),
    Case("RepeatVector", (4,), {"n": 3}, sequence=False),
    Case("Cropping1D", (6, 3), {"cropping": (1, 2)}),
    Case("Cropping1D", (6, 3), {"cropping": 2}),
    Case("ZeroPadding1D", (4, 3), {"padding": (2, 1)}),
    Case("ZeroPadding1D", (4, 3), {"padding": 0}),
    Case("LayerNormalization", (5, 7)),
    Case("LayerNormalization", (19,), {"epsilon": 0.1, "center": False}, sequence=False),
    Case("LayerNormalization", (2, 3, 17), {"axis": [3], "scale": False}),
    Case("LayerNormalization", (5, 7), {"rms_scaling": True}),
    Case("RMSNormalization", (5, 7)),
    Case("RMSNormalization", (33,), {"epsilon": 0.2}, sequence=False),
    Case("UnitNormalization", (5, 7)),
    Case("BatchNormalization", (5, 3), floor=FEW),
    Case("BatchNormalization", (3,), {"momentum": 0.6, "epsilon": 0.1, "scale": False}, sequence=False),
    Case("BatchNormalization", (5, 3), {"center": False}, floor=FEW),
    Case("BatchNormalization", (5, 3), {"trainable": False}),
    Case("BatchNormalization", (2, 3, 4), {"scale": False, "center": False}),
    Case("GlobalAveragePooling1D", (5, 3)),
    Case("GlobalAveragePooling1D", (5, 3), {"keepdims": True}),
    Case("GlobalMaxPooling1D", (5, 3), keras_masks=False),
    Case("GlobalMaxPooling1D", (5, 3), {"keepdims": True}, keras_masks=False),
    Case("MaxPooling1D", (6, 3)),
    Case("MaxPooling1D", (7, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("MaxPooling1D", (7, 3), {"pool_size": 2, "strides": 3}),
    Case("AveragePooling1D", (7, 3), {"pool_size": 3}),
    Case("AveragePooling1D", (7, 3), {"pool_size": 4, "strides": 1, "padding": "same"}),
    Case("AveragePooling1D", (5, 3), {"pool_size": 4, "strides": 3, "padding": "same"}),
    Case("Conv1D", (7, 3), {"filters": 4, "kernel_size": 3}),
    Case("Conv1D", (7, 3), {"filters": 5, "kernel_size": 4, "padding": "same", "activation": "tanh"}),
    Case("Conv1D", (7, 3), {"filters": 17, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
    Case("Conv1D", (8, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "gelu"}),
    Case("Conv1D", (8, 3), {"filters": 4, "kernel_size": 2, "strides": 3, "use_bias": False}),
    Case("Conv1D", (7, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "causal"}),
    Case("Conv1D", (7, 6), {"filters": 9, "kernel_size": 2, "groups": 3, "padding": "same", "dilation_rate": 2}),
    Case("Conv1D", (3, 2), {"filters": 2, "kernel_size": 9, "padding": "same"}),
    Case("Conv1D", (7, 3), {"filters": 4, "kernel_size": 1}),
    Case("GaussianNoise", (5, 3), {"stddev": 0.3, "seed": 3}, random=True),
    Case("GaussianDropout", (5, 3), {"rate": 0.3, "seed": 3}, random=True),
    Case("GaussianDropout", (2, 3, 4), {"rate": 0.3, "seed": 3}, random=True),
    Case("AlphaDropout", (5, 3), {"rate": 0.3, "seed": 3}, random=True),
    Case("AlphaDropout", (5, 3), {"rate": 0.3, "noise_shape": (None, 1, 3), "seed": 3}, random=True),
    Case("ReLU", (5, 3), {"max_value": 0.8, "negative_slope": 0.1, "threshold": 0.2}),
    Case("LeakyReLU", (5, 3)),
    Case("ELU", (5, 3), {"alpha": 0.7}),
    # Keras tries to match the mask (batch, time) with the last axes of the input, and fails.
    Case("Softmax", (5, 3), keras_masks=False),
    Case("PReLU", (3,), sequence=False),
    Case("PReLU", (5, 3)),
    Case("PReLU", (5, 3), {"shared_axes": [1]}),
    Case("PReLU", (2, 3, 4), {"shared_axes": [2]}),
    Case("PReLU", (2, 3, 4), {"shared_axes": [1, 3]}),
    Case("TimeDistributed", (5, 3), {"layer": Case("Dense", (3,), {"units": 4, "activation": "tanh"})}),
    Case("TimeDistributed", (3, 4, 2), {"layer": Case("LSTM", (4, 2), {"units": 3})}),
    Case("TimeDistributed", (3, 5, 2), {"layer": Case("Conv1D", (5, 2), {"filters": 3, "kernel_size": 2})}),
    Case("TimeDistributed", (3, 4, 2), {"layer": Case("Flatten", (4, 2))}),
    # Keras has no loss for a mask (batch, time) on more axes than that.
    Case("TimeDistributed", (5, 3), {"layer": Case("RepeatVector", (3,), {"n": 2})}, sequence=False),
    Case("TimeDistributed", (5, 3), {"layer": Case("Dropout", (3,), {"rate": 0.5, "seed": 3})}, random=True),
    Case("TimeDistributed", (5, 3), {"layer": Case("RMSNormalization", (3,))}),
    Case("Bidirectional", (5, 3), {"layer": Case("LSTM", (5, 3), {"units": 4, "return_sequences": True})}),
    Case("Bidirectional", (5, 3), {"layer": Case("GRU", (5, 3), {"units": 4}), "merge_mode": "mul"}),
    Case("Bidirectional", (5, 3), {"layer": Case("GRU", (5, 3), {"units": 4})}, more=((4,), (4,))),
    *(Case(name, (5, 3), more=((5, 3),)) for name in ("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum")),
    *(Case(name, (5, 3), more=((5, 1), (1, 3))) for name in ("Add", "Average", "Multiply", "Maximum", "Minimum")),
    Case("Concatenate", (5, 3), more=((5, 2), (5, 4))),
    Case("Concatenate", (5, 3), {"axis": 1}, more=((2, 3),)),
    Case("Dot", (5, 3), {"axes": 2}, more=((4, 3),)),
    Case("Dot", (5, 3), {"axes": (1, 2), "normalize": True}, more=((4, 5),)),
    Case("Attention", (5, 3), {"use_scale": True}, more=((4, 3), (4, 3))),
    Case("Attention", (5, 3), {"score_mode": "concat"}, call={"return_attention_scores": True}, more=((4, 2), (4, 3))),
    Case("Attention", (5, 3), {"dropout": 0.3, "seed": 3}, True, call={"use_causal_mask": True}, more=((5, 3),)),
    Case("AdditiveAttention", (5, 3), more=((4, 3),)),
    Case("MultiHeadAttention", (5, 3), {"num_heads": 2, "key_dim": 3}, more=((4, 6),), floor=CANCELS),
    Case(
        "MultiHeadAttention", (5, 3), GATED, True, call={"return_attention_scores": True}, more=((4, 6),), floor=CANCELS
    ),
    Case("GroupQueryAttention", (5, 3), SHARED, call={"use_causal_mask": True}, more=((5, 3), (5, 2)), floor=CANCELS),
]


@dataclass(frozen=True)
class RawCase:
    """What turns raw data, an array of `rows`, into arrays for a model: before the native program, so that there are
    neither weights nor gradients, masks, instruction sets and threads to ask about."""

    name: str
    options: dict[str, Any]
    rows: Array

    def __str__(self) -> str:
        return f"{self.name}({','.join(f'{key}={value}' for key, value in self.options.items())})"

    def make(self) -> Any:
        """The object."""
        return getattr(layers, self.name)(**self.options)


TEXTS = np.array([["the cat sat"], ["a dog"], [""], ["the dog sat on the cat"], ["sat"]], object)
WORDS = np.array([["cat", "dog"], ["on", "the"], ["bird", "cat"], ["", "the"]], object)
IDS = np.array([[7, 20], [10, -3], [20, 20], [0, 10]])
NUMBERS = np.random.default_rng(1).normal(size=(6, 5, 3))
KNOWN = ["the", "cat", "sat", "dog"]
TF_IDF: dict[str, Any] = {"vocabulary": KNOWN, "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 1.5, 2.0]}
PREPROCESSING = [
    RawCase("TextVectorization", {"vocabulary": KNOWN}, TEXTS),
    RawCase("TextVectorization", {"vocabulary": KNOWN, "output_sequence_length": 4, "split": "character"}, TEXTS),
    RawCase("TextVectorization", {"vocabulary": KNOWN, "ngrams": 2, "standardize": None}, TEXTS),
    RawCase("TextVectorization", {"max_tokens": 9, "output_mode": "count", "pad_to_max_tokens": True}, TEXTS),
    RawCase("TextVectorization", TF_IDF, TEXTS),
    RawCase("StringLookup", {"vocabulary": KNOWN}, WORDS),
    RawCase("StringLookup", {"mask_token": "", "output_mode": "multi_hot"}, WORDS),
    RawCase("StringLookup", {"vocabulary": KNOWN, "output_mode": "one_hot"}, WORDS[:, :1]),
    RawCase("StringLookup", {"vocabulary": KNOWN, "invert": True}, np.array([[1, 2], [0, 4]])),
    RawCase("IntegerLookup", {"vocabulary": [10, 20, 30]}, IDS),
    RawCase("IntegerLookup", {"num_oov_indices": 2, "mask_token": 0, "output_mode": "count"}, IDS),
    RawCase("Normalization", {}, NUMBERS),
    RawCase("Normalization", {"axis": [1, 2], "invert": True}, NUMBERS),
    RawCase("Normalization", {"axis": None, "mean": 1.5, "variance": 4.0}, NUMBERS),
]

# Classes of foliot.layers that the tables leave out, and why.
LEFT_OUT = {
    "Layer": "the base of all, of which users derive classes: tests/api/test_subclassing.py",
    "InputLayer": "computes nothing: it stands for the data that every case gets",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Lets the warnings of options that Keras calls deprecated pass."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def graph_between(inputs: Sequence[Any], outputs: Sequence[Any], masked: Sequence[bool]) -> Graph:
    """What layers make of symbolic inputs, as the native module and the oracle read it."""
    assembly = assemble(inputs, outputs, masked)
    description = json.loads(assembly.graph)
    parameters = [weight.parameter for weight in assembly.weights]
    return Graph(
        nodes=description["nodes"],
        parameters=description["parameters"],
        names=[parameter.name for parameter in parameters],
        shapes=[parameter.shape for parameter in parameters],
        outputs=[
            Tensor(node, index, output.shape[1:])
            for (node, index), output in zip(description["outputs"], outputs, strict=True)
        ],
    )


def problem(case: Case, batch: int, seed: int, mask: str | None = None) -> Problem:
    """The layer with a squared error on each of its outputs, random weights and inputs, some of whose rows are padding
    for Masking. A mask comes with every input that has a time axis."""
    random = np.random.default_rng(seed)
    with quiet():
        layer = case.make()
    inputs = case.inputs()
    outputs = case.apply(layer, inputs)
    masked = [mask is not None and len(shape) == 2 for shape in case.shapes]
    graph = graph_between(inputs, outputs, masked)
    values = case.arrays(batch, random)
    if not case.more and case.ids is None:
        padding = random.random(values[0].shape[:-1]) < 0.3
        values[0][padding] = case.options.get("mask_value", 0.0)
    targets = []
    for output in outputs:
        assert None not in output.shape[1:], output.shape
        targets.append(random.normal(size=(batch, *output.shape[1:])).astype(np.float32))
    masks = [
        random_mask(mask, batch, shape[0], random) if mask and takes else None
        for shape, takes in zip(case.shapes, masked, strict=True)
    ]
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(targets)),
        weights=[random_weight(name, shape, random) for name, shape in zip(graph.names, graph.shapes, strict=True)],
        inputs=values,
        targets=targets,
        masks=masks if mask else None,
    )


def random_weight(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Normal numbers; positive ones for what is a variance."""
    if name == "moving_variance":
        return random.uniform(0.5, 2.0, size=shape).astype(np.float32)
    return random.normal(scale=0.7, size=shape).astype(np.float32)
