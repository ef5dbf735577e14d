"""TerminateOnNaN's finding, and SwapEMAWeights."""

from typing import Any

import numpy as np
import pytest

from foliot import Input, Model, optimizers
from foliot.callbacks import Callback, EarlyStopping, ModelCheckpoint, SwapEMAWeights, TerminateOnNaN
from foliot.layers import GRU, Bidirectional, Dense, Dropout, Embedding, SimpleRNN
from foliot.models import Sequential, load_model

RANDOM = np.random.default_rng(2)


def finding(model: Any, x: Any, y: Any, capsys: Any, **options: Any) -> str:
    capsys.readouterr()
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[TerminateOnNaN()], **options)
    assert len(history.epoch) == 1
    assert not np.isfinite(history.history["loss"][-1])
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("Invalid loss, terminating training")
    return second.split(": ", 1)[1]


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_time_step_at_which_a_state_overflows(sequences: bool, backwards: bool, capsys: Any) -> None:
    layer = SimpleRNN(1, activation="relu", return_sequences=sequences, go_backwards=backwards, name="grows")
    model = Sequential([Input((None, 1)), layer, Dense(1)])
    model.compile(optimizers.SGD(0.0), "mse")
    model.set_weights([np.ones((1, 1)), np.ones((1, 1)), np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    x = np.ones((6, 5, 1), np.float32)
    # The sum is beyond float32 at the second of these.
    x[4, [1, 3]] = 3e38
    y = np.zeros((6, 5, 1) if sequences else (6, 1))
    found = finding(model, x, y, capsys, batch_size=3, shuffle=False)
    step = 1 if backwards else 3
    assert found == (
        f"the first value that is not finite came from layer 'grows' at time step {step} for sample 1 of the batch "
        "(row 4 of the data)"
    )


@pytest.mark.parametrize("options", [{}, {"tbptt": 2}])
def test_stateful_layers_end_the_training_all_the_same(options: Any, capsys: Any) -> None:
    layer = SimpleRNN(1, activation="relu", return_sequences=True, stateful=True)
    model = Sequential([Input((None, 1), batch_size=2), layer])
    model.compile(optimizers.SGD(0.0), "mse")
    model.set_weights([np.ones((1, 1)), np.ones((1, 1)), np.zeros(1)])
    x = np.full((2, 4, 1), 3e38, np.float32)
    found = finding(model, x, np.zeros((2, 4, 1)), capsys, batch_size=2, shuffle=False, **options)
    assert found == "where it came from is not known: stateful layers have gone on since"


def test_with_dropout_masks_and_shuffling(capsys: Any) -> None:
    drop = Dropout(0.5, seed=3, name="drops")
    model = Sequential([Embedding(5, 8, mask_zero=True), drop, Bidirectional(GRU(2)), Dense(1)])
    model.compile(optimizers.SGD(0.0), "mse")
    model.build((None, 4))
    weights = model.get_weights()
    # Dropout doubles what it keeps.
    weights[0][3] = 3e38
    model.set_weights(weights)
    x = RANDOM.integers(1, 3, (20, 4))
    x[7, 2:] = [3, 0]
    found = finding(model, x, np.zeros(20), capsys, batch_size=4)
    assert found.startswith("the first value that is not finite came from layer 'drops' at time step 2 for sample ")
    assert found.endswith("(row 7 of the data)")


def test_values_without_time_and_weights_that_are_spoilt(capsys: Any) -> None:
    entrance = Input((2,))
    model = Model(entrance, Dense(1, name="last")(Dense(3, name="first")(entrance)))
    model.compile("sgd", "mse")
    weights = model.get_weights()
    weights[2][1] = np.nan
    model.set_weights(weights)
    found = finding(model, np.ones((3, 2)), np.ones(3), capsys)
    assert "came from layer 'last' for sample 0 of the batch (row" in found
    assert found.endswith("; before the step its weight kernel held such values already")


def test_a_loss_that_is_not_finite_by_itself(capsys: Any) -> None:
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "poisson")
    model.set_weights([np.full((2, 1), -1.0), np.zeros(1)])
    found = finding(model, np.ones((3, 2)), np.ones(3), capsys)
    assert found.startswith("the outputs of all layers are finite, so the loss itself is not")


def test_raising_names_it_too_and_sources_have_no_rows() -> None:
    model = Sequential([Input((2,)), Dense(1, name="only")])
    model.compile("sgd", "mse")
    model.set_weights([np.full((2, 1), 3e38), np.zeros(1)])
    with pytest.raises(RuntimeError, match=r"NaN or Inf.*Cause: .*layer 'only' for sample 1 of the batch\."):
        model.fit([([[0.0, 0.0], [2.0, 2.0]], [0.0, 0.0])].__iter__(), verbose=0, callbacks=[TerminateOnNaN(True)])


def test_nothing_to_say_while_all_is_well() -> None:
    said: list[Any] = []

    class Ask(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            said.append(self.model.describe_failure())

    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    assert model.describe_failure() is None
    model.fit(np.ones((4, 2)), np.ones(4), batch_size=2, callbacks=[Ask()], verbose=0)
    assert said == [None, None]


X, Y = RANDOM.normal(size=(24, 3)).astype(np.float32), RANDOM.normal(size=24).astype(np.float32)


def averaged(**options: Any) -> Sequential:
    model = Sequential([Input((3,)), Dense(2), Dense(1)])
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, **options), "mse")
    model.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in model.get_weights()])
    return model


