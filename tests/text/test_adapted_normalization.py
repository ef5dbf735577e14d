"""Normalization, against NumPy in float64."""

import json

import numpy as np
import pytest

from foliot.layers import Normalization
from foliot.preprocessing.sequence import pad_sequences

RNG = np.random.default_rng(0)
X = RNG.normal(5.0, 3.0, size=(7, 4, 3))


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (-1, 1), 2])
@pytest.mark.parametrize("batched", [False, True])
def test_means_by_axis(axis, batched) -> None:
    layer = Normalization(axis=axis)
    layer.adapt((X[at : at + 3] for at in range(0, 7, 3)) if batched else X)
    kept = () if axis is None else (axis,) if isinstance(axis, int) else axis
    rest = tuple(place for place in range(3) if place not in [item % 3 for item in kept])
    mean, deviation = X.mean(rest, keepdims=True), X.std(rest, keepdims=True)
    np.testing.assert_allclose(layer(X), (X - mean) / deviation, rtol=1e-6, atol=1e-6)
    assert layer(X).dtype == np.float32
    back = Normalization(axis, layer.mean, layer.variance, invert=True)
    np.testing.assert_allclose(back(layer(X)), X, rtol=1e-5)
    again = Normalization.from_config(json.loads(json.dumps(layer.get_config())))
    np.testing.assert_array_equal(again(X), layer(X))


