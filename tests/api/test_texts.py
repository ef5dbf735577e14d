"""Models that take texts: TextVectorization and StringLookup as their first layers."""

import numpy as np
import pandas as pd
import pytest

from foliot import Input, Model, Sequential
from foliot.layers import LSTM, Concatenate, Dense, Embedding, Layer, StringLookup, TextVectorization
from foliot.models import clone_model, load_model, model_from_json
from foliot.utils import PyDataset, set_random_seed

TEXTS = ["the cat sat on the mat", "a dog", "the dog sat", "cat", "on the mat the cat ran and sat"]
TARGETS = np.arange(5, dtype=np.float32)
BATCH = 2


def vectorizer(**options) -> TextVectorization:
    layer = TextVectorization(**options)
    layer.adapt(TEXTS[:4])
    return layer


def text_model(layer: Layer, mask_zero: bool = False) -> Sequential:
    """The text layer with a recurrent model behind it, whose layers alone are `model.layers[1:]`."""
    set_random_seed(3)
    return Sequential([Input(shape=(1,), dtype="string"), layer, *numeric(mask_zero)])


def deferred() -> Sequential:
    """A text model without an Input, which nothing has built yet."""
    return Sequential([TextVectorization(vocabulary=["a"], name="words"), *numeric()])


def numeric(mask_zero: bool = False) -> list[Layer]:
    return [Embedding(12, 3, mask_zero=mask_zero), LSTM(4), Dense(1)]


def outside(model: Sequential, mask_zero: bool = False) -> Sequential:
    """The same weights without the text layer, for the numbers that it gives when it is called."""
    bare = Sequential([Input((None,), dtype="int32"), *numeric(mask_zero)])
    bare.set_weights(model.get_weights())
    return bare


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("length", [None, 4])
def test_each_batch_is_predicted_as_by_the_layer_before_the_model(length, mask_zero):
    layer = vectorizer(output_sequence_length=length)
    model = text_model(layer, mask_zero)
    bare = outside(model, mask_zero)
    batches = [TEXTS[at : at + BATCH] for at in range(0, len(TEXTS), BATCH)]
    expected = np.concatenate([bare.predict_on_batch(layer(batch)) for batch in batches])
    np.testing.assert_array_equal(model.predict(TEXTS, batch_size=BATCH, verbose=0), expected)
    np.testing.assert_array_equal(np.concatenate([model.predict_on_batch(batch) for batch in batches]), expected)
    np.testing.assert_array_equal(np.concatenate([model(batch) for batch in batches]), expected)


@pytest.mark.parametrize(
    "as_given",
    [
        lambda texts: [[text] for text in texts],
        tuple,
        np.array,
        lambda texts: np.array(texts)[:, None],
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array([text.encode() for text in texts], dtype=object),
        lambda texts: np.array([text.encode() for text in texts]),
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string"),
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: {"texts": texts},
    ],
)
def test_forms_of_texts(as_given):
    model = Sequential([Input((1,), dtype="string", name="texts"), vectorizer(), *numeric()])
    np.testing.assert_array_equal(model.predict(as_given(TEXTS), verbose=0), model.predict(TEXTS, verbose=0))


def test_shape_without_features():
    model = Sequential([Input((), dtype="string"), vectorizer(), *numeric()])
    column = np.array(TEXTS)[:, None]
    np.testing.assert_array_equal(model.predict(column, verbose=0), model.predict(TEXTS, verbose=0))


class Batched(PyDataset):
    def __init__(self, workers):
        super().__init__(workers=workers)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        at = slice(BATCH * index, BATCH * index + BATCH)
        return np.array(TEXTS)[at], TARGETS[at]


class Repeatable:
    def __iter__(self):
        return (Batched(1)[index] for index in range(3))


