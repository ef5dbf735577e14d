"""ONNX Runtime: the same model as an ONNX graph, for prediction and single steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from peer import Peer

if TYPE_CHECKING:
    from rows import Batch, Row

OPERATORS = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
# Keras's gate blocks in ONNX's order: input, output, forget, candidate; update, reset, candidate.
GATE_ORDERS = {"simple_rnn": [0], "lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}
# What the official wheels of ONNX Runtime and onnx both know.
OPSET, IR_VERSION = 17, 8


class OnnxPeer(Peer):
    """ONNX Runtime in this process."""

    def __init__(self, threads: int) -> None:
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def versions(self) -> dict[str, str]:
        """ONNX Runtime's version."""
        return {"onnxruntime": onnxruntime.__version__}

    def modes(self, row: Row) -> list[str]:
        """What does not train, of the models that are one stack."""
        return [mode for mode in row.modes if mode != "train" and not row.target_steps and not row.masked]

    def build(self, row: Row, weights: list[np.ndarray], optimizer: str, learning_rate: float) -> None:
        """Makes a session for whole sequences and, where it is asked for, one for single steps."""
        self._row = row
        self._whole = self._session(row, weights, row.steps, with_states=False)
        if "step" in row.modes:
            self._single = self._session(row, weights, 1, with_states=True)

    def _session(
        self, row: Row, weights: list[np.ndarray], steps: int, with_states: bool
    ) -> onnxruntime.InferenceSession:
        graph = Graph(row, weights)
        graph.write(steps, with_states)
        model = helper.make_model(graph.finished(), opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return onnxruntime.InferenceSession(
            model.SerializeToString(), self._options, providers=["CPUExecutionProvider"]
        )

    def predict(self, batch: Batch) -> Any:
        """The outputs for one batch."""
        return self._whole.run(None, {"x": batch.inputs[0]})[0]

    def steps(self, frames: list[np.ndarray]) -> Any:
        """The output for the last of the frames; the states go out and in as arrays, as the API has it."""
        states = ["h", "c"] if self._row.cell == "lstm" else ["h"]
        feed = {name: np.zeros((1, 1, self._row.units), np.float32) for name in states}
        run = self._single.run
        for frame in frames:
            feed["x"] = frame
            feed.update(zip(states, run(None, feed), strict=True))
        return feed["h"][0]


class Graph:
    """The ONNX graph of a row."""

    def __init__(self, row: Row, weights: list[np.ndarray]) -> None:
        self._row = row
        self._weights = iter(weights)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def _constant(self, name: str, value: np.ndarray) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def _recurrent_weights(self, layer: int) -> list[str]:
        """Names of W, R and B of one layer, both directions together."""
        row = self._row
        order = GATE_ORDERS[row.cell]

        def blocks(weight: np.ndarray) -> np.ndarray:
            parts = np.split(weight, len(order), axis=-1)
            return np.concatenate([parts[gate] for gate in order], axis=-1)

        kernels, recurrents, biases = [], [], []
        for _ in range(2 if row.bidirectional else 1):
            kernel, recurrent, bias = (blocks(next(self._weights)) for _ in range(3))
            two = bias if row.cell == "gru" else np.stack([bias, np.zeros_like(bias)])
            kernels.append(kernel.T)
            recurrents.append(recurrent.T)
            biases.append(two.reshape(-1))
        named = {"W": kernels, "R": recurrents, "B": biases}
        return [self._constant(f"{letter}{layer}", np.stack(values)) for letter, values in named.items()]

    def write(self, steps: int, with_states: bool) -> None:
        """Writes a model for `steps` time steps, with states as inputs and outputs for single steps."""
        row = self._row
        directions = 2 if row.bidirectional else 1
        value = "x"
        if row.vocabulary:
            self._inputs.append(helper.make_tensor_value_info("x", TensorProto.INT32, [row.batch, steps]))
            self._node("Gather", [self._constant("table", next(self._weights)), "x"], ["embedded"])
            value = "embedded"
        else:
            shape = [row.batch, row.features] if with_states else [row.batch, steps, row.features]
            self._inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
        if with_states:
            self._node("Unsqueeze", ["x", self._constant("zero", np.array([0]))], ["sequence"])
        else:
            self._node("Transpose", [value], ["sequence"], perm=[1, 0, 2])
        value = "sequence"
        states = (["h", "c"] if row.cell == "lstm" else ["h"]) if with_states else []
        state_shape = [directions, row.batch, row.units]
        for name in states:
            self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, state_shape))
        attributes: dict[str, Any] = {"hidden_size": row.units}
        if row.bidirectional:
            attributes["direction"] = "bidirectional"
        if row.cell == "gru":
            attributes["linear_before_reset"] = 1
        for layer in range(row.layers):
            outputs = [f"y{layer}", f"h{layer}"] + ([f"c{layer}"] if row.cell == "lstm" else [])
            inputs = (
                [value, *self._recurrent_weights(layer), "", *states]
                if states
                else [
                    value,
                    *self._recurrent_weights(layer),
                ]
            )
            self._node(OPERATORS[row.cell], inputs, outputs, **attributes)
            last = outputs[1:]
            if layer + 1 < row.layers:
                # (time, directions, batch, units) to (time, batch, directions * units)
                self._node("Transpose", [outputs[0]], [f"turned{layer}"], perm=[0, 2, 1, 3])
                merged = np.array([0, 0, directions * row.units])
                self._node("Reshape", [f"turned{layer}", self._constant(f"merged{layer}", merged)], [f"in{layer}"])
                value = f"in{layer}"
        if with_states:
            self._finish_with(last, state_shape)
            return
        self._node("Transpose", [last[0]], ["finals"], perm=[1, 0, 2])
        flat = np.array([row.batch, directions * row.units])
        self._node("Reshape", ["finals", self._constant("flat", flat)], ["features"])
        result = "features"
        if row.head:
            kernel, bias = next(self._weights), next(self._weights)
            self._node("Gemm", ["features", self._constant("K", kernel), self._constant("b", bias)], ["logits"])
            self._node("Sigmoid", ["logits"], ["probability"])
            result = "probability"
        self._finish_with([result], [row.batch, 1 if row.head else directions * row.units])

    def _finish_with(self, names: list[str], shape: list[int]) -> None:
        self._outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]

    def finished(self) -> Any:
        """The graph."""
        return helper.make_graph(self._nodes, "row", self._inputs, self._outputs, self._constants)
