"""Models and layers of the user's own classes: what is made of layers is traced, all else is refused with a reason."""

import numpy as np
import pytest

import foliot
from foliot import Input, Layer, Model
from foliot.layers import GRU, LSTM, Dense, Dropout, Embedding, TimeDistributed
from foliot.models import Sequential

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(13, 5, 3)), RANDOM.normal(size=13)
TOKENS = RANDOM.integers(0, 9, (13, 6))


class Reader(Model):
    """As Keras's guides write one, with layers in attributes and lists, and `training`."""

    def __init__(self, units=4, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.read = LSTM(units, return_sequences=True)
        self.more = [GRU(units), Dense(units, activation="relu")]
        self.dropout = Dropout(rate, seed=3)
        self.heads = {"out": Dense(1)}

    def call(self, inputs, training=None):
        x = self.read(inputs, training=training)
        for layer in self.more:
            x = layer(x)
        return self.heads["out"](self.dropout(x, training=training))


def _train(model: Model, x=X, **options) -> tuple:
    model._shuffle_seed = 1
    random = np.random.default_rng(4)
    model.set_weights([random.normal(scale=0.4, size=weight.shape) for weight in model.get_weights()])
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(x, Y, batch_size=5, epochs=2, verbose=0, **options).history
    return history, model.get_weights(), model.predict(x, verbose=0)


def _assert_same(mine: tuple, other: tuple) -> None:
    assert mine[0] == other[0]
    for one, another in zip(mine[1], other[1], strict=True):
        np.testing.assert_array_equal(one, another)
    np.testing.assert_array_equal(mine[2], other[2])


def test_a_subclass_is_its_graph_to_the_bit() -> None:
    model = Reader()
    model.build((None, 5, 3))
    stack = [LSTM(4, return_sequences=True), GRU(4), Dense(4, activation="relu"), Dropout(0.5, seed=3), Dense(1)]
    sequential = Sequential([Input((5, 3)), *stack])
    _assert_same(_train(model), _train(sequential))


def test_it_is_built_by_the_first_data() -> None:
    model = Reader()
    assert not model.built
    assert model.weights == []
    model.compile("sgd", "mse")
    history = model.fit(X, Y, validation_split=0.3, verbose=0).history
    assert list(history) == ["loss", "val_loss"]
    assert model.built
    assert [layer.name for layer in model.layers] == ["lstm", "gru", "dense", "dropout", "dense_1"]
    assert [weight.shape for weight in model.weights[:3]] == [(3, 16), (4, 16), (16,)]
    assert model.name == "reader"
    assert Reader(name="mine").name == "mine"
    assert model.output_shape == (None, 1)
    assert model.get_layer("gru") is model.more[0]
    assert Reader().predict(X, verbose=0).shape == (13, 1)
    assert Reader()(X).shape == (13, 1)
    assert isinstance(Reader().evaluate, type(model.evaluate))


def test_training_reaches_the_layers() -> None:
    model = Reader(rate=0.9)
    quiet = model(X)
    np.testing.assert_array_equal(model(X, training=False), quiet)
    assert not np.array_equal(model(X, training=True), quiet)


def test_summary(capsys) -> None:
    model = Reader()
    model.summary()
    assert "0 (unbuilt)" in capsys.readouterr().out
    model.build((None, 5, 3))
    model.summary()
    text = capsys.readouterr().out
    assert 'Model: "reader"' in text
    assert "Connected to" not in text
    assert "lstm (LSTM)" in text
    assert f"Total params: {model.count_params()}" in text


class Encoder(Layer):
    """A layer of layers, with several results."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.embedding = Embedding(9, units, mask_zero=True)
        self.gru = GRU(units, return_sequences=True, return_state=True)

    def call(self, tokens, initial_state=None):
        return self.gru(self.embedding(tokens), initial_state=initial_state)


class Translator(Model):
    """Parts of one's own inside a model of one's own; two inputs, outputs by name."""

    def __init__(self, units=4):
        super().__init__()
        self.encoder, self.decoder = Encoder(units), Encoder(units)
        self.choose = Dense(9, activation="softmax")

    def call(self, inputs):
        source, target = inputs
        _, state = self.encoder(source)
        sequence, state = self.decoder(target, initial_state=state)
        return {"words": self.choose(sequence), "state": state}


def test_layers_of_layers_and_several_inputs() -> None:
    model = Translator()
    model.compile("adam", {"words": "sparse_categorical_crossentropy", "state": None}, metrics={"words": ["acc"]})
    history = model.fit([TOKENS, TOKENS[:, :3]], {"words": TOKENS[:, :3]}, verbose=0).history
    assert list(history) == ["loss", "words_acc"]
    assert [type(layer).__name__ for layer in model.layers] == ["Encoder", "Encoder", "Dense"]
    assert len(model.weights) == 4 + 4 + 2
    answer = model.predict([TOKENS, TOKENS[:, :3]], verbose=0)
    assert (answer["words"].shape, answer["state"].shape) == ((13, 3, 9), (13, 4))
    # By hand, with arrays at every step.
    _, state = model.encoder(TOKENS)
    sequence, last = model.decoder(TOKENS[:, :3], initial_state=state)
    np.testing.assert_allclose(model.choose(sequence), answer["words"], rtol=1e-5)
    np.testing.assert_allclose(last, answer["state"], rtol=1e-5)
    model.encoder.trainable = False
    assert len(model.trainable_weights) == 6


def test_a_part_of_ones_own_in_a_functional_model() -> None:
    tokens = Input((None,))
    encoder = Encoder(3, name="encoder")
    sequence, state = encoder(tokens)
    again, _ = encoder(tokens, initial_state=state)
    model = Model(tokens, [Dense(2)(again), sequence])
    assert [layer.name for layer in model.layers] == ["input_layer", "encoder", "dense"]
    assert len(model.weights) == 6
    assert encoder.output[1].shape == (None, 3)
    outputs = model.predict(TOKENS, verbose=0)
    first, state = encoder(TOKENS)
    np.testing.assert_allclose(outputs[1], first, rtol=1e-5)
    second, _ = encoder(TOKENS, initial_state=state)
    np.testing.assert_allclose(outputs[0], model.layers[-1](second), rtol=1e-5)


def test_a_subclass_inside_sequential_and_functional_models() -> None:
    reader = Reader(rate=0.3)
    stack = Sequential([Input((5, 3)), GRU(3, return_sequences=True), reader])
    assert stack.output_shape == (None, 1)
    entrance = Input((5, 3))
    model = Model(entrance, reader(entrance, training=False))
    np.testing.assert_array_equal(model(X, training=True), reader(X))
    assert stack.predict(X, verbose=0).shape == (13, 1)
    stack.compile("sgd", "mse")
    stack.fit(X, Y, verbose=0)


def test_a_subclass_of_a_functional_model() -> None:
    class Fixed(Model):
        def __init__(self, units):
            inputs = Input((5, 3))
            super().__init__(inputs=inputs, outputs=Dense(1)(GRU(units)(inputs)), name="fixed")

        def answer(self, x):
            return self.predict(x, verbose=0)

    model = Fixed(4)
    assert type(model) is Fixed
    assert model.answer(X).shape == (13, 1)
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)


def test_a_build_of_ones_own_comes_before_call() -> None:
    class Late(Layer):
        def build(self, input_shape):
            self.dense = Dense(input_shape[-1])
            super().build(input_shape)

        def call(self, inputs):
            return self.dense(inputs)

    class LateModel(Model):
        def build(self, input_shape):
            self.late, self.gru = Late(), GRU(input_shape[-1] + 1)
            super().build(input_shape)

        def call(self, inputs):
            return self.gru(self.late(inputs))

    assert Late()(X).shape == X.shape
    model = LateModel()
    assert model.predict(X, verbose=0).shape == (13, 4)
    assert len(model.weights) == 5
    entrance = Input((5, 3))
    assert Model(entrance, Late()(entrance)).count_params() == 12


def test_masks_of_a_call() -> None:
    class Masked(Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru = Embedding(9, 4, mask_zero=True), GRU(3)

        def call(self, inputs):
            return self.gru(self.embedding(inputs), mask=self.embedding.compute_mask(inputs))

    model = Masked()
    expected = model.gru(model.embedding(TOKENS), mask=TOKENS != 0)
    np.testing.assert_allclose(model.predict(TOKENS, verbose=0), expected, rtol=1e-5)


def test_inputs_by_name() -> None:
    class Named(Model):
        def __init__(self):
            super().__init__()
            self.gru, self.dense = GRU(2), Dense(2)

        def call(self, inputs, mask=None):
            assert mask is None
            return self.gru(inputs["x"], initial_state=self.dense(inputs["h"]))

    model = Named()
    model.build({"x": (None, None, 3), "h": (None, 4)})
    assert model.input_names == ["h", "x"]
    data = {"x": X, "h": RANDOM.normal(size=(13, 4))}
    model.compile("sgd", "mse")
    model.fit(data, np.zeros((13, 2)), verbose=0)
    assert model.predict(data, verbose=0).shape == (13, 2)
    assert Named()(data).shape == (13, 2)
    with pytest.raises(ValueError, match="received no 'h'"):
        model.predict({"x": X}, verbose=0)


def test_weights_by_file_and_no_whole_file(tmp_path) -> None:
    model, other = Reader(), Reader()
    model.predict(X, verbose=0)
    other.build((None, None, 3))
    model.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"class of yours.*save_weights"):
        model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="class of yours"):
        model.get_config()
    with pytest.raises(ValueError, match="class of yours"):
        Sequential([Input((5, 3)), Reader()]).save(tmp_path / "model")


def test_a_wrong_shape_first_does_not_spoil_a_model() -> None:
    model = Reader()
    with pytest.raises(ValueError, match="LSTM expects"):
        model.predict(X[..., 0], verbose=0)
    assert not model.built
    assert model.predict(X, verbose=0).shape == (13, 1)


def test_calls_on_arrays_leave_nothing_behind() -> None:
    encoder = Encoder(3)
    for length in range(1, 6):
        encoder(TOKENS[:, :length])
    assert encoder.inbound_nodes == encoder.gru.inbound_nodes == []
    assert [layer.built for layer in (encoder, encoder.gru)] == [True, True]
    built = Encoder(3)
    built.build((None, None))
    assert len(built.weights) == 4


def _refused(call) -> Model:
    class Refused(Model):
        def __init__(self):
            super().__init__()
            self.dense, self.gru, self.dropout = Dense(3), GRU(2), Dropout(0.5)

    Refused.call = call
    return Refused()


class OwnDense(Dense):
    def call(self, inputs):
        return super().call(inputs)


def _layer_with_weights() -> Layer:
    class Scale(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(3,), initializer="ones")

        def call(self, inputs):
            return inputs

    layer = Scale()
    layer.build((None, 3))
    return layer


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: _refused(lambda self, x: self.dense(x) + 1)(X), "cannot be used in arithmetic.*layers only"),
        (lambda: _refused(lambda self, x: self.dense(np.tanh(x)))(X), "cannot be turned into an array"),
        (lambda: _refused(lambda self, x: self.gru(x[:, -3:]))(X), "cannot be indexed"),
        (lambda: _refused(lambda self, x: self.dense(x) if x > 0 else x)(X), "cannot be compared"),
        (lambda: _refused(lambda self, x: [self.dense(step) for step in x])(X), "cannot be gone through"),
        (lambda: _refused(lambda self, x, training: self.dropout(x) if training else x)(X), "`training` cannot decide"),
        (lambda: _refused(lambda self, x: self.dropout(x, training=True))(X), "`training`: expected None or False"),
        (lambda: _refused(lambda self, x: None)(X), "`call` of Refused .*expected it to return .*NoneType"),
        (lambda: _refused(lambda self, x: np.zeros((2, 3)))(X), "expected it to return .*ndarray"),
        (lambda: _refused(lambda self, x: self.dense(Input((3,))))(X), "depend on the input"),
        (
            lambda: Model.__new__(type("Empty", (Model,), {})).__init__() or type("Empty", (Model,), {})()(X),
            "define call",
        ),
        (_layer_with_weights, "cannot add a weight"),
        (lambda: _refused(lambda self, x: self.add_loss(x) or x)(X), "cannot add a loss.*activity_regularizer"),
        (lambda: _refused(lambda self, x: self.add_metric(x) or x)(X), "cannot add a metric.*compile"),
        (lambda: OwnDense(2)(X), r"`call` of OwnDense .*no super\(\).call.*keep the Dense as an attribute"),
        (lambda: Reader(strange=1), "'strange'"),
        (lambda: Reader().build("x"), "`input_shape`"),
        (lambda: Reader().build(), "`input_shape`"),
        (lambda: Reader().input_shape, "no input_shape yet"),
        (lambda: Reader()(X, mask=np.ones((13, 5))), "`mask`"),
        (lambda: Reader()(X, 1, 2, 3), "call"),
    ],
)
def test_what_cannot_be_traced_says_why(act, text) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError, NotImplementedError), match=text):
        act()


@pytest.mark.parametrize("base", [Layer, Model])
def test_a_forgotten_super_is_named(base) -> None:
    class Forgetful(base):
        def __init__(self):
            self.dense = Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    with pytest.raises(RuntimeError, match=r"has to call super\(\).__init__\(\)"):
        Forgetful()(X)
    if base is Model:
        with pytest.raises(RuntimeError, match="has to call super"):
            Forgetful().predict(X, verbose=0)


def test_a_graph_and_a_call_exclude_each_other() -> None:
    class Both(Model):
        def __init__(self):
            inputs = Input((3,))
            super().__init__(inputs, Dense(1)(inputs))

        def call(self, inputs):
            return inputs

    with pytest.raises(TypeError, match="has a `call`"):
        Both()


def test_the_same_seed_gives_the_same_model() -> None:
    def trained() -> tuple:
        foliot.utils.set_random_seed(3)
        model = Reader()
        model.compile("adam", "mse")
        return model.fit(X, Y, epochs=2, verbose=0).history["loss"], model.predict(X, verbose=0)

    (first, answer), (second, again) = trained(), trained()
    assert first == second
    np.testing.assert_array_equal(answer, again)


class Both(Layer):
    def __init__(self):
        super().__init__()
        self.read, self.write = GRU(4, return_sequences=True), Dense(2)

    def call(self, inputs):
        x = self.read(inputs)
        return {"x": x, "y": [self.write(x)]}


class Sums(Layer):
    def call(self, inputs):
        return inputs["a"] + inputs["b"]


def test_shapes_of_layers_made_of_layers() -> None:
    shape = (None, 5, 3)
    expected = {"x": (None, 5, 4), "y": [(None, 5, 2)]}
    assert Both().compute_output_shape(shape) == expected
    assert Both().compute_output_shape(list(shape)) == expected
    assert Sums().compute_output_shape({"a": (7, 5, 1), "b": (7, 5, 3)}) == (7, 5, 3)
    own = Both()
    own(X)
    assert own.compute_output_shape((None, 9, 3))["x"] == (None, 9, 4)
    with pytest.raises(ValueError, match="was built for 3 features"):
        own.compute_output_shape((None, 5, 4))

    class Last(Layer):
        def __init__(self):
            super().__init__()
            self.read = GRU(4)

        def call(self, inputs):
            return self.read(inputs)

    several = TimeDistributed(Last())
    assert several.compute_output_shape((None, 6, 5, 3)) == (None, 6, 4)
    assert several(RANDOM.normal(size=(2, 6, 5, 3))).shape == (2, 6, 4)


def test_a_layer_without_a_call_has_no_shapes() -> None:
    class Nothing(Layer):
        pass

    for use in (lambda: Nothing().compute_output_shape((None, 3)), lambda: Nothing()(X)):
        with pytest.raises(NotImplementedError, match="Nothing has no native form: define `call`"):
            use()


USES = {
    "weights": lambda it: it.weights,
    "count_params": lambda it: it.count_params(),
    "get_config": lambda it: it.get_config(),
    "build": lambda it: it.build((None, 5, 3)),
    "name": lambda it: it.name,
    "repr": repr,
    "compute_output_shape": lambda it: it.compute_output_shape((None, 5, 3)),
    "call": lambda it: it(X),
    "Sequential": lambda it: Sequential([Input((5, 3)), it]),
    "compile": lambda it: it.compile("sgd", "mse"),
    "fit": lambda it: it.fit(X, Y, verbose=0),
    "predict": lambda it: it.predict(X, verbose=0),
    "summary": lambda it: it.summary(),
    "save": lambda it: it.save("own.foliot"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("base", [Layer, Model])
def test_what_was_not_begun_says_so_wherever_it_is_used(base, use) -> None:
    class Own(base):
        def __init__(self):
            self.dense = Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    with pytest.raises((AttributeError, RuntimeError), match=r"Own.__init__ has to call super\(\).__init__\(\) before"):
        USES[use](Own())


def test_what_is_set_too_early_says_so() -> None:
    class Own(Model):
        def __init__(self):
            self.trainable = False
            super().__init__()

        def call(self, inputs):
            return inputs

    with pytest.raises(AttributeError, match=r"has to call super\(\).__init__\(\) before anything else"):
        Own()


def test_layers_may_be_set_before() -> None:
    """As in Keras."""

    class Own(Model):
        def __init__(self):
            self.dense = Dense(1)
            super().__init__()

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    assert model(X).shape == (13, 5, 1)
    assert len(model.weights) == 2


def test_attributes_that_miss_afterwards_have_the_usual_messages() -> None:
    own = Both()
    assert not hasattr(own, "nothing")
    with pytest.raises(AttributeError, match=r"^'Both' object has no attribute 'nothing'$"):
        _ = own.nothing
    with pytest.raises(AttributeError, match=r"Both .* has no output yet: it was not called"):
        _ = own.output
