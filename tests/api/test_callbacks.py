"""EarlyStopping and ModelCheckpoint, driven by made-up losses and by training."""

import copy

import numpy as np
import pytest

from foliot import optimizers
from foliot.callbacks import Callback, CallbackList, EarlyStopping, History, ModelCheckpoint
from foliot.layers import Dense, Flatten
from foliot.models import Sequential, load_model


class FakeModel:
    """Weights that are the epoch's number, so that a test sees which ones came back."""

    def __init__(self) -> None:
        self.epoch = -1
        self.stop_training = False
        self.restored: float | None = None
        self.saved: list[str] = []

    def get_weights(self) -> list[np.ndarray]:
        return [np.array(self.epoch)]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.restored = float(weights[0])

    def metric_direction(self, name: str) -> str | None:
        return {"loss": "min", "acc": "max"}.get(name)

    def save(self, path: str) -> None:
        self.saved.append(path)

    def save_weights(self, path: str) -> None:
        self.saved.append(f"weights:{path}")


def drive(callback: Callback, values: list[float], monitor: str = "val_loss") -> FakeModel:
    """Runs the hooks of a training with the given values until the callback stops it."""
    fake = FakeModel()
    callback.set_model(fake)  # type: ignore[arg-type]
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        fake.epoch = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0, monitor: value})
        if fake.stop_training:
            break
    callback.on_train_end()
    return fake


@pytest.mark.parametrize(
    ("options", "values", "last"),
    [
        ({}, [3, 2, 2, 1], 2),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 5),
        ({"patience": 2}, [3, 2, 1, 0], 3),
        ({"patience": 1, "min_delta": 0.5}, [3, 2, 1.8, 1.6, 0], 2),
        ({"patience": 1, "min_delta": -0.5}, [3, 2, 1.8, 1.6, 0], 2),
        ({"patience": 1, "start_from_epoch": 3}, [3, 4, 5, 6, 7, 0], 4),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 1.5, 1.6, 0], 3),
        ({"patience": 1, "baseline": 2.5}, [3, 2, 2.2, 0], 2),
        ({"patience": 1, "monitor": "val_acc"}, [1, 2, 1, 3], 2),
        ({"patience": 1, "monitor": "val_acc", "mode": "min"}, [3, 2, 3, 1], 2),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 3], 2),
        ({"patience": 2}, [float("nan"), 2, 3, 4], 2),
    ],
)
def test_early_stopping(options, values, last) -> None:
    callback = EarlyStopping(**options)
    fake = drive(callback, values, callback.monitor)
    assert fake.epoch == last
    assert fake.stop_training is (last < len(values) - 1)


@pytest.mark.parametrize(
    ("values", "best"), [([3, 2, 4, 5, 6], 1), ([5, 4, 3], 2), ([1, 2, 3, 4], 0), ([float("nan")] * 4, 0)]
)
def test_best_weights_come_back(values, best) -> None:
    callback = EarlyStopping(patience=2, restore_best_weights=True)
    assert drive(callback, values).restored == best
    assert callback.best_epoch == best


def test_early_stopping_starts_afresh_in_the_next_fit() -> None:
    callback = EarlyStopping(patience=1)
    drive(callback, [3, 4, 5])
    assert drive(callback, [9, 8, 7]).epoch == 2


def test_early_stopping_says_so(capsys) -> None:
    drive(EarlyStopping(patience=1, verbose=1, restore_best_weights=True), [3, 2, 4])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 3: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]


def test_a_missing_monitor_warns() -> None:
    with pytest.warns(UserWarning, match="watches 'val_f1', which is not among loss, val_loss"):
        drive(EarlyStopping(monitor="val_f1"), [1])


def test_a_direction_that_does_not_follow_is_asked_for() -> None:
    with pytest.raises(ValueError, match="`mode`: expected 'min' or 'max'"):
        drive(EarlyStopping(monitor="val_strange"), [1, 2], "val_strange")


