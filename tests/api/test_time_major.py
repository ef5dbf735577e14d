"""`time_major=True`: the same numbers, bit by bit, as samples first, from and to arrays whose first axis is time."""

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foliot
from foliot import Input, Model, layers
from foliot.callbacks import Callback
from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    Bidirectional,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    GRUCell,
    LayerNormalization,
    LSTMCell,
    Masking,
    SimpleRNN,
    TimeDistributed,
)
from foliot.models import Sequential, clone_model, load_model, model_from_json
from foliot.utils import PyDataset

TIME, BATCH, FEATURES, UNITS = 5, 7, 3, 4
RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)
Y = RANDOM.normal(size=(BATCH, TIME, 2)).astype(np.float32)
LAST = RANDOM.normal(size=(BATCH, 2)).astype(np.float32)
IDS = RANDOM.integers(1, 9, (BATCH, TIME))
LENGTHS = np.array([5, 2, 3, 1, 4, 5, 2])
IDS[np.arange(TIME) >= LENGTHS[:, None]] = 0

CELLS = (SimpleRNN, LSTM, GRU, layers.LayerNormLSTM, layers.LayerNormGRU, layers.MinLSTM, layers.MinGRU)


def turned(array: Any) -> np.ndarray:
    return np.ascontiguousarray(np.swapaxes(array, 0, 1))


def twins(make: Callable[[bool], Any]) -> tuple[Any, Any]:
    """What `make` makes for samples first and for time first, with the same weights and seeds."""
    made = []
    for time_major in (False, True):
        foliot.utils.set_random_seed(3)
        made.append(make(time_major))
    return made[0], made[1]


def compiled(model: Any, **options: Any) -> Any:
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"]} | options)
    return model


def sequences(time_major: bool, **options: Any) -> Sequential:
    return compiled(
        Sequential(
            [
                Input((None, FEATURES)),
                LSTM(UNITS, return_sequences=True, dropout=0.2, time_major=time_major),
                Dropout(0.2),
                Bidirectional(GRU(3, return_sequences=True, recurrent_dropout=0.1, time_major=time_major)),
                Dense(2),
            ]
        ),
        **options,
    )


def last_output(time_major: bool) -> Sequential:
    return compiled(
        Sequential(
            [
                Embedding(9, 4, mask_zero=True),
                LSTM(UNITS, return_sequences=True, time_major=time_major),
                GRU(UNITS, time_major=time_major),
                Dense(2),
            ]
        )
    )


def same_weights(one: Any, other: Any) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(mine, yours) for mine, yours in pairs)


# Layers by themselves


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_layers_compute_the_same(data: st.DataObject) -> None:
    batch, time = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    options = {
        name: data.draw(st.booleans(), label=name)
        for name in ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    }
    kind = data.draw(st.sampled_from([*CELLS, "RNN", "stack", "bidirectional", "both"]))

    def make(time_major: bool) -> Any:
        own = options | {"time_major": time_major}
        if kind == "RNN":
            return RNN(LSTMCell(UNITS), **own)
        if kind == "stack":
            return RNN([LSTMCell(3), GRUCell(UNITS)], **own)
        if kind in ("bidirectional", "both"):
            own["go_backwards"] = False
            return Bidirectional(GRU(UNITS, **own), merge_mode=None if kind == "both" else "sum")
        return kind(UNITS, **own)

    random = np.random.default_rng(batch * time)
    x = random.normal(size=(batch, time, FEATURES)).astype(np.float32)
    mask = random.random((batch, time)) < 0.7 if data.draw(st.booleans(), label="mask") else None
    major_mask = None if mask is None else turned(mask)
    first, major = twins(make)
    training = data.draw(st.booleans(), label="training")
    found = first(x, mask=mask, training=training)
    answer = major(turned(x), mask=major_mask, training=training)
    # Which outputs are sequences: all of three axes.
    for mine, yours in zip(flat(found), flat(answer), strict=True):
        expected = turned(mine) if mine.ndim == 3 else mine
        assert np.array_equal(expected, yours)
    states = flat(found)[1:] if options["return_state"] and kind not in ("bidirectional", "both") else []
    if states:
        again = first(x, initial_state=states, mask=mask)
        other = major(turned(x), initial_state=states, mask=major_mask)
        for mine, yours in zip(flat(again), flat(other), strict=True):
            assert np.array_equal(turned(mine) if mine.ndim == 3 else mine, yours)