def averages(model: Any) -> Any:
    return model.optimizer.get_slots()[model.optimizer.slot_names().index("average")]


def assert_equal(left: Any, right: Any) -> None:
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


class Look(Callback):
    """Whether the averages, the weights or both are in the model, at each hook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def look(self, hook: str) -> None:
        pairs = zip(self.model.get_weights(), averages(self.model), strict=True)
        self.seen.append((hook, all(np.array_equal(one, other) for one, other in pairs)))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch:
            self.look("begin")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.look("batch")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.look("test")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.look("predict")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.look("end")


class TestSwapEMAWeights:
    @pytest.mark.parametrize("on_epoch", [False, True])
    def test_when_the_averages_are_in_the_model(self, on_epoch: bool) -> None:
        model, look = averaged(), Look()
        model.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[SwapEMAWeights(on_epoch), look], verbose=0)
        # The first average is the first weight.
        first = [("batch", True), ("test", True), ("end", True), ("begin", True)]
        epoch = [("batch", False), ("test", True), ("end", on_epoch)]
        assert look.seen == [*first, *epoch, ("begin", False), *epoch]
        assert_equal(model.get_weights(), averages(model))

    def test_training_goes_on_as_without(self) -> None:
        with_it, without = averaged(), averaged()
        for model, callbacks in ((with_it, [SwapEMAWeights(True)]), (without, [])):
            model._shuffle_seed = 1
            model.fit(X, Y, epochs=3, batch_size=5, validation_data=(X, Y), callbacks=callbacks, verbose=0)
        assert_equal(with_it.get_weights(), without.get_weights())

    def test_validation_is_of_the_averages(self) -> None:
        model, other, kept = averaged(), averaged(), []

        class Keep(Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                kept.append(averages(self.model))

        history = model.fit(
            X, Y, epochs=3, validation_data=(X, Y), callbacks=[Keep(), SwapEMAWeights()], verbose=0
        ).history
        for epoch, weights in enumerate(kept):
            other.set_weights(weights)
            assert other.evaluate(X, Y, verbose=0) == history["val_loss"][epoch]

    def test_checkpoints_hold_the_averages(self, tmp_path: Any) -> None:
        model, kept = averaged(), []

        class Keep(Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                kept.append(self.model.get_weights())

        callbacks = [Keep(), SwapEMAWeights(swap_on_epoch=True), ModelCheckpoint(tmp_path / "{epoch}.foliot")]
        model.fit(X, Y, epochs=3, callbacks=callbacks, verbose=0)
        for epoch in (2, 3):
            saved = load_model(tmp_path / f"{epoch}.foliot")
            assert_equal(saved.get_weights(), averages(saved))
            assert not np.array_equal(saved.get_weights()[0], kept[epoch - 1][0])

    def test_ending_early_leaves_the_averages(self) -> None:
        model = averaged()
        stop = EarlyStopping("loss", mode="max")
        model.fit(X, Y, epochs=50, callbacks=[SwapEMAWeights(True), stop], verbose=0)
        assert_equal(model.get_weights(), averages(model))
        expected = averaged()
        expected.fit(X, Y, epochs=stop.stopped_epoch + 1, shuffle=False, verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], expected.get_weights()[0], rtol=1e-5)

    @pytest.mark.parametrize("method", ["evaluate", "predict"])
    def test_alone(self, method: str) -> None:
        model, look = averaged(), Look()
        model.train_on_batch(X, Y)
        model.train_on_batch(X, Y)
        own = model.get_weights()
        getattr(model, method)(X, *([Y] if method == "evaluate" else []), callbacks=[SwapEMAWeights(), look], verbose=0)
        assert [held for _, held in look.seen] == [True]
        assert_equal(model.get_weights(), own)

    def test_before_the_first_step_nothing_changes(self) -> None:
        model = averaged()
        assert model.evaluate(X, Y, callbacks=[SwapEMAWeights()], verbose=0) == model.evaluate(X, Y, verbose=0)

    def test_without_averages(self) -> None:
        model = Sequential([Input((3,)), Dense(1)])
        with pytest.raises(ValueError, match="SwapEMAWeights expected an optimizer with use_ema=True"):
            model.predict(X, callbacks=[SwapEMAWeights()], verbose=0)
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="use_ema=True"):
            model.fit(X, Y, validation_split=0.5, callbacks=[SwapEMAWeights()], verbose=0)
        with pytest.raises(TypeError, match="`swap_on_epoch`"):
            SwapEMAWeights(1)  # type: ignore[arg-type]
