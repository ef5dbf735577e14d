"""clone_model, to_json, model_from_json and custom_objects: new layers in the same structure."""

import json
from typing import Any

import numpy as np
import pytest

from api.functional_models import A, B, Translator, assert_same, nested, two_heads
from foliot import Input, Model, metrics, optimizers
from foliot.layers import (
    LSTM,
    RNN,
    AdditiveAttention,
    Attention,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GRUCell,
    InputLayer,
    Layer,
    LSTMCell,
    MultiHeadAttention,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)
from foliot.models import Functional, Sequential, clone_model, load_model, model_from_json, save_model

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def stack(**options: Any) -> Sequential:
    return Sequential([Embedding(9, 3, mask_zero=True), LSTM(4, dropout=0.5), Dropout(0.25), Dense(1)], **options)


def carry_over(model: Model, clone: Model) -> None:
    """The clone has weights of its own, and answers alike once they are the same."""
    assert [weight.shape for weight in clone.weights] == [weight.shape for weight in model.weights]
    assert not set(map(id, clone.weights)) & set(map(id, model.weights))
    clone.set_weights(model.get_weights())


def assert_alike(left: Any, right: Any) -> None:
    assert_same(left if isinstance(left, list) else [left], right if isinstance(right, list) else [right])


def test_stack() -> None:
    model = stack(name="mine")
    model.build((None, 5))
    clone = clone_model(model)
    assert type(clone) is Sequential
    assert (clone.name, [layer.name for layer in clone.layers]) == ("mine", [layer.name for layer in model.layers])
    assert [layer.get_config() for layer in clone.layers] == [layer.get_config() for layer in model.layers]
    carry_over(model, clone)
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    np.testing.assert_array_equal(model.predict(tokens, verbose=0), clone.predict(tokens, verbose=0))
    clone.pop()
    assert len(model.layers) == 4


def test_a_stack_that_is_not_built_stays_so() -> None:
    clone = clone_model(stack())
    assert not clone.built
    assert clone.predict(np.ones((2, 5)), verbose=0).shape == (2, 1)


def test_several_inputs_with_states_between_layers() -> None:
    model = Translator().model
    clone = clone_model(model)
    assert type(clone) is Functional
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    carry_over(model, clone)
    rows = [A[:, :, :5], B]
    np.testing.assert_array_equal(model.predict(rows, verbose=0), clone.predict(rows, verbose=0))


@pytest.mark.parametrize("recursive", [False, True])
def test_shared_layers_and_models_inside(recursive: bool) -> None:
    model, inner, _ = nested()
    clone = clone_model(model, recursive=recursive)
    assert clone.get_layer("inner") is not inner
    # As in Keras: a layer that is inside `inner` and outside of it becomes two, unless the clone goes through both.
    extra = 0 if recursive else 2
    assert len(clone.weights) == len(model.weights) + extra
    shared = clone.get_layer("shared")
    assert (shared is clone.get_layer("inner").get_layer("shared")) is recursive  # type: ignore[attr-defined]
    heads = two_heads()
    twin = clone_model(heads)
    assert len(twin.get_layer("shared").inbound_nodes) == 2
    carry_over(heads, twin)
    assert_alike(heads.predict([X, X], verbose=0), twin.predict([X, X], verbose=0))


def test_a_cell_of_two_layers_becomes_two() -> None:
    """As in Keras, where a clone is made of configurations."""
    cell, x = LSTMCell(3), Input((4, 2))
    model = Model(x, [RNN(cell, name="a")(x), RNN(cell, name="b")(x)])
    clone = clone_model(model)
    assert (len(model.weights), len(clone.weights)) == (3, 6)
    assert clone.get_layer("a").cell is not clone.get_layer("b").cell


def test_dicts_keep_their_form() -> None:
    tensors = {"b": Input((3,), name="b"), "a": Input((3,), name="a")}
    model = Model(tensors, {"out": Dense(1)(tensors["a"]), "other": Dense(2)(tensors["b"])})
    clone = clone_model(model)
    carry_over(model, clone)
    left, right = (one.predict({"a": X, "b": -X}, verbose=0) for one in (model, clone))
    assert set(left) == set(right) == {"out", "other"}
    np.testing.assert_array_equal(left["out"], right["out"])


def test_the_compilation_comes_along_with_a_new_optimizer() -> None:
    model = Sequential([Input((3,)), Dense(1)])
    model.compile(optimizers.Adam(0.02), "mse", metrics=["mae", metrics.RootMeanSquaredError(name="root")])
    model.fit(X, np.ones(4), verbose=0)
    clone = clone_model(model)
    assert clone.optimizer is not model.optimizer
    assert clone.get_compile_config() == model.get_compile_config()
    assert clone.optimizer.iterations == 0
    assert list(clone.fit(X, np.ones(4), verbose=0).history) == ["loss", "mae", "root"]
    assert clone_model(Sequential([Dense(1)])).optimizer is None