def flat(outputs: Any) -> list[np.ndarray]:
    if isinstance(outputs, np.ndarray):
        return [outputs]
    return [array for item in outputs for array in flat(item)]


def test_shapes_are_those_of_tf_keras() -> None:
    layer = LSTM(UNITS, return_sequences=True, return_state=True, time_major=True)
    assert layer.compute_output_shape((TIME, BATCH, FEATURES)) == [(TIME, BATCH, UNITS), (BATCH, UNITS), (BATCH, UNITS)]
    assert GRU(UNITS, time_major=True).compute_output_shape((None, BATCH, FEATURES)) == (BATCH, UNITS)
    both = Bidirectional(GRU(UNITS, return_sequences=True, time_major=True))
    assert both.compute_output_shape((TIME, None, FEATURES)) == (TIME, None, 2 * UNITS)
    assert GRU(UNITS, time_major=True)(Input(batch_shape=(TIME, None, FEATURES))).shape == (None, UNITS)
    stack = RNN([GRUCell(3), GRUCell(UNITS)], time_major=True, return_sequences=True)
    assert stack(Input(batch_shape=(TIME, BATCH, FEATURES))).shape == (TIME, BATCH, UNITS)


def test_it_stays_as_it_was_made() -> None:
    layer = LSTM(UNITS, time_major=True)
    layer.time_major = True
    with pytest.raises(ValueError, match=r"`time_major`: expected True, with which LSTM 'lstm.*received False"):
        layer.time_major = False
    assert layer.time_major
    assert Bidirectional(layer).backward_layer.time_major
    assert not LSTM(UNITS).time_major


# Models


def test_training_and_answers_are_the_same() -> None:
    first, major = twins(sequences)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 2, "validation_split": 0.3, "verbose": 0}
    expected = first.fit(X, Y, **options).history
    assert major.fit(turned(X), turned(Y), **options).history == expected
    assert same_weights(first, major)
    for size in (None, 1, 3):
        outputs = major.predict(turned(X), batch_size=size, verbose=0)
        assert np.array_equal(outputs, turned(first.predict(X, batch_size=size, verbose=0)))
    assert major.evaluate(turned(X), turned(Y), batch_size=3, verbose=0) == first.evaluate(X, Y, 3, verbose=0)
    assert major.train_on_batch(turned(X), turned(Y)) == first.train_on_batch(X, Y)
    assert major.test_on_batch(turned(X), turned(Y)) == first.test_on_batch(X, Y)
    assert np.array_equal(major.predict_on_batch(turned(X)), turned(first.predict_on_batch(X)))
    assert np.array_equal(major(turned(X)), turned(first(X)))
    # The same arrays again: their shape is known now. Of lists, too, and of other numbers.
    assert np.array_equal(major(turned(X)), turned(first(X)))
    assert np.array_equal(major(turned(X).tolist()), turned(first(X.tolist())))
    assert np.array_equal(major(turned(X).astype(np.float64)), turned(first(X)))


def test_equal_numbers_of_steps_and_samples_are_not_mixed_up() -> None:
    x, y = X[:TIME], Y[:TIME]
    first, major = twins(sequences)
    for _ in range(2):
        assert np.array_equal(major.predict(turned(x), verbose=0), turned(first.predict(x, verbose=0)))
        assert major.train_on_batch(turned(x), turned(y)) == first.train_on_batch(x, y)
    assert not np.array_equal(major.predict(x, verbose=0), first.predict(x, verbose=0))


def test_validation_data_and_callbacks() -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.shapes: list[Any] = []

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            self.shapes.append(logs["outputs"][0].shape)

    first, major = twins(sequences)
    expected = first.fit(X, Y, validation_data=(X[:3], Y[:3]), verbose=0).history
    validation = turned(X[:3]), turned(Y[:3])
    assert major.fit(turned(X), turned(Y), validation_data=validation, verbose=0).history == expected
    seen = Seen()
    assert major.predict(turned(X), batch_size=3, callbacks=seen, verbose=0).shape == (TIME, BATCH, 2)
    assert seen.shapes == [(TIME, 3, 2), (TIME, 3, 2), (TIME, 1, 2)]
    assert major.predict(turned(X)[:, :0], verbose=0).shape == (TIME, 0, 2)


