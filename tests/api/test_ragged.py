"""Rows of different lengths: ragged lists, `lengths=`, a padded array with mask_zero and each row alone agree."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foliot import Input, Model, metrics
from foliot.callbacks import LambdaCallback
from foliot.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    Masking,
    SimpleRNN,
)
from foliot.models import Sequential

RANDOM = np.random.default_rng(11)
LENGTHS = np.array([3, 0, 5, 1, 4, 5, 2])
MASK = np.arange(5) < LENGTHS[:, None]
TOKENS = RANDOM.integers(1, 9, (7, 5)) * MASK
ROWS = [row[:length].tolist() for row, length in zip(TOKENS, LENGTHS, strict=True)]
FEATURES = RANDOM.normal(size=(7, 5, 3)).astype(np.float32)
FEATURE_ROWS = [row[:length] for row, length in zip(FEATURES, LENGTHS, strict=True)]
Y = RANDOM.normal(size=7).astype(np.float32)
STEPS_Y = RANDOM.normal(size=(7, 5, 2)).astype(np.float32)

TAILS: dict[str, Callable[[], list[Any]]] = {
    "last": lambda: [LSTM(4), Dense(1)],
    "both ways": lambda: [Bidirectional(GRU(4, return_sequences=True)), SimpleRNN(3), Dense(1)],
    "backwards": lambda: [GRU(4, go_backwards=True), Dense(1)],
    "mean": lambda: [Dense(3), GlobalAveragePooling1D(), Dense(1)],
}


def begun(model: Any) -> Any:
    model.set_weights([np.random.default_rng(3).normal(size=weight.shape, scale=0.5) for weight in model.get_weights()])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def of_tokens(tail: str, mask_zero: bool) -> Any:
    return begun(Sequential([Input((None,)), Embedding(9, 3, mask_zero=mask_zero), *TAILS[tail]()]))


def of_features(tail: str, *first: Any) -> Any:
    return begun(Sequential([Input((None, 3)), *first, *TAILS[tail]()]))


def garbage(array: np.ndarray) -> np.ndarray:
    """What stands behind the ends must not matter."""
    array = array.copy()
    array[~MASK] = 8
    return array


@pytest.mark.parametrize("tail", TAILS)
class TestAllWaysAgree:
    def test_prediction(self, tail: str) -> None:
        expected = of_tokens(tail, True).predict(TOKENS, verbose=0)
        for mask_zero in (False, True):
            model = of_tokens(tail, mask_zero)
            for rows, options in ((ROWS, {}), (TOKENS, {"lengths": LENGTHS}), (garbage(TOKENS), {"lengths": LENGTHS})):
                np.testing.assert_array_equal(model.predict(rows, verbose=0, **options), expected)
                np.testing.assert_array_equal(model.predict_on_batch(rows, **options), expected)
            np.testing.assert_array_equal(model(ROWS), expected)
        alone = np.concatenate([of_tokens(tail, False).predict([row], verbose=0) for row in ROWS if row])
        np.testing.assert_allclose(expected[LENGTHS > 0], alone, atol=1e-6)

    def test_prediction_from_features(self, tail: str) -> None:
        zeros = np.where(MASK[..., None], FEATURES, 0)
        expected = of_features(tail, Masking()).predict(zeros, verbose=0)
        plain = of_features(tail)
        for rows, options in ((FEATURE_ROWS, {}), (FEATURES, {"lengths": LENGTHS})):
            np.testing.assert_array_equal(plain.predict(rows, verbose=0, **options), expected)
        special = of_features(tail, Masking(-7.0))
        np.testing.assert_array_equal(special.predict(FEATURE_ROWS, verbose=0), expected)
        np.testing.assert_array_equal(special.predict(FEATURES, verbose=0, lengths=LENGTHS), expected)

    def test_training_and_evaluation(self, tail: str) -> None:
        results = []
        for model, x, options in (
            (of_tokens(tail, True), TOKENS, {}),
            (of_tokens(tail, False), ROWS, {}),
            (of_tokens(tail, False), garbage(TOKENS), {"lengths": LENGTHS}),
            (of_tokens(tail, True), garbage(TOKENS), {"lengths": LENGTHS.tolist()}),
        ):
            model._shuffle_seed = 5
            history = model.fit(x, Y, batch_size=3, epochs=2, validation_split=0.3, verbose=0, **options).history
            logs = model.evaluate(x, Y, batch_size=4, verbose=0, **options)
            single = model.test_on_batch(x, Y, **options)
            step = model.train_on_batch(x, Y, **options)
            results.append((history, logs, single, step, [weight.tolist() for weight in model.get_weights()]))
        assert results[0] == results[1] == results[2] == results[3]

    def test_batches_of_one_row(self, tail: str) -> None:
        """A batch of one row is that row alone, as an array without padding."""
        rows = [row for row in ROWS if row]
        y = Y[LENGTHS > 0]
        padded, alone = of_tokens(tail, False), of_tokens(tail, False)
        padded.fit(rows, y, batch_size=1, shuffle=False, verbose=0)
        alone.fit(iter([(np.array([row]), y[i : i + 1]) for i, row in enumerate(rows)]), verbose=0)
        for one, other in zip(padded.get_weights(), alone.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)


def test_outputs_for_each_step_and_ragged_targets() -> None:
    def model(*first: Any) -> Any:
        made = Sequential([Input((None, 3)), *first, GRU(2, return_sequences=True)])
        made.set_weights([np.random.default_rng(3).normal(size=weight.shape) for weight in made.get_weights()])
        made.compile("sgd", "mse", metrics=["mae"])
        return made

    zeros = np.where(MASK[..., None], FEATURES, 0)
    expected = model(Masking()).evaluate(zeros, STEPS_Y, verbose=0)
    ragged_y = [row[:length] for row, length in zip(STEPS_Y, LENGTHS, strict=True)]
    for x, y, options in (
        (FEATURE_ROWS, ragged_y, {}),
        (FEATURE_ROWS, STEPS_Y, {}),
        (FEATURES, ragged_y, {"lengths": LENGTHS}),
        (np.concatenate([FEATURES, FEATURES], axis=1), ragged_y, {"lengths": LENGTHS}),
    ):
        assert model().evaluate(x, y, verbose=0, **options) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="`y`: expected rows as long as those of the input"):
        model().evaluate(FEATURE_ROWS, [row[:-1] if len(row) == 5 else row for row in ragged_y], verbose=0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 1000))
def test_any_lengths(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = [random.integers(0, 9, length).tolist() for length in lengths]
    time = max(lengths)
    padded = np.zeros((len(rows), time), int)
    for row, target in zip(rows, padded, strict=True):
        target[: len(row)] = row
    model = SHARED
    answers = model.predict(padded, lengths=lengths, verbose=0)
    np.testing.assert_array_equal(model.predict(rows, verbose=0) if len(set(lengths)) > 1 else answers, answers)
    for row, answer in zip(rows, answers, strict=True):
        alone = model.predict(np.array([row], int).reshape(1, len(row)), verbose=0)[0]
        np.testing.assert_allclose(answer, alone, atol=1e-6)


SHARED = of_tokens("last", False)


class TestForms:
    def test_other_containers(self) -> None:
        model = of_tokens("last", False)
        expected = model.predict(ROWS, verbose=0)
        objects = np.empty(7, object)
        objects[:] = ROWS
        for rows in (tuple(ROWS), [np.array(row) for row in ROWS], objects, [tuple(row) for row in ROWS]):
            np.testing.assert_array_equal(model.predict(rows, verbose=0), expected)
        flat = begun(Sequential([Input((None, 1)), LSTM(2), Dense(1)]))
        np.testing.assert_array_equal(
            flat.predict([[1.5], [2.0, 0.5]], verbose=0), flat.predict([[[1.5]], [[2.0], [0.5]]], verbose=0)
        )

    def test_a_model_that_data_build(self) -> None:
        model = Sequential([Embedding(9, 3), LSTM(2), Dense(1)])
        model.compile("sgd", "mse")
        model.fit(ROWS, Y, verbose=0)
        assert model.predict([[1, 2, 3], [4]], verbose=0).shape == (2, 1)

    def test_batches_from_a_source(self) -> None:
        batches = [(ROWS[:3], Y[:3]), (ROWS[3:5], Y[3:5]), ([[1, 2], [3, 4]], Y[5:])]
        whole = [*ROWS[:5], [1, 2], [3, 4]]
        model, other = of_tokens("last", False), of_tokens("last", False)
        assert model.evaluate(iter(batches), verbose=0) == pytest.approx(other.evaluate(whole, Y, verbose=0), rel=1e-6)
        np.testing.assert_array_equal(
            np.concatenate([model.predict(iter(batches), verbose=0)]), other.predict(whole, verbose=0)
        )
        model.fit(iter(batches), verbose=0)
        with pytest.raises(ValueError, match="expected lists of rows, or arrays, as in the first batch"):
            model.fit(iter([*batches, (np.ones((2, 2)), Y[:2])]), verbose=0)

    def test_several_inputs(self) -> None:
        words, signal, extra = Input((None,), name="words"), Input((None, 3), name="signal"), Input((2,), name="extra")
        read = [LSTM(2)(Embedding(9, 2)(words)), GRU(2)(signal), extra]
        model = begun(Model([words, signal, extra], Dense(1)(Concatenate()(read))))
        others = RANDOM.normal(size=(7, 2))
        turned = LENGTHS[::-1].copy()
        rows = [row[:length] for row, length in zip(FEATURES, turned, strict=True)]
        expected = model.predict([ROWS, rows, others], verbose=0)
        for lengths in ([LENGTHS, turned, None], {"words": LENGTHS, "signal": turned}):
            found = model.predict([TOKENS, FEATURES, others], lengths=lengths, verbose=0)
            np.testing.assert_array_equal(found, expected)
        found = model.predict({"words": ROWS, "signal": rows, "extra": others}, verbose=0)
        np.testing.assert_array_equal(found, expected)
        half = model.predict([TOKENS, FEATURES, others], lengths=[None, turned, None], verbose=0)
        np.testing.assert_array_equal(half, model.predict([TOKENS, rows, others], verbose=0))
        with pytest.raises(ValueError, match=r"`lengths`: expected a list or dict .* of which 2 have a time axis"):
            model.predict([TOKENS, FEATURES, others], lengths=LENGTHS, verbose=0)
        with pytest.raises(ValueError, match=r"`lengths`: expected None for the input .* no time axis"):
            model.predict([TOKENS, FEATURES, others], lengths=[None, None, LENGTHS], verbose=0)
        with pytest.raises(ValueError, match=r"`lengths`: expected a dict with keys among"):
            model.predict([TOKENS, FEATURES, others], lengths={"speech": LENGTHS}, verbose=0)
        with pytest.raises(ValueError, match=r"`lengths\['signal'\]`: expected lengths from 0 to 5"):
            model.predict([TOKENS, FEATURES, others], lengths=[None, LENGTHS + 1, None], verbose=0)

    def test_one_of_two_has_time(self) -> None:
        words, extra = Input((None,), name="words"), Input((2,), name="extra")
        model = begun(
            Model({"w": words, "e": extra}, Dense(1)(Concatenate()([LSTM(2)(Embedding(9, 2)(words)), extra])))
        )
        others = RANDOM.normal(size=(7, 2))
        expected = model.predict({"w": ROWS, "e": others}, verbose=0)
        for lengths in (LENGTHS, {"w": LENGTHS}):
            found = model.predict({"w": TOKENS, "e": others}, lengths=lengths, verbose=0)
            np.testing.assert_array_equal(found, expected)

    def test_the_users_arrays_stay_as_they_are(self) -> None:
        x = garbage(TOKENS)
        of_tokens("last", True).fit(x, Y, lengths=LENGTHS, verbose=0)
        np.testing.assert_array_equal(x, garbage(TOKENS))

    @pytest.mark.parametrize("form", [LENGTHS, {"input_layer": LENGTHS}])
    def test_lengths_of_validation_data(self, form: Any) -> None:
        weight = RANDOM.uniform(0.5, 2, 7)
        for data in ((Y,), (Y, weight)):
            histories = []
            for x, lengths in ((ROWS, None), (garbage(TOKENS), form), (garbage(TOKENS), None)):
                model = begun(Sequential([Input((None,), name="input_layer"), Embedding(9, 3), *TAILS["last"]()]))
                options: dict[str, Any] = {"validation_data": (x, *data), "validation_lengths": lengths, "epochs": 2}
                histories.append(model.fit(TOKENS, Y, lengths=LENGTHS, verbose=0, **options).history)
            assert histories[0] == histories[1]
            assert histories[0]["loss"] == histories[2]["loss"]
            assert histories[0]["val_loss"] != histories[2]["val_loss"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"validation_data": (TOKENS, Y), "validation_lengths": LENGTHS[:3]}, r"expected shape \(7,\)"),
            ({"validation_data": (TOKENS, Y), "validation_lengths": LENGTHS + 1}, "expected lengths from 0 to 5"),
            ({"validation_data": (TOKENS, Y), "validation_lengths": {"speech": LENGTHS}}, "expected a dict with keys"),
            ({"validation_data": (ROWS, Y), "validation_lengths": LENGTHS}, "expected None for rows of different"),
            ({"validation_data": iter([(TOKENS, Y)]), "validation_lengths": LENGTHS}, "expected None, for"),
            ({"validation_split": 0.5, "validation_lengths": LENGTHS}, "expected None without validation_data"),
        ],
    )
    def test_bad_lengths_of_validation_data(self, options: Any, message: str) -> None:
        with pytest.raises(ValueError, match=f"`validation_lengths`: {message}"):
            of_tokens("last", False).fit(TOKENS, Y, verbose=0, **options)

    def test_no_program_is_made_for_arrays_without_masks(self) -> None:
        model = of_tokens("last", False)
        model.fit(TOKENS, Y, lengths=LENGTHS, verbose=0)
        made = [masks for (_, masks), part in model._compiled_parts.items() if part._program is not None]
        assert made == [(True,)]

    def test_validation_data_of_their_own_kind(self) -> None:
        for validation in ((ROWS, Y), (TOKENS[:, :3], Y)):
            for x in (ROWS, TOKENS):
                model = of_tokens("last", False)
                history = model.fit(x, Y, validation_data=validation, epochs=2, verbose=0).history
                assert history["val_loss"][-1] == model.evaluate(*validation, verbose=0)[0]

    def test_an_evaluation_of_arrays_inside_an_epoch_of_lists(self) -> None:
        model, alone = of_tokens("last", False), of_tokens("last", False)
        ask = LambdaCallback(on_train_batch_end=lambda batch, logs: model.evaluate(TOKENS, Y, verbose=0))
        histories = [
            one.fit(ROWS, Y, batch_size=2, shuffle=False, callbacks=callbacks, verbose=0).history
            for one, callbacks in ((model, [ask]), (alone, []))
        ]
        assert histories[0] == histories[1]

    def test_dropout_is_that_of_the_rows(self) -> None:
        losses = []
        for x, options in ((TOKENS, {}), (ROWS, {}), (TOKENS, {"lengths": LENGTHS})):
            model = Sequential([Input((None,)), Embedding(9, 3, mask_zero=True), Dropout(0.5, seed=1), LSTM(3, seed=2)])
            model.set_weights([np.full(weight.shape, 0.3) for weight in model.get_weights()])
            model.compile("sgd", "mse", metrics=[metrics.MeanMetricWrapper(lambda t, p: p.mean(axis=1), name="own")])
            losses.append(model.train_on_batch(x, np.ones((7, 3)), **options))
        assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        (
            TOKENS,
            np.array(LENGTHS) > 2,
            r"`lengths`: expected whole numbers.*; received booleans",
        ),
        (TOKENS, LENGTHS[:3], r"`lengths`: expected shape \(7,\), a length for each row; received shape \(3,\)"),
        (TOKENS, MASK, r"`lengths`: expected shape \(7,\)"),
        (TOKENS, LENGTHS + 0.5, "`lengths`: expected whole numbers"),
        (
            TOKENS,
            LENGTHS - 1,
            r"`lengths`: expected lengths from 0 to 5, the time steps of `x`; received -1.* in row 1",
        ),
        (TOKENS, LENGTHS + 1, "`lengths`: expected lengths from 0 to 5.*received 6.* in row 2"),
        (TOKENS, "long", "`lengths`"),
        (ROWS, LENGTHS, "`lengths`: expected None for rows of different lengths"),
        (iter([(TOKENS, Y)]), LENGTHS, "`lengths`: expected None, for `x` is a"),
    ],
)
def test_bad_lengths(x: Any, lengths: Any, message: str) -> None:
    y = None if hasattr(x, "__next__") else Y
    model = of_tokens("last", False)
    for attempt in (
        lambda: model.fit(x, y, lengths=lengths, verbose=0),
        lambda: model.evaluate(x, y, lengths=lengths, verbose=0),
        lambda: model.predict(x, lengths=lengths, verbose=0),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            attempt()


def test_bad_rows() -> None:
    model = of_tokens("last", False)
    for rows, message in (
        ([[1, 2], [3.5]], "`x`: expected whole numbers"),
        ([[1, 2], ["a"]], r"`x\[1\]` must hold numbers"),
        ([[1, 2], [[1], [2], [3]]], r"`x\[1\]`: expected rows that differ in their length only"),
        ([[1, 2], 3], "`x`: expected rows of one length; received a ragged list"),
        ([[1, 2], None], "`x`"),
        ([[1, 2], [9]], r"received 9 in row 1"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            model.predict(rows, verbose=0)
    dense = begun(Sequential([Input((2,)), Dense(1)]))
    with pytest.raises(ValueError, match="expected rows of one length"):
        dense.predict([[1.0, 2.0], [1.0]], verbose=0)
    with pytest.raises(ValueError, match="`lengths`: expected None for an input without a time axis"):
        dense.predict([[1.0, 2.0]], lengths=[1], verbose=0)
    flat = begun(Sequential([Input((5,)), Embedding(9, 2), Flatten(), Dense(1)]))
    assert flat.predict(ROWS, verbose=0).shape == (7, 1)


class TestBuckets:
    SIZES = RANDOM.integers(1, 20, 103)
    X = tuple(RANDOM.integers(1, 9, size).tolist() for size in SIZES)
    Y = RANDOM.normal(size=103)

    def batches(self, seed: int, epochs: int = 1, x: Any = None, mask_zero: bool = False, **options: Any) -> Any:
        """The lengths of the rows of each batch, by what a metric sees of the targets."""
        seen: list[np.ndarray] = []

        def look(y_true: Any, y_pred: Any) -> float:
            seen.append(y_true)
            return 0.0

        model = Sequential([Input((None,)), Embedding(9, 2, mask_zero=mask_zero), LSTM(2), Dense(1)])
        model.compile("sgd", "mse", metrics=[look])
        model._shuffle_seed = seed
        y = np.arange(103)
        options = {"bucket_by_length": True, **options}
        model.fit(list(self.X) if x is None else x, y, epochs=epochs, batch_size=10, verbose=0, **options)
        return [batch.astype(int).tolist() for batch in seen]

    def test_the_same_rows_in_other_batches(self) -> None:
        first, second = np.split(np.arange(22), 2)
        found = self.batches(4, epochs=2)
        epochs = [[found[batch] for batch in part] for part in (first, second)]
        for epoch in epochs:
            assert sorted(row for batch in epoch for row in batch) == list(range(103))
            assert sorted(map(len, epoch)) == [3] + [10] * 10
            spans = sorted((self.SIZES[batch].min(), self.SIZES[batch].max()) for batch in map(np.array, epoch))
            assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
            # In no order of length, or the optimizer would see all short rows first.
            assert [int(self.SIZES[batch].min()) for batch in map(np.array, epoch)] != sorted(low for low, _ in spans)
        assert epochs[0] != epochs[1]
        assert {tuple(sorted(batch)) for batch in epochs[0]} != {tuple(sorted(batch)) for batch in epochs[1]}

    def test_seeds_reproduce(self) -> None:
        assert self.batches(7, 2) == self.batches(7, 2)
        assert self.batches(7) != self.batches(8)

    def test_without_shuffling_in_order_of_length(self) -> None:
        rows = [row for batch in self.batches(1, shuffle=False) for row in batch]
        assert rows == np.argsort(self.SIZES, kind="stable").tolist()

    def test_where_lengths_come_from(self) -> None:
        padded = np.zeros((103, 20), int)
        for row, target in zip(self.X, padded, strict=True):
            target[: len(row)] = row
        expected = self.batches(3)
        assert self.batches(3, x=padded, lengths=self.SIZES) == expected
        assert self.batches(3, x=padded, mask_zero=True) == expected
        with pytest.raises(ValueError, match="`bucket_by_length`: expected False, unless"):
            self.batches(3, x=padded)

    def test_with_steps_and_validation(self) -> None:
        found = self.batches(3, validation_split=0.2, steps_per_epoch=3)
        assert sum(map(len, found)) >= 30
        assert max(max(batch) for batch in found[:3]) < 82

    def test_bad_arguments(self) -> None:
        with pytest.raises(TypeError, match="`bucket_by_length`"):
            self.batches(1, bucket_by_length=1)
        with pytest.raises(ValueError, match="`bucket_by_length`: expected None, for `x` is a"):
            of_tokens("last", True).fit(iter([(TOKENS, Y)]), bucket_by_length=True)


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_list_of_one_row_is_no_list_of_outputs(loss: str, steps: int) -> None:
    sparse = loss.startswith("sparse")
    last = Dense(2, "softmax") if sparse else Dense(1, "sigmoid")
    model = Sequential([Input((None, 2)), LSTM(2, return_sequences=True), last])
    model.compile("sgd", loss)
    row, targets = np.ones((steps, 2), np.float32), np.arange(steps, dtype=np.float32) % 2
    expected = model.evaluate(row[None], targets[None], verbose=0)
    for form in (targets, targets[:, None], targets[None], targets[None, :, None]):
        assert model.evaluate([row], [form], verbose=0) == expected


def test_a_list_of_one_row_of_labels() -> None:
    model = Sequential([Input((None, 2)), LSTM(3, return_sequences=True)])
    model.compile("sgd", "ctc")
    x = np.ones((1, 4, 2), np.float32)
    assert model.evaluate(x, [np.array([1])], verbose=0) == model.evaluate(x, np.array([[1]]), verbose=0)