def test_clone_function() -> None:
    met = []

    def function(layer: Layer) -> Layer:
        met.append(layer)
        copy = type(layer).from_config(layer.get_config())
        return Bidirectional(copy) if isinstance(copy, LSTM) else copy

    entrance = Input((None, 3))
    read = LSTM(4, name="read")
    model = Model(entrance, Dense(1)(read(entrance)))
    clone = clone_model(model, clone_function=function)
    assert met == model.layers[1:]
    assert [type(layer) for layer in clone.layers] == [InputLayer, Bidirectional, Dense]
    assert clone.layers[2].weights[0].shape == (8, 1)
    kept = clone_model(model, clone_function=lambda layer: layer)
    assert kept.layers[1] is read
    assert kept.layers[0] is not model.layers[0]


def test_call_function() -> None:
    seen = []

    def call(layer: Layer, *args: Any, **kwargs: Any) -> Any:
        seen.append((layer.name, len(args), sorted(kwargs)))
        result = layer(*args, **kwargs)
        return Dropout(0.5)(result) if isinstance(layer, Dense) else result

    model = Translator().model
    clone = clone_model(model, call_function=call)
    assert [kwargs for _, _, kwargs in seen] == [[], ["initial_state"], []]
    assert type(clone.layers[-1]) is Dropout
    carry_over(model, clone)
    np.testing.assert_array_equal(model.predict([A, B], verbose=0), clone.predict([A, B], verbose=0))
    with pytest.raises(ValueError, match="`call_function`: expected None for a Sequential"):
        clone_model(stack(), call_function=call)


def attending() -> Model:
    """Attention of every kind, with options in its calls."""
    query, value = Input((5, 4)), Input((6, 4))
    causal, scores = Attention()([query, value], use_causal_mask=True, return_attention_scores=True)
    added = AdditiveAttention()([query, value, value], use_causal_mask=True)
    heads = MultiHeadAttention(2, 3)(query, value, key=value, use_causal_mask=True)
    return Model([query, value], [causal, scores, added, heads])


def stepping() -> Model:
    """Cells by themselves, and a stack of cells with states of its own."""
    sequence, vector, h, c = Input((5, 4)), Input((4,)), Input((3,)), Input((3,))
    out, states = LSTMCell(3)(vector, [h, c])
    stacked, _ = StackedRNNCells([GRUCell(3), SimpleRNNCell(3)])(vector, [h, c])
    cells = RNN([GRUCell(3), SimpleRNNCell(3)], return_state=True)(sequence, initial_state=[h, c])
    return Model([sequence, vector, h, c], [out, *states, stacked, *cells])


@pytest.mark.parametrize("make", [attending, stepping])
@pytest.mark.parametrize("call", [None, lambda layer, *args, **kwargs: layer(*args, **kwargs)])
def test_calls_that_say_more_than_their_input(make: Any, call: Any) -> None:
    model = make()
    clone = clone_model(model, call_function=call)
    random = np.random.default_rng(0)
    clone.set_weights([random.normal(size=weight.shape) for weight in clone.weights])
    model.set_weights(clone.get_weights())
    arrays = [random.normal(size=(2, *tensor.shape[1:])) for tensor in model.inputs]
    for mine, others in zip(model.predict(arrays, verbose=0), clone.predict(arrays, verbose=0), strict=True):
        np.testing.assert_array_equal(mine, others)


def test_input_tensors() -> None:
    outer = Input((3,), name="outer")
    clone = clone_model(two_heads(), input_tensors=[outer, Dense(3)(outer)])
    assert clone.inputs[0] is outer
    assert clone.inputs[1].shape == (None, 3)
    alone = clone_model(Sequential([Input((3,)), Dense(2)]), input_tensors=[outer])
    assert alone.inputs == [outer]
    for wrong, kind in (([outer], ValueError), ([outer, X], TypeError), (outer, TypeError)):
        with pytest.raises(kind, match="`input_tensors"):
            clone_model(two_heads(), input_tensors=wrong)
    with pytest.raises(ValueError, match="`input_tensors`: expected one symbolic tensor"):
        clone_model(Sequential([Dense(2)]), input_tensors=[outer, outer])


