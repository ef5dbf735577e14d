"""The sentiment demo from end to end."""

import argparse
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import foliot
from foliot import cli
from foliot.examples import sentiment
from foliot.models import load_model
from foliot.preprocessing.text import tokenizer_from_json

pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")
pytest.importorskip("sklearn", reason="the demo compares with scikit-learn")

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "sentiment"


@pytest.fixture(autouse=True)
def _keep_threads() -> "object":
    threads = foliot.config.get_num_threads()
    yield
    foliot.config.set_num_threads(threads)


def run(out: Path, *arguments: str) -> None:
    assert cli.main(["demo", "sentiment", "--out", str(out), *arguments]) == 0


def accuracies(output: str) -> tuple[float, float]:
    network, counting = re.findall(r"^    [A-Za-z ]+ (\d\.\d{3})$", output, flags=re.MULTILINE)
    return float(network), float(counting)


def check_png(path: Path) -> None:
    """Walks through the chunks of a PNG, checking their sums."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, kinds, pixels = 8, [], b""
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", content, place + 8 + size)[0] == zlib.crc32(kind + data)
        kinds.append(kind)
        pixels += data if kind == b"IDAT" else b""
        place += size + 12
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    width, height, depth, colours = struct.unpack_from(">IIBB", content, 16)
    assert (depth, colours) == (8, 6)
    # Each row has one byte that names its filter before its pixels of four bytes.
    assert len(zlib.decompress(pixels)) == height * (1 + 4 * width)


@pytest.mark.parametrize("cell", sentiment.CELLS)
def test_a_small_run_leaves_model_tokenizer_and_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    out = tmp_path / "new" / "folder"
    run(out, "--cell", cell, "--count", "100", "--epochs", "2", "--units", "4", "--batch-size", "16")
    output = capsys.readouterr().out
    assert "80 reviews to learn from, 20 to be judged by" in output
    assert f"{sentiment.CELLS[cell].__name__}" in output
    assert accuracies(output)[1] == 0.5
    assert output.count("positive") + output.count("negative") == 2 + len(sentiment.SENTENCES)
    assert re.search(r"Took \d+\.\d s", output)

    assert sorted(path.name for path in out.iterdir()) == ["history.png", "sentiment.foliot", "tokenizer.json"]
    check_png(out / "history.png")
    model = load_model(out / "sentiment.foliot")
    assert isinstance(model.layers[1], sentiment.CELLS[cell])
    assert model.layers[1].get_config()["units"] == 4
    tokenizer = tokenizer_from_json((out / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer.texts_to_sequences(["dull but gripping"])[0]


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(tmp_path: Path) -> None:
    arguments = ["--count", "100", "--epochs", "1", "--units", "4"]
    for name, extra in (("a", ["--threads", "1"]), ("b", ["--threads", "3"]), ("c", ["--seed", "2"])):
        run(tmp_path / name, *arguments, *extra)
    weights = [load_model(tmp_path / name / "sentiment.foliot").get_weights() for name in "abc"]
    for ours, same, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, same)
        assert ours.shape != other.shape or (ours != other).any()


@pytest.mark.parametrize(("cell", "least"), [("simple_rnn", 0.85), ("lstm", 0.95), ("gru", 0.95)])
def test_the_network_learns_the_order_that_counting_words_cannot_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, least: float
) -> None:
    run(tmp_path, "--cell", cell)
    network, counting = accuracies(capsys.readouterr().out)
    assert network >= least
    assert counting == 0.5
    model = load_model(tmp_path / "sentiment.foliot")
    tokenizer = tokenizer_from_json((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    rows = foliot.preprocessing.sequence.pad_sequences(
        tokenizer.texts_to_sequences(sentiment.SENTENCES), maxlen=model.input_shape[1]
    )
    judged = model.predict(rows, verbose=0)[:, 0] > 0.5
    assert np.mean(judged == [True, False, True, False, False, True]) >= 5 / 6


def options(data: Path, **changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"data": data, "encoding": "utf-8", "seed": 1, "count": 100, **changes})


def test_texts_without_a_test_part_are_shuffled_and_cut(tmp_path: Path) -> None:
    (tmp_path / "a.pos").write_text("".join(f"good {row}\n" for row in range(50)))
    (tmp_path / "a.neg").write_text("".join(f"bad {row}\n" for row in range(50)))
    train, test = sentiment.load(options(tmp_path))
    assert (len(train.texts), len(test.texts)) == (80, 20)
    assert len({*train.texts, *test.texts}) == 100
    for part in (train, test):
        assert [text.startswith("good") for text in part.texts] == part.labels.tolist()
        assert 0.3 < part.labels.mean() < 0.7
    again = sentiment.load(options(tmp_path))
    other = sentiment.load(options(tmp_path, seed=2))
    assert again.train.texts == train.texts != other.train.texts


def test_a_test_part_of_the_data_is_kept(tmp_path: Path) -> None:
    rows = "".join(f"good {row},pos\nbad {row},neg\n" for row in range(10))
    (tmp_path / "train.csv").write_text("text,label\n" + rows)
    (tmp_path / "test.csv").write_text("text,label\nfine,1\npoor,0\n")
    train, test = sentiment.load(options(tmp_path))
    assert len(train.texts) == 20
    assert sorted(zip(test.texts, test.labels.tolist(), strict=True)) == [("fine", 1), ("poor", 0)]


@pytest.mark.parametrize("name", ["rt-polarity", "review_polarity.tar.gz"])
def test_real_reviews_train(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("the folder of real reviews is not there")
    data = str(SHARED / name)
    run(tmp_path, "--data", data, "--cell", "gru", "--epochs", "2", "--max-length", "60", "--learning-rate", "0.001")
    network, counting = accuracies(capsys.readouterr().out)
    assert network > 0.5
    assert counting > 0.7
