"""Training that is interrupted and goes on: the same bits as without the interruption."""

import numpy as np
import pytest

from foliot import metrics, optimizers
from foliot.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from foliot.layers import GRU, BatchNormalization, Dense, Dropout, Embedding
from foliot.models import Model, Sequential
from foliot.utils import PyDataset, set_random_seed


def make(seed: int = 5) -> Sequential:
    set_random_seed(seed)
    network = Sequential([Embedding(12, 4), GRU(5, dropout=0.2, recurrent_dropout=0.1), Dropout(0.3), Dense(1)])
    network.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
    return network


class Interrupt(Callback):
    """Ends the process, as far as a test can: at an epoch's beginning, or at a batch's end."""

    def __init__(self, epoch: int, batch: int | None = None) -> None:
        super().__init__()
        self.epoch, self.batch = epoch, batch
        self.now = -1

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.now = epoch
        if epoch == self.epoch and self.batch is None:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None) -> None:
        if self.now == self.epoch and batch == self.batch:
            raise KeyboardInterrupt


class Count(Callback):
    """The epochs that were really trained."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.epochs.append(epoch)


class SlowDown(Callback):
    """A learning rate that depends on what came before."""

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.model.optimizer.learning_rate *= 0.7


OPTIONS = {"epochs": 5, "batch_size": 4, "verbose": 0, "validation_split": 0.25}


@pytest.mark.parametrize(("epoch", "batch"), [(0, None), (1, None), (3, None), (2, 1), (4, 3)])
@pytest.mark.parametrize("double", [False, True])
def test_the_same_bits(tokens, tmp_path, epoch, batch, double) -> None:
    whole = make()
    expected = whole.fit(*tokens, callbacks=[SlowDown()], **OPTIONS).history

    folder = tmp_path / "backup"
    first = make()
    with pytest.raises(KeyboardInterrupt):
        first.fit(
            *tokens,
            callbacks=[SlowDown(), BackupAndRestore(folder, double_checkpoint=double), Interrupt(epoch, batch)],
            **OPTIONS,
        )
    # Another process makes the model anew, here with other seeds and other names of layers.
    second = make(seed=6) if epoch else make()
    callbacks = [SlowDown(), BackupAndRestore(folder, double_checkpoint=double)]
    history = second.fit(*tokens, callbacks=callbacks, **OPTIONS)
    assert history.epoch == list(range(5))
    assert history.history == expected
    assert all(map(np.array_equal, second.get_weights(), whole.get_weights()))
    assert second.optimizer.learning_rate == whole.optimizer.learning_rate
    assert not folder.exists()


def test_a_damaged_backup(tokens, tmp_path) -> None:
    path = tmp_path / "latest.foliot"
    keep = BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    make().fit(*tokens, callbacks=[keep], **OPTIONS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest.foliot", "latest.foliot.bkp"]
    path.write_bytes(path.read_bytes()[:-7])
    # The one before is of the fourth epoch.
    counted = Count()
    assert make().fit(*tokens, callbacks=[keep, counted], **OPTIONS).epoch == [0, 1, 2, 3, 4]
    assert counted.epochs == [4]
    # The damaged file has not taken the place of the good one: that is where the next start goes on, too.
    path.unlink()
    make().fit(*tokens, callbacks=[keep, counted], **OPTIONS)
    assert counted.epochs == [4, 4]
    for file in tmp_path.iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="latest"):
        make().fit(*tokens, callbacks=[keep], **OPTIONS)


def test_a_backup_of_another_model(tokens, tmp_path) -> None:
    make().fit(*tokens, callbacks=[BackupAndRestore(tmp_path, delete_checkpoint=False)], **OPTIONS)
    other = Sequential([Embedding(12, 4), GRU(6), Dense(1)])
    other.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"expected a backup of .* Delete it to begin anew"):
        other.fit(*tokens, callbacks=[BackupAndRestore(tmp_path)], **OPTIONS)
    same = make()
    same.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expected a backup of"):
        same.fit(*tokens, callbacks=[BackupAndRestore(tmp_path)], **OPTIONS)


def test_a_finished_training_is_not_repeated(tokens, tmp_path) -> None:
    backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
    network = make()
    network.fit(*tokens, callbacks=[backup], **OPTIONS)
    weights, counted = network.get_weights(), Count()
    assert network.fit(*tokens, callbacks=[backup, counted], **OPTIONS).epoch == [0, 1, 2, 3, 4]
    assert counted.epochs == []
    assert all(map(np.array_equal, network.get_weights(), weights))


class After(Callback):
    """Ends the process after a number of batches, counted over epochs."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1


