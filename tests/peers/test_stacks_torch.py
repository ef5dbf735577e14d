"""Stacks of recurrent layers, in one direction or both, on packed sequences of PyTorch and on foliot's ragged rows.

Outputs at every step, the last states, the loss and all gradients, with the weights converted by torch_layouts.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foliot
from foliot import layers
from peers.torch_layouts import swap_gru_gates

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed", exc_type=ImportError)

CELLS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "LSTM projected": "LSTM", "GRU": "GRU"}
SIZES = st.sampled_from([1, 2, 7, 8, 9, 17])


def converted(module: Any, cell: str, values: dict[str, Any]) -> list[np.ndarray]:
    """Weights (or gradients) of a module, as a stack of foliot's layers lists them."""
    kind = cell.lower()
    found = []
    for layer in range(module.num_layers):
        for suffix in ("", "_reverse") if module.bidirectional else ("",):
            name = f"l{layer}{suffix}"
            biases = [values[f"bias_{which}_{name}"] for which in ("ih", "hh")]
            found += [swap_gru_gates(kind, values[f"weight_{which}_{name}"].T) for which in ("ih", "hh")]
            # One bias where Keras has one: the other is 0, and its gradient the same.
            found.append(swap_gru_gates(kind, np.stack(biases)) if cell == "GRU" else biases[0])
            found += [values[f"weight_hr_{name}"].T] if module.proj_size else []
    return found


def stack(cell: str, depth: int, features: int, both: bool, sequences: bool, **sizes: int) -> Any:
    model = foliot.Sequential([layers.Input((None, features))])
    for position in range(depth):
        layer = getattr(layers, cell.removesuffix(" projected"))(
            return_sequences=sequences or position < depth - 1, **sizes
        )
        model.add(layers.Bidirectional(layer) if both else layer)
    return model


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("cell", CELLS)
@given(
    depth=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=9),
    features=SIZES,
    units=SIZES,
    seed=st.integers(0, 2**32 - 1),
)
def test_packed_stacks(
    cell: str, both: bool, depth: int, lengths: list[int], features: int, units: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sizes = {"units": units}
    projection = {}
    if cell == "LSTM projected":
        units += 1  # PyTorch wants h to be shorter than c
        projection = {"proj_size": units // 2}
        sizes = {"units": units, **projection}
    options = {"num_layers": depth, "batch_first": True, "bidirectional": both, "dtype": torch.float64}
    module = getattr(torch.nn, CELLS[cell])(features, units, **options, **projection)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            is_second = name.startswith("bias_hh") and cell != "GRU"
            value = np.zeros(parameter.shape) if is_second else random.normal(scale=0.4, size=parameter.shape)
            parameter.copy_(torch.tensor(value.astype(np.float32)))
    weights = converted(module, cell, {name: value.detach().numpy() for name, value in module.named_parameters()})

    time = max(lengths)
    x = random.normal(size=(len(lengths), time, features)).astype(np.float32)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x, dtype=torch.float64), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    outputs, final = module(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=time)
    states = (final[0] if CELLS[cell] == "LSTM" else final).detach().numpy()
    last = np.concatenate(states[-2:], axis=-1) if both else states[-1]

    model = stack(cell, depth, features, both, sequences=True, **sizes)
    model.set_weights(weights)
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    mask = np.arange(time) < np.array(lengths)[:, None]
    expected = padded.detach().numpy()
    for answer in (model.predict(rows, verbose=0), model.predict(x, lengths=lengths, verbose=0)):
        np.testing.assert_allclose(answer[mask], expected[mask], atol=3e-6)
    ending = stack(cell, depth, features, both, sequences=False, **sizes)
    ending.set_weights(weights)
    np.testing.assert_allclose(ending.predict(x, lengths=lengths, verbose=0), last, atol=3e-6)

    target = random.normal(size=expected.shape).astype(np.float32)
    counted = torch.tensor(mask)[..., None]
    loss = (((padded - torch.tensor(target)) ** 2) * counted).sum() / (mask.sum() * expected.shape[-1])
    loss.backward()
    gradients = converted(module, cell, {name: value.grad.numpy() for name, value in module.named_parameters()})
    model.compile(foliot.optimizers.SGD(1.0), "mse")
    assert model.train_on_batch(x, target, lengths=lengths) == pytest.approx(float(loss.detach()), rel=1e-5)
    # A step at rate 1 takes the gradient off each weight, whose own rounding is in the difference.
    for before, after, gradient in zip(weights, model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(before - after, gradient, rtol=1e-4, atol=2e-6)
