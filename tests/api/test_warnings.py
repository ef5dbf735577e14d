"""Every warning names the line of the user's that led to it, and not one of foliot's."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foliot
from foliot import Input, _devices, callbacks, layers, losses
from foliot._devices import Device
from foliot.models import Sequential
from foliot.preprocessing.sequence import pad_sequences
from foliot.preprocessing.text import Tokenizer, tokenizer_from_json

X, Y = np.ones((4, 5, 3), dtype="float32"), np.ones((4, 1), dtype="float32")
QUIET: dict[str, Any] = {"verbose": 0}


def model(*tail: layers.Layer, loss: Any = "mse") -> Sequential:
    made = Sequential([Input((5, 3)), layers.SimpleRNN(2), *(tail or [layers.Dense(1)])])
    made.compile("sgd", loss)
    return made


def old_argument() -> None:
    Tokenizer(nb_words=3)


def lost_analyzer() -> None:
    Tokenizer(analyzer=str.split).to_json()


def text_for_texts() -> None:
    Tokenizer().fit_on_texts("ab")


def text_for_texts_to_a_matrix() -> None:
    Tokenizer(num_words=3).texts_to_matrix("ab")


def loaded_text_for_texts() -> None:
    tokenizer_from_json(Tokenizer().to_json()).texts_to_sequences("ab")


def lost_fractions() -> None:
    pad_sequences([[1.5]])


def lost_fractions_of_an_array() -> None:
    pad_sequences(np.array([[1.5]]))


def old_option() -> None:
    layers.LayerNormalization(rms_scaling=True)


def old_option_of_a_subclass() -> None:
    class Own(layers.LayerNormalization):
        pass

    Own(rms_scaling=True)


def old_option_of_a_copy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = layers.LayerNormalization(rms_scaling=True).get_config()
    layers.LayerNormalization.from_config(config)


def one_class() -> None:
    losses.resolve("categorical_crossentropy", (None, 1), (None, 1))


def one_class_in_training() -> None:
    model(layers.Dense(1, activation="softmax"), loss="categorical_crossentropy").fit(X, Y, **QUIET)


def mismatch() -> None:
    model(layers.Dense(1), loss="binary_crossentropy").fit(X, Y, **QUIET)


def mismatch_of_a_batch() -> None:
    model(layers.Dense(1), loss="binary_crossentropy").train_on_batch(X, Y)


def unknown_monitor() -> None:
    model().fit(X, Y, callbacks=[callbacks.EarlyStopping("val_loss")], **QUIET)


def unknown_monitor_of_a_schedule() -> None:
    model().fit(X, Y, callbacks=[callbacks.ReduceLROnPlateau("val_loss")], **QUIET)


def end_of_data() -> None:
    model().fit(((X, Y) for _ in range(2)), steps_per_epoch=3, **QUIET)


def end_of_data_in_evaluation() -> None:
    model().evaluate(((X, Y) for _ in range(2)), steps=3, **QUIET)


def end_of_data_in_prediction() -> None:
    model().predict(((X, Y) for _ in range(2)), steps=3, **QUIET)


CALLS = [
    *(old_argument, lost_analyzer, text_for_texts, text_for_texts_to_a_matrix, loaded_text_for_texts),
    *(lost_fractions, lost_fractions_of_an_array, old_option, old_option_of_a_subclass, old_option_of_a_copy),
    *(one_class, one_class_in_training, mismatch, mismatch_of_a_batch, unknown_monitor, unknown_monitor_of_a_schedule),
    *(end_of_data, end_of_data_in_evaluation, end_of_data_in_prediction),
]


def _lines(call: Callable[[], None]) -> range:
    code = call.__code__
    return range(code.co_firstlineno, max(line for _, _, line in code.co_lines() if line is not None) + 1)


def _check(call: Callable[[], None]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert [(one.filename, one.lineno in _lines(call)) for one in caught] == [(__file__, True)]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_warnings_name_the_users_line(call: Callable[[], None]) -> None:
    _check(call)


def test_a_stopped_training_names_the_users_line(tmp_path: Path) -> None:
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    class Crash(callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model().fit(X, Y, epochs=2, callbacks=[Stop(), callbacks.BackupAndRestore(tmp_path), Crash()], **QUIET)

    def again() -> None:
        model().fit(X, Y, epochs=2, callbacks=[callbacks.BackupAndRestore(tmp_path)], **QUIET)

    _check(again)


def test_a_device_that_was_left_names_the_users_line(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(0, "A GPU", "discrete", "vulkan", "1.0", {}, ())
    network = model()
    monkeypatch.setattr(_devices, "_automatic", lambda _weights: device)
    monkeypatch.setattr(_devices._core, "refused_by_gpus", lambda _graph: ("dense", "this layer"))

    def predict() -> None:
        with foliot.device("auto"):
            network.predict(X, **QUIET)

    _check(predict)


def test_a_mask_that_cannot_be_asked_for_names_the_users_line() -> None:
    class Own(foliot.Model):
        def __init__(self) -> None:
            super().__init__()
            self.read = layers.Masking()

        def call(self, inputs: Any) -> Any:
            return self.read(inputs)

        def compute_mask(self, inputs: Any, previous: Any) -> Any:
            return np.asarray(inputs)

    def predict() -> None:
        Sequential([Input((5, 3)), Own(), layers.SimpleRNN(2)]).predict(X, **QUIET)

    _check(predict)


def test_foliot_warns_in_one_way() -> None:
    root = Path(foliot.__file__).parent
    call = re.compile(r"\bwarnings\.warn\(")
    assert [path.name for path in root.rglob("*.py") if call.search(path.read_text("utf-8"))] == ["_warnings.py"]
