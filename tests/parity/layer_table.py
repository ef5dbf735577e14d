"""One row for each way of using a layer: what every test of layers, those against Keras included, runs through."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foliot import layers
from foliot._graph import assemble
from foliot.layers import Input

from .graphs import MEAN_SQUARED_ERROR, Graph, Tensor, training
from .problems import Array, Problem, random_mask


@dataclass(frozen=True)
class Case:
    """A layer by its class's name and arguments, on an input of `shape` (without the batch axis).

    `sequence` says that the first axis is time, so that a mask may come with the input. `random` says that training
    draws numbers of our own, so that Keras cannot draw the same. `keras_masks` says that masks mean in Keras what they
    mean here, `in_keras` that Keras has the layer. An argument that is a Case, or a list of them, is a layer itself.
    """

    name: str
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    random: bool = False
    sequence: bool = True
    keras_masks: bool = True
    in_keras: bool = True

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}({options})-{'x'.join(map(str, self.shape))}"

    @property
    def takes_masks(self) -> bool:
        """Whether a (batch, time) mask makes sense."""
        return self.sequence and len(self.shape) == 2

    def make(self, module: Any = layers) -> Any:
        """The layer, of foliot or of another package with the same names."""

        def made(value: Any) -> Any:
            if isinstance(value, list):
                return [made(item) for item in value]
            return value.make(module) if isinstance(value, Case) else value

        return getattr(module, self.name)(**{key: made(value) for key, value in self.options.items()})


STACK = [
    Case("LSTMCell", (3,), {"units": 4}),
    Case("SimpleRNNCell", (4,), {"units": 2}),
    Case("GRUCell", (2,), {"units": 3}),
]
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
    Case("BatchNormalization", (5, 3)),
    Case("BatchNormalization", (3,), {"momentum": 0.6, "epsilon": 0.1, "scale": False}, sequence=False),
    Case("BatchNormalization", (5, 3), {"center": False}),
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
]


@contextmanager
def quiet() -> Iterator[None]:
    """Lets the warnings of options that Keras calls deprecated pass."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def problem(case: Case, batch: int, seed: int, mask: str | None = None) -> Problem:
    """The layer with a squared error on each of its outputs, random weights and inputs, some of whose rows are padding
    for Masking."""
    random = np.random.default_rng(seed)
    with quiet():
        layer = case.make()
    x = Input(case.shape)
    outputs = layer.connect([x])
    assembly = assemble([x], outputs, [mask is not None])
    description = json.loads(assembly.graph)
    parameters = [weight.parameter for weight in assembly.weights]
    graph = Graph(
        nodes=description["nodes"],
        parameters=description["parameters"],
        names=[parameter.name for parameter in parameters],
        shapes=[parameter.shape for parameter in parameters],
        outputs=[
            Tensor(node, index, output.shape[1:])
            for (node, index), output in zip(description["outputs"], outputs, strict=True)
        ],
    )
    value = random.normal(size=(batch, *case.shape)).astype(np.float32)
    padding = random.random(value.shape[:-1]) < 0.3
    value[padding] = case.options.get("mask_value", 0.0)
    targets = []
    for output in outputs:
        assert None not in output.shape[1:], output.shape
        targets.append(random.normal(size=(batch, *output.shape[1:])).astype(np.float32))
    return Problem(
        graph=graph,
        training=training([MEAN_SQUARED_ERROR] * len(targets)),
        weights=[random_weight(parameter.name, parameter.shape, random) for parameter in parameters],
        inputs=[value],
        targets=targets,
        masks=[random_mask(mask, batch, case.shape[0], random)] if mask else None,
    )


def random_weight(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Normal numbers; positive ones for what is a variance."""
    if name == "moving_variance":
        return random.uniform(0.5, 2.0, size=shape).astype(np.float32)
    return random.normal(scale=0.7, size=shape).astype(np.float32)