def resumed(build, data, folder, *, after, save_freq, callbacks=list, **options):
    """Histories and models of a training that ran through, and of one that was interrupted and resumed."""
    whole = build()
    expected = whole.fit(*data(), callbacks=callbacks(), **options)
    with pytest.raises(KeyboardInterrupt):
        build().fit(
            *data(), callbacks=[*callbacks(), BackupAndRestore(folder, save_freq=save_freq), After(after)], **options
        )
    again = build()
    history = again.fit(*data(), callbacks=[BackupAndRestore(folder, save_freq=save_freq), *callbacks()], **options)
    assert history.epoch == expected.epoch
    assert history.history == expected.history
    assert all(map(np.array_equal, again.get_weights(), whole.get_weights()))
    assert again.optimizer.iterations == whole.optimizer.iterations
    return whole, again


def mean_size(y_true, y_pred):
    return np.abs(y_pred).mean(axis=-1)


def make_with_metrics() -> Sequential:
    set_random_seed(5)
    network = Sequential([Embedding(12, 4), GRU(5, dropout=0.2, recurrent_dropout=0.1), BatchNormalization(), Dense(1)])
    network.compile(
        optimizers.AdamW(0.01, use_ema=True, clipnorm=1.0),
        "mse",
        metrics=["mae", "auc", mean_size],
        weighted_metrics=["mape"],
    )
    return network


class OwnError(metrics.Metric):
    def __init__(self, name: str = "own_error", **kwargs) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total")
        self.rows = self.add_weight(name="rows", dtype="int64")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        self.total.assign_add(np.abs(y_true.reshape(-1, 1) - y_pred).sum())
        self.rows.assign_add(len(y_pred))

    def result(self):
        return self.total / self.rows


class OwnSchedule(optimizers.schedules.LearningRateSchedule):
    """One that nothing can write down."""

    def __init__(self, secret: float) -> None:
        self._rate = secret

    def __call__(self, step):
        return self._rate / (1 + step)


def make_of_own_parts() -> Sequential:
    set_random_seed(5)
    network = Sequential([Embedding(12, 4), GRU(5, dropout=0.2), Dense(1)])
    network.compile(optimizers.Adam(OwnSchedule(0.1)), "mse", metrics=[OwnError(), "mae"])
    return network


@pytest.mark.parametrize(("after", "save_freq"), [(6, 1), (7, 3), (9, "epoch")])
def test_metrics_and_schedules_of_ones_own(tokens, tmp_path, after, save_freq) -> None:
    resumed(make_of_own_parts, lambda: tokens, tmp_path, after=after, save_freq=save_freq, **OPTIONS)


@pytest.mark.parametrize(
    ("after", "save_freq", "options"),
    [
        (6, 1, {}),
        (7, 3, {}),
        (4, 2, {}),  # all batches of the first epoch, and not yet its validation
        (9, 2, {"shuffle": False}),
        (9, 2, {"steps_per_epoch": 3}),
        (9, 3, {"steps_per_epoch": 3}),
        (9, "epoch", {"steps_per_epoch": 3}),
        (6, 1, {"steps_per_epoch": 6}),
        (7, 3, {"bucket_by_length": True, "lengths": [1 + row % 6 for row in range(22)]}),
    ],
)
def test_within_an_epoch(tokens, tmp_path, after, save_freq, options) -> None:
    resumed(make_with_metrics, lambda: tokens, tmp_path / "b", after=after, save_freq=save_freq, **OPTIONS | options)


