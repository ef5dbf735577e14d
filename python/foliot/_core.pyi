from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

# --- text ---

@final
class Splitter:
    def __new__(cls, filters: str, lower: bool, split: str | None, char_level: bool) -> Splitter: ...
    def split(self, text: str) -> list[str]: ...
    def count(self, texts: list[str], first: int) -> tuple[list[str], list[int], list[int]]: ...
    def encode(
        self, texts: list[str], first: int
    ) -> tuple[list[str], npt.NDArray[np.uint32], npt.NDArray[np.int64]]: ...

def lists_from_ids(
    ids: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], items: list[int | None]
) -> list[list[int]]: ...
def hash_words(words: list[str], size: int) -> list[int]: ...
def flatten_numbers(
    sequences: list[Any], dtype: str, longest: int, truncating: Literal["pre", "post"]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]] | None: ...
def pad_rows(
    values: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    item: int,
    out: npt.NDArray[np.uint8],
    columns: int,
    padding: Literal["pre", "post"],
    truncating: Literal["pre", "post"],
) -> None: ...
def fill_matrix(
    ids: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.float64],
    mode: Literal["binary", "count", "freq", "tfidf"],
    term: npt.NDArray[np.float64],
    document: npt.NDArray[np.float64],
) -> None: ...
