import os
from typing import Any, Literal, Self, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Optimizer",
    "Parameter",
    "Program",
    "Splitter",
    "Stream",
    "adapters",
    "available_isas",
    "build_info",
    "check_finite",
    "evaluate_loss",
    "evaluate_metric",
    "fill_matrix",
    "flatten_numbers",
    "get_num_threads",
    "hash_words",
    "initialize",
    "isa",
    "lists_from_ids",
    "load_file",
    "metric_result",
    "metric_rows",
    "pad_rows",
    "permutation",
    "plan",
    "refused_by_gpus",
    "save_file",
    "scheduled_rate",
    "set_num_threads",
]

# --- weights and optimizers ---

@final
class Parameter:
    def __new__(cls, name: str, value: npt.NDArray[Any]) -> Self: ...
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def numpy(self) -> npt.NDArray[np.float32]: ...
    def assign(self, value: npt.NDArray[Any]) -> None: ...

@final
class Optimizer:
    learning_rate: float
    iterations: int
    def __new__(cls, spec: str) -> Self: ...
    def set_schedule(self, spec: str) -> None: ...
    def build(
        self, parameters: list[Parameter], undecayed: list[int] | None = None, excluded: list[int] | None = None
    ) -> None: ...
    def refused_by_gpus(self) -> str | None: ...
    def take_averages(self) -> None: ...
    def size(self) -> int: ...
    def slot_names(self) -> list[str]: ...
    def get_slots(self) -> list[list[npt.NDArray[np.float32]]]: ...
    def set_slots(self, slots: list[list[npt.NDArray[np.float32]]]) -> None: ...

def scheduled_rate(spec: str, steps: float) -> float: ...
def initialize(spec: str, shape: tuple[int, ...], seed: int, part: int) -> npt.NDArray[np.float32]: ...
def evaluate_loss(
    spec: str, targets: npt.NDArray[Any], predictions: npt.NDArray[np.float32], samples: int | None = None
) -> npt.NDArray[np.float32]: ...
def evaluate_metric(
    spec: str,
    targets: npt.NDArray[Any],
    predictions: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32] | None = None,
    samples: int | None = None,
) -> list[float]: ...
def metric_rows(
    spec: str, targets: npt.NDArray[Any], predictions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]: ...
def metric_result(spec: str, state: list[float]) -> list[float]: ...

# --- graphs ---

@final
class Program:
    def __new__(
        cls, graph: str, parameters: list[Parameter], states: list[Parameter] = ..., device: int | None = None
    ) -> Self: ...
    def output_shapes(self) -> list[tuple[int | None, ...]]: ...
    def memory(self, inputs: list[list[int]], training: bool) -> int: ...
    def held_memory(self) -> int: ...
    def compile(self, training: str) -> None: ...
    def forward(
        self,
        inputs: list[npt.NDArray[Any]],
        masks: list[npt.NDArray[Any] | None],
        rows: npt.NDArray[np.int64] | None,
        training: bool,
        step: int,
    ) -> list[npt.NDArray[np.float32]]: ...
    def train_batch(
        self,
        optimizer: Optimizer,
        inputs: list[npt.NDArray[Any]],
        targets: list[npt.NDArray[Any]],
        sample_weights: list[npt.NDArray[np.float32] | None],
        rows: npt.NDArray[np.int64] | None,
        masks: list[npt.NDArray[Any] | None] | None = None,
        tbptt: int | None = None,
    ) -> list[float]: ...
    def test_batch(
        self,
        inputs: list[npt.NDArray[Any]],
        targets: list[npt.NDArray[Any]],
        sample_weights: list[npt.NDArray[np.float32] | None],
        rows: npt.NDArray[np.int64] | None,
        masks: list[npt.NDArray[Any] | None] | None = None,
    ) -> list[float]: ...
    def gradients(
        self,
        inputs: list[npt.NDArray[Any]],
        masks: list[npt.NDArray[Any] | None],
        targets: list[npt.NDArray[Any]],
        sample_weights: list[npt.NDArray[np.float32] | None],
        training: bool,
        step: int,
    ) -> tuple[float, list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32] | None]]: ...
    def watch(self, watched: bool) -> None: ...
    def take_outputs(self) -> list[tuple[npt.NDArray[np.float32], bytes | None]]: ...
    def failed_weights(self) -> list[npt.NDArray[np.float32]] | None: ...
    def reset_metrics(self) -> None: ...
    def gathered(self) -> list[list[float]]: ...
    def set_gathered(self, gathered: list[list[float]]) -> None: ...

@final
class Stream:
    def __new__(cls, graph: str, parameters: list[Parameter], batch: int, axes: list[list[int]]) -> Self: ...
    def shapes(self) -> tuple[list[list[int]], list[list[int]], list[bool]]: ...
    def step(self, x: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None: ...
    def step_all(self, inputs: list[npt.NDArray[Any]], outputs: list[npt.NDArray[np.float32]]) -> None: ...
    def run(self, inputs: list[npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]: ...
    def reset(self) -> None: ...
    def states(self) -> list[tuple[str, list[Parameter]]]: ...

# --- devices ---

def adapters() -> list[tuple[str, str, str, str, list[tuple[str, int]], list[str]]]: ...
def refused_by_gpus(graph: str) -> tuple[str, str] | None: ...

# What a GPU would be asked to do for the outputs of a batch, for its gradients if there are targets, for a training
# step if there is an optimizer; plain data. Needs no device, only the feature `gpu`.
def plan(
    graph: str,
    parameters: list[Parameter],
    inputs: list[npt.NDArray[Any]],
    masks: list[npt.NDArray[Any] | None],
    training: str | None = None,
    targets: list[npt.NDArray[Any]] | None = None,
    sample_weights: list[npt.NDArray[np.float32] | None] | None = None,
    optimizer: Optimizer | None = None,
    step: int | None = None,
) -> dict[str, Any]: ...

# --- data and files ---

def permutation(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]: ...
def check_finite(name: str, array: npt.NDArray[np.float32]) -> None: ...
def save_file(
    path: str | os.PathLike[str], tensors: dict[str, npt.NDArray[np.float32]], metadata: dict[str, str]
) -> None: ...
def load_file(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, str]]: ...

# --- run time ---

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def isa() -> str: ...
def available_isas() -> list[str]: ...
def build_info() -> dict[str, str]: ...

# --- text ---

@final
class Splitter:
    def __new__(cls, filters: str, lower: bool, split: str | None, char_level: bool) -> Self: ...
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