@pytest.mark.parametrize("metrics", [[], ["mae"]])
def test_sample_weights(metrics: list[str]) -> None:
    by_row = RANDOM.random(BATCH).astype(np.float32)
    by_step = RANDOM.random((BATCH, TIME)).astype(np.float32)
    for weights, major_weights in ((by_row, by_row), (by_step, turned(by_step))):
        first, major = twins(lambda time_major: sequences(time_major, weighted_metrics=metrics))
        expected = first.fit(X, Y, sample_weight=weights, batch_size=3, verbose=0).history
        found = major.fit(turned(X), turned(Y), sample_weight=major_weights, batch_size=3, verbose=0)
        assert found.history == expected
    with pytest.raises(ValueError, match=r"one weight per row, shape \(7,\).*received shape \(7, 5\)"):
        major.fit(turned(X), turned(Y), sample_weight=by_step, verbose=0)


def test_masks_of_token_ids() -> None:
    first, major = twins(last_output)
    expected = first.fit(IDS, LAST, epochs=2, batch_size=3, verbose=0, bucket_by_length=True).history
    assert major.fit(IDS.T, LAST, epochs=2, batch_size=3, verbose=0, bucket_by_length=True).history == expected
    assert np.array_equal(major.predict(IDS.T, verbose=0), first.predict(IDS, verbose=0))
    assert major.input_shape == (TIME, None)
    assert major.output_shape == first.output_shape == (None, 2)


def test_masks_of_masking_and_lengths() -> None:
    def make(time_major: bool) -> Any:
        return compiled(
            Sequential([Input((None, FEATURES)), Masking(), GRU(2, return_sequences=True, time_major=time_major)])
        )

    padded = np.where(np.arange(TIME)[:, None] < LENGTHS[:, None, None], X, 0)
    first, major = twins(make)
    assert major.train_on_batch(turned(padded), turned(Y)) == first.train_on_batch(padded, Y)
    expected = first.fit(X, Y, lengths=LENGTHS, batch_size=2, bucket_by_length=True, verbose=0).history
    found = major.fit(turned(X), turned(Y), lengths=LENGTHS, batch_size=2, bucket_by_length=True, verbose=0)
    assert found.history == expected
    outputs = major.predict(turned(X), lengths=LENGTHS, verbose=0)
    assert np.array_equal(outputs, turned(first.predict(padded, verbose=0)))


def test_sources_of_batches() -> None:
    class Pieces(PyDataset):
        def __init__(self, turn: Callable[[Any], Any]) -> None:
            super().__init__()
            self.turn = turn

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            rows = slice(3 * index, 3 * index + 3)
            return self.turn(X[rows]), self.turn(Y[rows])

    def pieces(turn: Callable[[Any], Any], listed: bool) -> Iterator[Any]:
        for index in range(3):
            x, y = Pieces(turn)[index]
            yield (x.tolist(), y.tolist()) if listed else (x, y)

    first, major = twins(sequences)
    assert major.fit(Pieces(turned), verbose=0).history == first.fit(Pieces(np.asarray), verbose=0).history
    expected = first.fit(pieces(np.asarray, False), verbose=0).history
    # Lists of lists are arrays here, for rows of different lengths are not to be had.
    assert major.fit(pieces(turned, True), verbose=0).history == expected
    outputs = major.predict(Pieces(turned), verbose=0)
    assert np.array_equal(outputs, turned(first.predict(Pieces(np.asarray), verbose=0)))


def two_inputs(time_major: bool) -> Model:
    ids, numbers, state = Input((None,), name="ids"), Input((None, FEATURES), name="numbers"), Input((UNITS,))
    read = Add()([Embedding(9, FEATURES, mask_zero=True)(ids), Dense(FEATURES)(numbers)])
    steps, h, c = LSTM(UNITS, return_sequences=True, return_state=True, time_major=time_major)(read, [state, state])
    steps = Concatenate()([LayerNormalization()(steps), TimeDistributed(Dense(2))(steps)])
    each = TimeDistributed(Sequential([Dense(2), Activation("tanh")]), name="each")(steps)
    last = Dense(1, name="last")(Concatenate()([GRU(UNITS, time_major=time_major)(steps), h, c]))
    return compiled(Model({"ids": ids, "numbers": numbers, "state": state}, [each, last]), metrics=None)


