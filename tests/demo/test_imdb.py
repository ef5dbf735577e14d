"""Reading Keras's imdb.npz: the same rows as Keras, and no pickle that can do anything."""

import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot.datasets import imdb
from foliot.datasets._npz import read_npz

ROWS = [[5, 1, 9], [2], [1, 1, 1, 7], [12, 3]]


def objects(rows: list[Any]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def write_npz(path: Path, **arrays: Any) -> Path:
    x, y = objects(ROWS), np.array([0, 1, 1, 0])
    with path.open("wb") as file:
        np.savez(file, **{"x_train": x, "y_train": y, "x_test": x, "y_test": y, **arrays})
    return path


def write_pickle(path: Path, pickled: bytes, rows: int = 1) -> Path:
    """Writes an .npz whose x_train is an array of objects with this pickle."""
    write_npz(path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (rows,)})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_train.npy"] = header.getvalue() + pickled
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def keras_numbering(
    rows: list[list[int]],
    labels: list[int],
    order: np.ndarray,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
    top: int,
) -> tuple[list[list[int]], list[int]]:
    """The documented rules, one after the other, for one part."""
    result, kept = [], []
    for index in order:
        row = [word + index_from for word in rows[index]]
        row = row if start_char is None else [start_char, *row]
        if maxlen is None or len(row) < maxlen:
            inside = [skip_top <= word < (num_words or top) for word in row]
            if oov_char is None:
                row = [word for word, keep in zip(row, inside, strict=True) if keep]
            else:
                row = [word if keep else oov_char for word, keep in zip(row, inside, strict=True)]
            result.append(row)
            kept.append(labels[index])
    return result, kept


reviews = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=8)


@given(
    reviews,
    reviews,
    st.none() | st.integers(1, 30),
    st.integers(0, 10),
    st.none() | st.just(1),
    st.none() | st.just(2),
    st.integers(0, 4),
    st.integers(0, 2**32 - 1),
)
def test_rows_follow_keras_rules(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[int]],
    test: list[list[int]],
    num_words: int | None,
    skip_top: int,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
    seed: int,
) -> None:
    y_train, y_test = [row[0] % 2 for row in train], [row[0] % 2 for row in test]
    path = write_npz(
        tmp_path_factory.mktemp("imdb") / "imdb.npz",
        x_train=objects(train),
        y_train=np.array(y_train),
        x_test=objects(test),
        y_test=np.array(y_test),
    )
    parts = imdb.load_data(
        path,
        num_words=num_words,
        skip_top=skip_top,
        start_char=start_char,
        oov_char=oov_char,
        index_from=index_from,
        seed=seed,
    )
    generator = np.random.RandomState(seed)
    top = max(word + index_from for row in train + test for word in row)
    top = max(top, start_char or 0)
    for (x, y), rows, labels in zip(parts, (train, test), (y_train, y_test), strict=True):
        order = np.arange(len(rows))
        generator.shuffle(order)
        expected, expected_labels = keras_numbering(
            rows, labels, order, num_words, skip_top, None, start_char, oov_char, index_from, top
        )
        assert [list(row) for row in x] == expected
        assert y.tolist() == expected_labels


def test_default_numbering(tmp_path: Path) -> None:
    (x_train, y_train), (x_test, y_test) = imdb.load_data(write_npz(tmp_path / "imdb.npz"))
    # Word 12, numbered 15, is the highest there is and so falls to the out-of-vocabulary number, as in Keras.
    assert sorted(x_train.tolist()) == [[1, 2, 6], [1, 4, 4, 4, 10], [1, 5], [1, 8, 4, 12]]
    assert sorted(x_test.tolist()) == sorted(x_train.tolist())
    assert {tuple(x): y for x, y in zip(x_train, y_train, strict=True)}[1, 5] == 1
    assert y_test.sum() == 2


def test_maxlen_counts_the_start_and_keeps_only_shorter_reviews(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "imdb.npz")
    (x_train, y_train), _ = imdb.load_data(path, maxlen=4)
    assert sorted(map(len, x_train)) == [2, 3]
    assert len(y_train) == 2
    with pytest.raises(ValueError, match=r"`maxlen` must leave reviews .* has 2 words. Received: maxlen=2"):
        imdb.load_data(path, maxlen=2)


def test_rows_are_those_of_keras(tmp_path: Path) -> None:
    keras_imdb = pytest.importorskip("keras.datasets.imdb", reason="Keras is not installed")
    rng = np.random.RandomState(0)
    x = objects([rng.randint(1, 50, size=rng.randint(1, 20)).tolist() for _ in range(50)])
    path = write_npz(
        tmp_path / "imdb.npz", x_train=x, y_train=rng.randint(0, 2, 50), x_test=x[:20], y_test=np.ones(20, int)
    )
    get_file = keras_imdb.load_data.__globals__["get_file"]
    keras_imdb.load_data.__globals__["get_file"] = lambda **_: str(path)
    try:
        for options in ({}, {"num_words": 20, "skip_top": 3}, {"oov_char": None, "num_words": 9, "maxlen": 12}):
            for ours, theirs in zip(imdb.load_data(path, **options), keras_imdb.load_data(**options), strict=True):
                assert ours[0].tolist() == theirs[0].tolist()
                assert ours[1].tolist() == theirs[1].tolist()
    finally:
        keras_imdb.load_data.__globals__["get_file"] = get_file


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL))
def test_pickles_of_every_protocol_that_numpy_writes(tmp_path: Path, protocol: int) -> None:
    path = write_pickle(tmp_path / "imdb.npz", pickle.dumps(objects(ROWS), protocol=protocol), rows=len(ROWS))
    with path.open("rb") as file:
        assert read_npz(file, "imdb.npz", ("x_train",)) == {"x_train": ROWS}


