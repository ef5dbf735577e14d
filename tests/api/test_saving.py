"""Files: what comes back is what was saved, to the bit, and training goes on as if nothing had happened."""

import json

import numpy as np
import pytest

from foliot import _core, losses, metrics, optimizers, regularizers
from foliot.layers import GRU, LSTM, Dense, Dropout, Embedding, Flatten, Input, SimpleRNN
from foliot.models import Sequential, load_model

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0, decay=0.01),
}


def _network(optimizer: optimizers.Optimizer) -> Sequential:
    network = Sequential(
        [
            Embedding(12, 4, mask_zero=True),
            Dropout(0.25),
            LSTM(3, return_sequences=True, dropout=0.25, kernel_regularizer=regularizers.L2(0.01)),
            GRU(3, recurrent_dropout=0.25, reset_after=False),
            Dense(1, activation="sigmoid", kernel_constraint="max_norm"),
        ]
    )
    network.compile(
        optimizer, losses.BinaryCrossentropy(label_smoothing=0.1), metrics=["acc", metrics.MeanSquaredError()]
    )
    return network


def _assert_same_weights(left: Sequential, right: Sequential) -> None:
    assert len(left.get_weights()) == len(right.get_weights())
    for mine, theirs in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resumed_training_has_the_same_bits(name, tokens, tmp_path) -> None:
    x, y = tokens
    path = tmp_path / "model.foliot"
    network = _network(OPTIMIZERS[name]())
    network.fit(x, y, batch_size=4, epochs=2, verbose=0)
    network.save(path)
    whole = network.fit(x, y, batch_size=4, epochs=4, initial_epoch=2, verbose=0)

    loaded = load_model(path)
    assert loaded.optimizer.iterations == 12
    resumed = loaded.fit(x, y, batch_size=4, epochs=4, initial_epoch=2, verbose=0)
    assert resumed.history == whole.history
    _assert_same_weights(network, loaded)
    for mine, theirs in zip(network.optimizer.get_slots(), loaded.optimizer.get_slots(), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(network.predict(x, verbose=0), loaded.predict(x, verbose=0))
    assert network.evaluate(x, y, verbose=0) == loaded.evaluate(x, y, verbose=0)
    assert loaded.metrics_names == network.metrics_names
    assert loaded.get_config() == network.get_config()
    assert loaded.get_compile_config() == network.get_compile_config()


def test_a_changed_learning_rate_is_kept(tokens, tmp_path) -> None:
    network = _network(optimizers.Adam())
    network.fit(*tokens, verbose=0)
    network.optimizer.learning_rate = 0.0123
    network.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer.learning_rate == network.optimizer.learning_rate


def test_saved_before_training_and_uncompiled(tokens, tmp_path) -> None:
    network = _network(optimizers.Adam())
    network.build((None, 6))
    network.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.optimizer.iterations == 0
    loaded.fit(*tokens, verbose=0)

    plain = Sequential([Input((5, 2)), SimpleRNN(3)])
    plain.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.optimizer is None
    assert loaded.input_shape == (None, 5, 2)
    assert load_model(tmp_path / "m", compile=False).optimizer is None


def test_without_compilation(tokens, tmp_path) -> None:
    network = _network(optimizers.Adam())
    network.fit(*tokens, verbose=0)
    network.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", compile=False)
    assert loaded.optimizer is None
    with pytest.raises(RuntimeError, match="compile"):
        loaded.fit(*tokens, verbose=0)
    _assert_same_weights(network, loaded)


def test_nested_frozen_and_deferred_models(tmp_path) -> None:
    inner = Sequential([Input((5, 2)), LSTM(3, return_sequences=True), Flatten()], name="inner")
    inner.layers[0].trainable = False
    outer = Sequential([Dense(2), inner, Dense(1)])
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    expected = outer.predict(x, verbose=0)
    outer.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    assert len(loaded.trainable_weights) == 4
    assert len(loaded.weights) == 7


def test_config_alone_makes_a_new_model(model, tokens) -> None:
    model.predict(tokens[0], verbose=0)
    again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    assert again.predict(tokens[0], verbose=0).shape == (22, 1)
    assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])


def test_weights_alone(model, tokens, tmp_path) -> None:
    path = tmp_path / "weights"
    model.predict(tokens[0], verbose=0)
    model.save_weights(path)
    other = Sequential([Embedding(12, 4), SimpleRNN(5), Dense(1)])
    other.build((None, 6))
    other.load_weights(path)
    _assert_same_weights(model, other)
    with pytest.raises(ValueError, match="expected a whole model; received weights only"):
        load_model(path)
    model.save(path)
    other.set_weights([np.zeros_like(weight) for weight in other.get_weights()])
    other.load_weights(path)
    _assert_same_weights(model, other)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Embedding(12, 4), SimpleRNN(6), Dense(1)],
        lambda: [Embedding(12, 4), SimpleRNN(5)],
        lambda: [Embedding(12, 4), SimpleRNN(5, use_bias=False), Dense(1)],
        lambda: [Embedding(12, 4), SimpleRNN(5), Dense(1), Dense(1)],
    ],
)
def test_weights_of_another_model_are_refused(model, tokens, tmp_path, layers) -> None:
    path = tmp_path / "weights"
    model.predict(tokens[0], verbose=0)
    model.save_weights(path)
    other = Sequential(layers())
    other.build((None, 6))
    before = other.get_weights()
    with pytest.raises(ValueError, match="weights: expected"):
        other.load_weights(path)
    for kept, weight in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "m.HDF5"])