SOURCES = {
    "dataset": lambda: Batched(1),
    "dataset without threads": lambda: Batched(0),
    "iterable": Repeatable,
    "generator": lambda: (Batched(1)[index] for _ in range(2) for index in range(3)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_training_follows_that_of_the_model_without_texts(source):
    layer = vectorizer()
    model = text_model(layer)
    bare = outside(model)
    for each in (model, bare):
        each.compile("adam", "mse", metrics=["mae"])
    numbers = [(layer(texts), targets) for texts, targets in Repeatable()]
    steps = {"steps_per_epoch": 3} if source == "generator" else {}
    found = model.fit(SOURCES[source](), epochs=2, shuffle=False, verbose=0, **steps).history
    wanted = bare.fit((batch for _ in range(2) for batch in numbers), epochs=2, steps_per_epoch=3, verbose=0).history
    assert found == wanted
    for mine, theirs in zip(model.get_weights(), bare.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_fit_on_arrays_is_fit_on_batches():
    layer = vectorizer()
    whole, single = text_model(layer), text_model(layer)
    for each in (whole, single):
        each.compile("adam", "mse", metrics=["mae"])
    weights = np.linspace(1, 2, 5)
    history = whole.fit(
        np.array(TEXTS), TARGETS, sample_weight=weights, batch_size=BATCH, epochs=2, shuffle=False, verbose=0
    )
    for _ in range(2):
        for at in range(0, 5, BATCH):
            part = slice(at, at + BATCH)
            single.train_on_batch(TEXTS[part], TARGETS[part], sample_weight=weights[part])
    for mine, theirs in zip(whole.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert history.history["loss"][1] < history.history["loss"][0]
    found = whole.evaluate(TEXTS, TARGETS, batch_size=5, verbose=0)
    np.testing.assert_allclose(found[1], np.abs(whole.predict_on_batch(TEXTS)[:, 0] - TARGETS).mean(), rtol=1e-6)
    assert whole.fit(TEXTS, TARGETS, validation_split=0.4, verbose=0).history.keys() == {
        "loss",
        "mae",
        "val_loss",
        "val_mae",
    }


def test_texts_of_a_source_are_numbered_in_the_thread_that_reads_ahead():
    import threading

    threads = set()

    def split(texts):
        threads.add(threading.current_thread().name)
        return [text.split() for text in texts.tolist()]

    layer = TextVectorization(split=split, vocabulary=["the", "cat"])
    model = text_model(layer)
    model.compile("sgd", "mse")
    model.fit(Batched(1), verbose=0)
    assert any(name.startswith("foliot-batches") for name in threads)


def test_adapt_after_the_model_was_made():
    layer = TextVectorization(output_sequence_length=5)
    model = text_model(layer)
    with pytest.raises(
        ValueError, match=r"`x`: expected TextVectorization 'text_vectorization.*' to have a vocabulary"
    ):
        model.predict(TEXTS, verbose=0)
    layer.adapt(TEXTS)
    first = model.predict(TEXTS, verbose=0)
    layer.set_vocabulary(["mat", "dog"])
    assert not np.array_equal(model.predict(TEXTS, verbose=0), first)
    np.testing.assert_array_equal(model.predict(TEXTS, verbose=0), outside(model).predict(layer(TEXTS), verbose=0))


def test_modes_that_count_feed_dense_layers():
    for mode in ("multi_hot", "count", "tf_idf"):
        layer = vectorizer(output_mode=mode)
        model = Sequential([Input((1,), dtype="string"), layer, Dense(2)])
        bare = Sequential([Input((layer.vocabulary_size(),)), Dense(2)])
        bare.set_weights(model.get_weights())
        np.testing.assert_array_equal(model.predict(TEXTS, verbose=0), bare.predict(layer(TEXTS), verbose=0))


@pytest.mark.parametrize(
    ("shape", "options"),
    [((1,), {}), ((3,), {}), ((3,), {"output_mode": "multi_hot"}), ((1,), {"output_mode": "one_hot"})],
)
def test_string_lookup_in_a_model(shape, options):
    layer = StringLookup(vocabulary=["red", "green"], **options)
    words = np.random.default_rng(0).choice(["red", "green", "blue"], (6, *shape))
    model = Sequential([Input(shape, dtype="string"), layer])
    assert model.output_shape[1:] == layer(words).shape[1:]
    np.testing.assert_array_equal(model.predict(words, verbose=0), layer(words))


def several_inputs(layer: TextVectorization) -> Model:
    set_random_seed(5)
    question, answer = Input((1,), dtype="string", name="question"), Input((), dtype="string", name="answer")
    colour, numbers = Input((1,), dtype="string", name="colour"), Input((4, 2), name="numbers")
    table, read = Embedding(12, 3, mask_zero=True), LSTM(4)
    parts = [
        read(table(layer(question))),
        read(table(layer(answer))),
        Dense(2)(StringLookup(vocabulary=["red"], output_mode="one_hot")(colour)),
        LSTM(2)(numbers),
        LSTM(3)(Embedding(12, 2)(layer(question))),
    ]
    return Model([question, answer, colour, numbers], Dense(1)(Concatenate()(parts)))


def test_several_inputs_of_which_some_are_texts():
    model = several_inputs(vectorizer())
    numbers = np.random.default_rng(1).normal(size=(5, 4, 2))
    colours = ["red", "blue", "red", "red", "blue"]
    given = [TEXTS, TEXTS[::-1], colours, numbers]
    found = model.predict(given, verbose=0)
    named = dict(zip(["question", "answer", "colour", "numbers"], given, strict=True))
    np.testing.assert_array_equal(model.predict(named, verbose=0), found)
    single = [model.predict([part[row : row + 1] for part in given], verbose=0) for row in range(5)]
    # A row alone has no padding, which the part without a mask sees.
    assert not np.allclose(np.concatenate(single), found, atol=1e-6)
    assert np.array_equal(single[4], found[4:])
    model.compile("adam", "mse")
    losses = model.fit(given, TARGETS, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    half = [part[:BATCH] for part in given]
    pairs = [(half, TARGETS[:BATCH])]
    assert np.isfinite(model.fit(((x, y) for x, y in pairs), verbose=0).history["loss"]).all()
    lengths = model.predict(given, lengths=[None, None, None, np.array([4, 2, 3, 1, 4])], verbose=0)
    assert not np.array_equal(lengths, found)


def test_sequences_of_outputs_are_as_long_as_the_longest_text_of_the_call():
    layer = vectorizer()
    model = Sequential([Input((1,), dtype="string"), layer, Embedding(12, 3), LSTM(4, return_sequences=True)])
    found = model.predict(TEXTS, batch_size=BATCH, verbose=0)
    assert found.shape == (5, 8, 4)
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(TEXTS, found, batch_size=BATCH, verbose=0).history["loss"][0])


def test_empty_texts():
    model = text_model(vectorizer())
    assert np.isfinite(model.predict(["", ""], verbose=0)).all()
    assert model.predict(np.array([], dtype=str), verbose=0).shape == (0, 1)


@pytest.mark.parametrize("output_mode", ["int", "tf_idf"])
def test_files_and_copies_keep_the_vocabulary(tmp_path, output_mode):
    layer = vectorizer(output_mode=output_mode, max_tokens=12, pad_to_max_tokens=output_mode != "int")
    layer_before = layer.get_config()
    model = text_model(layer) if output_mode == "int" else Sequential([Input((1,), dtype="string"), layer, Dense(1)])
    model.compile("adam", "mse")
    model.fit(TEXTS, TARGETS, verbose=0)
    expected = model.predict(TEXTS, verbose=0)
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    np.testing.assert_array_equal(loaded.predict(TEXTS, verbose=0), expected)
    assert loaded.layers[0].get_config() == layer_before
    assert loaded.train_on_batch(TEXTS, TARGETS) == model.train_on_batch(TEXTS, TARGETS)
    for copied in (
        model_from_json(model.to_json()),
        clone_model(model),
        type(model).from_config(model.get_config()),
    ):
        copied.set_weights(model.get_weights())
        np.testing.assert_array_equal(copied.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0))


def test_functional_models_round_trip(tmp_path):
    model = several_inputs(vectorizer())
    given = [TEXTS, TEXTS[::-1], ["red"] * 5, np.ones((5, 4, 2))]
    model.save(tmp_path / "model.foliot")
    loaded = load_model(tmp_path / "model.foliot")
    np.testing.assert_array_equal(loaded.predict(given, verbose=0), model.predict(given, verbose=0))


def test_models_without_an_input_and_models_inside_models():
    layer = vectorizer(name="words")
    late = Sequential([layer, *numeric()])
    expected = late.predict(TEXTS, verbose=0)
    again = Sequential.from_config(late.get_config())
    again.set_weights(late.get_weights())
    np.testing.assert_array_equal(again.predict(TEXTS, verbose=0), expected)
    outer = Sequential([Input((1,), dtype="string"), Sequential([late, Dense(1)])])
    np.testing.assert_allclose(
        outer.predict(TEXTS, verbose=0), outer.layers[0].layers[1](expected), rtol=1e-6, atol=1e-7
    )

    class Own(Model):
        def __init__(self):
            super().__init__()
            self.words, self.rest = layer, late.layers[1:]

        def call(self, inputs):
            for part in (self.words, *self.rest):
                inputs = part(inputs)
            return inputs

    np.testing.assert_array_equal(Own().predict(TEXTS, verbose=0), expected)

    class Block(Layer):
        def __init__(self):
            super().__init__()
            self.words, self.table = layer, late.layers[1]

        def call(self, inputs):
            return self.table(self.words(inputs))

    np.testing.assert_array_equal(Block()(np.array(TEXTS)), late.layers[1](layer(TEXTS)))
    inside = Sequential([Input((1,), dtype="string"), Block(), *late.layers[2:]])
    np.testing.assert_array_equal(inside.predict(TEXTS, verbose=0), expected)


def test_summary_shows_the_text_layer_and_its_costs():
    lines: list[str] = []
    model = text_model(vectorizer(name="words"))
    model.summary(print_fn=lines.append, batch_size=4, time=7)
    text = "\n".join(lines)
    assert "words" in text
    assert "(4, 7, 3)" in text
    with pytest.raises(ValueError, match="`time`: expected an integer, for the rows of TextVectorization 'words'"):
        model.summary(print_fn=lines.append, batch_size=4)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda: text_model(vectorizer()).predict([[1], [2]], verbose=0),
            TypeError,
            "`x`: expected texts for InputLayer 'input_layer.*received 1",
        ),
        (
            lambda: Sequential([Input((3,)), Dense(2, name="d")]).predict(TEXTS, verbose=0),
            TypeError,
            "`x` must hold numbers for InputLayer 'input_layer.*Received texts from list",
        ),
        (
            lambda: Sequential([Embedding(3, 2, name="e"), LSTM(2)]).predict(TEXTS, verbose=0),
            ValueError,
            "Embedding 'e', the first layer of Sequential .*, expects numbers; received texts",
        ),
        (
            lambda: Sequential([TextVectorization(vocabulary=["a"]), Embedding(3, 2)]).predict([1, 2], verbose=0),
            TypeError,
            "`x`: expected texts for TextVectorization .*; received 1",
        ),
        (
            lambda: deferred().predict(np.ones((2, 3)), verbose=0),
            TypeError,
            "`x`: expected texts for TextVectorization 'words', .*; received 1.0",
        ),
        (
            lambda: deferred().predict([None, "a"], verbose=0),
            TypeError,
            "`x`: expected texts for TextVectorization 'words', .*; received None",
        ),
        (
            lambda: Sequential([deferred(), Dense(1)]).predict([1, 2], verbose=0),
            TypeError,
            "`x`: expected texts for TextVectorization 'words', .*; received 1",
        ),
        (
            lambda: deferred()(Input((3,))),
            ValueError,
            "TextVectorization 'words', with which Sequential .* begins, expects texts, .*; received numbers",
        ),
        (
            lambda: LSTM(2, name="l")(Input((1,), dtype="string", name="i")),
            ValueError,
            "LSTM 'l' expects numbers; received the texts of InputLayer 'i'",
        ),
        (
            lambda: TextVectorization(name="v")(Dense(2, name="d")(Input((1,)))),
            ValueError,
            "TextVectorization 'v' expects texts, .*; received the numbers of Dense 'd'",
        ),
        (
            lambda: StringLookup(vocabulary=["a"], invert=True, name="s")(Input((1,), dtype="string")),
            ValueError,
            "`invert`: expected False for StringLookup 's' in a model.*received True",
        ),
        (
            lambda: TextVectorization(output_mode="count", name="v")(Input((1,), dtype="string")),
            ValueError,
            "`output_mode`: expected TextVectorization 'v' to have a vocabulary",
        ),
        (
            lambda: TextVectorization(name="v")(Input((2,), dtype="string")),
            ValueError,
            r"`inputs`: expected texts of shape .* for TextVectorization 'v'; received shape \(None, 2\)",
        ),
        (
            lambda: text_model(vectorizer()).predict([["a", "b"]], verbose=0),
            ValueError,
            r"for TextVectorization .*; received shape \(1, 2\)",
        ),
        (lambda: text_model(vectorizer()).stream(), ValueError, "`stream`: expected a model of numbers"),
        (
            lambda: text_model(vectorizer()).predict(TEXTS, lengths=[1] * 5, verbose=0),
            ValueError,
            "`lengths`: expected None for an input without a time axis",
        ),
        (lambda: Input((1,), dtype="complex64"), ValueError, "`dtype`: expected 'float32', 'int32' or 'string'"),
    ],
)
def test_what_is_refused(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_errors_of_a_source_name_the_batch():
    model = text_model(vectorizer())
    model.compile("sgd", "mse")
    batches = [(TEXTS[:2], TARGETS[:2]), ([3, 4], TARGETS[:2])]

    class Source:
        def __iter__(self):
            return iter(batches)

    with pytest.raises(TypeError, match="`inputs of batch 2 of x`: expected texts for InputLayer"):
        model.fit(Source(), verbose=0)
