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
