"""A graph of layers with its loss, gradients and training steps.

The graph is the dictionary that the native module reads: nodes in order, each with a layer, its inputs as (node,
tensor) pairs and the indices of its parameters; outputs as (node, tensor) pairs; per parameter whether it is trained,
its regularizer and constraint.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import base, layers, losses, metrics, regularization
from .activations import Array, Spec
from .optimizers import Optimizer

Graph = dict[str, Any]


class Network:
    """A graph with its weights in float64."""

    def __init__(self, graph: Graph, weights: Sequence[Array]) -> None:
        self.graph = graph
        self.weights = [np.asarray(w, np.float64) for w in weights]

    def forward(
        self, inputs: Sequence[Array], masks: Sequence[Array | None] | None = None, step: int | None = None
    ) -> list[Array]:
        """The outputs; everything that the way back needs is kept. With a `step` of training, dropout is on."""
        given = iter(zip(inputs, masks or [None] * len(inputs), strict=True))
        self.tensors: dict[tuple[int, int], tuple[Array, base.Mask]] = {}
        self.layers: list[base.Layer | None] = []
        for index, node in enumerate(self.graph["nodes"]):
            if node["layer"]["kind"] == "input":
                value, mask = next(given)
                self.layers.append(None)
                self.tensors[index, 0] = (np.asarray(value, np.float64), mask)
                continue
            layer = layers.build(node["layer"], [self.weights[p] for p in node["parameters"]], step)
            arguments = [self.tensors[tuple(edge)] for edge in node["inputs"]]
            results = layer.forward([value for value, _ in arguments], [mask for _, mask in arguments])
            for tensor, (value, mask) in enumerate(zip(*results, strict=True)):
                self.tensors[index, tensor] = (value, mask)
            self.layers.append(layer)
        return [self.tensors[tuple(edge)][0] for edge in self.graph["outputs"]]

    def backward(self, d_outputs: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """dL/d(parameters), without penalties, and dL/d(inputs)."""
        reaching = {place: np.zeros_like(value) for place, (value, _) in self.tensors.items()}
        for edge, d_output in zip(self.graph["outputs"], d_outputs, strict=True):
            reaching[tuple(edge)] += d_output
        gradients = [np.zeros_like(w) for w in self.weights]
        for index in reversed(range(len(self.layers))):
            layer, node = self.layers[index], self.graph["nodes"][index]
            if layer is None:
                continue
            outputs = [reaching[place] for place in sorted(reaching) if place[0] == index]
            d_inputs, d_weights = layer.backward(outputs)
            for edge, d_input in zip(node["inputs"], d_inputs, strict=True):
                reaching[tuple(edge)] += d_input
            for parameter, d_weight in zip(node["parameters"], d_weights, strict=True):
                gradients[parameter] += d_weight
        d_inputs = [reaching[i, 0] for i, layer in enumerate(self.layers) if layer is None]
        return gradients, d_inputs

    def output_mask(self, output: int) -> base.Mask:
        """The mask that reached an output."""
        return self.tensors[tuple(self.graph["outputs"][output])][1]

    def _evaluate(
        self,
        training: Spec,
        inputs: Sequence[Array],
        targets: Sequence[Array],
        masks: Sequence[Array | None] | None,
        sample_weights: Sequence[Array | None] | None,
        step: int | None,
    ) -> tuple[float, list[Array]]:
        outputs = self.forward(inputs, masks, step)
        total, d_outputs = 0.0, []
        for index, (output, target) in enumerate(zip(outputs, targets, strict=True)):
            sample_weight = sample_weights[index] if sample_weights else None
            loss, d_output = losses.evaluate(
                training["losses"][index], target, output, sample_weight, self.output_mask(index)
            )
            scale = training["loss_weights"][index] if training["loss_weights"] else 1.0
            total += scale * loss
            d_outputs.append(scale * d_output)
        for parameter, weight in zip(self.graph["parameters"], self.weights, strict=True):
            total += regularization.penalty(parameter["regularizer"], weight)
        return total + sum(layer.loss() for layer in self.layers if layer), d_outputs

    def loss(
        self,
        training: Spec,
        inputs: Sequence[Array],
        targets: Sequence[Array],
        masks: Sequence[Array | None] | None = None,
        sample_weights: Sequence[Array | None] | None = None,
        step: int | None = None,
    ) -> float:
        """The loss with all penalties."""
        return self._evaluate(training, inputs, targets, masks, sample_weights, step)[0]

    def loss_and_gradients(
        self,
        training: Spec,
        inputs: Sequence[Array],
        targets: Sequence[Array],
        masks: Sequence[Array | None] | None = None,
        sample_weights: Sequence[Array | None] | None = None,
        step: int | None = None,
    ) -> tuple[float, list[Array], list[Array]]:
        """The loss with all penalties, dL/d(parameters), dL/d(inputs)."""
        loss, d_outputs = self._evaluate(training, inputs, targets, masks, sample_weights, step)
        gradients, d_inputs = self.backward(d_outputs)
        for index, parameter in enumerate(self.graph["parameters"]):
            gradients[index] += regularization.penalty_gradient(parameter["regularizer"], self.weights[index])
        return loss, gradients, d_inputs

    def train(
        self,
        training: Spec,
        optimizer: Optimizer,
        inputs: Sequence[Array],
        targets: Sequence[Array],
        sample_weights: Sequence[Array | None] | None = None,
    ) -> float:
        """One step of training without dropout; returns the loss before it."""
        loss, gradients, _ = self.loss_and_gradients(training, inputs, targets, None, sample_weights)
        trained = [i for i, parameter in enumerate(self.graph["parameters"]) if parameter["trainable"]]
        moved = optimizer.step([self.weights[i] for i in trained], [gradients[i] for i in trained])
        for i, weight in zip(trained, moved, strict=True):
            self.weights[i] = regularization.constrain(self.graph["parameters"][i]["constraint"], weight)
        return loss

    def measure(
        self, metric: Spec, output: int, target: Array, sample_weight: Array | None = None
    ) -> tuple[float, float]:
        """A metric of the last forward run: (sum of weight * value, sum of weight)."""
        prediction = self.tensors[tuple(self.graph["outputs"][output])][0]
        return metrics.update(metric, target, prediction, sample_weight, self.output_mask(output))