@pytest.mark.parametrize(
    ("options", "values", "saved"),
    [
        ({}, [3, 4], ["m-01-3.00", "m-02-4.00"]),
        ({"save_best_only": True}, [3, 4, 2], ["m-01-3.00", "m-03-2.00"]),
        ({"save_best_only": True, "initial_value_threshold": 2.5}, [3, 4, 2], ["m-03-2.00"]),
        ({"save_best_only": True, "mode": "max"}, [3, 4, 2], ["m-01-3.00", "m-02-4.00"]),
        ({"save_weights_only": True}, [3], ["weights:m-01-3.00"]),
    ],
)
def test_checkpoint(options, values, saved) -> None:
    callback = ModelCheckpoint("m-{epoch:02d}-{val_loss:.2f}", **options)
    assert drive(callback, values).saved == saved


def test_checkpoint_every_so_many_batches() -> None:
    fake = FakeModel()
    callback = ModelCheckpoint("{epoch}-{batch}", save_freq=2)
    callback.set_model(fake)  # type: ignore[arg-type]
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(3):
            callback.on_train_batch_end(batch, {"loss": 1.0})
        callback.on_epoch_end(epoch, {"loss": 1.0})
    assert fake.saved == ["1-2", "2-1", "2-3"]


def test_checkpoint_says_so(capsys) -> None:
    drive(ModelCheckpoint("m", verbose=1, save_best_only=True), [3, 4, 2])
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "Epoch 1: val_loss improved from inf to 3.00000, saving model to m",
        "Epoch 2: val_loss did not improve from 3.00000",
        "Epoch 3: val_loss improved from 3.00000 to 2.00000, saving model to m",
    ]


def test_checkpoint_with_an_unknown_field() -> None:
    with pytest.raises(
        ValueError, match=r"`filepath`: expected fields among epoch, loss, val_loss; received 'm-{val_acc}'"
    ):
        drive(ModelCheckpoint("m-{val_acc}"), [1])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.keras", "`filepath`: expected a path such as 'model.foliot'.*not .keras"),
        ("best/{epoch}.weights.h5", "`filepath`: expected a path such as 'model.foliot'.*not .h5"),
        ("m-{}.foliot", "`filepath`: expected fields with names"),
        ("m-{0}.foliot", "`filepath`: expected fields with names"),
        ("m-{epoch.foliot", "`filepath`: expected fields with names"),
        ("m-{loss:.2f}}.foliot", "`filepath`: expected fields with names"),
    ],
)
def test_a_checkpoint_checks_its_path_when_it_is_made(path, text) -> None:
    for weights_only in (False, True):
        with pytest.raises(ValueError, match=text):
            ModelCheckpoint(path, save_weights_only=weights_only)


def test_a_checkpoint_checks_its_folder_before_training(model, tokens, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in ("file/m", "file/new/m", "file/{epoch}/m", "folder"):
        with pytest.raises(OSError, match="`filepath`: expected a file in a folder that can be written"):
            model.fit(*tokens, verbose=0, callbacks=[ModelCheckpoint(tmp_path / path, save_freq=10**6)])
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"`filepath`.*folder"):
        model.fit(*tokens, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "folder" / "m")])
    assert model.optimizer.iterations == 0


def test_folders_with_fields_are_made_when_they_are_known(model, tokens, tmp_path) -> None:
    model.fit(*tokens, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "a" / "{epoch}" / "m.foliot")])
    assert (tmp_path / "a" / "1" / "m.foliot").is_file()


def test_checkpoints_are_models(model, tokens, tmp_path) -> None:
    path = tmp_path / "new" / "{epoch}.foliot"
    model.fit(*tokens, epochs=2, verbose=0, callbacks=[ModelCheckpoint(path)])
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["1.foliot", "2.foliot"]
    last = load_model(tmp_path / "new" / "2.foliot")
    np.testing.assert_array_equal(last.predict(tokens[0], verbose=0), model.predict(tokens[0], verbose=0))


