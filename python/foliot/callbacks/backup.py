"""Training that goes on after an interruption."""

import os
from pathlib import Path

from foliot._checks import check_flag, check_integer, check_path
from foliot._warnings import warn
from foliot.callbacks.base import Callback, Logs

# One file with all that training depends on, written beside and renamed: it is never half of one epoch and half of
# another. Keras keeps the epoch in a file of its own.
_FILE = "latest.foliot"
_PREVIOUS = "latest.foliot.bkp"


class BackupAndRestore(Callback):
    """Keeps a backup while the model trains, from which `fit` of the same script goes on after an interruption.

    The backup holds the weights, the optimizer's state and learning rate, the seeds, the epoch and the batch in it, the
    order of its rows, what losses and metrics have gathered, what stateful layers carry, and what `get_state` of the
    other callbacks gives, so that an interrupted and resumed training has the bits and the history of one that was
    never interrupted. (Keras begins the interrupted epoch anew, and the callbacks' patience.) Sources of batches go on
    as far as that can be known: a `PyDataset` and what can be iterated again with the next batch, of which the latter
    is asked for those before again; a generator with what it gives first.

    It is called after all other callbacks. Where there are several of one class, each gets its state by its place among
    them.

    Args:
        backup_dir: The folder of the backup, for this training alone.
        save_freq: `'epoch'`, or an integer to save every so many batches.
        double_checkpoint: Also keep the backup before the last, and go on from it if the last cannot be read.
        delete_checkpoint: Delete the backup when training has come to its end.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range; when training begins: the backup is of another model, of other
            data within an epoch, or damaged.

    Warns:
        UserWarning: When training begins: the backup is of a training that was told to stop before its last epoch, as
            by `EarlyStopping`; it stays stopped.

    Example:
        >>> from foliot.callbacks import BackupAndRestore
        >>> backup = BackupAndRestore("backup")
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = check_path("backup_dir", backup_dir)
        self.save_freq: str | int = "epoch"
        if save_freq != "epoch":
            self.save_freq = check_integer("save_freq", save_freq, minimum=1)
        self.double_checkpoint = check_flag("double_checkpoint", double_checkpoint)
        self.delete_checkpoint = check_flag("delete_checkpoint", delete_checkpoint)
        self._epoch = 0
        self._batches = 0

    @property
    def _path(self) -> Path:
        return Path(self.backup_dir) / _FILE

    @property
    def _previous(self) -> Path:
        return Path(self.backup_dir) / _PREVIOUS

    def on_train_begin(self, logs: Logs = None) -> None:
        from foliot.models.saving import restore_training

        self._epoch = self._batches = 0
        for path in (self._path, self._previous):
            if not path.exists():
                continue
            try:
                restore_training(self.model, path)
            except (OSError, ValueError):
                if path == self._previous or not self._previous.exists():
                    raise
            else:
                if path == self._previous:
                    # The next backup would put the damaged one in place of this one.
                    self._path.unlink(missing_ok=True)
                self.model.training_run.go_on()
                self._warn_if_stopped()
                return

    def _warn_if_stopped(self) -> None:
        if self.model.stop_training and self.model.training_run.first_epoch < self.params.get("epochs", 0):
            warn(f"{self._path}: the training was told to stop, and stays stopped; delete the backup to begin anew")

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(batch, logs)
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save()

    def _save(self) -> None:
        from foliot.models.saving import save_training

        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._path.exists():
            self._path.replace(self._previous)
        save_training(self.model, self._path, self._epoch)

    def on_train_end(self, logs: Logs = None) -> None:
        if not self.delete_checkpoint:
            return
        for path in (self._path, self._previous):
            path.unlink(missing_ok=True)
        folder = Path(self.backup_dir)
        # What else lies there is not ours to delete. Keras empties the folder.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
