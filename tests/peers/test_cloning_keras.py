"""clone_model against Keras (JAX backend): the same structure, sharing and calls of the two functions."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import foliot

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)

# Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def stack(library: Any) -> Any:
    layers = library.layers
    model = library.Sequential([layers.Dense(3, name="a"), layers.Dropout(0.5), layers.Dense(1)], name="stack")
    model.build((None, 2))
    model.compile("adam", "mse", metrics=["mae", "acc"])
    return model


def nested(library: Any) -> Any:
    layers = library.layers
    shared = layers.Dense(2, name="shared")
    first = layers.Input((2,), name="first")
    inner = library.Model(first, [shared(first), layers.Dense(1, name="side")(first)], name="inner")
    entrance = layers.Input((2,), name="entrance")
    one, other = inner(layers.Dense(2, name="front")(entrance))
    again, _ = inner(entrance)
    outputs = [layers.Dense(1, name="last")(one), other, shared(again)]
    model = library.Model(entrance, outputs, name="outer")
    model.compile("sgd", "mse")
    return model


def translator(library: Any) -> Any:
    layers = library.layers
    source, target = layers.Input((None, 3), name="source"), layers.Input((None, 4), name="target")
    _, *states = layers.LSTM(5, return_state=True, name="encoder")(source)
    outputs, *_ = layers.LSTM(5, return_sequences=True, return_state=True, name="decoder")(target, initial_state=states)
    return library.Model([source, target], layers.Dense(4, name="dense")(outputs), name="translator")


def described(model: Any, library: Any) -> Any:
    """The layers and what they are called on, without input layers' automatic names."""
    return [
        (
            type(layer).__name__,
            layer.name,
            [weight.shape for weight in layer.weights],
            described(layer, library) if isinstance(layer, library.Model) else None,
        )
        for layer in model.layers
    ]


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("build", [stack, nested, translator])
def test_clones(build: Callable[[Any], Any], recursive: bool) -> None:
    found = []
    for library in (foliot, keras):
        library.utils.clear_session()
        model = build(library)
        clone = library.models.clone_model(model, recursive=recursive)
        places = {id(weight): place for place, weight in enumerate(clone.weights)}
        found.append(
            (
                clone.name,
                described(clone, library),
                [[places[id(weight)] for weight in layer.weights] for layer in clone.layers],
                len(clone.weights),
                (clone.optimizer is not None) == (model.optimizer is not None) if library is foliot else True,
            )
        )
        assert len({*map(id, model.weights), *map(id, clone.weights)}) == len(model.weights) + len(clone.weights)
    assert found[0] == found[1]


def test_functions_are_called_alike() -> None:
    found = []
    for library in (foliot, keras):
        library.utils.clear_session()
        seen: list[Any] = []

        def clone_function(layer: Any, seen: list[Any] = seen) -> Any:
            seen.append(("clone", layer.name))
            return type(layer).from_config(layer.get_config())

        def call_function(layer: Any, *args: Any, seen: list[Any] = seen, library: Any = library, **kwargs: Any) -> Any:
            given = sorted(name for name, value in kwargs.items() if value is not None and name != "training")
            seen.append(("call", layer.name, len(args), given))
            outputs = layer(*args, **kwargs)
            return library.layers.Dropout(0.5, name="more")(outputs) if layer.name == "dense" else outputs

        clone = library.models.clone_model(translator(library), None, clone_function, call_function)
        found.append((sorted(seen, key=str), described(clone, library)))
    assert found[0] == found[1]


def test_a_clone_of_a_compiled_model_trains_alike() -> None:
    foliot.utils.clear_session()
    keras.utils.clear_session()
    clones = [library.models.clone_model(stack(library)) for library in (foliot, keras)]
    random = np.random.default_rng(0)
    weights = [random.normal(size=weight.shape).astype(np.float32) for weight in clones[0].get_weights()]
    x, y = random.normal(size=(8, 2)).astype(np.float32), np.ones((8, 1), np.float32)
    logs = []
    for clone in clones:
        clone.layers[1].rate = 0.0
        clone.set_weights(weights)
        logs.append(clone.evaluate(x, y, verbose=0, return_dict=True))
    assert list(logs[0]) == sorted(logs[1])
    np.testing.assert_allclose([logs[0][name] for name in logs[0]], [logs[1][name] for name in logs[0]], rtol=1e-5)