def make_stateful() -> Sequential:
    set_random_seed(3)
    network = Sequential([Embedding(12, 4), GRU(5, stateful=True), Dropout(0.3), Dense(1)])
    network.build((4, 6))
    schedule = optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)
    network.compile(optimizers.Adam(schedule, gradient_accumulation_steps=2), "mse")
    return network


@pytest.mark.parametrize(("after", "save_freq"), [(7, 1), (7, 3), (9, "epoch")])
def test_carried_states_and_accumulated_gradients(tmp_path, after, save_freq) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(1, 12, (16, 6)), rng.random((16, 1))
    options = {"batch_size": 4, "epochs": 4, "verbose": 0, "shuffle": False}
    resumed(make_stateful, lambda: data, tmp_path, after=after, save_freq=save_freq, **options)


class Rows(PyDataset):
    def __init__(self, x, y) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index):
        return self.x[4 * index :][:4], self.y[4 * index :][:4]


@pytest.mark.parametrize(("after", "save_freq"), [(6, 1), (4, 2), (7, 3), (9, "epoch")])
@pytest.mark.parametrize("kind", ["dataset", "iterable"])
def test_sources_of_batches(tokens, tmp_path, kind, after, save_freq) -> None:
    dataset = Rows(*tokens)

    class Iterable:
        def __iter__(self):
            return (dataset[index] for index in range(4))

    data = (lambda: (Rows(*tokens),)) if kind == "dataset" else (lambda: (Iterable(),))
    resumed(make, data, tmp_path, after=after, save_freq=save_freq, epochs=4, verbose=0)


@pytest.mark.parametrize(("after", "save_freq"), [(8, "epoch"), (10, "epoch"), (10, 1), (12, 2), (11, 3)])
def test_states_of_callbacks(tokens, tmp_path, after, save_freq) -> None:
    def callbacks():
        return [
            LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            ReduceLROnPlateau("loss", patience=2, min_delta=10.0, cooldown=1),
            EarlyStopping("loss", patience=5, min_delta=10.0, restore_best_weights=True),
            SwapEMAWeights(swap_on_epoch=True),
        ]

    options = OPTIONS | {"epochs": 9}
    whole, again = resumed(
        make_with_metrics, lambda: tokens, tmp_path, after=after, save_freq=save_freq, callbacks=callbacks, **options
    )
    assert again.optimizer.learning_rate == whole.optimizer.learning_rate


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_a_log_has_each_epoch_once(tokens, tmp_path, append, save_freq) -> None:
    # The backup after six batches is of the second epoch, and the second row is written before the interruption.
    path = tmp_path / "log.csv"
    path.write_text("before\n")
    backup = BackupAndRestore(tmp_path / "b", save_freq=save_freq)
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[log := CSVLogger(path, append=append), backup, After(8)], **OPTIONS)
    log.csv_file.close()  # as the end of the process does
    history = make().fit(*tokens, callbacks=[CSVLogger(path, append=append), backup], **OPTIONS).history
    lines = path.read_text().splitlines()
    assert lines[:append] == ["before"] * append
    rows = [line.split(",") for line in lines if line[0].isdigit()]
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3, 4]
    assert [float(row[1]) for row in rows] == history["loss"]
    assert len(lines) == 6


def test_the_best_of_a_checkpoint(tokens, tmp_path) -> None:
    def checkpoint() -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / "{epoch}.foliot", "loss", save_best_only=True, mode="max")

    # The learning rate lowers the loss, so the first epoch is the best.
    folder = tmp_path / "b"
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[checkpoint(), BackupAndRestore(folder), After(6)], **OPTIONS)
    best = checkpoint()
    history = make().fit(*tokens, callbacks=[best, BackupAndRestore(folder)], **OPTIONS).history
    assert best.best == max(history["loss"])
    found = [value for place, value in enumerate(history["loss"]) if value > max(history["loss"][:place], default=0)]
    assert len(list(tmp_path.glob("*.foliot"))) == len(found)


