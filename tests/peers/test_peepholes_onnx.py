"""LSTM with peepholes against ONNX Runtime: outputs and final states, in one direction or both, of rows of any length.

ONNX keeps (gates * units, in) matrices with the gates i, o, f, c, two biases, and the peepholes i, o, f. Its padded
steps come out as zeros, like those of Bidirectional.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foliot.layers import LSTM, Bidirectional

onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed: `make test-peers` brings it")
runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed", exc_type=ImportError)

SIZES = st.sampled_from([1, 2, 7, 8, 9, 17, 33])


def blocks(matrix: np.ndarray) -> np.ndarray:
    """Columns i, f, c, o as rows i, o, f, c."""
    i, f, c, o = np.split(matrix, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1).T


def in_onnx_order(weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of ONNX's LSTM for one direction."""
    kernel, recurrent_kernel, bias, *peepholes = weights
    i, f, o = peepholes
    return {
        "W": blocks(kernel),
        "R": blocks(recurrent_kernel),
        "B": np.concatenate([blocks(bias), np.zeros_like(bias)]),
        "P": np.concatenate([i, o, f]),
    }


def session(direction: str, units: int, activation: str) -> Any:
    """One LSTM node."""
    names = ["X", "W", "R", "B", "lengths", "h", "c", "P"]
    count = 2 if direction == "bidirectional" else 1
    options = {"hidden_size": units, "direction": direction, "activations": ["Sigmoid", activation, activation] * count}
    node = onnx.helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], **options)
    kinds = {"lengths": onnx.TensorProto.INT32}
    inputs = [onnx.helper.make_tensor_value_info(name, kinds.get(name, onnx.TensorProto.FLOAT), None) for name in names]
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("Y", "Y_h", "Y_c")]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "lstm", inputs, outputs),
        opset_imports=[onnx.helper.make_opsetid("", 14)],
        ir_version=8,
    )
    choices = runtime.SessionOptions()
    choices.intra_op_num_threads = 1
    return runtime.InferenceSession(model.SerializeToString(), choices, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("activation", ["Tanh", "Softsign"])
@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=9), features=SIZES, units=SIZES, seed=st.integers(0, 2**32)
)
def test_outputs_and_states(
    direction: str, activation: str, lengths: list[int], features: int, units: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    batch, time, both = len(lengths), max(lengths), direction == "bidirectional"
    options = {"use_peepholes": True, "return_state": True, "activation": activation.lower()}
    layer: Any = LSTM(units, return_sequences=True, zero_output_for_mask=True, **options)
    if both:
        layer = Bidirectional(layer)
    x = random.normal(size=(batch, time, features)).astype(np.float32)
    layer.build(x.shape)
    layer.set_weights([random.normal(scale=0.5, size=weight.shape) for weight in layer.weights])
    weights = layer.get_weights()
    directions = [in_onnx_order(part) for part in ([weights[:6], weights[6:]] if both else [weights])]
    states = random.normal(size=(2, len(directions), batch, units)).astype(np.float32)
    feeds = {name: np.stack([part[name] for part in directions]) for name in directions[0]}
    feeds |= {"X": x.swapaxes(0, 1), "lengths": np.array(lengths, np.int32), "h": states[0], "c": states[1]}
    sequence, h, c = session(direction, units, activation).run(None, feeds)

    mask = np.arange(time) < np.array(lengths)[:, None]
    initial = [states[kind, way] for way in range(len(directions)) for kind in range(2)]
    outputs, *finals = layer(x, initial_state=initial, mask=mask)
    # Time, directions, batch, units: as ONNX has them.
    expected = sequence.transpose(2, 0, 1, 3).reshape(batch, time, -1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=3e-6)
    for way in range(len(directions)):
        np.testing.assert_allclose(finals[2 * way], h[way], rtol=1e-5, atol=3e-6)
        np.testing.assert_allclose(finals[2 * way + 1], c[way], rtol=1e-5, atol=3e-6)
