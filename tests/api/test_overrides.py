"""Methods that Keras would call in a class of the user's: honoured or refused by name, never ignored in silence."""

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


def test_another_mask_is_refused() -> None:
    for own in (_own([Conv1D(3, 2, padding="same")], _as_given), _own([Dense(3)], _computed)):
        with pytest.raises(TypeError, match=r"`compute_mask` of Own.*Masks follow foliot's layers"):
            Sequential([Input((5, 3)), Masking(), own, GRU(2)])


@pytest.mark.parametrize(("base", "arguments"), [(Dense, (3,)), (GRU, (2,)), (Embedding, (3, 2))])
def test_the_mask_of_a_layer_of_foliots_stays_as_it_is(base: Any, arguments: Any) -> None:
    passes = base is Dense
    same, other = (_as_given, _none) if passes else (_none, _as_given)
    shape = (5,) if base is Embedding else (5, 3)
    type("Own", (base,), {"compute_mask": same})(*arguments)(Input(shape))
    said, given = ("the mask as it was given", "None") if passes else ("None", "the mask as it was given")
    message = f"`compute_mask` of Own: expected what that of {base.__name__} answers, {said}; received {given}"
    with pytest.raises(TypeError, match=message):
        type("Own", (base,), {"compute_mask": other})(*arguments)(Input(shape))


def test_a_mask_that_cannot_be_computed_is_refused_with_the_reason() -> None:
    class Shorter(Dense):
        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return mask[:, 1:]

    with pytest.raises(TypeError, match=r"answers, the mask as it was given; received TypeError: .*ZeroPadding1D\(0\)"):
        Shorter(3)(Input((5, 3)))


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

    assert Sum()([Input((5, 3)), Input((5, 3))]).shape == (None, 5, 3)


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
