"""The oracle's hand-written gradients against central differences of its own forward run, element by element and along
a direction."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oracle import activations, dropout, losses
from oracle.network import Network
from parity.graphs import (
    ALL_ACTIVATIONS,
    ALL_CELLS,
    MEAN_SQUARED_ERROR,
    MORE_LOSSES,
    SIGMOID,
    SOFTMAX,
    TANH,
    Graph,
    Spec,
    binary_crossentropy,
    categorical_crossentropy,
    dense,
    embedding,
    focal,
    recurrent,
    sparse_categorical_crossentropy,
    state_sizes,
    training,
    zoneout,
)

# Central differences in float64 of fourth order (Abramowitz and Stegun 25.3.21): truncation of order STEP^4,
# cancellation of order 1e-16 / STEP.
STEP = 1e-4
TOLERANCE = 2e-8

RANDOM = np.random.default_rng(20)


@pytest.fixture(autouse=True)
def _draw_afresh() -> None:
    """The same numbers for a test by itself and among others."""
    RANDOM.bit_generator.state = np.random.default_rng(20).bit_generator.state


def difference(function: Callable[[float], Any]) -> Any:
    """The derivative at 0."""
    near = function(STEP) - function(-STEP)
    return (8 * near - (function(2 * STEP) - function(-2 * STEP))) / (12 * STEP)


def numeric_gradient(function: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """d function / d array by central differences; `array` is changed in place and put back."""
    gradient = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        saved = array[place]

        def moved(by: float, place: tuple[int, ...] = place, saved: Any = saved) -> float:
            array[place] = saved + by
            return function()

        gradient[place] = difference(moved)
        array[place] = saved
    return gradient


def check(network: Network, plan: Spec, inputs: list[np.ndarray], targets: list[np.ndarray], **options: Any) -> None:
    """Every parameter and every float input."""

    def loss() -> float:
        return network.loss(plan, inputs, targets, **options)

    _, gradients, d_inputs = network.loss_and_gradients(plan, inputs, targets, **options)
    assert len(gradients) == len(network.weights)
    for weight, gradient in zip(network.weights, gradients, strict=True):
        np.testing.assert_allclose(gradient, numeric_gradient(loss, weight), rtol=TOLERANCE, atol=TOLERANCE)
    for value, d_value in zip(inputs, d_inputs, strict=True):
        if value.dtype == np.float64:
            np.testing.assert_allclose(d_value, numeric_gradient(loss, value), rtol=TOLERANCE, atol=TOLERANCE)

    # All parameters moved together along one direction: catches an element that the loop above might mishandle.
    direction = [RANDOM.normal(size=weight.shape) for weight in network.weights]
    along = sum(float((d * g).sum()) for d, g in zip(direction, gradients, strict=True))
    start = [weight.copy() for weight in network.weights]

    def moved(by: float) -> float:
        network.weights = [w + by * d for w, d in zip(start, direction, strict=True)]
        return loss()

    assert along == pytest.approx(difference(moved), abs=1e-6)
    network.weights = start


def random_weights(graph: Graph) -> list[np.ndarray]:
    return [RANDOM.normal(scale=0.6, size=shape) for shape in graph.shapes]


MASK = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]], bool)


def check_cell(cell: str, mask: np.ndarray | None, step: int | None = None, **options: Any) -> None:
    """Gradients of sequence or last output and of all states, with respect to weights, inputs and initial states."""
    batch, time, features, units = 4, 3, 2, 2
    graph = Graph()
    x = graph.input("x", (None, features), masked=mask is not None)
    spec = recurrent(cell, units, return_state=True, **options)
    states = [graph.input(f"s{i}", (size,)) for i, size in enumerate(state_sizes(spec))]
    graph.outputs = graph.add(spec, x, *states, name="cell")
    inputs = [RANDOM.normal(size=(batch, time, features))]
    inputs += [RANDOM.normal(size=(batch, size)) for size in state_sizes(spec)]
    network = Network(graph.to_dict(), random_weights(graph))
    outputs = network.forward(inputs, [mask, *([None] * len(states))])
    targets = [RANDOM.normal(size=output.shape) for output in outputs]
    plan = training([MEAN_SQUARED_ERROR] * len(outputs), loss_weights=[1.0 + i for i in range(len(outputs))])
    check(network, plan, inputs, targets, masks=[mask, *([None] * len(states))], step=step)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_cells(cell: str, go_backwards: bool, return_sequences: bool, masked: bool) -> None:
    check_cell(cell, MASK if masked else None, go_backwards=go_backwards, return_sequences=return_sequences)


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_cells_without_bias_and_with_zero_output(cell: str) -> None:
    check_cell(cell, MASK, use_bias=False, return_sequences=True, zero_output_for_mask=True)


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.4), (0.3, 0.4)])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_cells_with_dropout(cell: str, rates: tuple[float, float]) -> None:
    check_cell(cell, None, step=3, dropout=rates[0], recurrent_dropout=rates[1], return_sequences=True)


@pytest.mark.parametrize("step", [None, 3])
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_cells_with_zoneout(cell: str, step: int | None) -> None:
    check_cell(cell, MASK, step=step, return_sequences=True, go_backwards=True, **zoneout(cell, 0.4, 0.3))


@pytest.mark.parametrize(
    "activation",
    [{"kind": "softplus"}, SOFTMAX, {"kind": "gelu", "approximate": False}, {"kind": "mish"}],
    ids=lambda spec: spec["kind"],
)
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_cells_with_other_activations(cell: str, activation: Spec) -> None:
    # The gates of minLSTM share what they sum up to, which must not come near 0.
    gate = "softplus" if cell == "min_lstm" else "softsign"
    gates: Spec = {} if cell == "simple_rnn" else {"recurrent_activation": {"kind": gate}}
    check_cell(cell, MASK, activation=activation, **gates)


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])
def test_activations(activation: Spec) -> None:
    # A grid of odd hundredths misses every bend of the piecewise functions.
    x = np.arange(-391, 400, 10).reshape(8, 10) / 100.0
    if activation["kind"] == "sparsemax":
        x *= 1.03  # whose bends lie where differences add up to 1
    weight = RANDOM.normal(size=x.shape)
    y = activations.forward(activation, x)
    expected = numeric_gradient(lambda: float((weight * activations.forward(activation, x)).sum()), x)
    np.testing.assert_allclose(activations.backward(activation, x, y, weight), expected, rtol=1e-7, atol=TOLERANCE)


LOSSES: list[Spec] = [
    MEAN_SQUARED_ERROR,
    {"kind": "half_mean_squared_error"},
    {"kind": "mean_absolute_error"},
    *(binary_crossentropy(logits, smoothing) for logits in (False, True) for smoothing in (0.0, 0.2)),
    *(categorical_crossentropy(logits, smoothing) for logits in (False, True) for smoothing in (0.0, 0.2)),
    *(sparse_categorical_crossentropy(logits) for logits in (False, True)),
    *MORE_LOSSES,
    *(focal("categorical", alpha=[0.3, 0.1, 2.0, 0.7, 1.1], from_logits=logits) for logits in (False, True)),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda spec: "-".join(str(value) for value in spec.values()))
def test_losses(loss: Spec, reduction: str) -> None:
    prediction = RANDOM.uniform(0.05, 0.95, size=(3, 4, 5))
    target = RANDOM.integers(0, 2, size=prediction.shape).astype(float)
    if loss["kind"] == "sparse_categorical_crossentropy":
        target = RANDOM.integers(0, 5, size=(3, 4))
    if loss["kind"] == "mean_absolute_percentage_error":
        target += 0.5  # hundredths of 0 are far beyond what a difference can tell
    spec = {"loss": loss, "reduction": reduction}
    weight, mask = RANDOM.uniform(0.5, 2, size=(3, 4)), RANDOM.random((3, 4)) < 0.7
    _, gradient = losses.evaluate(spec, target, prediction, weight, mask)
    expected = numeric_gradient(lambda: losses.evaluate(spec, target, prediction, weight, mask)[0], prediction)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=TOLERANCE)


def test_a_deep_network_with_every_other_layer() -> None:
    """Embedding, two recurrent layers, activity penalty, flatten, dense; regularizers on three weights."""
    graph = Graph()
    x = graph.input("x", (4,), dtype="int32")
    l1_l2 = {"regularizer": {"l1": 0.03, "l2": 0.02}}
    (x,) = graph.add(embedding(6, 3, mask_zero=True), x, embeddings=l1_l2)
    (x,) = graph.add(recurrent("gru", 3, return_sequences=True), x, kernel=l1_l2)
    (x,) = graph.add({"kind": "activity_regularization", "l1": 0.1, "l2": 0.2}, x)
    (x,) = graph.add({"kind": "dropout", "rate": 0.3, "seed": 4, "noise_shape": [None, 1, 3]}, x)
    (x,) = graph.add(recurrent("lstm", 2, return_sequences=True, go_backwards=True), x)
    (x,) = graph.add({"kind": "activation", "activation": TANH}, x)
    (x,) = graph.add({"kind": "flatten"}, x)
    graph.outputs = graph.add(dense(2, SIGMOID), x, bias=l1_l2)
    inputs = [np.array([[1, 2, 3, 0], [5, 4, 0, 0], [2, 0, 0, 2]], np.int32)]
    targets = [np.array([[0.0, 1], [1, 1], [0, 0]])]
    network = Network(graph.to_dict(), random_weights(graph))
    check(network, training([binary_crossentropy()]), inputs, targets, step=7)


def test_philox_gives_the_published_numbers() -> None:
    """Known answers of the authors' Random123 distribution."""
    ones = 0xFFFFFFFF
    pi = (0xA4093822299F31D0, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344])
    for key, counter, expected in (
        (0, [0, 0, 0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (2**64 - 1, [ones] * 4, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        ((pi[0] >> 32) | (pi[0] & ones) << 32, pi[1], [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
    ):
        assert dropout.philox(key, np.array([counter])).tolist() == [expected]
