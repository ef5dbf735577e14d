"""Methods that Keras would call in a class of the user's: honoured or refused by name, never ignored in silence."""

import copy
from typing import Any

import numpy as np
import pytest

from foliot import Input, Layer, Model, layers
from foliot.layers import GRU, LSTM, Add, Conv1D, Dense, Embedding, LayerNormalization, Masking
from foliot.models import Sequential

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
X[:, 3:] = 0


class Plain(Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("train_step", "train_on_batch"),
        ("test_step", "test_on_batch"),
        ("predict_step", r"model\.predict"),
        ("make_train_function", "train_on_batch"),
        ("compute_loss", r"foliot\.losses"),
        ("compute_metrics", "metrics"),
        ("get_metrics_result", "metrics"),
        ("metrics", "metrics"),
        ("__call__", "define `call`"),
        ("save_own_variables", "get_config"),
    ],
)
@pytest.mark.parametrize("base", [Plain, Model, Sequential])
def test_a_method_that_would_not_be_called_is_refused_by_name(base: Any, method: str, advice: str) -> None:
    cls = type("Own", (base,), {method: lambda self, *_, **__: {"loss": 0.0}})
    further = type("Further", (cls,), {})
    with pytest.raises(TypeError, match=rf"`{method}` of Own.*{advice}"):
        further()


@pytest.mark.parametrize(
    ("base", "method"), [(Layer, "__call__"), (LSTM, "inner_loop"), (LSTM, "get_initial_state"), (Dense, "losses")]
)
def test_so_it_is_in_layers(base: Any, method: str) -> None:
    cls = type("Own", (base,), {method: lambda self, *_: None})
    with pytest.raises(TypeError, match=f"`{method}` of Own"):
        cls() if base is Layer else cls(2)  # type: ignore[call-arg]


def test_methods_with_other_names_and_those_that_are_called_stay() -> None:
    class Own(Plain):
        def train_more(self) -> None: ...

        def compile(self, *args: Any, **kwargs: Any) -> None:
            super().compile("sgd", *args, **kwargs)

    model = Own()
    model.compile("mse")
    model.fit(X, X[..., :1], verbose=0)


def test_a_sequential_with_a_call_is_refused() -> None:
    class Twice(Sequential):
        def call(self, inputs: Any) -> Any:
            return Add()([inputs, inputs])

    with pytest.raises(TypeError, match=r"`call` of Twice.*derive the class from Model"):
        Twice([Dense(1)])


def _own(parts: list[Layer], compute_mask: Any) -> Layer:
    class Own(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = parts

        def call(self, inputs: Any) -> Any:
            for part in self.parts:
                inputs = Add()([inputs, part(inputs)])
            return inputs

    Own.compute_mask = compute_mask  # type: ignore[method-assign]
    return Own()


def _as_given(self: Any, inputs: Any, mask: Any = None) -> Any:
    return mask


def _none(self: Any, inputs: Any, previous_mask: Any = None) -> None:
    return None


@pytest.mark.parametrize("compute_mask", [_as_given, _none])
def test_a_mask_that_follows_the_layers_anyway_is_taken(compute_mask: Any) -> None:
    own = _own([Dense(3), LayerNormalization()], compute_mask)
    model = Sequential([Input((5, 3)), Masking(), own, GRU(2)])
    answer = model.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(X[:, :3], verbose=0), answer, rtol=1e-5)


def _computed(self: Any, inputs: Any, mask: Any = None) -> Any:
    return inputs > 0


@pytest.mark.parametrize("compute_mask", [_as_given, _computed])
def test_another_mask_is_refused(compute_mask: Any) -> None:
    model = Sequential([Input((5, 3)), Masking(), _own([Conv1D(3, 2, padding="same")], compute_mask), GRU(2)])
    with pytest.raises(TypeError, match=r"`compute_mask` of Own.*masks follow foliot's layers"):
        model.predict(X, verbose=0)


def test_a_mask_that_never_comes_is_none() -> None:
    """As in Keras. Rows of different lengths bring one."""
    model = Sequential([Input((None, 3)), _own([Conv1D(3, 2, padding="same")], _as_given), GRU(2)])
    assert model.predict(X, verbose=0).shape == (4, 2)
    with pytest.raises(TypeError, match="`compute_mask` of Own"):
        model.predict([X[0], X[1, :3]], verbose=0)