class Reading(Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.reader = LSTM(units, dropout=0.5)

    def call(self, inputs: Any) -> Any:
        return self.reader(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


class Halves(Layer):
    """A layer of layers that is met in another order than it is kept."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = units
        self.last, self.first = Dense(units), Dense(units + 1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.size}


class Mine(Model):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.dense = units, Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.size}


class Silent(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


class TestOwnClasses:
    def test_files(self, tmp_path: Any) -> None:
        entrance = Input((None, 3))
        model = Model(entrance, TimeDistributed(Halves(2, name="inner"))(Halves(3, name="halves")(entrance)))
        save_model(model, tmp_path / "m")
        loaded = load_model(tmp_path / "m", custom_objects={"Halves": Halves})
        rows = np.ones((2, 4, 3))
        np.testing.assert_array_equal(model.predict(rows, verbose=0), loaded.predict(rows, verbose=0))
        assert type(loaded.get_layer("halves")) is Halves
        with pytest.raises(ValueError, match=r"custom_objects=\{'Halves': Halves\}"):
            load_model(tmp_path / "m")

    def test_files_with_seeds_under_automatic_names(self, tmp_path: Any) -> None:
        """The layers inside are made anew when the file is read, under other names."""
        model = Sequential([Input((None, 3)), Reading(4), Dense(1)])
        model.compile("sgd", "mse")
        model.save(tmp_path / "m")
        loaded = load_model(tmp_path / "m", custom_objects={"Reading": Reading})
        assert list(loaded.seeds().values()) == list(model.seeds().values())
        x, y = np.ones((4, 5, 3)), np.ones((4, 1))
        assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)  # with the same dropout

    def test_json_and_clones(self) -> None:
        model = Sequential([Input((3,)), Halves(2), Mine(4)])
        text = model.to_json(indent=1)
        assert json.loads(text)["config"]["layers"][1]["registered_name"] == "Halves"
        again = model_from_json(text, {"Halves": Halves, "Mine": Mine})
        assert [type(layer) for layer in again.layers] == [Halves, Mine]
        clone = clone_model(model)
        carry_over(model, clone)
        carry_over(model, Sequential.from_config(model.get_config(), {"Halves": Halves, "Mine": Mine}))

    def test_a_model_of_ones_own(self, tmp_path: Any) -> None:
        model = Mine(2, name="own")
        model.build((None, 3))
        clone = clone_model(model)
        assert (type(clone), clone.name, clone.size, clone.built) == (Mine, "own", 2, False)
        assert model_from_json(model.to_json(), {"Mine": Mine}).size == 2
        for argument in ("clone_function", "call_function", "input_tensors"):
            with pytest.raises(ValueError, match=f"`{argument}`: expected None for a model of a class of yours"):
                clone_model(model, **{argument: lambda layer: layer})
        model.save(tmp_path / "m")
        loaded = load_model(tmp_path / "m", custom_objects={"Mine": Mine})
        assert (type(loaded), loaded.name) == (Mine, "own")
        np.testing.assert_array_equal(loaded(np.ones((1, 3))), model(np.ones((1, 3))))

    def test_without_get_config(self) -> None:
        model = Sequential([Input((3,)), Silent()])
        for attempt in (model.to_json, model.get_config, lambda: clone_model(model)):
            with pytest.raises(ValueError, match=r"of a class of yours.*get_config"):
                attempt()

    def test_bad_custom_objects(self) -> None:
        text = Sequential([Input((3,)), Halves(2)]).to_json()
        for wrong in ([Halves], {"Halves": 3}, {3: Halves}):
            with pytest.raises(TypeError, match="`custom_objects`"):
                model_from_json(text, wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"`custom_objects\['Halves'\]`"):
            model_from_json(text, {"Halves": print})


class TestJson:
    @pytest.mark.parametrize("make", [stack, two_heads, lambda: nested()[0], lambda: Translator().model])
    def test_round_trip(self, make: Any) -> None:
        model = make()
        again = model_from_json(model.to_json())
        assert type(again) is type(model)
        assert json.loads(again.to_json()) == json.loads(model.to_json())
        assert not again.built or [w.shape for w in again.weights] == [w.shape for w in model.weights]

    @pytest.mark.parametrize(
        "text", ["", "{", "[" * 100_000, '{"class_name": "Dense", "config": {"units": 1, "x": 1}}']
    )
    def test_bad_text(self, text: str) -> None:
        with pytest.raises(ValueError, match="expected"):
            model_from_json(text)

    def test_no_model(self) -> None:
        with pytest.raises(TypeError, match="`json_string`"):
            model_from_json('{"class_name": "Dense", "config": {"units": 1}}')
        with pytest.raises(TypeError, match="`json_string`"):
            model_from_json(3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="expected one of"):
            model_from_json('{"class_name": "Nothing", "config": {}}')


def test_bad_arguments() -> None:
    for arguments, argument in (
        ((Dense(1),), "model"),
        ((stack(), None, 3), "clone_function"),
        ((stack(), None, None, 3), "call_function"),
        ((stack(), None, lambda layer: 3), "clone_function"),
        ((stack(), None, None, None, 1), "recursive"),
    ):
        with pytest.raises(TypeError, match=f"`{argument}`"):
            clone_model(*arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`call_function`"):
        clone_model(two_heads(), call_function=lambda layer, *args: 3)
    for model in (Sequential, Functional, Mine):
        with pytest.raises(TypeError, match="`config`"):
            model.from_config(None)
