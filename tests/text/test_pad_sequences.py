"""pad_sequences against values worked out by hand from Keras's rules."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foliot.preprocessing.sequence import pad_sequences

ROWS = [[1], [2, 3], [4, 5, 6], []]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6], [0, 0, 0]]),
        ({"padding": "post", "value": 9}, [[1, 9, 9], [2, 3, 9], [4, 5, 6], [9, 9, 9]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6], [0, 0]]),
        ({"maxlen": 2, "truncating": "post", "padding": "post"}, [[1, 0], [2, 3], [4, 5], [0, 0]]),
        ({"maxlen": np.int64(1)}, [[1], [3], [6], [0]]),
    ],
)
def test_options(options, expected):
    for rows in (ROWS, [tuple(row) for row in ROWS], [np.array(row, np.int16) for row in ROWS]):
        padded = pad_sequences(rows, **options)
        assert padded.dtype == np.int32
        np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64", "float16", "float32", ">i4", "complex64"]
)
def test_dtypes(dtype):
    padded = pad_sequences(ROWS, dtype=dtype, value=7)
    assert padded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(padded, [[7, 7, 1], [7, 2, 3], [4, 5, 6], [7, 7, 7]])


def test_fractions_survive_in_a_float_dtype():
    np.testing.assert_array_equal(pad_sequences([[0.5, 1], [2]], dtype="float32", value=-1.5), [[0.5, 1], [-1.5, 2]])


@pytest.mark.parametrize("rows", [[[1.5, 2.0]], [np.array([1.5, 2.0])], np.array([[1.5, 2.0]])])
def test_lost_fractions_are_told(rows):
    with pytest.warns(UserWarning, match="`sequences` holds fractions.*int32") as caught:
        np.testing.assert_array_equal(pad_sequences(rows), [[1, 2]])
    assert caught[0].filename == __file__


def test_whole_floats_and_kept_fractions_are_not_worth_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(pad_sequences([[1.0, 2.0]]), [[1, 2]])
        pad_sequences([[1.5]], dtype="float64")


def test_maxlen_zero():
    for truncating in ("pre", "post"):
        assert pad_sequences(ROWS, maxlen=0, truncating=truncating).shape == (4, 0)
        assert pad_sequences([["a"], []], maxlen=0, dtype=object, truncating=truncating).shape == (2, 0)


def test_nothing_to_pad():
    assert pad_sequences([[], []]).shape == (2, 0)
    assert pad_sequences([], maxlen=3).shape == (0, 3)
    np.testing.assert_array_equal(pad_sequences([[], []], maxlen=2, value=5), [[5, 5], [5, 5]])


def test_vectors_per_step():
    rows = [[[1, 2]], [], [[3, 4], [5, 6]]]
    expected = [[[0, 0], [1, 2]], [[0, 0], [0, 0]], [[3, 4], [5, 6]]]
    np.testing.assert_array_equal(pad_sequences(rows), expected)
    np.testing.assert_array_equal(pad_sequences([np.array(row).reshape(-1, 2) for row in rows]), expected)
    assert pad_sequences([np.zeros((2, 0)), np.zeros((1, 0))]).shape == (2, 2, 0)


def test_arrays():
    square = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(pad_sequences(square, maxlen=4), [[0, 0, 1, 2], [0, 3, 4, 5]])
    np.testing.assert_array_equal(pad_sequences(square.T, maxlen=1), [[3], [4], [5]])
    np.testing.assert_array_equal(pad_sequences([square[0, ::2], square[1, ::-1]]), [[0, 0, 2], [5, 4, 3]])
    ragged = np.array([[1], [2, 3]], dtype=object)
    np.testing.assert_array_equal(pad_sequences(ragged), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(square, np.arange(6).reshape(2, 3))


def test_strings():
    rows = [["to", "be"], ["or"]]
    padded = pad_sequences(rows, dtype=object, value="<pad>")
    assert padded.tolist() == [["to", "be"], ["<pad>", "or"]]
    assert pad_sequences(rows, dtype="object", value="<pad>").tolist() == padded.tolist()
    assert pad_sequences(rows, dtype="<U5", value="<pad>").tolist() == padded.tolist()
    assert pad_sequences([np.array(row) for row in rows], dtype="<U5", value="x").tolist() == [
        ["to", "be"],
        ["x", "or"],
    ]


def test_mixed_rows():
    np.testing.assert_array_equal(
        pad_sequences([[1], (2, 3), np.array([4]), range(2)]), [[0, 1], [2, 3], [0, 4], [0, 1]]
    )
    np.testing.assert_array_equal(pad_sequences([[np.int64(1), True]]), [[1, 1]])


@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        ({"padding": "before"}, ValueError, ["`padding`", "'pre' or 'post'", "'before'"]),
        ({"truncating": None}, ValueError, ["`truncating`", "None"]),
        ({"maxlen": -1}, ValueError, ["`maxlen`", "-1"]),
        ({"maxlen": 2.0}, TypeError, ["`maxlen`", "2.0"]),
        ({"value": "x"}, ValueError, ["`value`", "dtype=object", "'x'"]),
        ({"sequences": (row for row in ROWS)}, ValueError, ["`sequences`", "generator"]),
        ({"sequences": [[1], 5]}, ValueError, ["`sequences[1]`", "int 5"]),
        ({"sequences": []}, ValueError, ["`sequences`", "at least one"]),
        ({"sequences": [[], [[1, 2]], [3]]}, ValueError, ["`sequences[2]`", "(2,)", "()"]),
        ({"sequences": [[1], [[1, 2], [3]]]}, ValueError, ["`sequences[1]`"]),
        ({"sequences": [[1], ["a"]]}, ValueError, ["`sequences[1]`", "'a'"]),
        ({"sequences": [[1], [None]]}, TypeError, ["`sequences[1]`", "None"]),
        ({"maxlen": True}, TypeError, ["`maxlen`", "True"]),
        ({"maxlen": "3"}, TypeError, ["`maxlen`", "'3'"]),
        ({"maxlen": 2**70}, ValueError, ["`maxlen`", str(2**70)]),
        ({"maxlen": 2**60}, ValueError, ["`maxlen`", "memory", str(2**60), f"{2**64} bytes"]),
        ({"maxlen": 2**60, "sequences": [["a"]], "dtype": object}, ValueError, ["`maxlen`", "memory", str(2**60)]),
        ({"dtype": "int33"}, TypeError, ["`dtype`", "'int33'"]),
        ({"dtype": 3}, TypeError, ["`dtype`", "3"]),
        ({"value": None}, TypeError, ["`value`", "int32", "None"]),
        ({"value": [1, 2]}, TypeError, ["`value`", "[1, 2]"]),
        ({"value": np.nan}, ValueError, ["`value`", "int32", "nan"]),
        ({"value": 300, "dtype": "int8"}, ValueError, ["`value`", "int8", "300"]),
        ({"value": 2**70}, ValueError, ["`value`", "int32"]),
        ({"value": "when", "dtype": "datetime64[s]"}, ValueError, ["`value`", "'when'"]),
        ({"sequences": [[1], [300]], "dtype": "int8"}, ValueError, ["`sequences[1]`", "300"]),
        ({"sequences": [[1], [300]], "dtype": "int8"}, OverflowError, ["`sequences[1]`", "300"]),
        ({"sequences": [[1], [2**70]]}, OverflowError, ["`sequences[1]`"]),
        ({"sequences": [[1], [2, 2**70]]}, ValueError, ["`sequences[1]`"]),
        ({"sequences": [[1], [1 + 2j]]}, ValueError, ["`sequences[1]`", "int32", "2j"]),
        ({"sequences": np.ma.masked_equal([[1, 2], [3, 4]], 4)}, ValueError, ["`sequences`", "row 1", ".filled("]),
        ({"sequences": [[1], np.ma.masked_equal([3, 4], 4)]}, ValueError, ["`sequences`", "row 1", ".filled("]),
        ({"sequences": [{1: 2}]}, (TypeError, ValueError), ["`sequences[0]`"]),
    ],
)
def test_bad_input(arguments, error, parts):
    with pytest.raises(error) as caught:
        pad_sequences(**{"sequences": ROWS, **arguments})
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (2**31, "int32"),
        (-(2**31) - 1, "int32"),
        (2**63, "int64"),
        (-1, "uint8"),
        (256, "uint8"),
        (np.nan, "int32"),
        (-np.inf, "int64"),
        (2.0**31, "int32"),
        (2.0**63, "int64"),
        (2.0**64, "uint64"),
        (-1.0, "uint16"),
        (1e300, "float32"),
        (70000, "float16"),
    ],
)
def test_numbers_that_the_dtype_cannot_hold(number, dtype):
    """As lists, as arrays and as a matrix: NumPy itself would wrap some of them around in silence."""
    for rows in ([[1], [2, number]], [np.array([1.0]), np.array([2.0, number])], np.array([[1, 1], [2, number]])):
        if not isinstance(rows, list) and number == 2**63 and rows.dtype.kind != "u":
            rows = rows.astype(np.uint64)
        with pytest.raises(ValueError, match=rf"`sequences\[1\]`: expected numbers that {dtype} can hold, not"):
            pad_sequences(rows, dtype=dtype)
        # What is cut off need not fit.
        np.testing.assert_array_equal(
            pad_sequences(rows, maxlen=1, truncating="post", dtype=dtype), np.array([[1], [2]], dtype=dtype)
        )


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (2**31 - 1, "int32"),
        (-(2**31), "int32"),
        (2**64 - 1, "uint64"),
        (-(2.0**63), "int64"),
        (np.nan, "float32"),
        (np.inf, "float16"),
        (3e38, "float32"),
    ],
)
def test_numbers_at_the_ends_of_the_dtype(number, dtype):
    for rows in ([[number]], [np.array([number])], np.array([[number]])):
        np.testing.assert_array_equal(pad_sequences(rows, dtype=dtype), np.array([[number]], dtype=dtype))


@given(
    rows=st.lists(st.lists(st.integers(1, 100), max_size=9), min_size=1, max_size=20),
    maxlen=st.none() | st.integers(0, 12),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
    as_arrays=st.booleans(),
)
def test_every_row_keeps_its_values_in_order(rows, maxlen, padding, truncating, as_arrays):
    given_rows = [np.array(row, np.int64) for row in rows] if as_arrays else rows
    padded = pad_sequences(given_rows, maxlen=maxlen, padding=padding, truncating=truncating)
    columns = max(map(len, rows)) if maxlen is None else maxlen
    assert padded.shape == (len(rows), columns)
    for row, out in zip(rows, padded.tolist(), strict=True):
        cut = max(len(row) - columns, 0)
        kept = row[cut:] if truncating == "pre" else row[: len(row) - cut]
        free = [0] * (columns - len(kept))
        assert out == (free + kept if padding == "pre" else kept + free)


@given(
    hnp.arrays(
        st.sampled_from([np.int32, np.float64]), hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=5)
    )
)
def test_an_array_of_full_rows_comes_back(array):
    padded = pad_sequences(array, maxlen=array.shape[1], dtype=array.dtype)
    if array.size:
        np.testing.assert_array_equal(padded, array)
    assert padded is not array
