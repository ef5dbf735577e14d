"""nn.RNN, nn.LSTM and nn.GRU of PyTorch against foliot: outputs, states and gradients, with the weights converted; CTC.

PyTorch keeps (gates * hidden, in) matrices and two biases. Its LSTM has Keras's gate order; its GRU has r, z, n where
Keras has z, r, h, and resets after the product.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import losses
from parity.native import Native, assert_gradients_close, assert_outputs_close
from parity.problems import cell_problem
from parity.test_parity_whole_losses import problem
from peers.torch_layouts import swap_gru_gates

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed", exc_type=ImportError)

SIZES = st.sampled_from([1, 2, 7, 8, 9, 16, 17, 33])
MODULES = {"simple_rnn": "RNN", "lstm": "LSTM", "lstm_projected": "LSTM", "gru": "GRU"}


@pytest.mark.parametrize("cell", MODULES)
@given(batch=SIZES, time=st.integers(1, 7), features=SIZES, units=SIZES, seed=st.integers(0, 2**32 - 1))
def test_outputs_and_gradients(cell: str, batch: int, time: int, features: int, units: int, seed: int) -> None:
    if cell == "lstm_projected":
        units += 2  # PyTorch wants h to be shorter than c
    problem = cell_problem(cell, batch, time, features, units, seed=seed, learned=False, return_sequences=True)
    kernel, recurrent_kernel, bias, *projection = (swap_gru_gates(cell, weight) for weight in problem.weights)
    # One bias where Keras has one: the other is 0 and gets the same gradient.
    biases = bias if cell == "gru" else np.stack([bias, np.zeros_like(bias)])

    options: dict[str, Any] = {"batch_first": True, "dtype": torch.float64}
    if projection:
        options["proj_size"] = projection[0].shape[1]
    module = getattr(torch.nn, MODULES[cell])(features, units, **options)
    with torch.no_grad():
        for kernel_of_output in projection:
            module.weight_hr_l0.copy_(torch.tensor(kernel_of_output.T))
        module.weight_ih_l0.copy_(torch.tensor(kernel.T))
        module.weight_hh_l0.copy_(torch.tensor(recurrent_kernel.T))
        module.bias_ih_l0.copy_(torch.tensor(biases[0]))
        module.bias_hh_l0.copy_(torch.tensor(biases[1]))
    x, *states = (torch.tensor(value, dtype=torch.float64) for value in problem.inputs)
    initial = tuple(state[None] for state in states)
    is_lstm = MODULES[cell] == "LSTM"
    sequence, final = module(x, initial if is_lstm else initial[0])
    outputs = [sequence, *(state[0] for state in (final if is_lstm else [final]))]

    native = Native(problem)
    for index, (actual, expected) in enumerate(zip(native.forward(), outputs, strict=True)):
        assert_outputs_close(actual, expected.detach().numpy(), f"output {index}")

    total = sum(
        scale * torch.mean((output - torch.tensor(target)) ** 2)
        for scale, output, target in zip(problem.training["loss_weights"], outputs, problem.targets, strict=True)
    )
    total.backward()
    loss, gradients = native.gradients()
    assert loss == pytest.approx(float(total.detach()), rel=1e-5)
    d_bias = module.bias_ih_l0.grad.numpy()
    expected_gradients = [
        swap_gru_gates(cell, module.weight_ih_l0.grad.numpy().T),
        swap_gru_gates(cell, module.weight_hh_l0.grad.numpy().T),
        swap_gru_gates(cell, np.stack([d_bias, module.bias_hh_l0.grad.numpy()])) if cell == "gru" else d_bias,
        *(module.weight_hr_l0.grad.numpy().T for _ in projection),
    ]
    assert len(gradients) == len(expected_gradients)
    for name, actual, expected in zip(problem.graph.names, gradients, expected_gradients, strict=True):
        assert_gradients_close(actual, expected, name)


@given(batch=st.integers(1, 4), steps=st.integers(2, 9), classes=st.integers(2, 5), seed=st.integers(0, 2**32 - 1))
def test_ctc(batch: int, steps: int, classes: int, seed: int) -> None:
    """Values and gradients of the logits, for labels that can come in the time."""
    random = np.random.default_rng(seed)
    labels = np.zeros((batch, steps), np.int32)
    for row in labels:
        drawn = random.integers(1, classes, random.integers(1, steps // 2 + 1))
        row[: len(drawn)] = drawn
    logits = random.normal(size=(batch, steps, classes)).astype(np.float32)
    tensor = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    lengths = torch.full((batch,), steps)
    counts = torch.tensor((labels != 0).sum(1))
    log = tensor.log_softmax(-1).transpose(0, 1)
    expected = torch.nn.functional.ctc_loss(log, torch.tensor(labels), lengths, counts, blank=0, reduction="none")
    np.testing.assert_allclose(losses.ctc(labels, logits), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    expected.mean().backward()
    loss, _, (gradient,) = Native(problem({"kind": "ctc"}, labels, logits, None, "sum_over_batch_size")).all_gradients()
    assert loss == pytest.approx(float(expected.mean().detach()), rel=1e-5)
    assert gradient is not None
    assert_gradients_close(gradient, tensor.grad.numpy(), "logits")