def test_the_name_of_old_numpy_is_known(tmp_path: Path) -> None:
    pickled = pickle.dumps(objects(ROWS), protocol=2).replace(b"numpy._core.", b"numpy.core.")
    with write_pickle(tmp_path / "imdb.npz", pickled, rows=4).open("rb") as file:
        assert read_npz(file, "imdb.npz", ("x_train",))["x_train"] == ROWS


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, eval, np.load, np.empty], ids=["mkdir", "eval", "load", "empty"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_cannot_call_anything(tmp_path: Path, function: Callable[..., Any], protocol: int) -> None:
    target = tmp_path / "ran"
    for value in (Runs(function, str(target)), [[1], Runs(function, str(target))]):
        path = write_pickle(tmp_path / "imdb.npz", pickle.dumps(value, protocol=protocol))
        with pytest.raises(ValueError, match=rf"x_train cannot be read .*it names \w+\.{function.__name__}"):
            imdb.load_data(path)
    assert not target.exists()


def test_a_pickle_cannot_change_what_a_name_means(tmp_path: Path) -> None:
    # BUILD with a pair sets attributes: here of the stand-in for numpy.ndarray.
    pickled = b"cnumpy\nndarray\n(N}S'x'\nI1\nstb."
    with pytest.raises(ValueError, match="the state of a name was to be changed"):
        imdb.load_data(write_pickle(tmp_path / "imdb.npz", pickled))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1]], "must hold 1 lists"),
        (objects([[1], [2]]), "must hold 1 lists"),
        (objects([[1, "a"]]), "row 0 of array x_train must be a list of integers"),
        (objects([[True]]), "row 0 of array x_train must be a list of integers"),
        (objects([[[1]]]), "row 0 of array x_train must be a list of integers"),
        (np.zeros(1), "cannot be read"),
    ],
)
def test_only_lists_of_integers_are_read(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imdb.load_data(write_pickle(tmp_path / "imdb.npz", pickle.dumps(value, protocol=4)))


def test_one_list_named_many_times_does_not_fill_memory(tmp_path: Path) -> None:
    row = list(range(1000))
    pickled = pickle.dumps(objects([row] * 5000), protocol=4)
    assert len(pickled) < 20_000
    with pytest.raises(ValueError, match="more numbers than the file has room for"):
        imdb.load_data(write_pickle(tmp_path / "imdb.npz", pickled, rows=5000))


@given(data=st.data())
def test_damaged_pickles_are_value_errors(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    pickled = bytearray(pickle.dumps(objects(ROWS), protocol=4))
    for _ in range(data.draw(st.integers(1, 3))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    # The code r names a place in the memo by four bytes, for which Python itself sets aside gigabytes.
    content = bytes(pickled[: data.draw(st.integers(0, len(pickled)))]).replace(b"r", b"q")
    path = write_pickle(tmp_path_factory.mktemp("imdb") / "imdb.npz", content, rows=len(ROWS))
    try:
        (x_train, _), _ = imdb.load_data(path)
    except ValueError as error:
        message = str(error)
    else:
        # A changed number is still a number.
        message = "x_train" if all(type(word) is int for row in x_train for word in row) else "no numbers"
    assert "x_train" in message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros(4)}, "array x_train must hold 4 integers. Received: 32 bytes of type float64"),
        ({"y_train": np.array([0, 1])}, "x_train must hold reviews, and y_train a label 0 or 1 for each"),
        ({"y_train": np.array([0, 1, 2, 0])}, "y_train a label 0 or 1"),
        ({"y_train": np.zeros((4, 1), dtype=int)}, "y_train a label 0 or 1"),
        ({"x_train": np.arange(4)}, "x_train must hold reviews"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imdb.load_data(write_npz(tmp_path / "imdb.npz", **arrays))


def test_a_table_of_integers_is_a_set_of_reviews_of_one_length(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "imdb.npz", x_train=np.arange(8).reshape(4, 2))
    (x_train, _), _ = imdb.load_data(path, start_char=None, index_from=0, num_words=100)
    assert sorted(map(list, x_train)) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "imdb.npz"
    with pytest.raises(FileNotFoundError):
        imdb.load_data(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"imdb\.npz: not a readable \.npz file"):
        imdb.load_data(path)
    write_npz(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"imdb\.npz: not a readable \.npz file"):
        imdb.load_data(path)
    np.savez(path, x=np.arange(3))
    with pytest.raises(ValueError, match=r"expected arrays named x_train, y_train, x_test, y_test\. Received: x"):
        imdb.load_data(path)


def test_a_bare_name_is_found_in_the_cache_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datasets").mkdir()
    write_npz(tmp_path / "datasets" / "imdb.npz")
    (tmp_path / "datasets" / "imdb_word_index.json").write_text(json.dumps({"the": 1}))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(imdb.load_data()[0][0]) == 4
    assert imdb.get_word_index() == {"the": 1}


@pytest.mark.parametrize("content", ["[1]", '{"the": "one"}', "{", '{"the": 1.5}'])
def test_a_word_index_gives_every_word_a_number(tmp_path: Path, content: str) -> None:
    path = tmp_path / "imdb_word_index.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        imdb.get_word_index(path)