def inputs(turn: bool) -> dict[str, np.ndarray]:
    state = RANDOM.normal(size=(BATCH, UNITS)).astype(np.float32) * 0 + LAST[:, :1]
    return {"ids": IDS.T if turn else IDS, "numbers": turned(X) if turn else X, "state": state}


def test_several_inputs_and_outputs() -> None:
    first, major = twins(two_inputs)
    options: dict[str, Any] = {"batch_size": 3, "validation_split": 0.3, "epochs": 2, "verbose": 0}
    expected = first.fit(inputs(False), [Y, LAST[:, :1]], **options).history
    found = major.fit(inputs(True), {"each": turned(Y), "last": LAST[:, :1]}, **options)
    assert found.history == expected
    (steps, last), (major_steps, major_last) = first(inputs(False)), major.predict(inputs(True), verbose=0)
    assert np.array_equal(major_steps, turned(steps))
    assert np.array_equal(major_last, last)
    # A part of the outputs has a loss; what it does not need still comes in the same order.
    for outputs, y, major_y in (("last", LAST[:, :1], LAST[:, :1]), ("each", Y, turned(Y))):
        for model in (first, major):
            compiled(model, loss=dict.fromkeys(["each", "last"]) | {outputs: "mse"}, metrics=None)
        assert major.train_on_batch(inputs(True), major_y) == first.train_on_batch(inputs(False), y)
    with pytest.raises(ValueError, match=r"`x\['numbers'\]`: expected as many rows as `x\['ids'\]` has, 7; received 5"):
        major.predict(inputs(True) | {"numbers": X}, verbose=0)


def test_an_output_that_no_layer_of_one_order_gives() -> None:
    def make(time_major: bool) -> Model:
        x = Input((None, FEATURES))
        h = Dense(2, name="plain")(x)
        return compiled(
            Model(x, [h, LSTM(2, name="last", time_major=time_major)(h)]),
            loss={"plain": "mse", "last": None},
            metrics=None,
        )

    first, major = twins(make)
    assert major.fit(turned(X), turned(Y), verbose=0).history == first.fit(X, Y, verbose=0).history
    assert np.array_equal(major.predict(turned(X), verbose=0)[0], turned(first.predict(X, verbose=0)[0]))


def test_models_that_arrays_build() -> None:
    class Reader(Model):
        def __init__(self, time_major: bool) -> None:
            super().__init__()
            self.read = GRU(UNITS, return_sequences=True, time_major=time_major)
            self.write = Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.write(self.read(inputs["x"]) + self.read(inputs["z"]))

    first, major = twins(lambda time_major: compiled(Reader(time_major)))
    x, z = {"x": X, "z": X[::-1]}, {"x": turned(X), "z": turned(X[::-1])}
    assert major.fit(z, turned(Y), batch_size=3, verbose=0).history == first.fit(x, Y, batch_size=3, verbose=0).history
    assert major.input_shape == [(TIME, None, FEATURES)] * 2
    assert major.output_shape == (TIME, None, 2)
    first, major = twins(
        lambda time_major: Sequential([SimpleRNN(UNITS, return_sequences=True, time_major=time_major)])
    )
    assert np.array_equal(major.predict(turned(X), verbose=0), turned(first.predict(X, verbose=0)))
    assert major.output_shape == (TIME, None, UNITS)
    major = Sequential([GRU(UNITS, time_major=True)])
    major.build((None, BATCH, FEATURES))
    assert major.output_shape == (BATCH, UNITS)
    with pytest.raises(ValueError, match=r"received shapes \(None, 7, 4\), \(None, 6, 4\)"):
        Reader(True).predict({"x": turned(X), "z": turned(X[1:])}, verbose=0)


def test_layers_and_models_of_layers() -> None:
    class Block(layers.Layer):
        def __init__(self, time_major: bool) -> None:
            super().__init__()
            self.read = LSTM(2, return_sequences=True, time_major=time_major)

        def call(self, inputs: Any) -> Any:
            return self.read(inputs)

    def make(time_major: bool) -> Model:
        inner = Sequential([Input((None, FEATURES)), Dense(FEATURES)])
        x = Input((None, FEATURES))
        # The same model of a layer that takes any order, on sequences of both.
        aside = Input((FEATURES,))
        steps = Block(time_major)(inner(inner(x)))
        beside = layers.RepeatVector(2)(aside)
        last = GRU(2)(inner(beside))
        return Model([x, aside], [Sequential([Block(time_major), Activation("tanh")])(steps), last])

    first, major = twins(make)
    (steps, last), (major_steps, major_last) = first([X, X[:, 0]]), major([turned(X), X[:, 0]])
    assert np.array_equal(major_steps, turned(steps))
    assert np.array_equal(major_last, last)
    first, major = twins(Block)
    assert np.array_equal(major(turned(X)), turned(first(X)))