def test_what_cannot_be_told_of_a_mask_that_is_there_is_warned_of() -> None:
    model = Sequential([Input((None, 3)), Masking(), _own([Dense(3)], _computed), GRU(2)])
    with pytest.warns(UserWarning, match=r"`compute_mask` of Own.*it raised TypeError.*has the mask") as caught:
        answer = model.predict(X, verbose=0)
    assert {one.filename for one in caught} == {__file__}
    np.testing.assert_allclose(model.predict(X[:, :3], verbose=0), answer, rtol=1e-5)


def _of_base(self: Any, inputs: Any, mask: Any = None) -> Any:
    return super(type(self), self).compute_mask(inputs, mask)


@pytest.mark.parametrize(
    ("layer", "arguments", "good", "bad"),
    [
        (Dense, {"units": 3}, [_as_given, _of_base], [_none, _computed]),
        (GRU, {"units": 2}, [_none, _of_base], [_as_given]),
        (GRU, {"units": 2, "return_sequences": True, "return_state": True}, [_of_base, _as_given], [_none]),
        (Masking, {}, [_of_base], [_none, _as_given, _computed]),
        (layers.RMSNormalization, {}, [_none, _of_base], [_as_given]),
    ],
)
def test_the_mask_of_a_layer_of_foliots_stays_as_it_is(layer: Any, arguments: Any, good: Any, bad: Any) -> None:
    def answer(compute_mask: Any) -> Any:
        own = type("Own", (layer,), {"compute_mask": compute_mask})(**arguments)
        entrance = Input((5, 3))
        return Model(entrance, own(Masking()(entrance))).predict(X, verbose=0)

    for compute_mask in good:
        answer(compute_mask)
    for compute_mask in bad:
        with pytest.raises(TypeError, match="`compute_mask` of Own"):
            answer(compute_mask)


IDS = np.array([[3, 1, 2, 0, 0], [2, 2, 1, 1, 0]])


