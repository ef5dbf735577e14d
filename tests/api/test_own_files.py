"""Models of a user's own classes in files, configurations and clones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foliot import Input, Layer, Model, losses
from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    LSTMCell,
    TextVectorization,
    TimeDistributed,
)
from foliot.models import Sequential, clone_model, load_model, model_from_json

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(8, 6, 3)).astype(np.float32), RANDOM.normal(size=(8, 1)).astype(np.float32)


class Part(Layer):
    def __init__(self, units: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.last, self.first = Dense(units), Dense(units + 1, activation="tanh")

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


class Reader(Model):
    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.heads = [Dense(1)]
        self.read = Bidirectional(LSTM(units, return_sequences=True, recurrent_dropout=0.2))
        self.part, self.more, self.dropout = Part(4), GRU(2), Dropout(0.3)

    def call(self, inputs: Any, training: Any = None) -> Any:
        x = self.dropout(self.part(self.read(inputs)), training=training)
        return self.heads[0](self.more(x))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


class Several(Model):
    """Inputs by name of different kinds, outputs by name, layers that `build` makes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed = Embedding(9, 2, mask_zero=True)

    def build(self, shapes: Any) -> None:
        self.dense = Dense(shapes["x"][-1])
        super().build(shapes)

    def call(self, inputs: Any) -> Any:
        first, second = inputs["pair"]
        return {"b": self.dense(inputs["x"]), "a": [self.embed(first), self.dense(second)]}

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


class MyLSTM(LSTM):
    pass


class MyDense(Dense):
    def double(self) -> int:
        return 2 * self.units


class MyCell(LSTMCell):
    pass


class Stack(Sequential):
    pass


OWN: dict[str, Any] = {cls.__name__: cls for cls in (Part, Reader, Several, MyLSTM, MyDense, MyCell, Stack)}


def _trained(model: Model, **options: Any) -> Model:
    model.compile("adam", losses.Huber(), metrics=["mae"])
    model.fit(X, Y, batch_size=4, verbose=0, **options)
    return model


def _assert_goes_on_alike(mine: Model, other: Model) -> None:
    """The same answers, and after another training the same still, dropout and order of rows included."""
    np.testing.assert_array_equal(mine.predict(X, verbose=0), other.predict(X, verbose=0))
    one, another = (model.fit(X, Y, batch_size=3, epochs=2, verbose=0).history for model in (mine, other))
    assert one == another
    for weight, same in zip(mine.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_a_subclassed_model_goes_on_from_its_file_with_the_same_bits(tmp_path: Path) -> None:
    model = _trained(Reader(4, name="mine"), epochs=2)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects=OWN)
    assert (type(loaded), loaded.name, loaded.units) == (Reader, "mine", 4)
    assert loaded.optimizer.iterations == model.optimizer.iterations == 4
    _assert_goes_on_alike(model, loaded)
    with pytest.raises(ValueError, match=r"custom_objects=\{'Reader': Reader\}"):
        load_model(tmp_path / "m")


def test_a_model_of_inputs_by_name(tmp_path: Path) -> None:
    tokens = RANDOM.integers(0, 9, (8, 5))
    data = {"x": X, "pair": (tokens, X[:, 0])}
    model = Several()
    expected = model.predict(data, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects=OWN)
    answer = loaded.predict(data, verbose=0)
    np.testing.assert_array_equal(answer["b"], expected["b"])
    for one, another in zip(answer["a"], expected["a"], strict=True):
        np.testing.assert_array_equal(one, another)
    assert loaded.input_shape == model.input_shape


