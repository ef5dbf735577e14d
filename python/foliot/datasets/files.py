"""Labelled texts from the layouts in which sentiment data are published."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from foliot.datasets import imdb

_TEXT_COLUMNS = (
    "text", "review", "sentence", "phrase", "comment", "content", "document", "message", "tweet", "body",
)  # fmt: skip
_LABEL_COLUMNS = ("label", "sentiment", "target", "class", "polarity", "category", "y")
_LABELS = {"0": 0, "-1": 0, "neg": 0, "negative": 0, "1": 1, "pos": 1, "positive": 1}
_CLASSES = {"neg": 0, "pos": 1}
_WORD_INDEX = "imdb_word_index.json"

# The largest published set, 50,000 whole reviews, is 130 MB of text. The bound keeps a small archive from unpacking to
# all of memory.
_MAX_BYTES = 1 << 30

_LAYOUTS = (
    "train/{pos,neg}/*.txt and test/{pos,neg}/*.txt, {pos,neg}/*.txt, one pair of files *.pos and *.neg with one text "
    "a line, one .csv file with a text and a label column, one imdb.npz of Keras, or a .tar.gz of one of these"
)


class Texts(NamedTuple):
    """Texts and their labels, 1 for favourable and 0 for unfavourable.

    Example:
        >>> import numpy as np
        >>> from foliot.datasets import Texts
        >>> texts, labels = Texts(["a fine film", "a dull film"], np.array([1, 0], np.int32))
        >>> [text for text, label in zip(texts, labels) if label == 1]
        ['a fine film']
    """

    texts: list[str]
    labels: NDArray[np.int32]


class Corpus(NamedTuple):
    r"""What a data set holds: one part, or a training part and a test part.

    Attributes:
        train: The training part, or everything where the data set has no parts. Classes and files are in order, not
            shuffled.
        test: The test part, or `None`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from foliot.datasets import load_texts
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "reviews.csv"
        ...     size = path.write_text("text,label\na fine film,1\na dull film,0\n")
        ...     corpus = load_texts(path)
        >>> len(corpus.train.texts), corpus.test
        (2, None)
    """

    train: Texts
    test: Texts | None


def load_texts(path: str | os.PathLike[str], encoding: str = "utf-8") -> Corpus:
    r"""Loads texts labelled as favourable or unfavourable.

    The layout is found out from the names of the files:

    - a folder with `train/{pos,neg}/*.txt` and `test/{pos,neg}/*.txt` (that of aclImdb), or with `{pos,neg}/*.txt`;
    - two files `NAME.pos` and `NAME.neg` with one text a line, blank lines apart. `path` is either file, their common
      `NAME`, or a folder with one such pair;
    - a CSV file (separated by comma, semicolon or tab) whose header names a text column (`text`, `review`, `sentence`
      ...) and a label column (`label`, `sentiment`, `target`, `class` ...). Labels are 0, -1, neg, negative or 1, pos,
      positive;
    - Keras's `imdb.npz`. With `imdb_word_index.json` beside it the words are known; without it each word is its number;
    - a `.tar.gz` of any of these, read in memory: nothing is written to disk.

    A folder or archive may hold the layout one folder deeper, as archives do.

    Args:
        path: A file or folder.
        encoding: Encoding of the texts. Older sets are often in `latin-1` or `cp1252`.

    Returns:
        The training part, or everything, and the test part if there is one.

    Raises:
        ValueError: If there are no texts or only one class, if a text is empty or not in `encoding` (the message names
            the file and the place), if a label is unknown, or if a file is damaged.
        OSError: If a file cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "films.pos").write_text("a joy\n")
        >>> _ = (folder / "films.neg").write_text("a bore\n")
        >>> load_texts(folder).train
        Texts(texts=['a bore', 'a joy'], labels=array([0, 1], dtype=int32))
    """
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ValueError(f"Argument `encoding` must name a text encoding. Received: encoding={encoding!r}") from error
    files = _open(Path(path), encoding)
    for layout in (_class_folders, _pair, _table, _imdb):
        corpus = layout(files)
        if corpus is not None:
            return corpus
    raise ValueError(f"{path}: no labelled texts found. Expected {_LAYOUTS}")


class _Files(NamedTuple):
    """The files of a folder or archive by their path in it.

    Attributes:
        prefix: With a file's path behind it, what error messages call the file.
    """

    prefix: str
    readers: dict[str, Callable[[], bytes]]
    encoding: str

    def text(self, name: str) -> str:
        content = self.readers[name]()
        try:
            text = content.decode(self.encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(
                f"{self.prefix}{name}: byte 0x{content[error.start]:02x} at offset {error.start} (line {line}) is not "
                f"{self.encoding}. If the file is in another encoding, name it: encoding='latin-1' or 'cp1252' in "
                "Python, --encoding latin-1 on the command line"
            ) from error
        return text.removeprefix("\ufeff")

    def with_suffix(self, *suffixes: str) -> list[str]:
        return sorted(name for name in self.readers if PurePosixPath(name).suffix in suffixes)


# Where texts come from.


def _open(path: Path, encoding: str) -> _Files:
    if path.is_dir():
        return _Files(f"{path}{os.sep}", {name: _reader(path / name) for name in _walk(path)}, encoding)
    if path.name.endswith((".tar.gz", ".tgz")):
        return _Files(f"{path}:", dict(_unpack(path)), encoding)
    names = [path.name]
    if path.suffix in (".pos", ".neg"):
        names = [path.stem + ".neg", path.stem + ".pos"]
    elif path.suffix == ".npz" and path.with_name(_WORD_INDEX).exists():
        names.append(_WORD_INDEX)
    elif not path.exists():
        stem = path.name.rstrip(".")
        names = [stem + ".neg", stem + ".pos"]
        if not any(path.with_name(name).exists() for name in names):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    readers = {name: _reader(path.with_name(name)) for name in names}
    return _Files(str(path).removesuffix(path.name), readers, encoding)


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path}: larger than {_MAX_BYTES} bytes")
        return path.read_bytes()

    return read


def _is_wanted(parts: tuple[str, ...]) -> bool:
    """Tells whether a file may belong to a layout, which stands at the top or one folder down."""
    others = [part for part in parts[:-1] if part not in ("train", "test", "pos", "neg")]
    return len(others) <= 1 and not any(part.startswith(".") for part in parts)


def _walk(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> NoReturn:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        place = Path(parent).relative_to(folder).parts
        # What lies in a folder that is not wanted is not wanted either, so a whole disk is not searched.
        folders[:] = [name for name in folders if _is_wanted((*place, name, "file"))]
        yield from ("/".join((*place, name)) for name in names if _is_wanted((*place, name)))


def _unpack(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Reads the files of a layout out of an archive. Their names are compared with patterns and never opened."""
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=_Bounded(stream, path), mode="r|") as archive:
            for member in archive:
                parts = tuple(part for part in PurePosixPath(member.name).parts if part != ".")
                if not parts or member.isdir() or not _is_wanted(parts):
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise ValueError(f"{path}:{member.name}: expected a file. Received: a link or a device")
                yield "/".join(parts), partial(bytes, content.read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: not a readable .tar.gz file ({error})") from error


class _Bounded(io.RawIOBase):
    """Hands on a stream, and fails where it grows beyond the bound on unpacked bytes."""

    def __init__(self, stream: gzip.GzipFile, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = _MAX_BYTES

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"{self._path}: unpacks to more than {_MAX_BYTES} bytes")
        return content


# The layouts. Each gives the corpus, or None where the files are not laid out so.


def _class_folders(files: _Files) -> Corpus | None:
    roots: dict[str, dict[str, list[str]]] = {}
    for name in files.with_suffix(".txt"):
        *root, kind, _ = ("", *name.split("/"))
        if kind in _CLASSES and root:
            roots.setdefault("/".join(root), {}).setdefault(kind, []).append(name)
    if not roots:
        return None
    parts = {part: [root for root in roots if root.endswith("/" + part)] for part in ("train", "test")}
    bases = {root.removesuffix("/train").removesuffix("/test") for root in roots}
    has_parts = bool(parts["train"] or parts["test"])
    if len(bases) > 1 or (has_parts and len(roots) > len(parts["train"]) + len(parts["test"])):
        raise ValueError(f"{files.prefix}: expected one set of texts. Received: {_listed(roots)}")
    if has_parts and not parts["train"]:
        raise ValueError(f"{files.prefix}: expected a folder train beside the folder test")

    def read(root: str) -> Texts:
        texts: list[str] = []
        labels: list[int] = []
        for kind, label in _CLASSES.items():
            for name in roots[root].get(kind, []):
                texts.append(_not_empty(files.text(name), f"{files.prefix}{name}"))
                labels.append(label)
        return _both_classes(texts, labels, files.prefix + root.strip("/"))

    if not has_parts:
        return Corpus(read(next(iter(roots))), None)
    return Corpus(read(parts["train"][0]), read(parts["test"][0]) if parts["test"] else None)


def _pair(files: _Files) -> Corpus | None:
    stems = {name.removesuffix(".pos").removesuffix(".neg") for name in files.with_suffix(".pos", ".neg")}
    if not stems:
        return None
    if len(stems) > 1:
        raise ValueError(f"{files.prefix}: expected one pair of .pos and .neg. Received: {_listed(stems)}")
    stem = stems.pop()
    texts: list[str] = []
    labels: list[int] = []
    for kind, label in _CLASSES.items():
        name = f"{stem}.{kind}"
        if name not in files.readers:
            raise ValueError(f"{files.prefix}{name}: missing. Expected one file .pos and one file .neg of this name")
        # Only a line feed ends a text: str.splitlines would cut at characters that stand inside of texts, too.
        lines = [line.strip() for line in files.text(name).split("\n")]
        lines = [line for line in lines if line]
        if not lines:
            raise ValueError(f"{files.prefix}{name}: holds no text")
        texts += lines
        labels += [label] * len(lines)
    return Corpus(_both_classes(texts, labels, files.prefix + stem), None)


def _table(files: _Files) -> Corpus | None:
    names = files.with_suffix(".csv", ".tsv")
    if not names:
        return None
    parts = {PurePosixPath(name).stem: name for name in names}
    if len(names) == 2 and set(parts) == {"train", "test"}:
        return Corpus(_rows(files, parts["train"]), _rows(files, parts["test"]))
    if len(names) > 1:
        raise ValueError(f"{files.prefix}: expected one table, or train and test. Received: {_listed(names)}")
    return Corpus(_rows(files, names[0]), None)


def _rows(files: _Files, name: str) -> Texts:
    where = files.prefix + name
    content = files.text(name)
    header = content.partition("\n")[0]
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    texts: list[str] = []
    labels: list[int] = []
    try:
        columns = [column.strip().lower() for column in next(rows, [])]
        text_column = _column(columns, _TEXT_COLUMNS, "text", where)
        label_column = _column(columns, _LABEL_COLUMNS, "label", where)
        for row in rows:
            if not row:
                continue
            if len(row) != len(columns):
                raise ValueError(
                    f"{where}, line {rows.line_num}: expected {len(columns)} columns. Received: {len(row)} columns"
                )
            texts.append(_not_empty(row[text_column], f"{where}, line {rows.line_num}"))
            label = row[label_column].strip().lower()
            if label not in _LABELS:
                raise ValueError(
                    f"{where}, line {rows.line_num}: expected one of the labels {', '.join(_LABELS)}. "
                    f"Received: {row[label_column][:50]!r}"
                )
            labels.append(_LABELS[label])
    except csv.Error as error:
        raise ValueError(f"{where}, line {rows.line_num}: {error}") from error
    return _both_classes(texts, labels, where)


def _imdb(files: _Files) -> Corpus | None:
    names = files.with_suffix(".npz")
    if not names:
        return None
    if len(names) > 1:
        raise ValueError(f"{files.prefix}: expected one .npz. Received: {_listed(names)}")
    parts = imdb.read_parts(io.BytesIO(files.readers[names[0]]()), files.prefix + names[0])
    words: dict[int, str] = {}
    index_name = str(PurePosixPath(names[0]).with_name(_WORD_INDEX))
    if index_name in files.readers:
        index = imdb.parse_word_index(files.readers[index_name](), files.prefix + index_name)
        words = {number: word for word, number in index.items()}
    train, test = (
        _both_classes([" ".join(words.get(word, str(word)) for word in row) for row in rows], labels, files.prefix)
        for rows, labels in parts
    )
    return Corpus(train, test)


def _column(columns: list[str], known: tuple[str, ...], kind: str, where: str) -> int:
    for name in known:
        if name in columns:
            return columns.index(name)
    expected = f"{', '.join(known[:-1])} or {known[-1]}"
    raise ValueError(f"{where}: expected a {kind} column named {expected}. Received: {', '.join(columns)}")


def _not_empty(text: str, where: str) -> str:
    if not text.strip():
        raise ValueError(f"{where}: holds no text")
    return text


def _both_classes(texts: list[str], labels: list[int], where: str) -> Texts:
    for kind, label in _CLASSES.items():
        if label not in labels:
            raise ValueError(f"{where}: expected texts of both classes. Received: {len(texts)} texts, none is {kind}")
    return Texts(texts, np.array(labels, dtype=np.int32))


def _listed(names: Iterable[str]) -> str:
    found = sorted(name.strip("/") or "." for name in names)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