class Embedded(Layer):
    """The idiom of TensorFlow's tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = Embedding(5, 3, mask_zero=True), LayerNormalization()

    def compute_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self.embed.compute_mask(*args, **kwargs)

    def call(self, ids: Any, context: Any = None) -> Any:
        embedded = self.norm(self.embed(ids))
        return embedded if context is None else Add()([embedded, context])


def test_a_mask_may_be_that_of_an_embedding_inside() -> None:
    entrance, context = Input((None,)), Input((None, 3))
    plain = Model(entrance, GRU(2)(Embedded()(entrance)))
    np.testing.assert_allclose(plain.predict(IDS[:1, :3], verbose=0), plain.predict(IDS[:1], verbose=0), rtol=1e-5)
    nested = Sequential([Input((None,)), Sequential([Embedded(), Dense(2)]), GRU(2)])
    np.testing.assert_allclose(nested.predict(IDS[:1, :3], verbose=0), nested.predict(IDS[:1], verbose=0), rtol=1e-5)
    # The sum of a tensor with and one without a mask has none.
    with pytest.raises(TypeError, match="`compute_mask` of Embedded"):
        Model([entrance, context], Embedded()(entrance, context)).predict([IDS, X[:2]], verbose=0)
    masked = Model([entrance, context], GRU(2)(Embedded()(entrance, context=Masking()(context))))
    with pytest.raises(TypeError, match="`compute_mask` of Embedded"):
        masked.predict([IDS, X[:2]], verbose=0)  # where any of the two counts
    twice = Model(entrance, Add()([Embedded()(entrance), Embedded()(entrance)]))
    assert twice.predict(IDS, verbose=0).shape == (2, 5, 3)


class Masked(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.masking, self.dense = Masking(), Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(self.masking(inputs))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.masking.compute_mask(inputs, mask)


class Attending(Layer):
    """Of two arguments Keras passes the first one to `compute_mask`; of a list the whole."""

    def __init__(self, listed: bool) -> None:
        super().__init__()
        self.listed, self.attend, self.dense = listed, layers.Attention(), Dense(2)

    def call(self, query: Any, value: Any = None) -> Any:
        query, value = query if self.listed else (query, value)
        return self.dense(self.attend([query, value]))

    def compute_mask(self, query: Any, mask: Any = None) -> Any:
        assert isinstance(mask, list) == isinstance(query, list) == self.listed
        return mask[0] if self.listed else mask


def test_a_mask_may_be_that_of_a_masking_inside_or_of_the_first_input() -> None:
    masked = Sequential([Input((None, 3)), Masked(), GRU(2)])
    np.testing.assert_allclose(masked.predict(X[:, :3], verbose=0), masked.predict(X, verbose=0), rtol=1e-5)
    query, value = Input((5, 3)), Input((5, 3))
    for listed in (False, True):
        tensors = (Masking()(query), value)
        model = Model([query, value], Attending(listed)(*([list(tensors)] if listed else tensors)))
        for made in (model, copy.deepcopy(model)):
            assert made.predict([X, X], verbose=0).shape == (4, 5, 2)


@pytest.mark.parametrize("base", [Add, layers.Maximum, layers.Concatenate, layers.Dot])
@pytest.mark.parametrize("masked", [(True, True), (False, True), (False, False)])
def test_merges_hand_symbols_of_masks_on(base: Any, masked: Any) -> None:
    own = type("Own", (base,), {"compute_mask": _of_base})(**({"axes": 2} if base is layers.Dot else {}))
    entrances = [Input((5, 3)), Input((5, 3))]
    tensors = [Masking()(one) if has_mask else one for one, has_mask in zip(entrances, masked, strict=True)]
    Model(entrances, own(tensors)).predict([X, X], verbose=0)
    other = type("Own", (base,), {"compute_mask": lambda self, inputs, mask: mask[0]})(**own.get_config())
    same = masked == (False, False) or (base is layers.Dot and not masked[0])
    same = same or (base in (Add, layers.Maximum) and masked == (False, True))
    model = Model(entrances, other(tensors))
    if same:
        model.predict([X, X], verbose=0)
    else:
        with pytest.raises(TypeError, match="`compute_mask` of Own"):
            model.predict([X, X], verbose=0)


def test_a_mask_that_cannot_be_computed_is_refused_with_the_reason() -> None:
    class Shorter(Dense):
        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return mask[:, 1:]

    model = Sequential([Input((5, 3)), Masking(), Shorter(3), GRU(2)])
    with pytest.raises(TypeError, match=r"`compute_mask` of Shorter.*ZeroPadding1D\(0\).*it raised TypeError"):
        model.predict(X, verbose=0)


def test_the_advice_ends_a_mask() -> None:
    layer = GRU(2, seed=1)
    masked = Sequential([Input((None, 3)), Masking(), layers.ZeroPadding1D(0), layer])
    np.testing.assert_array_equal(masked.predict(X, verbose=0), layer(X))


def test_several_inputs_may_have_a_mask_of_none() -> None:
    class Sum(Layer):
        def call(self, inputs: Any) -> Any:
            return Add()(inputs)

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            assert len(inputs) == len(mask) == 2
            return None

    entrances = [Input((5, 3)), Input((5, 3))]
    assert Model(entrances, Sum()(entrances)).predict([X, X], verbose=0).shape == (4, 5, 3)


def test_a_long_chain_of_sums_takes_no_longer_than_it_is() -> None:
    model = Sequential([Input((5, 3)), Masking(), _own([LayerNormalization() for _ in range(200)], _as_given), GRU(2)])
    assert model.predict(X, verbose=0).shape == (4, 2)


@pytest.mark.parametrize(
    ("layer", "passes"),
    [
        (layers.LayerNormalization(), True),
        (layers.BatchNormalization(), True),
        (layers.UnitNormalization(), True),
        (layers.RMSNormalization(), False),
        (layers.GaussianNoise(0.1), True),
        (layers.AlphaDropout(0.1), True),
        *((kind(), True) for kind in (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax, layers.PReLU)),
    ],
)
def test_compute_mask_says_what_becomes_of_the_mask(layer: Layer, passes: bool) -> None:
    mask = X.any(axis=-1)
    assert layer.compute_mask(X, mask) is (mask if passes else None)
    if isinstance(layer, layers.PReLU):
        layer = layers.PReLU(shared_axes=[1])
    seen = Sequential([Input((None, 3)), Masking(), layer, GRU(2, seed=1)])
    answer, cut = seen.predict(X, verbose=0), seen.predict(X[:, :3], verbose=0)
    assert np.allclose(answer, cut, rtol=1e-5) == passes
