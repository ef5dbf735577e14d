"""Every row of the table of what prepares data: shapes and dtypes, the order of rows, configurations, copies, files."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot.layers import Embedding, Flatten, Input, Layer
from foliot.models import Model, load_model

from .layer_table import PREPROCESSING, RawCase

every_case = pytest.mark.parametrize("case", PREPROCESSING, ids=str)


def ready(case: RawCase) -> Any:
    """The object with all that it can learn from the rows."""
    made = case.make()
    if not {"vocabulary", "mean"} & set(case.options):
        made.adapt(case.rows)
    return made


@every_case
def test_shapes_and_dtypes(case: RawCase) -> None:
    made = ready(case)
    found = made(case.rows)
    assert len(found) == len(case.rows)
    assert found.dtype == made(case.rows[::-1]).dtype
    assert found.dtype.kind in ("U" if made.get_config().get("invert") and case.name == "StringLookup" else "if")
    if isinstance(made, Layer):
        said = made.compute_output_shape(case.rows.shape)
        assert found.shape == tuple(
            size if size is not None else other for size, other in zip(said, found.shape, strict=True)
        )
        assert made.compute_mask(case.rows) is None
    empty = made(case.rows[:0])
    assert empty.shape[0] == 0
    assert empty.ndim == found.ndim
    np.testing.assert_array_equal(made(case.rows.tolist()), found, strict=True)


@every_case
def test_rows_in_another_order(case: RawCase) -> None:
    made = ready(case)
    order = np.random.default_rng(2).permutation(len(case.rows))
    np.testing.assert_array_equal(made(case.rows[order]), made(case.rows)[order])


@every_case
def test_configuration_and_copies(case: RawCase) -> None:
    """All of them do the same, what was learnt included."""
    made = ready(case)
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    for key in {"output_mode", "ngrams", "split", "standardize", "num_oov_indices", "invert"} & set(case.options):
        assert config[key] == case.options[key]
    for other in (again, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        np.testing.assert_array_equal(other(case.rows), made(case.rows), strict=True)
    with pytest.raises(ValueError, match="wrong_key"):
        type(made).from_config(config | {"wrong_key": 1})


IN_MODELS = [case for case in PREPROCESSING if case.rows.dtype == object]


@pytest.mark.parametrize("case", IN_MODELS, ids=str)
def test_models_are_saved_and_copied(case: RawCase, tmp_path: Path) -> None:
    made = ready(case)
    texts = Input(case.rows.shape[1:], dtype="string")
    numbers = made(texts)
    output = Embedding(40, 3)(numbers) if made.output_mode == "int" else Flatten()(numbers)
    model = Model(texts, output)
    expected = model.predict(case.rows, verbose=0)
    if made.output_mode != "int":
        np.testing.assert_array_equal(expected, made(case.rows))
    model.save(tmp_path / "model.foliot")
    for other in (load_model(tmp_path / "model.foliot"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(case.rows, verbose=0), expected)
