"""BatchNormalization's moving weights, which no optimizer changes, and the other normalizations' arguments."""

from pathlib import Path

import numpy as np
import pytest

from foliot.layers import GRU, BatchNormalization, Dense, Input, LayerNormalization, Masking, RMSNormalization
from foliot.models import Sequential, load_model

X = np.random.default_rng(1).normal(2.0, 3.0, size=(12, 4)).astype(np.float32)


def moving(layer: BatchNormalization) -> list[np.ndarray]:
    return layer.get_weights()[-2:]


def test_a_training_call_moves_the_statistics_and_no_other_does() -> None:
    layer = BatchNormalization(momentum=0.9)
    layer(X)
    assert [weight.tolist() for weight in moving(layer)] == [[0.0] * 4, [1.0] * 4]
    layer(X, training=True)
    np.testing.assert_allclose(moving(layer)[0], 0.1 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moving(layer)[1], 0.9 + 0.1 * X.var(0), rtol=1e-5)


def test_masked_steps_do_not_count() -> None:
    x = X.reshape(3, 4, 4)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    layer = BatchNormalization(momentum=0.0)
    layer(x, mask=mask, training=True)
    np.testing.assert_allclose(moving(layer)[0], x[mask].mean(0), rtol=1e-5)
    np.testing.assert_allclose(moving(layer)[1], x[mask].var(0), rtol=1e-5)


def test_fit_moves_the_statistics_batch_by_batch() -> None:
    model = Sequential([Input((4,)), BatchNormalization(momentum=0.7), Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    y = X[:, :1]
    model.fit(X, y, batch_size=5, shuffle=False, verbose=0)
    mean, variance = np.zeros(4), np.ones(4)
    for start in (0, 5, 10):
        part = X[start : start + 5].astype(np.float64)
        mean, variance = 0.7 * mean + 0.3 * part.mean(0), 0.7 * variance + 0.3 * part.var(0)
    layer = model.layers[0]
    assert isinstance(layer, BatchNormalization)
    np.testing.assert_allclose(moving(layer), [mean, variance], rtol=1e-5)
    before = moving(layer)
    model.evaluate(X, y, verbose=0)
    model.predict(X, verbose=0)
    np.testing.assert_array_equal(moving(layer), before)


def test_a_step_that_fails_moves_nothing() -> None:
    model = Sequential([Input((4,)), BatchNormalization(), Dense(3, activation="softmax")])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match="class"):
        model.train_on_batch(X, np.full(12, 7))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_frozen_is_inference() -> None:
    layer = BatchNormalization(momentum=0.5)
    layer(X, training=True)
    kept = layer.get_weights()
    layer.trainable = False
    np.testing.assert_array_equal(layer(X, training=True), layer(X))
    model = Sequential([Input((4,)), layer, Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, X[:, :1], verbose=0)
    for old, new in zip(kept, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    layer.trainable = True
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, X[:, :1], verbose=0)
    assert all((old != new).any() for old, new in zip(kept, layer.get_weights(), strict=True))


def test_moving_weights_are_counted_as_not_trainable() -> None:
    layer = BatchNormalization()
    layer.build((None, 4))
    assert [weight.name for weight in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [weight.name for weight in layer.trainable_weights] == ["gamma", "beta"]
    assert [weight.name for weight in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    model = Sequential([Input((4,)), layer])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert " Trainable params: 8 (32.00 B)" in lines
    assert " Non-trainable params: 8 (32.00 B)" in lines


def test_a_loaded_model_goes_on(tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(20, 6, 3)).astype(np.float32)
    x[:, 4:] = 0.0
    model = Sequential([Input((6, 3)), Masking(), BatchNormalization(), GRU(4), LayerNormalization(), Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, x[:, 0, :1], batch_size=8, verbose=0)
    model.save(tmp_path / "model.foliot")
    other = load_model(tmp_path / "model.foliot")
    for one in (model, other):
        one.fit(x, x[:, 0, :1], batch_size=8, verbose=0)
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_only_the_last_axis() -> None:
    assert LayerNormalization(axis=2)(np.ones((2, 3, 4))).shape == (2, 3, 4)
    for layer in (LayerNormalization(axis=1), RMSNormalization(axis=[1]), BatchNormalization(axis=-2)):
        with pytest.raises(ValueError, match="axis=-1 or 2, the last axis"):
            layer(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="`axis`: expected one axis"):
        LayerNormalization(axis=[1, 2])
    with pytest.raises(TypeError, match="`axis`"):
        BatchNormalization(axis=[-1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"renorm": True}, {"renorm_clipping": {}}, {"renorm_momentum": 0.5}, {"synchronized": True}]
)
def test_what_batch_normalization_has_not(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        BatchNormalization(**options)  # type: ignore[arg-type]


def test_rms_scaling_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="RMSNormalization"):
        LayerNormalization(rms_scaling=True)