def test_padding_counts_for_nothing() -> None:
    rows = [RNG.normal(size=(length, 2)) for length in (3, 1, 5)]
    padded = pad_sequences(rows, dtype="float64", value=99.0)
    mask = pad_sequences([[1] * len(row) for row in rows])
    layer = Normalization()
    layer.adapt(padded, mask=mask)
    values = np.concatenate(rows)
    np.testing.assert_allclose(layer.mean, values.mean(0))
    np.testing.assert_allclose(layer.variance, values.var(0))
    with pytest.raises(ValueError, match="`mask`: expected None unless"):
        Normalization(axis=None).adapt(np.zeros((2, 3)), mask=np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one value"):
        layer.adapt(padded, mask=np.zeros(mask.shape))


def test_large_means_and_constant_features() -> None:
    x = np.stack([RNG.normal(1e8, 1.0, 1000), np.full(1000, 3.0)], axis=1)
    layer = Normalization()
    layer.adapt(np.array_split(x, 9).__iter__())
    np.testing.assert_allclose(layer.variance, x.var(0), rtol=1e-6)
    assert np.all(layer(x)[:, 1] == 0)


def test_given_statistics() -> None:
    assert Normalization(mean=1.0, variance=4.0)([[5.0, 1.0]]).tolist() == [[2.0, 0.0]]
    assert Normalization(mean=[1.0, 0.0], variance=[4.0, 1.0])([[5.0, 1.0]]).tolist() == [[2.0, 1.0]]


def test_what_is_refused() -> None:
    with pytest.raises(RuntimeError, match="call adapt first"):
        Normalization()(X)
    with pytest.raises(ValueError, match="expected both or none"):
        Normalization(mean=1.0)
    with pytest.raises(ValueError, match="`variance`: expected the shape"):
        Normalization(mean=[1.0], variance=2.0)
    with pytest.raises(ValueError, match="in the constructor where adapt"):
        Normalization(mean=1.0, variance=1.0).adapt(X)
    with pytest.raises(ValueError, match="`axis`"):
        Normalization(axis=3).adapt(X)
    layer = Normalization()
    layer.adapt(X)
    with pytest.raises(ValueError, match="`inputs`: expected 3 values along axis 1"):
        layer(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`data`: expected batches alike"):
        layer.adapt(iter([X, X[..., :2]]))


def test_padding_of_any_form_counts_for_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = [rng.normal(2.0, 3.0, (length, 2)) for length in (4, 1, 0, 6)]
    padded, ends = np.full((4, 6, 2), 99.0), [4, 1, 0, 6]
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    mask = np.arange(6) < np.array(ends)[:, None]
    steps = np.concatenate(rows)
    expected = steps.mean(axis=0), steps.var(axis=0)

    def masked_batches():
        yield padded[:2], mask[:2]
        yield padded[2:], mask[2:]

    for data, options in (
        (rows, {}),
        ([row.tolist() or np.empty((0, 2)) for row in rows], {}),
        (padded, {"lengths": ends}),
        (padded, {"mask": mask}),
        (masked_batches(), {}),
        (iter([rows[:2], rows[2:]]), {}),
        (iter([(padded[:3], mask[:3]), rows[3:]]), {}),
    ):
        layer = Normalization()
        layer.adapt(data, **options)
        np.testing.assert_allclose(layer.mean, expected[0], rtol=1e-12)
        np.testing.assert_allclose(layer.variance, expected[1], rtol=1e-12)


@pytest.mark.parametrize("axis", [1, (1, 2)])
@pytest.mark.parametrize("name", ["mask", "lengths"])
def test_padding_and_means_of_each_step_do_not_go_together(axis, name) -> None:
    value = {"mask": np.ones((2, 3)), "lengths": [1, 2]}[name]
    with pytest.raises(ValueError, match=rf"^`{name}`: expected None unless .* with axis="):
        Normalization(axis=axis).adapt(np.zeros((2, 3, 1)), **{name: value})


def test_what_padding_holds_does_not_matter() -> None:
    x = RNG.normal(size=(2, 3, 2))
    plain, spoilt = x.copy(), x.copy()
    plain[0, 1:], spoilt[0, 1:] = 0.0, np.nan
    for axis in (-1, None):
        one, other = Normalization(axis), Normalization(axis)
        one.adapt(plain, lengths=[1, 3])
        other.adapt(spoilt, mask=[[1, 0, 0], [1, 1, 1]])
        values = np.concatenate([x[0, :1], x[1]])
        np.testing.assert_allclose(one.mean, values.mean(0 if axis == -1 else None), rtol=1e-12)
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_array_equal(one.variance, other.variance)


@pytest.mark.parametrize("data", [3, None, "abc"])
def test_data_are_numbers(data) -> None:
    with pytest.raises(TypeError, match=r"^`data`"):
        Normalization().adapt(data)


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (iter([np.zeros((2, 3, 1))]), {"mask": np.ones((2, 3))}, r"tuples \(data, mask\)"),
        (iter([np.zeros((2, 3, 1))]), {"lengths": [1, 2]}, r"tuples \(data, mask\)"),
        ([np.zeros((2, 1)), np.zeros((3, 1))], {"lengths": [1, 2]}, "different lengths"),
        (np.zeros((2, 3, 1)), {"lengths": [1, 2], "mask": np.ones((2, 3))}, "together with"),
        (np.zeros((2, 3, 1)), {"lengths": [1, 4]}, "lengths from 0 to 3"),
        (np.zeros((2, 3, 1)), {"lengths": [1]}, "a length for each row"),
        (np.zeros(3), {"lengths": [1]}, "time axis"),
        (np.zeros((2, 3)), {"lengths": [1, 2]}, "^`lengths`: expected None unless means are per feature"),
        (np.zeros((2, 3)), {"mask": np.ones((2, 3))}, "^`mask`: expected None unless means are per feature"),
        ([[1.0], [1.0, 2.0]], {}, "^`data`: expected rows of one length unless means are per feature"),
        ((np.zeros((2, 3, 1)), np.ones((2, 3))), {}, "^`data`: expected the data alone, and their mask as mask="),
        (iter([([np.zeros((2, 1)), np.zeros((3, 1))], np.ones((2, 3)))]), {}, "^`mask`: expected None for rows of"),
        (iter([(np.zeros((2, 3, 1)), [1, 2])]), {}, r"^`data`: expected batches .* tuples \(data, mask\)"),
        (iter([(np.zeros((2, 3, 1)), np.ones((2, 3)), np.ones(2))]), {}, r"^`data`: .* tuples \(data, mask\)"),
        (np.zeros((2, 3, 1)), {"mask": np.ones((2, 2))}, r"^`mask`: expected shape \(2, 3\)"),
        (np.zeros((2, 3, 1)), {"mask": np.full((2, 3), 0.5)}, "^`mask`: expected True or False"),
        ([np.zeros((2, 1)), np.zeros((3, 2))], {}, "differ in their length only"),
    ],
)
def test_lengths_that_do_not_fit(data, options, match) -> None:
    with pytest.raises(ValueError, match=match):
        Normalization().adapt(data, **options)