def test_foreign_extensions(model, tokens, tmp_path, name) -> None:
    model.predict(tokens[0], verbose=0)
    with pytest.raises(ValueError, match="foliot writes its own format"):
        model.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_paths(model, tokens, tmp_path) -> None:
    with pytest.raises(ValueError, match="no weights yet"):
        model.save(tmp_path / "m")
    model.predict(tokens[0], verbose=0)
    model.save(str(tmp_path / "m"))
    model.save(tmp_path / "m")
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m", overwrite=False)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "absent")
    with pytest.raises(OSError, match="no_such_folder"):
        model.save(tmp_path / "no_such_folder" / "m")
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def _rewrite(path, change) -> None:
    """Saves the file again with a changed description."""
    tensors, metadata = _core.load_file(path)
    description = json.loads(metadata["model"])
    change(description, tensors, metadata)
    _core.save_file(path, tensors, metadata | {"model": json.dumps(description)})


@pytest.mark.parametrize(
    "change",
    [
        lambda d, t, m: d.pop("seeds"),
        lambda d, t, m: d.update(extra=1),
        lambda d, t, m: d["model"].update(class_name="os.system"),
        lambda d, t, m: d["model"]["config"]["layers"][1].update(class_name="Lambda"),
        lambda d, t, m: d["model"]["config"]["layers"][1]["config"].update(units=10**12),
        lambda d, t, m: d["model"]["config"]["layers"][0]["config"].update(input_dim=10**12),
        lambda d, t, m: d["model"]["config"]["layers"][1]["config"].update(hook="print"),
        lambda d, t, m: d["model"]["config"].update(layers=None),
        lambda d, t, m: d["model"]["config"].update(layers=[None]),
        lambda d, t, m: d["model"].update(config=[]),
        lambda d, t, m: d.update(model=None),
        lambda d, t, m: d["compile"].update(optimizer={"class_name": "Lion", "config": {}}),
        lambda d, t, m: d["compile"].update(loss="strange"),
        lambda d, t, m: d["compile"].update(strange=1),
        lambda d, t, m: d["optimizer"].update(iterations=-1),
        lambda d, t, m: d["optimizer"].update(iterations="many"),
        lambda d, t, m: d.update(shuffles=None),
        lambda d, t, m: d["seeds"].pop("shuffle"),
        lambda d, t, m: d["seeds"].update(shuffle="x"),
        lambda d, t, m: d["seeds"].pop("simple_rnn/dropout"),
        lambda d, t, m: d["seeds"].update({"simple_rnn/dropout": -1}),
        lambda d, t, m: t.pop("layers/1/0/kernel"),
        lambda d, t, m: t.update({"layers/9/0/kernel": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"layers/1/0/kernel": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"layers/x/0/kernel": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"layers/kernel": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"optimizer/velocity/x": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"optimizer/other/0": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.update({"optimizer/velocity/1": np.zeros((2, 2), np.float32)}),
        lambda d, t, m: t.pop("optimizer/velocity/1"),
        lambda d, t, m: m.update(format="other"),
        lambda d, t, m: m.update(format_version="99"),
    ],
)
def test_a_changed_file_is_refused(model, tokens, tmp_path, change) -> None:
    path = tmp_path / "m"
    model.fit(*tokens, verbose=0)
    model.save(path)
    load_model(path)
    _rewrite(path, change)
    with pytest.raises(ValueError, match=str(path)):
        load_model(path)


def test_truncated_and_foreign_files(model, tokens, tmp_path) -> None:
    path = tmp_path / "m"
    model.fit(*tokens, verbose=0)
    model.save(path)
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:5],
        whole[: len(whole) // 2],
        whole[:-1],
        b"\x89HDF\r\n\x1a\n" + bytes(100),
        b"{}" * 50,
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError):  # noqa: PT011 - the texts are the core's and tested there
            load_model(path)


@pytest.mark.parametrize("custom_objects", [None, {"mine": np.abs}])
def test_a_file_without_tensors_makes_no_weights(tmp_path, custom_objects) -> None:
    path = tmp_path / "m"
    Sequential([Input((3,)), Dense(1)]).save(path)

    def claim(description, tensors, metadata) -> None:
        tensors.clear()
        description["model"]["config"]["layers"] = [{"class_name": "Dense", "config": {"units": 8000}}]
        description["inputs"] = ["numbers", None, 8000]

    _rewrite(path, claim)
    with pytest.raises(ValueError, match=r"expected a tensor for the weight kernel of shape \(8000, 8000\)"):
        load_model(path, custom_objects)


def test_a_file_makes_no_states_of_the_size_that_it_claims(tmp_path) -> None:
    path = tmp_path / "m"
    Sequential([Input(batch_shape=(2, 3, 1)), LSTM(4, stateful=True)]).save(path)

    def claim(description, tensors, metadata) -> None:
        description["model"]["config"]["layers"][0]["config"]["batch_shape"] = [10**14, 3, 1]

    _rewrite(path, claim)
    assert load_model(path).input_shape == (10**14, 3, 1)
