"""Every layout that `load_texts` knows, and everything that is wrong with a data set."""

import gzip
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot.datasets import Corpus, files, load_texts

POSITIVE = ["a joy", "never dull,\nonly lively"]
NEGATIVE = ["a bore"]


def write(folder: Path, contents: Mapping[str, str | bytes]) -> Path:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pack(path: Path, contents: Mapping[str, str | bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            data = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def imdb_npz() -> bytes:
    def objects(*rows: list[int]) -> np.ndarray:
        array = np.empty(len(rows), dtype=object)
        array[:] = rows
        return array

    file = io.BytesIO()
    np.savez(file, x_train=objects([1, 2], [3]), y_train=[1, 0], x_test=objects([2], [1, 9]), y_test=[0, 1])
    return file.getvalue()


CLASS_FOLDERS: dict[str, str | bytes] = {
    "neg/0.txt": NEGATIVE[0],
    "pos/0.txt": POSITIVE[0],
    "pos/1.txt": POSITIVE[1],
    "pos/.DS_Store": b"\xff",
    "README": "about",
}
SPLIT_FOLDERS = {
    "train/neg/0_2.txt": NEGATIVE[0],
    "train/pos/0_9.txt": POSITIVE[0],
    "train/pos/1_9.txt": POSITIVE[1],
    "train/unsup/0_0.txt": "no label",
    "train/labeledBow.feat": "0:9",
    "test/neg/0_1.txt": "a chore",
    "test/pos/0_8.txt": "a gem",
    "imdb.vocab": "the",
}
PAIR = {"films.neg": "a bore\n", "films.pos": "a joy\n\nnever dull\u2028only lively\x85 \n"}
CSV = 'id,Review,Sentiment\n1,a bore,negative\n2,"a joy",Positive\n3,"never dull,\nonly lively",positive\n'


def check(corpus: Corpus, has_test: bool = False, second: str = POSITIVE[1]) -> None:
    assert corpus.train.texts == [NEGATIVE[0], POSITIVE[0], second]
    assert corpus.train.labels.tolist() == [0, 1, 1]
    assert corpus.train.labels.dtype == np.int32
    if has_test:
        assert corpus.test is not None
        assert corpus.test.texts == ["a chore", "a gem"]
        assert corpus.test.labels.tolist() == [0, 1]
    else:
        assert corpus.test is None


@pytest.mark.parametrize("root", ["", "aclImdb/"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("contents", "has_test", "second"),
    [
        (CLASS_FOLDERS, False, POSITIVE[1]),
        (SPLIT_FOLDERS, True, POSITIVE[1]),
        (PAIR, False, "never dull\u2028only lively"),
        ({"reviews.csv": CSV}, False, POSITIVE[1]),
        ({"train.csv": CSV, "test.csv": "text;label\na chore;0\na gem;1\n"}, True, POSITIVE[1]),
    ],
    ids=["classes", "parts", "pair", "csv", "csv-parts"],
)
def test_layouts_as_folder_and_as_archive(
    tmp_path: Path, root: str, packed: bool, contents: dict[str, str | bytes], has_test: bool, second: str
) -> None:
    contents = {root + name: content for name, content in contents.items()}
    before = set(tmp_path.iterdir())
    path = pack(tmp_path / "data.tar.gz", contents) if packed else write(tmp_path / "data", contents)
    check(load_texts(path), has_test, second)
    assert set(tmp_path.iterdir()) - before == {path}


def test_names_in_archives_may_begin_with_a_dot(tmp_path: Path) -> None:
    check(load_texts(pack(tmp_path / "data.tgz", {f"./{name}": text for name, text in CLASS_FOLDERS.items()})))


@pytest.mark.parametrize("name", ["films.pos", "films.neg", "films", "films.", "."])
def test_a_pair_is_named_by_either_file_their_prefix_or_their_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path, PAIR)
    check(load_texts(tmp_path / name), second="never dull\u2028only lively")
    check(load_texts(str(tmp_path / name)), second="never dull\u2028only lively")


@pytest.mark.parametrize("name", ["imdb.npz", "", "imdb.tar.gz"])
def test_imdb_npz_gives_numbers_and_with_the_word_index_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "imdb.npz").write_bytes(imdb_npz())
    pack(tmp_path / "imdb.tar.gz", {"imdb.npz": imdb_npz()})
    corpus = load_texts(tmp_path / name)
    assert corpus.train.texts == ["1 2", "3"]
    assert corpus.train.labels.tolist() == [1, 0]
    assert corpus.test is not None
    assert corpus.test.texts == ["2", "1 9"]
    index = json.dumps({"the": 1, "film": 2, "dull": 3})
    (tmp_path / "imdb_word_index.json").write_text(index)
    pack(tmp_path / "imdb.tar.gz", {"imdb.npz": imdb_npz(), "imdb_word_index.json": index})
    corpus = load_texts(tmp_path / name)
    assert corpus.train.texts == ["the film", "dull"]
    assert corpus.test is not None
    assert corpus.test.texts == ["film", "the 9"]


@pytest.mark.parametrize(
    "content",
    [
        "text,label\nbad,0\ngood,1\n",
        "\ufefflabel,text\n0,bad\n1,good\n",
        "target\tsentence\r\n-1\tbad\r\n\r\n1\tgood\r\n",
        # Of two columns that could be meant, the one whose name is more common counts.
        "id;polarity;comment;text;class\n7;x;y;bad;neg\n8;x;y;good;POS\n",
    ],
)
def test_columns_separators_and_labels_of_tables(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes(content.encode())
    corpus = load_texts(path)
    assert corpus.train.texts == ["bad", "good"]
    assert corpus.train.labels.tolist() == [0, 1]


def test_other_encodings_are_read_when_named(tmp_path: Path) -> None:
    write(tmp_path, {"films.neg": "très long\n".encode("latin-1"), "films.pos": "a joy\n"})
    with pytest.raises(
        ValueError,
        match=r"films\.neg: byte 0xe8 at offset 2 \(line 1\) is not utf-8.*--encoding latin-1",
    ):
        load_texts(tmp_path)
    assert load_texts(tmp_path, encoding="latin-1").train.texts == ["très long", "a joy"]


def test_the_place_of_a_wrong_byte_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "data.tar.gz", {"pos/a.txt": b"one\ntwo \x93dull\x94\n", "neg/a.txt": "a"})
    with pytest.raises(ValueError, match=r"data\.tar\.gz:pos/a\.txt: byte 0x93 at offset 8 \(line 2\) is not utf-8"):
        load_texts(path)


@pytest.mark.parametrize("encoding", ["utf-9", "hex"])
def test_an_unknown_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ValueError, match=f"`encoding` must name a text encoding. Received: encoding='{encoding}'"):
        load_texts(write(tmp_path, PAIR), encoding=encoding)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({}, r"no labelled texts found. Expected train/\{pos,neg\}"),
        ({"readme.md": "a"}, "no labelled texts found"),
        ({"deep/deeper/pos/a.txt": "a", "deep/deeper/neg/a.txt": "a"}, "no labelled texts found"),
        ({"pos/a.md": "a", "neg/a.md": "a"}, "no labelled texts found"),
        ({"pos/a.txt": "a"}, "expected texts of both classes. Received: 1 texts, none is neg"),
        ({"neg/a.txt": "a", "neg/b.txt": "a"}, "expected texts of both classes. Received: 2 texts, none is pos"),
        ({"pos/a.txt": "a", "neg/a.txt": " \n"}, r"neg.a\.txt: holds no text"),
        ({"pos/a.txt": b"", "neg/a.txt": "a"}, r"pos.a\.txt: holds no text"),
        ({"test/pos/a.txt": "a", "test/neg/a.txt": "a"}, "expected a folder train beside the folder test"),
        ({"train/pos/a.txt": "a", "train/neg/a.txt": "a", "test/pos/a.txt": "a"}, "test: expected texts of both"),
        ({"x/pos/a.txt": "a", "y/neg/a.txt": "a"}, "expected one set of texts. Received: x, y"),
        (
            {"pos/a.txt": "a", "neg/a.txt": "a", "train/pos/a.txt": "a"},
            r"expected one set of texts. Received: \., train",
        ),
        ({"a.pos": "a"}, r"a\.neg: missing. Expected one file \.pos and one file \.neg"),
        ({"a.pos": "a", "b.neg": "a"}, r"expected one pair of \.pos and \.neg. Received: a, b"),
        ({"a.pos": "a", "a.neg": "\n \n"}, r"a\.neg: holds no text"),
        ({"a.csv": ""}, "expected a text column named text, review, .* or body. Received: $"),
        ({"a.csv": "text,stars\ngood,5\n"}, "expected a label column named label, sentiment, .* Received: text, stars"),
        ({"a.csv": "words,label\ngood,1\n"}, "expected a text column"),
        (
            {"a.csv": "text,label\ngood,1\nso so,0.5\n"},
            r"a\.csv, line 3: expected one of the labels .* Received: '0.5'",
        ),
        ({"a.csv": "text,label\ngood,1\nbad\n"}, r"a\.csv, line 3: expected 2 columns. Received: 1 columns"),
        ({"a.csv": "text,label\n,1\nbad,0\n"}, r"a\.csv, line 2: holds no text"),
        ({"a.csv": 'text,label\n"good"x,1\n'}, r"a\.csv, line 2: "),
        ({"a.csv": "text,label\n" + "x" * 200_000 + ",1\n"}, r"a\.csv, line 2: field larger than"),
        ({"a.csv": "text,label\ngood,1\n"}, "expected texts of both classes"),
        ({"a.csv": "text,label\n"}, "expected texts of both classes. Received: 0 texts"),
        (
            {"a.csv": "text,label\n", "b.csv": "text,label\n"},
            r"expected one table, or train and test. Received: a\.csv, b",
        ),
        ({"a.npz": b"", "b.npz": b""}, r"expected one \.npz. Received: a\.npz, b\.npz"),
        ({"a.npz": b"PK"}, r"a\.npz: not a readable \.npz file"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_data_sets(tmp_path: Path, contents: dict[str, str | bytes], message: str, packed: bool) -> None:
    if packed:
        path = pack(tmp_path / "data.tar.gz", contents)
    else:
        path = write(tmp_path / "data", contents)
        path.mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=message) as raised:
        load_texts(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv", "nowhere.tar.gz", "nowhere.npz", "nowhere/films.pos"])
def test_a_path_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        load_texts(tmp_path / name)


def test_a_file_of_no_known_kind(tmp_path: Path) -> None:
    write(tmp_path, {"notes.txt": "a"})
    with pytest.raises(ValueError, match=r"notes\.txt: no labelled texts found"):
        load_texts(tmp_path / "notes.txt")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    write(tmp_path, PAIR)
    (tmp_path / "films.pos").chmod(0)
    with pytest.raises(PermissionError):
        load_texts(tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_a_damaged_archive(tmp_path: Path, cut: int) -> None:
    path = pack(tmp_path / "data.tar.gz", SPLIT_FOLDERS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"data\.tar\.gz: not a readable \.tar\.gz file"):
        load_texts(path)
    path.write_bytes(b"plain text, not packed")
    with pytest.raises(ValueError, match=r"data\.tar\.gz: not a readable \.tar\.gz file"):
        load_texts(path)
    path.write_bytes(gzip.compress(b"packed, but no archive" * 100))
    with pytest.raises(ValueError, match=r"data\.tar\.gz: not a readable \.tar\.gz file"):
        load_texts(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_archives_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("pos/a.txt")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ValueError, match=r"data\.tar\.gz:pos/a\.txt: expected a file. Received: a link or a device"):
        load_texts(path)


def test_names_that_climb_out_of_an_archive_touch_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "neg"
    path = pack(tmp_path / "data.tar.gz", {"../neg/a.txt": "a", "/neg/b.txt": "b", "neg/c.txt": "c"})
    with pytest.raises(ValueError, match="expected one set of texts"):
        load_texts(path)
    assert not outside.exists()


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_BYTES", 100_000)
    zeros = bytes(1_000_000)
    for name in ("pos/a.txt", "other/deeper/unread.bin"):
        path = pack(tmp_path / "data.tar.gz", {name: zeros})
        assert path.stat().st_size < 10_000
        with pytest.raises(ValueError, match=r"data\.tar\.gz: unpacks to more than 100000 bytes"):
            load_texts(path)
    write(tmp_path, {"a.pos": zeros, "a.neg": zeros})
    with pytest.raises(ValueError, match=r"a\.neg: larger than 100000 bytes"):
        load_texts(tmp_path / "a.pos")


def test_a_folder_is_searched_one_folder_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"data/pos/a.txt": "a", "data/neg/a.txt": "b", "other/a/b/c.txt": "c", ".git/pos/a.txt": "d"})
    listed = []
    walk = os.walk

    def record(*arguments: Any, **options: Any) -> Iterator[Any]:
        for step in walk(*arguments, **options):
            listed.append(Path(step[0]))
            yield step

    monkeypatch.setattr(os, "walk", record)
    assert load_texts(tmp_path).train.texts == ["b", "a"]
    assert {path.relative_to(tmp_path).as_posix() for path in listed} == {".", "data", "data/pos", "data/neg", "other"}
