"""Operators between symbolic tensors: those of two tensors are layers, the others say which layers to use."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foliot import Input, Model
from foliot.layers import GRU, LSTM, Add, Dense, Masking, Multiply, Subtract

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("operator", "layer"),
    [
        (lambda x, y: x + y, Add),
        (lambda x, y: x - y, Subtract),
        (lambda x, y: x * y, Multiply),
    ],
)
def test_an_operator_of_two_tensors_is_a_layer(operator: Callable[..., Any], layer: Any) -> None:
    entrance = Input((5, 3))
    one, two = GRU(3, return_sequences=True), Dense(3)
    a, b = one(entrance), two(entrance)
    mine, other = Model(entrance, operator(a, b)), Model(entrance, layer()([a, b]))
    assert [type(part) for part in mine.layers] == [type(part) for part in other.layers]
    np.testing.assert_array_equal(mine.predict(X, verbose=0), other.predict(X, verbose=0))
    np.testing.assert_allclose(mine.predict(X, verbose=0), operator(one(X), two(X)), rtol=1e-6)


def test_in_place_in_a_call_and_with_masks() -> None:
    class Residual(Model):
        def __init__(self) -> None:
            super().__init__()
            self.mask, self.read, self.more, self.last = Masking(), LSTM(3, return_sequences=True), Dense(3), GRU(2)

        def call(self, inputs: Any) -> Any:
            x = self.mask(inputs)
            x += self.read(x)
            x *= self.more(x)
            return self.last(x)

    padded = X.copy()
    padded[:, 3:] = 0
    model = Residual()
    np.testing.assert_allclose(model.predict(padded, verbose=0), model.predict(X[:, :3], verbose=0), rtol=1e-5)
    model.compile("sgd", "mse")
    model.fit(X, X[:, 0, :2], verbose=0)
    with pytest.raises(ValueError, match="shape"):
        Input((3,)) + Input((4,))


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda x: x * 2, r"arithmetic.*layers\.add.*Identity\(number\)"),
        (lambda x: 2 + x, "arithmetic"),
        (lambda x: x / 2, "arithmetic"),
        (lambda x: -x, "arithmetic"),
        (lambda x: x - np.ones(3), "arithmetic"),
        (lambda x: x @ x, "arithmetic.*dot"),
        (lambda x: x[:, -1], "indexed.*return_sequences=False.*Cropping1D"),
    ],
)
def test_others_name_the_layers(act: Callable[..., Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        act(Input((5, 3)))