def test_early_stopping_restores_while_training(model, tokens) -> None:
    class Remember(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.weights: list[list[np.ndarray]] = []

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.weights.append(self.model.get_weights())

    remember = Remember()
    # With `mode='max'` on the loss every epoch that gets better is worse.
    stop = EarlyStopping("loss", patience=2, mode="max", restore_best_weights=True)
    history = model.fit(*tokens, batch_size=4, epochs=20, verbose=0, callbacks=[remember, stop])
    assert len(history.epoch) == stop.best_epoch + 3
    for mine, theirs in zip(model.get_weights(), remember.weights[stop.best_epoch], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_callback_list_checks_its_items() -> None:
    with pytest.raises(TypeError, match="callbacks"):
        CallbackList([EarlyStopping])  # type: ignore[list-item]
    history = History()
    assert CallbackList(history).callbacks == [history]
    with pytest.raises(RuntimeError, match="has no model"):
        _ = history.model


def test_the_users_list_stays_as_it_was(model, tokens) -> None:
    mine: list[Callback] = [History()]
    model.fit(*tokens, verbose=1, callbacks=mine)
    assert len(mine) == 1
    together = CallbackList(mine)
    model.fit(*tokens, verbose=1, callbacks=together)
    assert len(together.callbacks) == 1


# What callbacks do with the model while it trains


class Meanwhile(Callback):
    """Does something with the model after every batch, and keeps the batches' logs."""

    def __init__(self, act=lambda model: None) -> None:
        super().__init__()
        self.act = act
        self.logs: list[dict[str, float]] = []
        self.results: list[object] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.logs.append(logs)
        self.results.append(self.act(self.model))


@pytest.mark.parametrize("way", ["evaluate", "test_on_batch", "predict"])
def test_the_means_of_an_epoch_outlast_what_callbacks_do(model, tokens, way) -> None:
    x, y = tokens
    options = {"batch_size": 4, "epochs": 2, "verbose": 0, "validation_split": 0.25}
    model.build((None, 6))
    alone = copy.deepcopy(model)
    quiet = Meanwhile()
    expected = alone.fit(x, y, callbacks=[quiet], **options).history

    acts = {
        "evaluate": lambda network: network.evaluate(x[:8], y[:8], verbose=0),
        "test_on_batch": lambda network: network.test_on_batch(x[:8], y[:8]),
        "predict": lambda network: network.predict(x[:8], verbose=0).tolist(),
    }
    busy = Meanwhile(acts[way])
    assert model.fit(x, y, callbacks=[busy], **options).history == expected
    assert busy.logs == quiet.logs
    assert all(map(np.array_equal, model.get_weights(), alone.get_weights()))
    # What it evaluated were the weights of that moment, and its own rows.
    assert busy.results[-1] == acts[way](model)
    assert busy.results[0] != busy.results[-1]


def test_evaluations_inside_evaluate(model, tokens) -> None:
    class Inner(Callback):
        def on_test_batch_end(self, batch, logs=None) -> None:
            self.model.test_on_batch(tokens[0][:3], tokens[1][:3])

    model.build((None, 6))
    alone = model.evaluate(*tokens, batch_size=4, verbose=0)
    assert model.evaluate(*tokens, batch_size=4, verbose=0, callbacks=[Inner()]) == alone


def test_reset_metrics(tokens) -> None:
    network = Sequential([Flatten(), Dense(1)])
    network.reset_metrics()  # nothing to forget yet
    network.compile(optimizers.SGD(0.0), "mse")
    single = Meanwhile()
    network.fit(*tokens, batch_size=1, shuffle=False, verbose=0, callbacks=[single])
    # Begun anew after every batch, the running means are those of single batches.
    reset = Meanwhile(lambda model: model.reset_metrics())
    network.fit(*tokens, batch_size=1, shuffle=False, verbose=0, callbacks=[reset])
    means = np.cumsum([logs["loss"] for logs in reset.logs]) / np.arange(1, 23)
    np.testing.assert_allclose([logs["loss"] for logs in single.logs], means, rtol=1e-5)
    assert network.evaluate(*tokens, verbose=0) == pytest.approx(means[-1], rel=1e-5)


def test_layers_frozen_and_added_while_training(tokens) -> None:
    network = Sequential([Flatten(), Dense(3), Dense(1)])
    network.compile("sgd", "mse")

    def freeze(model: Sequential) -> None:
        model.layers[1].trainable = False
        model.evaluate(*tokens, verbose=0)

    # The epoch goes on with what it began with.
    before = network.fit(*tokens, batch_size=11, verbose=0, callbacks=[Meanwhile(freeze)]).history
    assert np.isfinite(before["loss"][0])
    network.compile("sgd", "mse")
    kernel = network.layers[1].get_weights()[0]
    network.fit(*tokens, verbose=0)
    np.testing.assert_array_equal(network.layers[1].get_weights()[0], kernel)
