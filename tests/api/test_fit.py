"""The contract of fit, evaluate and predict, and what they return."""

import numpy as np
import pandas as pd
import pytest

import foliot
from foliot import losses, metrics
from foliot.callbacks import Callback
from foliot.layers import GRU, LSTM, Dense, Dropout, Embedding, Flatten, Input, SimpleRNN
from foliot.models import Sequential


class Recorder(Callback):
    """Keeps every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.logs: list[dict[str, float]] = []

    def __getattribute__(self, name: str):
        if name.startswith("on_") and not name.startswith("on_batch"):
            object.__getattribute__(self, "calls").append(name)
        return super().__getattribute__(name)

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.logs.append(logs)


def _same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(left, right, strict=True))


def test_history_has_keras_keys_and_floats(model, tokens) -> None:
    history = model.fit(*tokens, batch_size=4, epochs=3, validation_split=0.25, verbose=0)
    assert list(history.history) == ["acc", "loss", "val_acc", "val_loss"]
    assert all(
        len(values) == 3 and all(type(value) is float for value in values) for values in history.history.values()
    )
    # floor(22 * 0.75) = 16 training rows in 4 batches.
    assert history.params == {"verbose": 0, "epochs": 3, "steps": 4}
    assert history.epoch == [0, 1, 2]
    assert history.model is model
    assert model.history is history


def test_training_lowers_the_loss(model, tokens) -> None:
    model.compile(optimizer=foliot.optimizers.Adam(lr=0.05), loss="binary_crossentropy", metrics=["acc"])
    history = model.fit(*tokens, batch_size=4, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(*tokens, verbose=0)
    assert loss < history.history["loss"][0]
    assert accuracy > 0.9


def test_same_seed_same_bits(tokens) -> None:
    def run() -> list[np.ndarray]:
        foliot.utils.set_random_seed(11)
        network = Sequential([Embedding(12, 4), Dropout(0.3), LSTM(5, dropout=0.2, recurrent_dropout=0.2), Dense(1)])
        network.compile("adam", "mse")
        network.fit(*tokens, batch_size=5, epochs=3, verbose=0)
        return network.get_weights()

    assert _same(run(), run())
    foliot.utils.set_random_seed(12)
    other = Sequential([Embedding(12, 4), Dense(1)])
    other.build((None, 6))
    assert not np.array_equal(other.get_weights()[0], run()[0])


def test_validation_split_takes_the_tail(model, tokens) -> None:
    x, y = tokens
    seen = model.fit(x, y, batch_size=4, epochs=1, validation_split=0.3, verbose=0).history
    # floor(22 * 0.7) = 15 rows train; the other 7 are what evaluate sees with the same weights.
    loss, accuracy = model.evaluate(x[15:], y[15:], verbose=0)
    assert seen["val_loss"][0] == pytest.approx(loss, rel=1e-6)
    assert seen["val_acc"][0] == pytest.approx(accuracy)


def test_rows_beyond_the_split_do_not_train(tokens) -> None:
    x, y = tokens

    def run(labels: np.ndarray) -> list[np.ndarray]:
        foliot.utils.set_random_seed(1)
        network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1, activation="sigmoid")])
        network.compile("sgd", "binary_crossentropy")
        network.fit(x, labels, epochs=2, validation_split=0.5, verbose=0)
        return network.get_weights()

    changed = y.copy()
    changed[11:] = 1 - changed[11:]
    assert _same(run(y), run(changed))


def test_validation_data_with_weights(model, tokens) -> None:
    x, y = tokens
    weight = np.linspace(0, 2, 22)
    history = model.fit(x, y, verbose=0, validation_data=(x, y, weight)).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(x, y, sample_weight=weight, verbose=0)[0], rel=1e-6)


@pytest.mark.parametrize(("freq", "epochs"), [(2, [2, 4]), ([1, 5], [1, 5])])
def test_validation_freq(model, tokens, freq, epochs) -> None:
    record = Recorder()
    history = model.fit(*tokens, epochs=5, validation_split=0.2, validation_freq=freq, verbose=0, callbacks=[record])
    assert len(history.history["val_loss"]) == len(epochs)
    assert record.calls.count("on_test_begin") == len(epochs)
    assert len(history.history["loss"]) == 5


def test_last_partial_batch_is_kept_and_logs_are_running_means(tokens) -> None:
    x, y = tokens
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    # With a rate of 0 the weights stand still, so the mean over the batches is what evaluate says.
    network.compile(foliot.optimizers.SGD(0.0), "mse", metrics=["mae"])
    record = Recorder()
    history = network.fit(x, y, batch_size=4, verbose=0, callbacks=[record]).history
    assert len(record.logs) == 6
    loss, mae = network.evaluate(x, y, verbose=0)
    assert history["loss"][0] == pytest.approx(loss, rel=1e-6)
    assert history["mae"][0] == pytest.approx(mae, rel=1e-6)
    assert record.logs[-1]["loss"] == history["loss"][0]


def test_hooks_come_in_order(model, tokens) -> None:
    record = Recorder()
    model.fit(*tokens, batch_size=11, validation_data=tokens, validation_batch_size=22, verbose=0, callbacks=record)
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    assert record.calls == ["on_train_begin", "on_epoch_begin", *batch, *batch, *test, "on_epoch_end", "on_train_end"]
    record = Recorder()
    model.predict(tokens[0], batch_size=11, verbose=0, callbacks=[record])
    batch = ["on_predict_batch_begin", "on_predict_batch_end"]
    assert record.calls == ["on_predict_begin", *batch, *batch, "on_predict_end"]


def test_shuffling(tokens) -> None:
    x, y = tokens

    def first_losses(**options) -> list[float]:
        foliot.utils.set_random_seed(1)
        network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
        network.compile(foliot.optimizers.SGD(0.0), "mse")
        record = Recorder()
        network.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[record], **options)
        return [logs["loss"] for logs in record.logs]

    plain = first_losses(shuffle=False)
    assert plain[:3] == plain[3:]
    shuffled = first_losses()
    assert shuffled[0] != shuffled[3] != plain[0]
    assert shuffled[2] == pytest.approx(plain[2], rel=1e-6)  # the same rows in all, whatever their order
    assert shuffled == first_losses()


def test_separate_fits_see_different_orders(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.compile(foliot.optimizers.SGD(0.0), "mse")
    record = Recorder()
    for _ in range(2):
        network.fit(*tokens, batch_size=8, verbose=0, callbacks=[record])
    assert record.logs[0]["loss"] != record.logs[3]["loss"]


def test_steps_per_epoch_goes_on_where_it_stopped(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.compile(foliot.optimizers.SGD(0.0), "mse")
    record = Recorder()
    history = network.fit(
        *tokens, batch_size=8, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0, callbacks=[record]
    )
    assert history.params["steps"] == 2
    assert len(record.logs) == 6
    # Batches are 0 1 | 2 0 | 1 2: the second epoch's running mean covers batches 2 and 0.
    assert record.logs[0]["loss"] == pytest.approx(network.test_on_batch(tokens[0][:8], tokens[1][:8]), rel=1e-6)
    assert record.logs[2]["loss"] == pytest.approx(network.test_on_batch(tokens[0][16:], tokens[1][16:]), rel=1e-6)


def test_initial_epoch(model, tokens) -> None:
    history = model.fit(*tokens, epochs=5, initial_epoch=3, verbose=0)
    assert history.epoch == [3, 4]
    assert model.fit(*tokens, epochs=2, initial_epoch=2, verbose=0).history == {}


def test_stop_training_from_a_batch(model, tokens) -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            self.model.stop_training = batch == 1

    record = Recorder()
    history = model.fit(*tokens, batch_size=4, epochs=5, verbose=0, callbacks=[Stop(), record])
    assert len(record.logs) == 2
    assert history.epoch == [0]
    assert model.optimizer.iterations == 2


def test_sample_weights_of_zero_take_rows_out(tokens) -> None:
    x, y = tokens
    weight = (np.arange(22) < 10).astype(float)

    def train(rows: int, **options) -> list[np.ndarray]:
        foliot.utils.set_random_seed(1)
        network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
        network.compile("sgd", losses.MeanSquaredError(reduction="sum"))
        network.fit(x[:rows], y[:rows], batch_size=22, shuffle=False, verbose=0, **options)
        return network.get_weights()

    for mine, theirs in zip(train(22, sample_weight=weight), train(10), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)


def test_class_weight_equals_sample_weight(tokens) -> None:
    x, y = tokens

    def train(**options) -> list[np.ndarray]:
        foliot.utils.set_random_seed(1)
        network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
        network.compile("sgd", "mse")
        network.fit(x, y, batch_size=8, verbose=0, **options)
        return network.get_weights()

    weighted = train(class_weight={0: 3.0})
    assert _same(weighted, train(sample_weight=np.where(y == 0, 3.0, 1.0)))
    assert not _same(weighted, train())


def test_class_weight_for_one_hot_rows(tokens) -> None:
    x, y = tokens

    def train(labels: np.ndarray, loss: str) -> list[np.ndarray]:
        foliot.utils.set_random_seed(1)
        network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(2, activation="softmax")])
        network.compile("sgd", loss)
        network.fit(x, labels, batch_size=8, verbose=0, class_weight={0: 0.5, 1: 2.0})
        return network.get_weights()

    one_hot = train(foliot.utils.to_categorical(y), "categorical_crossentropy")
    for mine, theirs in zip(one_hot, train(y, "sparse_categorical_crossentropy"), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("units", "loss", "labels", "expected"),
    [
        (1, "binary_crossentropy", "flat", "binary_accuracy"),
        (1, "binary_crossentropy", "column", "binary_accuracy"),
        (2, "sparse_categorical_crossentropy", "flat", "sparse_categorical_accuracy"),
        (2, "sparse_categorical_crossentropy", "column", "sparse_categorical_accuracy"),
        (2, "categorical_crossentropy", "one_hot", "categorical_accuracy"),
        (2, "mse", "one_hot", "categorical_accuracy"),
    ],
)
def test_accuracy_goes_by_shapes(tokens, units, loss, labels, expected) -> None:
    x, y = tokens
    y = {"flat": y, "column": y[:, None], "one_hot": np.eye(2)[y]}[labels]
    network = Sequential(
        [Embedding(12, 4), SimpleRNN(3), Dense(units, activation="softmax" if "categorical" in loss else "sigmoid")]
    )
    network.compile("sgd", loss, metrics=["accuracy", "acc", expected])
    _, accuracy, short, named = network.evaluate(x, y, verbose=0)
    assert accuracy == short == named
    assert network.metrics_names == ["loss", "accuracy", "acc", expected]


def test_crossentropy_goes_by_shapes(tokens) -> None:
    x, y = tokens
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(2, activation="softmax")])
    network.compile("sgd", "crossentropy", metrics=["ce"])
    loss, metric = network.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(metric, rel=1e-6)
    assert loss == pytest.approx(network.evaluate(x, np.eye(2)[y], verbose=0)[0], rel=1e-6)


def test_metric_objects_and_duplicates(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1, activation="sigmoid")])
    entries = [metrics.BinaryAccuracy(name="half"), metrics.BinaryAccuracy(name="half", threshold=0.9), "mse"]
    network.compile("sgd", losses.BinaryCrossentropy(), metrics=entries, weighted_metrics=["mae"])
    values = network.evaluate(*tokens, verbose=0, return_dict=True)
    assert list(values) == ["half", "half_1", "loss", "mae", "mse"]


def test_evaluate_without_metrics_is_a_number(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.compile("sgd", "mse")
    value = network.evaluate(*tokens, verbose=0)
    assert type(value) is float
    assert network.evaluate(*tokens, verbose=0, return_dict=True) == {"loss": value}
    assert network.metrics_names == ["loss"]


def test_predict(model, tokens) -> None:
    x, _ = tokens
    whole = model.predict(x, verbose=0)
    assert whole.shape == (22, 1)
    assert whole.dtype == np.float32
    for size in (1, 4, 32):
        np.testing.assert_array_equal(model.predict(x, batch_size=size, verbose=0), whole)
    np.testing.assert_array_equal(model.predict_on_batch(x), whole)
    np.testing.assert_array_equal(model(x), whole)
    np.testing.assert_array_equal(model.predict(x[3:4], verbose=0), whole[3:4])
    assert model.predict(x[:0], verbose=0).shape == (0, 1)
    assert model.predict(x, batch_size=4, steps=2, verbose=0).shape == (8, 1)


def test_predict_needs_no_compile_and_takes_other_lengths(tokens) -> None:
    network = Sequential([Embedding(12, 4), GRU(3), Dense(2)])
    assert network.predict(tokens[0], verbose=0).shape == (22, 2)
    assert network.output_shape == (None, 2)
    assert network.predict(tokens[0][:, :3], verbose=0).shape == (22, 2)


def test_single_batches(model, tokens) -> None:
    x, y = tokens
    loss, accuracy = model.test_on_batch(x, y)
    assert model.train_on_batch(x, y, return_dict=True) == pytest.approx({"acc": accuracy, "loss": loss}, rel=1e-6)
    assert model.optimizer.iterations == 1
    assert model.test_on_batch(x, y)[0] < loss
    # The values are of this batch alone.
    assert model.test_on_batch(x, y) == model.test_on_batch(x, y)


def test_train_on_batch_equals_fit(tokens) -> None:
    def network() -> Sequential:
        foliot.utils.set_random_seed(5)
        made = Sequential([Input((6,)), Embedding(12, 4), LSTM(3), Dense(1)])
        made.compile("adam", "mse")
        return made

    x, y = tokens
    fitted, stepped = network(), network()
    fitted.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for start in (0, 8, 16):
        stepped.train_on_batch(x[start : start + 8], y[start : start + 8])
    assert _same(fitted.get_weights(), stepped.get_weights())


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.int8),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
        pd.DataFrame,
        lambda x: [x],
    ],
)
def test_every_kind_of_array_is_the_same_data(model, tokens, convert) -> None:
    x, y = tokens
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(convert(x), verbose=0), expected)
    assert model.evaluate(convert(x), pd.Series(y), verbose=0) == model.evaluate(x, y.tolist(), verbose=0)
    assert model.evaluate(x, y.astype(bool), verbose=0) == model.evaluate(x, y[:, None].astype(np.float64), verbose=0)


def test_inputs_are_never_changed(model, tokens) -> None:
    x, y = tokens[0].astype(np.float32), tokens[1].astype(np.float32)
    weight = np.ones(22, dtype=np.float32)
    kept = x.copy(), y.copy(), weight.copy()
    for array in (x, y, weight):
        array.setflags(write=False)
    model.fit(x, y, sample_weight=weight, epochs=2, verbose=0)
    model.predict(x, verbose=0)
    for array, before in zip((x, y, weight), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_sequence_outputs_and_weights_per_time_step(tokens) -> None:
    x = tokens[0]
    y = (x > 5).astype(int)
    network = Sequential([Embedding(12, 4), SimpleRNN(3, return_sequences=True), Dense(1, activation="sigmoid")])
    network.compile("adam", "binary_crossentropy", metrics=["acc"])
    assert network.evaluate(x, y, verbose=0) == network.evaluate(x, y[..., None], verbose=0)
    early = np.zeros((22, 6))
    early[:, :3] = 1
    loss = network.evaluate(x, y, sample_weight=early, verbose=0)[0]
    # The sum of the weighted losses divided by all 132 time steps: half of them count 0.
    assert loss == pytest.approx(0.5 * network.evaluate(x[:, :3], y[:, :3], verbose=0)[0], rel=1e-5)


def test_frozen_layers_stay(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.build((None, 6))
    network.layers[0].trainable = False
    network.compile("sgd", "mse")
    before = network.get_weights()
    network.fit(*tokens, verbose=0)
    after = network.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not any(np.array_equal(*pair) for pair in zip(before[1:], after[1:], strict=True))
    assert len(network.trainable_weights) == 5
    assert len(network.non_trainable_weights) == 1


def test_learning_rate_can_change_while_training(tokens) -> None:
    class Freeze(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            self.model.optimizer.learning_rate = 0.0
            self.weights = self.model.get_weights()

    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.compile("sgd", "mse")
    freeze = Freeze()
    network.fit(*tokens, verbose=0, callbacks=[freeze])
    kept = freeze.weights
    network.fit(*tokens, verbose=0)
    assert _same(kept, network.get_weights())


def test_compiling_again_keeps_the_weights(model, tokens) -> None:
    model.fit(*tokens, verbose=0)
    weights = model.get_weights()
    model.compile("adam", "mse")
    assert _same(weights, model.get_weights())
    history = model.fit(*tokens, verbose=0).history
    assert list(history) == ["loss"]


def test_an_optimizer_serves_one_set_of_weights(tokens) -> None:
    optimizer = foliot.optimizers.Adam()
    first, second = (Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)]) for _ in range(2))
    for network in (first, second):
        network.compile(optimizer, "mse")
    first.fit(*tokens, verbose=0)
    with pytest.raises(ValueError, match="has not trained other weights"):
        second.fit(*tokens, verbose=0)


# Building


def test_deferred_building_by_data(tokens) -> None:
    network = Sequential()
    network.add(Embedding(12, 4))
    network.add(SimpleRNN(3))
    assert network.weights == []
    assert not network.built
    with pytest.raises(AttributeError, match="no output_shape yet"):
        _ = network.output_shape
    network.predict(tokens[0], verbose=0)
    assert network.built
    assert network.input_shape == (None, 6)
    network.add(Dense(1))
    assert network.output_shape == (None, 1)
    assert network.predict(tokens[0], verbose=0).shape == (22, 1)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Input((5, 2)), LSTM(3)],
        lambda: [Input(batch_shape=(None, 5, 2)), LSTM(3)],
        lambda: [LSTM(3, input_shape=(5, 2))],
        lambda: [LSTM(3, input_dim=2, input_length=5)],
        lambda: [Sequential([Input((5, 2)), LSTM(3)])],
    ],
)
def test_declared_inputs_build_at_once(layers) -> None:
    network = Sequential(layers())
    assert network.input_shape == (None, 5, 2)
    assert network.output_shape == (None, 3)
    assert network.count_params() == 72


def test_batch_input_shape() -> None:
    network = Sequential([LSTM(3, batch_input_shape=(2, 5, 2)), Dense(1)])
    assert network.output_shape == (2, 1)
    assert network.predict(np.zeros((4, 5, 2)), verbose=0).shape == (4, 1)


def test_build_by_shape() -> None:
    network = Sequential([Embedding(12, 4), Flatten(), Dense(1)])
    network.build((None, 5))
    assert network.count_params() == 12 * 4 + 21
    with pytest.raises(ValueError, match="was built for 20 features"):
        network.predict(np.zeros((2, 6)), verbose=0)


def test_a_wrong_shape_leaves_an_unbuilt_model() -> None:
    network = Sequential([Dense(3), LSTM(4)])
    with pytest.raises(ValueError, match="LSTM expects"):
        network.predict(np.zeros((5, 2)), verbose=0)
    assert not network.built
    assert network.predict(np.zeros((5, 7, 3)), verbose=0).shape == (5, 4)


def test_pop_and_add(tokens) -> None:
    network = Sequential([Embedding(12, 4), SimpleRNN(3), Dense(1)])
    network.predict(tokens[0], verbose=0)
    kept = network.get_weights()[:4]
    assert network.pop().name == "dense"
    assert network.output_shape == (None, 3)
    network.add(Dense(2))
    assert network.predict(tokens[0], verbose=0).shape == (22, 2)
    assert _same(kept, network.get_weights()[:4])
    for _ in range(3):
        network.pop()
    with pytest.raises(ValueError, match="pop"):
        network.pop()


def test_nested_models_share_weights(tokens) -> None:
    inner = Sequential([Embedding(12, 4), SimpleRNN(3)], name="encoder")
    outer = Sequential([inner, Dense(1)])
    outer.compile("sgd", "mse")
    outer.fit(*tokens, verbose=0)
    assert len(outer.weights) == 6
    encoded = inner.predict(tokens[0], verbose=0)
    kernel, bias = outer.layers[1].get_weights()
    np.testing.assert_allclose(outer.predict(tokens[0], verbose=0), encoded @ kernel + bias, atol=1e-6)
    outer.trainable = False
    assert outer.trainable_weights == inner.trainable_weights == []


def test_one_dimensional_rows_fit_a_declared_column() -> None:
    network = Sequential([Input((1,)), Dense(2)])
    np.testing.assert_array_equal(network.predict([1, 2, 3], verbose=0), network.predict([[1], [2], [3]], verbose=0))
    sequence = Sequential([Input((None, 1)), LSTM(2)])
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(sequence.predict(x, verbose=0), sequence.predict(x[..., None], verbose=0))


def test_get_layer(model) -> None:
    assert model.get_layer("dense") is model.get_layer(index=2) is model.layers[-1]
    with pytest.raises(ValueError, match="one of 'embedding', 'simple_rnn', 'dense'; received 'nope'"):
        model.get_layer("nope")
    with pytest.raises(ValueError, match="index"):
        model.get_layer(index=3)


def test_set_weights_carries_a_model_over(model, tokens) -> None:
    model.predict(tokens[0], verbose=0)
    other = Sequential([Embedding(12, 4), SimpleRNN(5), Dense(1, activation="sigmoid")])
    other.build((None, 6))
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(tokens[0], verbose=0), model.predict(tokens[0], verbose=0))


def test_verbose_lines(model, tokens, capsys) -> None:
    model.fit(*tokens, batch_size=11, epochs=2, validation_split=0.5, verbose="auto")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == ["Epoch 1/2", "Epoch 2/2"]
    assert all(line.startswith("1/1 - 0s - ") and " - val_loss: " in line for line in lines[1::2])
    model.evaluate(*tokens)
    model.predict(tokens[0])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert " - acc: " in lines[0]
    model.predict(tokens[0], verbose=1)
    assert capsys.readouterr().out.startswith("1/1 " + "━" * 20)
    model.fit(*tokens, verbose=0)
    assert capsys.readouterr().out == ""
