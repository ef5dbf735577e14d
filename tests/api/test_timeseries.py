"""Windows over time series; Keras's are in tests/peers."""

import json

import numpy as np
import pytest

from foliot.layers import GRU, Dense
from foliot.models import Sequential
from foliot.preprocessing.sequence import TimeseriesGenerator, timeseries_generator_from_json
from foliot.utils import set_random_seed, timeseries_dataset_from_array

SERIES = np.arange(40.0).reshape(20, 2)


def windows(data, targets, length, stride, rate, start, end):
    """One window after the other, as the documentation says."""
    data, targets = data[start:end], None if targets is None else targets[start:end]
    found = []
    for first in range(0, len(data), stride):
        steps = [first + rate * step for step in range(length)]
        if steps[-1] < len(data) and (targets is None or first < len(targets)):
            found.append((data[steps], None if targets is None else targets[first]))
    return found


@pytest.mark.parametrize("length", [1, 3, 5])
@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize(("start", "end"), [(None, None), (4, None), (None, 15), (3, 17)])
@pytest.mark.parametrize("batch_size", [4, None, 100])
def test_windows(length, stride, rate, start, end, batch_size) -> None:
    targets = SERIES[:, 0] * 10
    options = {"sequence_stride": stride, "sampling_rate": rate, "start_index": start, "end_index": end}
    for given in (targets, None):
        expected = windows(SERIES, given, length, stride, rate, start or 0, end)
        dataset = timeseries_dataset_from_array(SERIES, given, length, batch_size=batch_size, **options)
        batches = list(dataset)
        assert len(batches) == len(dataset)
        rows = [] if batch_size is None else [len(b[0] if given is not None else b) for b in batches]
        assert all(size == batch_size for size in rows[:-1])
        pairs = batches if given is not None else [(batch, None) for batch in batches]
        join = np.stack if batch_size is None else np.concatenate
        np.testing.assert_array_equal(join([x for x, _ in pairs]), [x for x, _ in expected])
        if given is not None:
            np.testing.assert_array_equal(join([y for _, y in pairs]), [y for _, y in expected])


def test_a_random_order() -> None:
    dataset = timeseries_dataset_from_array(SERIES, SERIES, 3, batch_size=5, shuffle=True, seed=4)
    passes = [np.concatenate([y for _, y in dataset]) for _ in range(2)]
    assert not np.array_equal(*passes)
    for rows in passes:
        np.testing.assert_array_equal(np.sort(rows, axis=0), SERIES[:18])
    again = timeseries_dataset_from_array(SERIES, SERIES, 3, batch_size=5, shuffle=True, seed=4)
    np.testing.assert_array_equal(np.concatenate([y for _, y in again]), passes[0])


def test_training_on_windows() -> None:
    network = Sequential([GRU(4), Dense(1)])
    network.compile("adam", "mse")
    scaled = SERIES / 40
    train = timeseries_dataset_from_array(scaled[:-3], scaled[3:, :1], 3, batch_size=4)
    history = network.fit(train, epochs=30, validation_data=train, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    generator = TimeseriesGenerator(scaled, scaled[:, :1], length=3, batch_size=4)
    assert network.evaluate(generator, verbose=0) < history["loss"][0]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sequence_length": 0}, "`sequence_length`: expected an integer, at least 1"),
        ({"sequence_stride": 0}, "`sequence_stride`"),
        ({"sequence_stride": 20}, "`sequence_stride`: expected an integer, at least 1 and at most 19"),
        ({"sampling_rate": 20}, "`sampling_rate`"),
        ({"start_index": 20}, "`start_index`"),
        ({"start_index": 5, "end_index": 5}, "`end_index`: expected an integer, at least 6"),
        ({"end_index": 20}, "`end_index`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"data": []}, "`data`: expected a series of at least one step"),
        ({"targets": SERIES[:8], "start_index": 5}, "`targets`: expected one for each step"),
    ],
)
def test_what_is_refused(options, text) -> None:
    with pytest.raises(ValueError, match=text):
        timeseries_dataset_from_array(**{"data": SERIES, "targets": None, "sequence_length": 3} | options)


def test_generators() -> None:
    generator = TimeseriesGenerator(
        SERIES, SERIES[:, 0], length=4, sampling_rate=2, stride=3, batch_size=2, reverse=True
    )
    assert len(generator) == 3
    x, y = generator[1]
    np.testing.assert_array_equal(y, SERIES[[10, 13], 0])
    np.testing.assert_array_equal(x, SERIES[[[8, 6], [11, 9]]])
    again = timeseries_generator_from_json(generator.to_json(indent=1))
    assert again.get_config() == generator.get_config()
    assert json.loads(generator.to_json())["class_name"] == "TimeseriesGenerator"
    np.testing.assert_array_equal(again[1][0], x)


def test_generators_at_random_places() -> None:
    def draw(workers: int) -> list[np.ndarray]:
        set_random_seed(1)
        generator = TimeseriesGenerator(SERIES, SERIES, 4, shuffle=True, batch_size=6, workers=workers)
        first = generator[0][1]
        generator.on_epoch_end()
        return [first, generator[0][1]]

    first, second = draw(1)
    assert not np.array_equal(first, second)
    assert first.min() >= 8
    for mine, other in zip(draw(3), (first, second), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_generators_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="`targets`: expected one for each of the 20 steps"):
        TimeseriesGenerator(SERIES, SERIES[1:], 3)
    with pytest.raises(ValueError, match="`start_index`, `length`: expected a sum of at most `end_index`, 19"):
        TimeseriesGenerator(SERIES, SERIES, 20)