def test_states_from_batch_to_batch() -> None:
    def make(time_major: bool) -> Any:
        shape = (None, BATCH, FEATURES) if time_major else (BATCH, None, FEATURES)
        options = {"stateful": True, "return_sequences": True, "time_major": time_major}
        stack = RNN([GRUCell(3), GRUCell(2)], **options)
        return compiled(Sequential([Input(batch_shape=shape), LSTM(UNITS, **options), stack]))

    first, major = twins(make)
    for piece in (slice(0, 2), slice(2, 5)):
        outputs = major.predict(turned(X[:, piece]), verbose=0)
        assert np.array_equal(outputs, turned(first.predict(X[:, piece], verbose=0)))
    options: dict[str, Any] = {"shuffle": False, "batch_size": BATCH, "epochs": 2, "verbose": 0}
    assert major.fit(turned(X), turned(Y), **options).history == first.fit(X, Y, **options).history
    assert major.layers[0].states[0].shape == (BATCH, UNITS)
    with pytest.raises(ValueError, match=r"multiple of 7 rows"):
        major.predict(turned(X[:5]), verbose=0)
    message = r"fixed batch size for GRU 'gru.*Input\(batch_shape=\(None, 32, 8\)\)"
    with pytest.raises(ValueError, match=message):
        Sequential([Input((None, FEATURES)), GRU(2, stateful=True, time_major=True)])
    model = Sequential([GRU(2, stateful=True, time_major=True)])
    with pytest.raises(ValueError, match=message):
        model.predict(turned(X), verbose=0)
    assert not model.built


def test_truncated_backpropagation_and_checkpoints() -> None:
    def make(time_major: bool) -> Any:
        layer = GRU(2, return_sequences=True, checkpoint_every=2, time_major=time_major)
        return compiled(Sequential([Input((None, FEATURES)), layer]))

    first, major = twins(make)
    for options in ({}, {"tbptt": 2}):
        expected = first.fit(X, Y, batch_size=3, verbose=0, **options).history
        assert major.fit(turned(X), turned(Y), batch_size=3, verbose=0, **options).history == expected


def test_classes_by_number_and_labels_without_times() -> None:
    def make(loss: str) -> Callable[[bool], Any]:
        return lambda time_major: compiled(
            Sequential(
                [Input((None, FEATURES)), GRU(4, return_sequences=True, time_major=time_major), Dense(4, "softmax")]
            ),
            loss=loss,
            metrics=["accuracy"] if loss != "ctc" else None,
        )

    classes = RANDOM.integers(0, 4, (BATCH, TIME))
    first, major = twins(make("sparse_categorical_crossentropy"))
    for targets, major_targets in ((classes, classes.T), (classes[..., None], classes.T[..., None])):
        assert major.fit(turned(X), major_targets, verbose=0).history == first.fit(X, targets, verbose=0).history
    first, major = twins(make("ctc"))
    labels = RANDOM.integers(1, 4, (BATCH, 2))
    assert major.fit(turned(X), labels, verbose=0).history == first.fit(X, labels, verbose=0).history
    assert major.fit(turned(X), [labels], verbose=0).history == first.fit(X, [labels], verbose=0).history


def test_targets_in_a_list() -> None:
    first, major = twins(sequences)
    assert major.train_on_batch([turned(X)], [turned(Y)]) == first.train_on_batch([X], [Y])
    # The steps of two samples, and the only step of five.
    one, other = major.train_on_batch(turned(X[:2]), [turned(Y[:2])]), first.train_on_batch(X[:2], Y[:2])
    assert one == other
    steps = [Y[:5, 0]]
    assert major.test_on_batch(turned(X[:5, :1]), steps) == first.test_on_batch(X[:5, :1], Y[:5, :1])


