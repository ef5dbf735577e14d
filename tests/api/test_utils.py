"""Helpers and settings."""

import pkgutil
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foliot
from foliot import config, initializers, utils
from foliot.layers import Dropout
from foliot.utils import set_random_seed, to_categorical


def test_to_categorical_as_keras_does() -> None:
    assert to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert to_categorical([0, 2]).dtype == np.float64
    assert to_categorical([[0], [2]]).shape == (2, 3)
    assert to_categorical(np.zeros((2, 3, 1))).shape == (2, 3, 1)
    assert to_categorical([1.0, 2]).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert to_categorical([True, False]).tolist() == [[0, 1], [1, 0]]
    assert to_categorical(3).tolist() == [0, 0, 0, 1]
    assert to_categorical([], 3).shape == (0, 3)


@given(st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=2), min_size=1, max_size=5), st.integers(7, 9))
def test_to_categorical_inverts_argmax(rows: list[list[int]], classes: int) -> None:
    one_hot = to_categorical(rows, classes)
    assert one_hot.shape == (len(rows), 2, classes)
    np.testing.assert_array_equal(one_hot.argmax(axis=-1), rows)
    np.testing.assert_array_equal(one_hot.sum(axis=-1), 1)


@pytest.mark.parametrize(
    ("x", "classes", "text"),
    [
        ([0, 5], 3, r"`x`: expected class indices in \[0, 3\); received 0 to 5"),
        ([-1, 2], None, "`x`"),
        ([], None, "`num_classes`"),
        ([1], 0, "`num_classes`"),
        (["a"], None, "`x`"),
        ([0.5], None, "`x`: expected whole numbers, the indices of classes; received 0.5 in row 0"),
        ([1.7, 2], 3, "`x`: expected whole numbers"),
        ([0, np.nan], None, "`x`: expected whole numbers.*nan in row 1"),
        ([np.inf], None, "`x`: expected whole numbers"),
        ([0, 1], 2.0, "`num_classes`: expected an integer"),
        ([2**60], None, rf"`x`: .*memory; received the index {2**60}.* {2**63 + 8} bytes"),
        (np.array([2**63], dtype=np.uint64), None, f"`x`: .*memory; received the index {2**63}"),
        ([1], 2**60, rf"`num_classes`: .*memory; received {2**60}"),
    ],
)
def test_to_categorical_refuses(x, classes, text) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        to_categorical(x, classes)


def test_seed_sets_every_generator() -> None:
    def draw() -> tuple[float, float, list[float], int]:
        set_random_seed(5)
        values = initializers.RandomNormal()((3,)).tolist()
        legacy = float(np.random.rand())  # noqa: NPY002 - the generator in question
        return random.random(), legacy, values, Dropout(0.5).seeds()["dropout"]

    assert draw() == draw()
    first = draw()[3]
    assert Dropout(0.5).seeds()["dropout"] != first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "a", None, True])
def test_seed_is_checked(seed) -> None:
    with pytest.raises((ValueError, TypeError), match="`seed`"):
        set_random_seed(seed)


def test_without_a_seed_two_processes_differ() -> None:
    code = "from foliot.layers import Dropout; print(Dropout(0.5).seeds()['dropout'])"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 2


def test_settings() -> None:
    before = config.get_num_threads()
    try:
        config.set_num_threads(1)
        assert config.get_num_threads() == 1
        for wrong in (0, -1):
            with pytest.raises(ValueError, match="expected"):
                config.set_num_threads(wrong)
    finally:
        config.set_num_threads(before)
    assert config.floatx() == "float32"
    assert config.epsilon() == 1e-7
    assert config.isa() in config.available_isas()


def test_names_of_the_package() -> None:
    assert set(foliot.__all__) <= set(dir(foliot))
    for name in foliot.__all__:
        assert getattr(foliot, name) is not None
    # What is in the package without an underscore is what its users reach by attribute, all but the command line.
    packaged = {module.name for module in pkgutil.iter_modules(foliot.__path__) if not module.name.startswith("_")}
    assert packaged - {"cli", "examples"} <= set(foliot.__all__)
    for name in ("preprocessing.sequence", "preprocessing.text", "datasets.imdb", "utils.pad_sequences"):
        code = f"import foliot; foliot.{name}"
        subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = foliot.nonsense


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, foliot; print([name for name in sys.modules if name.startswith('foliot.')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# normalize and split_dataset


@pytest.mark.parametrize("order", [1, 2, 3, np.inf])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize(order, axis) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5))
    x[1] = 0
    result = utils.normalize(x, axis, order)
    norms = np.linalg.norm(result, order, axis)
    assert np.all(np.isclose(norms, 1) | (norms == 0))
    assert np.array_equal(np.sign(result), np.sign(x))
    with pytest.raises(ValueError, match="`axis`"):
        utils.normalize(x, 2)


def test_split_dataset() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    for left, right, sizes in ((0.8, None, (8, 2)), (None, 3, (7, 3)), (2, 0.5, (2, 5)), (0.33, None, (3, 7))):
        (_, y1), (x2, y2) = utils.split_dataset((x, y), left, right)
        assert (len(y1), len(y2)) == sizes
        np.testing.assert_array_equal(y1, y[: sizes[0]])
        np.testing.assert_array_equal(x2, x[10 - sizes[1] :])
        np.testing.assert_array_equal(y2, y[10 - sizes[1] :])
    first, second = utils.split_dataset({"x": x, "y": y}, 6, shuffle=True, seed=1)
    assert first["y"].tolist() != list(range(6))
    assert sorted([*first["y"], *second["y"]]) == list(range(10))
    np.testing.assert_array_equal(first["x"][:, 0], first["y"] * 2)
    assert utils.split_dataset([1, 2, 3, 4], 0.5)[1].tolist() == [3, 4]
    assert isinstance(utils.split_dataset([x, y], 5)[0], list)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1, 2, 3],), "expected at least one of them"),
        (([1, 2, 3], 1.0), "`left_size`: expected a number, above 0 and below 1"),
        (([1, 2, 3], 3), "`left_size`: expected an integer, at least 1 and at most 2"),
        (([1, 2, 3], 2, 2), "expected two parts of 3 rows"),
        (([1, 2, 3], 0.1), "expected two parts of 3 rows"),
        (((np.zeros(3), np.zeros(4)), 0.5), "`dataset`: expected arrays of as many rows"),
    ],
)
def test_splits_that_cannot_be(arguments, text) -> None:
    with pytest.raises(ValueError, match=text):
        utils.split_dataset(*arguments)
