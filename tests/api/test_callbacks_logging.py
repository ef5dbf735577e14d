"""CSVLogger, LambdaCallback, TerminateOnNaN, ProgbarLogger, History and lists of callbacks."""

import pickle

import numpy as np
import pytest

from foliot.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ProgbarLogger,
    TerminateOnNaN,
)

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


def test_csv(model, tokens, tmp_path) -> None:
    path = tmp_path / "log.csv"
    log = CSVLogger(path, separator=";")
    history = model.fit(*tokens, epochs=2, validation_split=0.25, verbose=0, callbacks=[log]).history
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch;acc;loss;val_acc;val_loss"
    for epoch, line in enumerate(lines[1:]):
        cells = [float(cell) for cell in line.split(";")]
        assert cells == [epoch, *(history[name][epoch] for name in lines[0].split(";")[1:])]

    # Another training goes on, or writes the file anew.
    again = pickle.loads(pickle.dumps(CSVLogger(str(path), ";", append=True)))
    model.fit(*tokens, epochs=3, initial_epoch=2, validation_split=0.25, verbose=0, callbacks=[again])
    assert [line.split(";")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1", "2"]
    model.fit(*tokens, verbose=0, callbacks=[log])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch;acc;loss;val_acc;val_loss"
    assert len(lines) == 2
    assert lines[1].endswith(";NA;NA")


def test_csv_of_arrays_and_text(tmp_path) -> None:
    log = CSVLogger(tmp_path / "log.csv", append=True)
    log.on_train_begin()
    logs = {"a": np.array([1.0, 2.5]), "b": "x,y", "c": np.array(3)}
    log.on_epoch_end(0, logs)  # type: ignore[arg-type]
    log.on_train_end()
    assert (tmp_path / "log.csv").read_text().splitlines()[1] == '0,"""[1.0, 2.5]""","x,y",3,NA,NA,NA'
    with pytest.raises(RuntimeError, match="no open file"):
        log.on_epoch_end(0, {})
    with pytest.raises(ValueError, match="`separator`: expected one character"):
        CSVLogger("log.csv", separator="--")
    with pytest.raises(FileNotFoundError):
        CSVLogger(tmp_path / "missing" / "log.csv").on_train_begin()


def test_every_hook_as_a_function(model, tokens) -> None:
    calls: list[str] = []

    def note(name):
        return lambda *arguments: calls.append(name)

    callback = LambdaCallback(**{name: note(name) for name in HOOKS})
    model.fit(*tokens, batch_size=16, validation_split=0.25, verbose=0, callbacks=[callback])
    model.predict(tokens[0], verbose=0, callbacks=[callback])
    assert set(calls) == set(HOOKS) - {"on_batch_begin", "on_batch_end"}  # which the newer names replaced
    calls.clear()
    older = LambdaCallback(on_batch_end=note("older"))
    model.fit(*tokens, batch_size=16, verbose=0, callbacks=older)
    assert calls == ["older"] * 2


def test_a_hook_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"unexpected argument 'on_epoch_ends' .did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="`on_epoch_end`: expected a function"):
        LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected argument"):
        LambdaCallback(set_model=print)


class Spoil(Callback):
    """Makes the loss NaN from the third batch on."""

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if batch == 2:
            self.model.set_weights([np.full(weight.shape, np.nan) for weight in self.model.get_weights()])


def test_nan_ends_training(model, tokens, capsys) -> None:
    ended: list[int] = []
    end = LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(epoch))
    options = {"epochs": 3, "batch_size": 4, "verbose": 0}
    history = model.fit(*tokens, callbacks=[Spoil(), TerminateOnNaN(), end], **options)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Batch 2: Invalid loss, terminating training"
    assert said[1].endswith("; before the step its weight embeddings held such values already")
    assert ended == [0]
    assert np.isnan(history.history["loss"][0])


def test_nan_as_an_error(model, tokens) -> None:
    ended: list[object] = []
    end = LambdaCallback(on_train_end=ended.append)
    with pytest.raises(RuntimeError, match=r"NaN or Inf loss encountered at batch 2. Loss value: nan."):
        model.fit(*tokens, batch_size=4, verbose=0, callbacks=[Spoil(), TerminateOnNaN(raise_error=True), end])
    assert ended == []
    guard = TerminateOnNaN()
    guard.on_train_batch_end(0, {"loss": 1.0})
    guard.on_train_batch_end(0, {})
    with pytest.raises(RuntimeError, match="has no model"):
        guard.on_train_batch_end(0, {"loss": float("-inf")})


def test_the_users_progress_line_replaces_ours(model, tokens, capsys) -> None:
    mine = ProgbarLogger()
    model.fit(*tokens, epochs=2, verbose=2, callbacks=[mine], validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "1/1", "Epoch 2/2", "1/1"]
    model.evaluate(*tokens, verbose=2, callbacks=[mine])
    assert capsys.readouterr().out.startswith("1/1 - ")
    model.fit(*tokens, verbose=0, callbacks=[mine])
    assert capsys.readouterr().out == ""


def test_the_users_history_is_returned(model, tokens) -> None:
    mine = History()
    assert model.fit(*tokens, epochs=2, verbose=0, callbacks=[mine]) is mine is model.history
    assert len(mine.history["loss"]) == 2


def test_what_one_callback_adds_the_next_one_sees(model, tokens) -> None:
    class Add(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["mine"] = float(10 - epoch)

    stop = EarlyStopping("mine", mode="max", patience=1)
    history = model.fit(*tokens, epochs=5, verbose=0, callbacks=[Add(), stop]).history
    assert history["mine"] == [10, 9]


def test_lists_in_lists() -> None:
    first, second, third = Callback(), Callback(), Callback()
    together = CallbackList([first, [second, (third,)], CallbackList([first])])
    assert together.callbacks == [first, second, third, first]
    with_all = CallbackList(first, add_history=True, add_progbar=True)
    assert [type(item) for item in with_all.callbacks] == [Callback, History, ProgbarLogger]
    mine = [History(), ProgbarLogger()]
    assert CallbackList(mine, add_history=True, add_progbar=True).callbacks == mine


def test_a_list_calls_all_hooks() -> None:
    calls: list[tuple[str, tuple[object, ...]]] = []

    class Note(Callback):
        def __getattribute__(self, name: str):
            if name.startswith("on_"):
                return lambda *arguments: calls.append((name, arguments))
            return super().__getattribute__(name)

    together = CallbackList([Note(), Note()])
    for hook in HOOKS:
        arguments = (3, {"loss": 1.0}) if "batch" in hook or "epoch" in hook else ({"loss": 1.0},)
        calls.clear()
        getattr(together, hook)(*arguments)
        assert calls == [(hook, arguments)] * 2


def test_rates_and_stops_together(model, tokens) -> None:
    callbacks = [LearningRateScheduler(lambda epoch: 0.1), CSVLogger("/dev/null"), TerminateOnNaN()]
    assert "learning_rate" in model.fit(*tokens, verbose=0, callbacks=callbacks).history