def test_training_that_was_told_to_stop_stays_stopped(tokens, tmp_path) -> None:
    class Crash(Callback):
        def on_train_end(self, logs=None) -> None:
            raise KeyboardInterrupt

    def stop() -> EarlyStopping:
        return EarlyStopping("loss", min_delta=10.0, patience=2, restore_best_weights=True)

    whole = make()
    expected = whole.fit(*tokens, callbacks=[stop()], **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[BackupAndRestore(tmp_path), Crash(), stop()], **OPTIONS)
    again, counted = make(), Count()
    with pytest.warns(UserWarning, match="stays stopped"):
        history = again.fit(*tokens, callbacks=[stop(), BackupAndRestore(tmp_path), counted], **OPTIONS)
    assert counted.epochs == []
    assert history.history == expected.history
    assert all(map(np.array_equal, again.get_weights(), whole.get_weights()))


def test_the_state_of_a_callback_of_ones_own(tokens, tmp_path) -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []
            self.weights: list[np.ndarray] = []

        def get_state(self):
            return {"seen": self.seen, "weights": self.weights}

        def set_state(self, state) -> None:
            self.seen, self.weights = state["seen"], state["weights"]

        def on_train_batch_end(self, batch, logs=None) -> None:
            self.seen.append(logs["loss"])
            self.weights = self.model.get_weights()

    whole, first, second = Seen(), Seen(), [Seen(), Seen()]
    make().fit(*tokens, callbacks=[whole], **OPTIONS)
    backup = BackupAndRestore(tmp_path, save_freq=3)
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[backup, first, After(7)], **OPTIONS)
    history = make().fit(*tokens, callbacks=[backup, *second], **OPTIONS)
    assert (history.epoch, len(whole.seen)) == ([0, 1, 2, 3, 4], 20)
    assert second[0].seen == whole.seen
    assert len(second[1].seen) == len(whole.seen) - 6
    assert all(map(np.array_equal, second[0].weights, whole.weights))


@pytest.mark.parametrize(
    "odd",
    [object(), np.array([2**40 + 1]), [np.zeros(2)], {"deep": {3: 1.0}}, np.float32, 1j, np.datetime64("2000-01-01")],
)
def test_what_cannot_be_kept_of_a_callback(tokens, tmp_path, odd) -> None:
    class Odd(Callback):
        def get_state(self):
            return {"odd": odd}

    with pytest.raises(TypeError, match=r"`get_state of Odd/1`: expected numbers, texts, None, float32 arrays"):
        make().fit(*tokens, callbacks=[BackupAndRestore(tmp_path), Odd()], **OPTIONS)


def test_an_error_in_a_callback_is_not_the_backups(tokens, tmp_path) -> None:
    class Wrong(Callback):
        def get_state(self):
            return {"kept": 1}

        def set_state(self, state) -> None:
            calls.append(state)
            raise ValueError("mine")

    calls: list[dict[str, int]] = []
    backup = BackupAndRestore(tmp_path, double_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[backup, Wrong(), Interrupt(3)], **OPTIONS)
    with pytest.raises(ValueError, match=r"^mine$"):
        make().fit(*tokens, callbacks=[backup, Wrong()], **OPTIONS)
    assert calls == [{"kept": 1}]


