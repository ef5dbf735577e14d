"""Initializers: names, seeds, shapes and values."""

import numpy as np
import pytest

from foliot import initializers
from foliot.layers import Dense
from foliot.utils import set_random_seed

RANDOM = [cls for cls in initializers._REGISTRY.classes if issubclass(cls, initializers.RandomInitializer)]


def test_kerass_further_names() -> None:
    assert initializers.get("uniform") == initializers.RandomUniform(-0.05, 0.05)
    assert initializers.get("normal") == initializers.RandomNormal(0.0, 0.05)
    assert initializers.get("zero") == initializers.Zeros()
    assert initializers.get("one") == initializers.Ones()
    assert initializers.get("OrthogonalInitializer") == initializers.Orthogonal()
    assert initializers.get("IdentityInitializer") == initializers.Identity()
    assert initializers.glorot_uniform is initializers.GlorotUniform


def test_kinds() -> None:
    kinds = {cls.__name__: cls().to_spec()["kind"] for cls in initializers._REGISTRY.classes}
    assert kinds["GlorotUniform"] == "glorot_uniform"
    assert kinds["VarianceScaling"] == "variance_scaling"
    assert initializers.LecunNormal(seed=1).to_spec() == {"kind": "lecun_normal"}


def test_old_name_of_the_distribution() -> None:
    assert initializers.VarianceScaling(distribution="normal").distribution == "truncated_normal"


@pytest.mark.parametrize("cls", RANDOM)
def test_same_seed_same_values(cls: type[initializers.RandomInitializer]) -> None:
    first, second = cls(seed=3)((4, 5)), cls(seed=3)((4, 5))
    assert first.dtype == np.float32
    assert first.shape == (4, 5)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, cls(seed=4)((4, 5)))


@pytest.mark.parametrize("cls", RANDOM)
def test_without_a_seed_one_is_drawn_once(cls: type[initializers.RandomInitializer]) -> None:
    initializer = cls()
    first = initializer((4, 5))
    np.testing.assert_array_equal(first, initializer((4, 5)))
    assert not np.array_equal(first, cls()((4, 5)))
    assert initializer.get_config()["seed"] is None


@pytest.mark.parametrize("cls", RANDOM)
def test_seeds_follow_the_order_of_creation(cls: type[initializers.RandomInitializer]) -> None:
    set_random_seed(1)
    first, second = cls(), cls()
    assert first.seed != second.seed
    values = second((4, 5)), first((4, 5))
    set_random_seed(1)
    again = cls()
    np.testing.assert_array_equal(again((4, 5)), values[1])
    np.testing.assert_array_equal(cls()((4, 5)), values[0])
    copied = cls.from_config(first.get_config())
    assert copied == first
    assert copied.seed != first.seed


def test_layers_that_share_an_initializer_begin_alike() -> None:
    shared = initializers.GlorotUniform()
    left, right = (Dense(3, kernel_initializer=shared) for _ in range(2))
    for layer in (left, right):
        layer.build((None, 4))
    np.testing.assert_array_equal(left.get_weights()[0], right.get_weights()[0])
    assert left.kernel_initializer is shared


def test_fans_bound_the_values() -> None:
    # An LSTM kernel (inputs, 4 * units) counts all gates as outputs: sqrt(6 / (10 + 80)).
    values = initializers.GlorotUniform(seed=1)((10, 80))
    assert np.abs(values).max() <= np.sqrt(6 / 90)
    assert np.abs(values).max() > 0.9 * np.sqrt(6 / 90)


def test_orthogonal_rows_run_over_all_gates() -> None:
    values = initializers.Orthogonal(seed=1)((6, 24)).astype(np.float64)
    np.testing.assert_allclose(values @ values.T, np.eye(6), atol=1e-5)


def test_constant_number_and_identity() -> None:
    np.testing.assert_array_equal(initializers.Constant(2)((2, 3)), np.full((2, 3), 2, np.float32))
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), 2 * np.eye(2, 3, dtype=np.float32))


def test_constant_array() -> None:
    table = np.arange(6, dtype=np.float64).reshape(2, 3)
    constant = initializers.Constant(table)
    values = constant((2, 3))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, table)
    values[0, 0] = 9  # a copy
    np.testing.assert_array_equal(constant((2, 3)), table)
    assert initializers.deserialize(initializers.serialize(constant)) == constant
    assert initializers.get(table) == constant
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        constant((3, 2))


def test_a_function_makes_values() -> None:
    def ramp(shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
        return np.arange(np.prod(shape)).reshape(shape)

    initializer = initializers.get(ramp)
    assert initializer is not None
    np.testing.assert_array_equal(initializer((2, 2)), [[0, 1], [2, 3]])
    assert initializer == initializers.get(ramp)
    with pytest.raises(ValueError, match="ramp"):
        initializers.serialize(initializer)


def test_a_function_with_a_wrong_shape_is_named() -> None:
    def bad(shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
        return np.zeros(3)

    initializer = initializers.get(bad)
    assert initializer is not None
    with pytest.raises(ValueError, match=r"bad.*\(2, 2\).*\(3,\)"):
        initializer((2, 2))


def test_a_class_of_ones_own() -> None:
    class Halves(initializers.Initializer):
        def __call__(self, shape: object, dtype: str | None = None) -> np.ndarray:
            return np.full(shape, 0.5, np.float32)  # type: ignore[call-overload, no-any-return]

    mine = Halves()
    assert initializers.get(mine) is mine
    with pytest.raises(NotImplementedError, match="Halves"):
        mine.to_spec()


@pytest.mark.parametrize("identifier", [object, int])
def test_foreign_classes_are_refused(identifier: type) -> None:
    with pytest.raises(TypeError, match=r"^`initializer`"):
        initializers.get(identifier)


@pytest.mark.parametrize(
    ("shape", "error"), [("23", TypeError), (3, TypeError), ((2.0,), TypeError), ((2, -1), ValueError)]
)
def test_bad_shapes(shape: object, error: type[Exception]) -> None:
    for initializer in (initializers.Zeros(), initializers.Constant(np.ones(2)), initializers.GlorotUniform(seed=1)):
        with pytest.raises(error, match=r"^`shape`"):
            initializer(shape)  # type: ignore[arg-type]


def test_dtype_is_float32() -> None:
    assert initializers.Zeros()((2,), dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match=r"^`dtype`"):
        initializers.Zeros()((2,), dtype="float64")


@pytest.mark.parametrize("initializer", [initializers.Identity(), initializers.Orthogonal(seed=1)])
def test_matrices_need_two_axes(initializer: initializers.Initializer) -> None:
    with pytest.raises(ValueError, match="shape"):
        initializer((3,))
