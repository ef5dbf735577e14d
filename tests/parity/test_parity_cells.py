"""Every recurrent cell against the oracle: outputs, and the gradient of every weight, of the inputs and of the initial
states, by name.

Sizes straddle the widths of vectors and register tiles; `test_parity_isa.py` runs this module again on every other
instruction set.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .graphs import ALL_ACTIVATIONS, ALL_CELLS, SOFTMAX, TANH
from .native import compare
from .problems import cell_problem

SIZES = st.sampled_from([1, 7, 8, 9, 15, 16, 17, 31, 32, 33])
SEEDS = st.integers(0, 2**32 - 1)
cells = pytest.mark.parametrize("cell", ALL_CELLS)

# The usual one compiles into the kernels; the others run by rows, with a slope from the input or a whole row at once.
KINDS = [TANH, TANH, {"kind": "gelu", "approximate": False}, SOFTMAX]

OPTIONS = st.fixed_dictionaries(
    {
        "activation": st.sampled_from(KINDS),
        "mask": st.sampled_from([None, "right", "left", "interior"]),
        "initial_state": st.booleans(),
        "use_bias": st.booleans(),
        "go_backwards": st.booleans(),
        "return_sequences": st.booleans(),
        "zero_output_for_mask": st.booleans(),
    }
)


@cells
@given(batch=SIZES, time=st.sampled_from([1, 2, 3, 7, 9]), features=SIZES, units=SIZES, seed=SEEDS, options=OPTIONS)
def test_learned_inputs(
    cell: str, batch: int, time: int, features: int, units: int, seed: int, options: dict[str, Any]
) -> None:
    compare(cell_problem(cell, batch, time, features, units, seed=seed, learned=True, **options))


@cells
@given(batch=SIZES, time=st.sampled_from([1, 2, 3, 7, 9]), features=SIZES, units=SIZES, seed=SEEDS, options=OPTIONS)
def test_plain_inputs(
    cell: str, batch: int, time: int, features: int, units: int, seed: int, options: dict[str, Any]
) -> None:
    compare(cell_problem(cell, batch, time, features, units, seed=seed, learned=False, **options))


@cells
@pytest.mark.parametrize("mask", [None, "right", "interior"])
@pytest.mark.parametrize(("learned", "activation"), [(False, TANH), (True, TANH), (True, {"kind": "silu"})])
def test_larger_than_a_block(cell: str, mask: str | None, learned: bool, activation: dict[str, Any]) -> None:
    """Enough rows, steps, features and units for every loop over blocks to go around more than once."""
    options: dict[str, Any] = {"mask": mask, "learned": learned, "activation": activation, "return_sequences": True}
    compare(cell_problem(cell, 70, 21, 45, 131, seed=5, **options))


@pytest.mark.parametrize("cell", [cell for cell in ALL_CELLS if cell.endswith("heads")])
@pytest.mark.parametrize(("units", "heads"), [(128, 4), (96, 2), (60, 5)])
@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.3])
def test_heads(cell: str, units: int, heads: int, recurrent_dropout: float) -> None:
    """Heads of whole blocks of columns, and those whose ends lie inside a block."""
    options: dict[str, Any] = {"mask": "right", "return_sequences": True, "recurrent_dropout": recurrent_dropout}
    compare(cell_problem(cell, 33, 9, 5, units, seed=9, heads=heads, **options), step=2)


@given(batch=SIZES, parts=st.sampled_from([1, 3, 8, 17]), heads=st.integers(2, 4), seed=SEEDS, options=OPTIONS)
def test_heads_with_a_projection(batch: int, parts: int, heads: int, seed: int, options: dict[str, Any]) -> None:
    sizes = {"proj_size": heads * (parts // 2 + 1), "heads": heads}
    compare(cell_problem("lstm_heads", batch, 5, 4, heads * parts, seed=seed, learned=True, **sizes, **options))


@cells
def test_long_sequence(cell: str) -> None:
    compare(cell_problem(cell, 3, 400, 5, 19, seed=6, mask="right", return_sequences=True))


in_cells = pytest.mark.parametrize("activation", ALL_ACTIVATIONS, ids=lambda spec: spec["kind"])


def steps(activation: dict[str, Any]) -> int:
    """Two, so that gates without bounds do not multiply up; one for those that go fastest: the exponential of an
    exponential soon leaves the range of floats.
    """
    return 1 if activation["kind"] in ("exponential", "log_softmax") else 2


@cells
@in_cells
def test_activations(cell: str, activation: dict[str, Any]) -> None:
    compare(cell_problem(cell, 9, steps(activation), 5, 17, seed=7, activation=activation, return_sequences=True))


@pytest.mark.parametrize("cell", ["lstm", "lstm_peepholes", "gru", "gru_reset_before"])
@in_cells
def test_recurrent_activations(cell: str, activation: dict[str, Any]) -> None:
    options: dict[str, Any] = {"recurrent_activation": activation, "return_sequences": True}
    compare(cell_problem(cell, 9, steps(activation), 5, 17, seed=8, **options))