def test_a_source_is_asked_for_what_was_done_once(tokens, tmp_path) -> None:
    class Source:
        given = 0

        def __iter__(self):
            for index in range(4):
                self.given += 1
                yield Rows(*tokens)[index]

    backup = BackupAndRestore(tmp_path, save_freq=1, double_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        make().fit(Source(), callbacks=[backup, After(7)], epochs=3, verbose=0)
    other, source = make(), Source()
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expected a backup of"):
        other.fit(source, callbacks=[backup], epochs=3, verbose=0)
    assert source.given <= 3  # the first batch, by which the model is built, and what is read ahead


def test_other_data_than_were_interrupted(tokens, tmp_path) -> None:
    x, y = tokens
    backup = BackupAndRestore(tmp_path, save_freq=3)
    with pytest.raises(KeyboardInterrupt):
        make().fit(x, y, callbacks=[backup, After(7)], **OPTIONS)
    with pytest.raises(ValueError, match=r"`x`: expected the rows that the interrupted training had, 22"):
        make().fit(x[:-1], y[:-1], callbacks=[backup], **OPTIONS)
    # As many steps, and the same rows.
    lengths = {"lengths": [1 + row % 6 for row in range(22)], "bucket_by_length": True}
    for options in ({"batch_size": 5}, {"shuffle": False}, {"steps_per_epoch": 3}, lengths):
        argument = list(options)[-1]
        with pytest.raises(ValueError, match=rf"`{argument}`: expected the {argument.replace('_', ' ')[:5]}"):
            make().fit(x, y, callbacks=[backup], **OPTIONS | options)
    with pytest.raises(ValueError, match=r"latest.*`x`: expected data of the kind"):
        make().fit(Rows(x, y), callbacks=[backup], epochs=5, verbose=0)
    other = make()
    other.compile(optimizers.Adam(0.01), "mse", metrics=["mape"])
    with pytest.raises(ValueError, match=r"latest.*`metrics`: expected the losses and metrics with which"):
        other.fit(x, y, callbacks=[backup], **OPTIONS)
    with pytest.raises(RuntimeError, match="no fit runs"):
        make().training_run  # noqa: B018


def test_between_epochs_much_may_change(tokens, tmp_path) -> None:
    backup = BackupAndRestore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make().fit(*tokens, callbacks=[backup, Interrupt(3)], **OPTIONS)
    other, counted = make(), Count()
    other.compile(optimizers.Adam(0.01), "mse", metrics=["mape"])
    with pytest.raises(KeyboardInterrupt):
        other.fit(*tokens, callbacks=[backup, counted, Interrupt(4)], **OPTIONS | {"batch_size": 7, "shuffle": False})
    make().fit(Rows(*tokens), callbacks=[backup, counted], epochs=5, verbose=0)
    assert counted.epochs == [3, 4]


def test_a_training_that_was_stopped_says_that_it_stays_stopped(tokens, tmp_path) -> None:
    def fit(epochs: int) -> int:
        counted, stop = Count(), EarlyStopping("loss", min_delta=10.0, patience=1)
        backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
        make().fit(*tokens, callbacks=[backup, counted, stop], **OPTIONS | {"epochs": epochs})
        return len(counted.epochs)

    assert fit(5) == 2
    for epochs in (3, 20):
        with pytest.warns(UserWarning, match=r"told to stop, and stays stopped; delete the backup"):
            assert fit(epochs) == 0
    assert fit(2) == 0


def test_a_fit_within_a_fit(tokens, tmp_path) -> None:
    class Inner(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            if epoch == 1:
                self.model.fit(*tokens, verbose=0)

    network, counted = make(), Count()
    network.fit(*tokens, callbacks=[Inner(), BackupAndRestore(tmp_path), counted], **OPTIONS)
    assert counted.epochs == [0, 1, 2, 3, 4]


class Plain(Model):
    """A model that cannot say what it was made with."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.embed, self.read, self.end = Embedding(12, 4), GRU(units, dropout=0.2), Dense(1)

    def call(self, inputs):
        return self.end(self.read(self.embed(inputs)))


def make_plain() -> Model:
    set_random_seed(5)
    network = Plain(3)
    network.compile("adam", "mse")
    return network


def test_models_without_a_configuration(tokens, tmp_path) -> None:
    resumed(make_plain, lambda: tokens, tmp_path, after=7, save_freq=3, **OPTIONS)


def test_the_folder_is_only_emptied_of_backups(tokens, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    make().fit(*tokens, callbacks=[BackupAndRestore(str(tmp_path)), EarlyStopping("loss", mode="max")], **OPTIONS)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"backup_dir": ""}, ValueError),
        ({"backup_dir": 3}, TypeError),
        ({"backup_dir": "b", "save_freq": False}, TypeError),
        ({"backup_dir": "b", "save_freq": 0}, ValueError),
        ({"backup_dir": "b", "double_checkpoint": 1}, TypeError),
    ],
)
def test_what_is_refused(options, error) -> None:
    with pytest.raises(error, match=r"backup_dir|save_freq|double_checkpoint"):
        BackupAndRestore(**options)
