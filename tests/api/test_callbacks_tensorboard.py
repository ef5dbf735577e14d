"""Event files, read back by a decoder of our own that shares no code with the writer."""

import json
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot.callbacks import Callback, TensorBoard
from foliot.callbacks.event_files import EventFile, buckets, masked_crc32c, png
from oracle import event_files as event_reader


@given(st.binary(max_size=60))
def test_the_checksum(data) -> None:
    assert event_reader.unmask(masked_crc32c(data)) == event_reader.crc32c(data)


def test_the_checksum_of_the_standards_example() -> None:
    assert event_reader.crc32c(b"123456789") == 0xE3069283  # RFC 3720
    assert event_reader.unmask(masked_crc32c(b"123456789")) == 0xE3069283


@given(
    st.text(max_size=300),
    st.floats(width=32, allow_nan=False),
    st.integers(0, 2**62),
)
def test_scalars(tmp_path_factory, tag, value, step) -> None:
    folder = tmp_path_factory.mktemp("events")
    file = EventFile(folder)
    file.scalar(tag, value, step)
    file.scalar(tag, 1.5, 0)
    file.close()
    assert event_reader.read(folder) == {tag: [(step, value, "scalars"), (0, 1.5, "scalars")]}


def test_buckets() -> None:
    values = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    table = buckets(values)
    counts, edges = np.histogram(values.astype(np.float64), bins=30)
    np.testing.assert_array_equal(table[:, 2], counts)
    np.testing.assert_allclose(table[:, 0], edges[:-1], rtol=1e-12)
    np.testing.assert_allclose(table[:, 1], edges[1:], rtol=1e-12)
    np.testing.assert_array_equal(buckets(np.full(5, 2.0)), [[2, 2, 0]] * 29 + [[2, 2, 5]])
    assert buckets(np.array([np.nan, np.inf])).shape == (0, 3)
    assert buckets(np.array([np.nan, 1.0, 3.0]))[:, 2].sum() == 2


def test_png() -> None:
    from io import BytesIO

    from PIL import Image

    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    data = png(pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data))), pixels)
    assert zlib.crc32(data[12:29]) == int.from_bytes(data[29:33], "big")


def test_what_training_writes(model, tokens, tmp_path) -> None:
    kept: list[np.ndarray] = []

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            kept.append(self.model.layers[1].get_weights()[0])

    board = TensorBoard(tmp_path / "logs", histogram_freq=2, write_images=True)
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_split": 0.25}
    history = model.fit(*tokens, callbacks=[board, Keep()], **options).history
    train, validation = (event_reader.read(tmp_path / "logs" / run) for run in ("train", "validation"))

    for name in ("loss", "acc"):
        for values, key in ((train, name), (validation, f"val_{name}")):
            expected = [(epoch, pytest.approx(value), "scalars") for epoch, value in enumerate(history[key])]
            assert values[f"epoch_{name}"] == expected
        steps = [step for step, _, _ in validation[f"evaluation_{name}_vs_iterations"]]
        assert steps == [2, 4, 6]
    assert train["epoch_learning_rate"] == [(epoch, pytest.approx(0.001), "scalars") for epoch in range(3)]

    description = json.loads(train["keras"][0][1][0])
    assert description["class_name"] == "Sequential"
    assert [layer["class_name"] for layer in description["config"]["layers"]][-2:] == ["SimpleRNN", "Dense"]

    histogram = train["simple_rnn/kernel/histogram"]
    assert [(step, plugin) for step, _, plugin in histogram] == [(0, "histograms"), (2, "histograms")]
    for (step, table, _), kernel in zip(histogram, kept[::2], strict=True):
        assert table[:, 2].sum() == kernel.size
        assert table[0, 0] == pytest.approx(kernel.min()), step
        assert table[-1, 1] == pytest.approx(kernel.max())
    assert train["simple_rnn/kernel/image"][0][1][:2] == [b"5", b"4"]
    assert train["simple_rnn/bias/image"][0][1][:2] == [b"1", b"5"]
    assert not any(tag.startswith("batch") for tag in train)


def test_every_so_many_batches(model, tokens, tmp_path) -> None:
    seen: list[float] = []

    class Keep(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            seen.append(logs["loss"])

    for folder, freq in (("one", "batch"), ("two", 2)):
        seen.clear()
        board = TensorBoard(tmp_path / folder, update_freq=freq, write_graph=False, write_steps_per_second=True)
        model.fit(*tokens, epochs=2, batch_size=8, verbose=0, callbacks=[board, Keep()])
        values = event_reader.read(tmp_path / folder / "train")
        every = 1 if freq == "batch" else 2
        expected = [(step, pytest.approx(seen[step - 1]), "scalars") for step in range(every, 7, every)]
        assert values["batch_loss"] == expected
        assert all(rate > 0 for _, rate, _ in values["batch_steps_per_second"] + values["epoch_steps_per_second"])
        assert "keras" not in values


def test_evaluate_alone_writes_and_closes(model, tokens, tmp_path) -> None:
    model.fit(*tokens, verbose=0)
    board = TensorBoard(tmp_path)
    loss = model.evaluate(*tokens, verbose=0, callbacks=[board])[0]
    assert event_reader.read(tmp_path / "validation")["evaluation_loss_vs_iterations"][0][1] == pytest.approx(loss)
    assert pickle.loads(pickle.dumps(board)).log_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"profile_batch": 2}, ValueError, "`profile_batch`: expected 0"),
        ({"embeddings_freq": 1}, ValueError, "`embeddings_freq`: expected 0"),
        ({"update_freq": "often"}, TypeError, "`update_freq`: expected an integer"),
        ({"update_freq": 0}, ValueError, "`update_freq`"),
        ({"histogram_freq": -1}, ValueError, "`histogram_freq`"),
        ({"log_dir": 3}, TypeError, "`log_dir`: expected a path"),
    ],
)
def test_what_is_refused(options, error, text) -> None:
    with pytest.raises(error, match=text):
        TensorBoard(**options)