def test_metrics_of_the_users_see_samples_first() -> None:
    shapes = set()

    def spread(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        shapes.add((y_true.shape, y_pred.shape))
        return np.abs(y_true - y_pred).max(axis=-1)

    first, major = twins(lambda time_major: sequences(time_major, metrics=[spread]))
    assert major.evaluate(turned(X), turned(Y), verbose=0) == first.evaluate(X, Y, verbose=0)
    assert shapes == {((BATCH, TIME, 2), (BATCH, TIME, 2))}


def test_streams_and_costs() -> None:
    def make(time_major: bool) -> Any:
        return Sequential(
            [Input((None, FEATURES)), LSTM(UNITS, return_sequences=True, time_major=time_major), Dense(2)]
        )

    first, major = twins(make)
    session, other = first.stream(BATCH), major.stream(BATCH)
    assert np.array_equal(other.step(X[:, 0]), session.step(X[:, 0]))
    assert np.array_equal(other.run(turned(X[:, 1:])), turned(session.run(X[:, 1:])))
    with pytest.raises(ValueError, match=r"expected shape \(None, 7, 3\); received shape \(7, 5, 3\)"):
        other.run(X)
    lines: list[list[str]] = [[], []]
    for model, shown in zip((first, major), lines, strict=True):
        model.summary(batch_size=2, time=6, print_fn=shown.append)
    costs = [[line for line in shown if line.startswith((" FLOPs", " Memory"))] for shown in lines]
    assert costs[0] == costs[1]
    assert len(costs[0]) == 3
    assert "(6, 2, 4)" in "".join(lines[1])
    assert "(2, 6, 4)" in "".join(lines[0])
    assert Sequential(
        [Input(batch_shape=(10, None, 3)), GRU(2, return_sequences=True, time_major=True)]
    ).output_shape == (
        10,
        None,
        2,
    )


# Files and copies


def test_files_and_copies(tmp_path: Path) -> None:
    model = sequences(True)
    model.fit(turned(X), turned(Y), verbose=0)
    expected = model.predict(turned(X), verbose=0)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    assert loaded.layers[0].time_major
    for again in (
        loaded,
        pickle.load(io.BytesIO(pickle.dumps(model))),
        copy.deepcopy(model),
        clone_model(model),
        model_from_json(model.to_json()),
        Sequential.from_config(model.get_config()),
    ):
        again.set_weights(model.get_weights())
        assert np.array_equal(again.predict(turned(X), verbose=0), expected)
    assert loaded.fit(turned(X), turned(Y), verbose=0).history == model.fit(turned(X), turned(Y), verbose=0).history
    arrays_built = last_output(True)
    arrays_built.fit(IDS.T, LAST, verbose=0)
    arrays_built.save(tmp_path / "ids.foliot")
    loaded = load_model(tmp_path / "ids.foliot")
    assert loaded.input_shape == arrays_built.input_shape
    assert np.array_equal(loaded.predict(IDS.T, verbose=0), arrays_built.predict(IDS.T, verbose=0))
    functional = two_inputs(True)
    cloned = clone_model(functional)
    cloned.set_weights(functional.get_weights())
    assert np.array_equal(cloned(inputs(True))[0], functional(inputs(True))[0])


def test_configurations() -> None:
    for layer in (
        *(kind(2, time_major=True) for kind in CELLS),
        RNN([GRUCell(2)], time_major=True),
        Bidirectional(GRU(2, time_major=True)),
    ):
        config = layer.get_config()
        again = type(layer).from_config(config)
        part = again.forward_layer if isinstance(again, Bidirectional) else again
        assert part.time_major
        assert again.get_config() == config
    # A file of tf.keras may say so, and one of Keras 3 says nothing.
    assert not GRU.from_config({"units": 2, "time_major": False}).time_major
    assert not GRU.from_config({"units": 2}).time_major


ANY_ORDER: dict[type, Callable[[], layers.Layer]] = {
    Activation: lambda: Activation("softmax"),
    layers.ActivityRegularization: lambda: layers.ActivityRegularization(0.1),
    Add: lambda: Twice(Add()),
    layers.AlphaDropout: lambda: layers.AlphaDropout(0.2),
    layers.Average: lambda: Twice(layers.Average()),
    layers.BatchNormalization: layers.BatchNormalization,
    Concatenate: lambda: Twice(Concatenate(axis=2)),
    Dense: lambda: Dense(2, activity_regularizer="l2"),
    Dropout: lambda: Dropout(0.3),
    layers.ELU: layers.ELU,
    Embedding: lambda: Embedding(9, 2),
    layers.GaussianDropout: lambda: layers.GaussianDropout(0.3),
    layers.GaussianNoise: lambda: layers.GaussianNoise(0.3),
    layers.Identity: layers.Identity,
    LayerNormalization: LayerNormalization,
    layers.LeakyReLU: layers.LeakyReLU,
    Masking: Masking,
    layers.Maximum: lambda: Twice(layers.Maximum()),
    layers.Minimum: lambda: Twice(layers.Minimum()),
    layers.Multiply: lambda: Twice(layers.Multiply()),
    layers.RMSNormalization: layers.RMSNormalization,
    layers.ReLU: layers.ReLU,
    layers.Softmax: layers.Softmax,
    layers.Subtract: lambda: Twice(layers.Subtract()),
    layers.UnitNormalization: layers.UnitNormalization,
}


class Twice(layers.Layer):
    """A merge of its input and of what a layer makes of it."""

    def __init__(self, merge: layers.Layer) -> None:
        super().__init__()
        self.merge, self.other = merge, Dense(FEATURES)

    def call(self, inputs: Any) -> Any:
        return self.merge([inputs, self.other(inputs)])


def test_every_class_says_whether_it_takes_any_order() -> None:
    # Dropout says it by its `noise_shape`.
    found = {cls for cls in layers.LAYERS.classes if cls.takes_any_order is True}
    assert found == set(ANY_ORDER) - {Dropout, layers.AlphaDropout}


@pytest.mark.parametrize("kind", ANY_ORDER, ids=lambda cls: cls.__name__)
def test_layers_that_hand_the_order_on(kind: type) -> None:
    def make(time_major: bool) -> Any:
        # The order comes from behind to the first of them, and from before to the second.
        behind = Activation("tanh") if kind is Embedding else ANY_ORDER[kind]()
        steps = GRU(2, return_sequences=True, time_major=time_major)
        shape = (None,) if kind is Embedding else (None, FEATURES)
        return compiled(Sequential([Input(shape), ANY_ORDER[kind](), steps, Dense(FEATURES), behind]), loss="mae")

    first, major = twins(make)
    x = IDS if kind is Embedding else X
    y = first.predict(x, verbose=0) + 1
    expected = first.fit(x, y, batch_size=3, verbose=0).history
    assert major.fit(turned(x), turned(y), batch_size=3, verbose=0).history == expected
    assert np.array_equal(major.predict(turned(x), verbose=0), turned(first.predict(x, verbose=0)))


# Refusals


def sequence(*, time_major: bool = True) -> list[Any]:
    return [Input((4, FEATURES)), LSTM(2, return_sequences=True, time_major=time_major, name="steps")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([*sequence(), GRU(3, name="next")]), "LSTM 'steps'.*GRU 'next'.*both the same"),
        (lambda: Sequential([*sequence(time_major=False), GRU(3, time_major=True, name="a")]), "GRU 'a'.*LSTM 'steps'"),
        (
            lambda: Sequential([*sequence(), layers.Conv1D(3, 2)]),
            "LSTM 'steps'.*Conv1D 'conv1d.*use `time_major=False`",
        ),
        (lambda: Sequential([Input((4, 3)), layers.Conv1D(3, 2), GRU(2, time_major=True)]), "GRU 'gru.*Conv1D 'conv1d"),
        (lambda: Sequential([*sequence(), Dense(2), layers.Flatten()]), "Flatten"),
        (lambda: Sequential([*sequence(), layers.GlobalMaxPooling1D()]), "GlobalMaxPooling1D"),
        (lambda: Sequential([*sequence(), layers.MaxPooling1D(2)]), "MaxPooling1D"),
        (lambda: Sequential([*sequence(), layers.SpatialDropout1D(0.5)]), "SpatialDropout1D"),
        (lambda: Sequential([*sequence(), Dropout(0.5, noise_shape=(None, 1, None))]), "Dropout"),
        (lambda: Sequential([*sequence(), layers.PReLU()]), "PReLU"),
        (lambda: Sequential([*sequence(), layers.Permute((2, 1))]), "Permute"),
        (lambda: Sequential([*sequence(), layers.Reshape((-1,))]), "Reshape"),
        (lambda: Sequential([*sequence(), layers.Cropping1D(1)]), "Cropping1D"),
        (lambda: Sequential([*sequence(), layers.ZeroPadding1D(1)]), "ZeroPadding1D"),
        (lambda: Sequential([Input((3,)), layers.RepeatVector(4), GRU(2, time_major=True)]), "RepeatVector"),
        (
            lambda: Sequential([Input((4, 5, 3)), TimeDistributed(GRU(2, time_major=True, name="inner"))]),
            "GRU 'inner'.*TimeDistributed 'time_dist",
        ),
        (
            lambda: Bidirectional(GRU(2, time_major=True), backward_layer=GRU(2, go_backwards=True)),
            "`backward_layer`: expected the `time_major` of the forward layer, True; received False",
        ),
    ],
)
def test_layers_that_want_samples_first(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def merged(merge: Callable[[Any], Any], other: Callable[[Any], Any]) -> Model:
    x = Input((4, 2))
    return Model(x, merge([GRU(2, return_sequences=True, time_major=True, name="steps")(x), other(x)]))


@pytest.mark.parametrize(
    ("merge", "other", "message"),
    [
        (Add(), GRU(2, return_sequences=True, name="other"), "GRU 'steps'.*GRU 'other'"),
        (Add(), GRU(2, time_major=True), "GRU 'steps'.*Add"),
        (Concatenate(axis=1), Dense(2), "Concatenate"),
        (layers.Dot(axes=2), Dense(2), "Dot"),
        (layers.Attention(), Dense(2), "Attention"),
    ],
)
def test_merges_of_other_orders(merge: Any, other: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"`time_major`: expected sequences of one order.*{message}"):
        merged(merge, other)


def test_a_refused_layer_leaves_the_stack_as_it_was() -> None:
    model = Sequential(sequence())
    with pytest.raises(ValueError, match="GlobalAveragePooling1D"):
        model.add(layers.GlobalAveragePooling1D())
    model.add(GRU(2, time_major=True))
    assert model.predict(turned(X), verbose=0).shape == (BATCH, 2)


def test_arrays_that_do_not_fit() -> None:
    model = sequences(True)
    rows = [np.ones((length, FEATURES)) for length in (3, 2, 4)]
    with pytest.raises(ValueError, match=r"`x`: expected an array \(time, batch, \.\.\.\).*pad_sequences.*lengths"):
        model.predict(rows, verbose=0)
    with pytest.raises(ValueError, match=r"inputs of batch 1 of x`: expected an array \(time, batch"):
        model.fit(iter([(rows, rows)]), verbose=0)
    with pytest.raises(ValueError, match=r"`x`: expected shape \(None, None, 3\).*received shape \(7, 5, 4\)"):
        model.predict(np.ones((7, 5, 4)), verbose=0)
    with pytest.raises(ValueError, match=r"`x`: expected an array \(time, batch, \.\.\.\); received shape \(7,\)"):
        model.predict(np.ones(7), verbose=0)
    with pytest.raises(ValueError, match=r"`x`: expected shape \(None, None, 3\).*received shape \(7, 3\)"):
        model.predict(np.ones((7, 3)), verbose=0)
    with pytest.raises(ValueError, match="`y`: expected as many rows as `x` has, 7; received 5"):
        model.fit(turned(X), Y, verbose=0)
    with pytest.raises(ValueError, match=r"`y`: expected shape \(5, 7, 2\) for .*received shape \(4, 7, 2\)"):
        model.fit(turned(X), turned(Y)[1:], verbose=0)
    with pytest.raises(ValueError, match=r"`y`: expected an array \(time, batch, \.\.\.\); received shape \(7,\)"):
        model.fit(turned(X), np.ones(BATCH), verbose=0)
    with pytest.raises(ValueError, match=r"`y`: expected rows of one length"):
        model.fit(turned(X), [list(range(length)) for length in LENGTHS], lengths=LENGTHS, verbose=0)
    for layer in (GRU(2, time_major=True), Bidirectional(GRU(2, time_major=True))):
        with pytest.raises(ValueError, match=r"expects \(time, batch, features\); received \(5, 3\).*x\[:, None\]"):
            layer(X[0])
    with pytest.raises(ValueError, match=r"`mask`: expected shape \(5, 7\)"):
        LSTM(2, time_major=True)(turned(X), mask=np.ones((BATCH, TIME)))
    with pytest.raises(ValueError, match=r"`initial_state\[0\]`: expected shape \(7, 2\)"):
        GRU(2, time_major=True)(turned(X), initial_state=np.ones((TIME, 2)))
