"""Training that is interrupted and goes on: the same bits as without the interruption."""

import numpy as np
import pytest

from foliot import optimizers
from foliot.callbacks import BackupAndRestore, Callback, EarlyStopping
from foliot.layers import GRU, Dense, Dropout, Embedding
from foliot.models import Sequential
from foliot.utils import set_random_seed


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
    assert history.epoch == list(range(epoch, 5))
    assert history.history == {name: values[epoch:] for name, values in expected.items()}
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
    assert make().fit(*tokens, callbacks=[keep], **OPTIONS).epoch == [4]
    # The damaged file has not taken the place of the good one: that is where the next start goes on, too.
    path.unlink()
    assert make().fit(*tokens, callbacks=[keep], **OPTIONS).epoch == [4]
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
    assert network.fit(*tokens, callbacks=[backup], **OPTIONS).epoch == []


def test_every_so_many_batches(tokens, tmp_path) -> None:
    first = make()
    with pytest.raises(KeyboardInterrupt):
        first.fit(*tokens, callbacks=[BackupAndRestore(tmp_path / "b", save_freq=3), Interrupt(1, 3)], **OPTIONS)

    class Beginning(Callback):
        weights: list[np.ndarray]

        def on_epoch_begin(self, epoch, logs=None) -> None:
            if not hasattr(self, "weights"):
                self.weights, self.iterations = self.model.get_weights(), self.model.optimizer.iterations

    # Four batches an epoch: the backup after six batches is of the second epoch, which begins anew.
    beginning = Beginning()
    history = make().fit(*tokens, callbacks=[BackupAndRestore(tmp_path / "b", save_freq=3), beginning], **OPTIONS)
    assert history.epoch == [1, 2, 3, 4]
    assert beginning.iterations == 6


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
