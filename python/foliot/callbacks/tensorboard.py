"""Curves and histograms for TensorBoard."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foliot._arrays import Array
from foliot._checks import check_flag, check_integer, check_off, check_path
from foliot._serialization import serialize
from foliot.callbacks.base import Callback, Logs
from foliot.callbacks.event_files import EventFile

if TYPE_CHECKING:
    from foliot.models.model import Model


class TensorBoard(Callback):
    """Writes what TensorBoard shows. Neither TensorFlow nor TensorBoard is needed to write it.

    The folder `log_dir/train` gets `epoch_loss`, `epoch_learning_rate` and the like, `log_dir/validation` those of
    validation and, by the number of training steps, `evaluation_loss_vs_iterations`. Look at them with
    `tensorboard --logdir logs`.

    Args:
        log_dir: The folder.
        histogram_freq: Write histograms of the weights every so many epochs; 0 writes none.
        write_graph: Write the model's configuration for the page "Graphs" (of `Sequential` models).
        write_images: Write the weights as images, too, whenever histograms are written.
        write_steps_per_second: Write how many steps were trained per second.
        update_freq: `'epoch'`; `'batch'` or 1 to write `batch_loss` and the like after every batch, too, or an integer
            for every so many batches.
        profile_batch: 0: foliot has no profile to write.
        embeddings_freq: 0: foliot writes no checkpoints for the page "Projector".
        embeddings_metadata: None, which belongs to `embeddings_freq`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.

    Example:
        >>> from foliot.callbacks import TensorBoard
        >>> board = TensorBoard("logs", histogram_freq=1)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        super().__init__()
        self.log_dir = check_path("log_dir", log_dir)
        self.histogram_freq = check_integer("histogram_freq", histogram_freq, minimum=0)
        self.write_graph = check_flag("write_graph", write_graph)
        self.write_images = check_flag("write_images", write_images)
        self.write_steps_per_second = check_flag("write_steps_per_second", write_steps_per_second)
        self.update_freq: str | int = "epoch"
        if update_freq != "epoch":
            self.update_freq = 1 if update_freq == "batch" else check_integer("update_freq", update_freq, minimum=1)
        check_off("profile_batch", profile_batch, 0)
        check_off("embeddings_freq", embeddings_freq, 0)
        check_off("embeddings_metadata", embeddings_metadata, None)
        self._files: dict[str, EventFile] = {}
        self._batches = 0
        self._described = False
        self._training = False
        self._batch_started = self._epoch_started = 0.0
        self._steps_before = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    def set_model(self, model: "Model") -> None:
        super().set_model(model)
        self._close()
        self._described = False

    def _file(self, run: str) -> EventFile:
        if run not in self._files:
            self._files[run] = EventFile(Path(self.log_dir) / run)
        return self._files[run]

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    @property
    def _iterations(self) -> int:
        return 0 if self.model.optimizer is None else int(self.model.optimizer.iterations)

    def get_state(self) -> dict[str, Any]:
        return {"batches": self._batches, "described": self._described}

    def set_state(self, state: dict[str, Any]) -> None:
        self._batches, self._described = state["batches"], state["described"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batches = 0
        self._training = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_started, self._steps_before = time.perf_counter(), self._iterations

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_begin(batch, logs)
        self._batch_started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._batches += 1
        if self.write_graph and not self._described:
            self._described = True
            # TensorBoard draws Keras's form of a configuration.
            if type(self.model).__name__ == "Sequential":
                self._file("train").model("keras", json.dumps(serialize(self.model)), 0)
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        file = self._file("train")
        if self.write_steps_per_second:
            seconds = time.perf_counter() - self._batch_started
            file.scalar("batch_steps_per_second", 1.0 / max(seconds, 1e-9), self._batches)
        for name, value in (logs or {}).items():
            file.scalar(f"batch_{name}", value, self._batches)

    def on_test_end(self, logs: Logs = None) -> None:
        for name, value in (logs or {}).items():
            self._file("validation").scalar(f"evaluation_{name}_vs_iterations", value, self._iterations)
        if not self._training:
            self._close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        values = dict(logs or {})
        if values:
            if self.model.optimizer is not None:
                values["learning_rate"] = float(self.model.optimizer.learning_rate)
            if self.write_steps_per_second:
                seconds = time.perf_counter() - self._epoch_started
                values["steps_per_second"] = (self._iterations - self._steps_before) / max(seconds, 1e-9)
        for name, value in values.items():
            run = "validation" if name.startswith("val_") else "train"
            self._file(run).scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for file in self._files.values():
            file.flush()

    def _write_weights(self, epoch: int) -> None:
        file = self._file("train")
        for layer in self.model.layers:
            # A wrapper's weights may have one name, as those of two directions.
            seen: Counter[str] = Counter()
            for parameter in layer.weights:
                tag, weight = f"{layer.name}/{parameter.name}".replace(":", "_"), parameter.numpy()
                seen[tag] += 1
                if seen[tag] > 1:
                    tag = f"{tag}_{seen[tag] - 1}"
                file.histogram(f"{tag}/histogram", weight, epoch)
                images = _images(weight) if self.write_images else None
                if images is not None:
                    file.image(f"{tag}/image", images, epoch)


def _images(weight: Array) -> Array | None:
    """`(images, height, width)`: a bias is a column, a matrix lies on its longer side. None for more than 3 axes."""
    array = np.squeeze(weight)
    if array.ndim == 1:
        return array[None, :, None]
    if array.ndim == 2:
        return (array.T if array.shape[0] > array.shape[1] else array)[None]
    return array.transpose(2, 0, 1) if array.ndim == 3 else None