class Texts(Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = TextVectorization(vocabulary=["a", "b"])
        self.embed, self.read = Embedding(4, 2), GRU(2)

    def call(self, inputs: Any) -> Any:
        return self.read(self.embed(self.words(inputs)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


def test_a_model_of_texts(tmp_path: Path) -> None:
    model, texts = Texts(), np.array([["a b"], ["b c"]])
    expected = model.predict(texts, verbose=0)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"Texts": Texts})
    np.testing.assert_array_equal(loaded.predict(texts, verbose=0), expected)


def test_a_class_that_says_not_what_it_was_made_with(tmp_path: Path) -> None:
    class Silent(Model):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.dense = Dense(size)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Silent(2)
    model.build((None, 6, 3))
    with pytest.raises(ValueError, match="get_config, which returns the constructor's arguments"):
        model.save(tmp_path / "m")
    with pytest.raises(ValueError, match="no weights yet"):
        Reader().save(tmp_path / "m")


def test_a_file_with_odd_inputs_is_refused(tmp_path: Path) -> None:
    from foliot import _core

    model = Reader()
    model.build((None, 6, 3))
    model.save(tmp_path / "m")
    tensors, metadata = _core.load_file(str(tmp_path / "m"))
    for odd in ('["numbers", "x"]', '["other", null, 6, 3]', "3", '["numbers", null, 6, 5]', "[]"):
        described = metadata["model"].replace('["numbers", null, 6, 3]', odd)
        assert described != metadata["model"]
        _core.save_file(str(tmp_path / "odd"), tensors, {**metadata, "model": described})
        with pytest.raises(ValueError, match="odd: "):
            load_model(tmp_path / "odd", custom_objects=OWN)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TimeDistributed(Part(3)),
        lambda: TimeDistributed(MyDense(2)),
        lambda: Bidirectional(MyLSTM(2, return_sequences=True)),
        lambda: Bidirectional(
            LSTM(2, return_sequences=True), backward_layer=MyLSTM(2, return_sequences=True, go_backwards=True)
        ),
        lambda: Bidirectional(RNN(MyCell(2), return_sequences=True)),
        lambda: RNN([MyCell(2), LSTMCell(3)], return_sequences=True),
        lambda: MyLSTM(3, return_sequences=True, name="own"),
        lambda: MyDense(3, activation="tanh"),
        lambda: Stack([MyDense(3), Part(2)]),
        lambda: Part(3),
    ],
)
def test_own_classes_in_wrappers_and_plain_subclasses(make: Any, tmp_path: Path) -> None:
    model = _trained(Sequential([Input((6, 3)), make(), GRU(1)]))
    model.save(tmp_path / "m")
    _assert_goes_on_alike(model, load_model(tmp_path / "m", custom_objects=OWN))
    clone, read = clone_model(model), model_from_json(model.to_json(), OWN)
    for other in (clone, read, Sequential.from_config(model.get_config(), OWN)):
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert type(clone.layers[0]) is type(model.layers[0])
    with pytest.raises(ValueError, match="custom_objects="):
        load_model(tmp_path / "m")


def test_shared_layers_are_found_behind_a_bidirectional(tmp_path: Path) -> None:
    shared = Dense(3, name="shared")
    inner = Sequential([Input((6, 3)), Bidirectional(RNN(MyCell(2), return_sequences=True)), shared])
    entrance = Input((6, 3))
    model = Model(entrance, [inner(entrance), shared(Dense(4)(entrance))])
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects=OWN)
    assert len(loaded.weights) == len(model.weights)
    for one, another in zip(loaded.predict(X, verbose=0), model.predict(X, verbose=0), strict=True):
        np.testing.assert_array_equal(one, another)


def test_two_classes_of_one_name_are_not_confused() -> None:
    other = type("MyDense", (Dense,), {})
    model = Sequential([Input((6, 3)), TimeDistributed(Sequential([MyDense(2), other(3)])), GRU(1)])
    with pytest.raises(ValueError, match="classes with names of their own"):
        clone_model(model)


class Wide(LSTM):
    """Hands on what it does not know itself."""

    def __init__(self, units: int, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(units * factor, **kwargs)
        self.width, self.factor = units, factor

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.width, "factor": self.factor}


def test_a_subclass_keeps_what_its_base_was_made_with(tmp_path: Path) -> None:
    model = _trained(Sequential([Input((6, 3)), Wide(2, 3, return_sequences=True, recurrent_dropout=0.1), GRU(1)]))
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"Wide": Wide})
    assert (loaded.layers[0].units, loaded.layers[0].recurrent_dropout) == (6, 0.1)
    _assert_goes_on_alike(model, loaded)
    with pytest.raises(ValueError, match="'strange'"):
        Wide.from_config({"units": 2, "strange": 3})


def test_a_subclass_with_an_init_of_its_own_needs_a_get_config(tmp_path: Path) -> None:
    class Doubled(LSTM):
        def __init__(self, units: int) -> None:
            super().__init__(2 * units)

    with pytest.raises(ValueError, match="get_config"):
        Sequential([Input((6, 3)), Doubled(2)]).save(tmp_path / "m")
