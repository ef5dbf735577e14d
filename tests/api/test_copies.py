"""pickle and copy: a copy has the same bits, shares no weight with the original, and trains on as it would have."""

import copy
import functools
import pickle
import subprocess
import sys

import numpy as np
import pytest

import foliot
from foliot import activations, initializers, optimizers
from foliot.callbacks import EarlyStopping
from foliot.layers import GRU, LSTM, Dense, Dropout, Embedding, Input, SimpleRNN
from foliot.models import Model, Sequential
from foliot.models.functional import Functional

WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True, decay=0.01),
}


def _network(optimizer: optimizers.Optimizer) -> Sequential:
    network = Sequential(
        [
            Embedding(12, 4, mask_zero=True),
            Dropout(0.25),
            LSTM(3, return_sequences=True, dropout=0.25, kernel_regularizer="l2"),
            GRU(3, activation=functools.partial(activations.relu, max_value=6)),
            Dense(1, activation="sigmoid", kernel_constraint="max_norm"),
        ]
    )
    network.compile(optimizer, "binary_crossentropy", metrics=["acc"])
    return network


def _bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_trained_model(name, way, tokens) -> None:
    x, y = tokens
    network = _network(OPTIMIZERS[name]())
    network.fit(x, y, batch_size=4, epochs=2, verbose=0)
    network.optimizer.learning_rate = 0.005
    before = _bits(network.get_weights())
    other = way(network)
    assert type(other) is Sequential
    assert other.get_config() == network.get_config()
    assert other.get_compile_config() == network.get_compile_config()
    assert other.metrics_names == network.metrics_names
    assert other.history.history == network.history.history
    assert other.history.model is other
    assert other.optimizer.iterations == network.optimizer.iterations == 12
    assert _bits(other.get_weights()) == before
    assert not {id(weight) for weight in network.weights} & {id(weight) for weight in other.weights}

    resumed = other.fit(x, y, batch_size=4, epochs=4, initial_epoch=2, verbose=0).history
    assert _bits(network.get_weights()) == before
    # Shuffling, dropout and the optimizer's state are those of the original.
    assert network.fit(x, y, batch_size=4, epochs=4, initial_epoch=2, verbose=0).history == resumed
    assert _bits(network.get_weights()) == _bits(other.get_weights())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_model_before_training(way, model, tokens) -> None:
    x, y = tokens
    other = way(model)
    assert not other.built
    other.fit(x, y, verbose=0)
    assert not model.built
    assert way(Sequential()).layers == []
    built = Sequential([Input((4, 3)), SimpleRNN(2), Dense(1)])
    assert built.predict(np.ones((1, 4, 3)), verbose=0) == way(built).predict(np.ones((1, 4, 3)), verbose=0)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_copied_stack_can_change(way) -> None:
    network = Sequential([Input((4, 3)), Sequential([SimpleRNN(2)]), Dense(1)])
    other = way(network)
    other.pop()
    other.add(Dense(5))
    assert other.output_shape == (None, 5)
    assert other.predict(np.ones((2, 4, 3)), verbose=0).shape == (2, 5)
    assert network.output_shape == (None, 1)


def test_a_deep_model() -> None:
    network = Sequential([Input((3,)), *(Dense(3) for _ in range(400))])
    for way in WAYS.values():
        assert _bits(way(network).get_weights()) == _bits(network.get_weights())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_layers(way) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    layer = LSTM(4, dropout=0.5)
    assert not way(layer).built
    expected, dropped = layer(x), layer(x, training=True)
    other = way(layer)
    assert other.name == layer.name
    np.testing.assert_array_equal(other(x), expected)
    assert not np.array_equal(other(x, training=True), dropped)  # the masks go on, they do not begin again
    other.trainable = False
    other.set_weights([np.zeros_like(weight) for weight in other.get_weights()])
    assert other.trainable_weights == []
    assert layer.trainable_weights
    np.testing.assert_array_equal(layer(x), expected)
    # What is not a number that can be compared is kept to the bit as well.
    layer.set_weights([np.full_like(weight, np.nan) for weight in layer.get_weights()])
    assert _bits(way(layer).get_weights()) == _bits(layer.get_weights())


@pytest.mark.parametrize("way", [way for name, way in WAYS.items() if name != "copy"])
def test_what_is_shared_stays_shared(way) -> None:
    network = Sequential([Input((3,)), Dense(2), Dense(1)])
    again, layer = way([network, network.layers[0]])
    assert again.layers[0] is layer
    shared = Dense(3)
    x = Input((3,))
    first, second = shared(x), shared(shared(x))
    assert first.node.layer is second.node.layer
    left, right = way([Sequential([Input((3,)), shared]), Sequential([Input((3,)), shared])])
    assert left.layers[0] is right.layers[0]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, way, tokens) -> None:
    optimizer = OPTIMIZERS[name]()
    other = way(optimizer)
    assert not other.built
    assert other.get_config() == optimizer.get_config()
    optimizer.iterations = 5
    assert way(optimizer).iterations == 5
    network = _network(OPTIMIZERS[name]())
    network.fit(*tokens, batch_size=4, verbose=0)
    other = way(network.optimizer)
    assert other.iterations == network.optimizer.iterations == 6
    slots, expected = other.get_slots(), network.optimizer.get_slots()
    assert [_bits(arrays) for arrays in slots] == [_bits(arrays) for arrays in expected]
    network.fit(*tokens, batch_size=4, verbose=0)
    assert other.iterations == 6
    assert [_bits(arrays) for arrays in other.get_slots()] == [_bits(arrays) for arrays in slots]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_callbacks_and_parts(way, tokens, model) -> None:
    stop = EarlyStopping("loss", restore_best_weights=True)
    history = model.fit(*tokens, epochs=2, verbose=0, callbacks=[stop])
    assert way(history).history == history.history
    assert way(history).params == history.params
    assert way(stop).best == stop.best
    assert way(initializers.GlorotUniform(seed=3)) == initializers.GlorotUniform(seed=3)
    assert way(activations.get("relu")) is activations.relu


def test_another_process_reads_it(model, tokens, tmp_path) -> None:
    x, y = tokens
    model.fit(x, y, verbose=0)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, x)))
    code = (
        "import pathlib, pickle, sys\n"
        "model, x = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "print(model.predict(x, verbose=0).tobytes().hex())"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == model.predict(x, verbose=0).tobytes().hex()
    assert foliot.Sequential is type(model)


class Reader(Model):
    """Made of layers, one of them shared and one of them a model."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Sequential([Input((4, 3)), GRU(2)])
        self.write = Dense(1)

    def call(self, inputs):
        return {"sum": self.write(self.inner(inputs["a"])), "twice": self.write(self.inner(inputs["b"]))}


def _several() -> Functional:
    """Two inputs, shared layers, states, a nested model, a dict of outputs."""
    question, answer = Input((None, 3), name="question"), Input((None, 3), name="answer")
    read = LSTM(4, return_state=True, name="read")
    _, h, c = read(question)
    last, _, _ = read(answer, initial_state=[h, c])
    inner_input = Input((4,))
    inner = Model(inner_input, Dense(2)(Dropout(0.5)(inner_input)))
    return Model([question, answer], {"score": inner(last), "state": inner(h, training=False)})


def _middle() -> Functional:
    """Begins at a tensor that a layer gives."""
    x = Input((5,))
    hidden = Dense(3)(x)
    return Model(hidden, Dense(2)(hidden))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_model_of_any_graph(way) -> None:
    random = np.random.default_rng(3)
    data = {name: random.normal(size=(6, 4, 3)).astype(np.float32) for name in ("question", "answer")}
    targets = {name: random.normal(size=(6, 2)).astype(np.float32) for name in ("score", "state")}
    network = _several()
    network.compile("adam", {"score": "mse", "state": "mae"}, loss_weights={"score": 1.0, "state": 0.5})
    network.fit(data, targets, epochs=2, verbose=0)
    other = way(network)
    assert [layer.name for layer in other.layers] == [layer.name for layer in network.layers]
    assert not {id(weight) for weight in network.weights} & {id(weight) for weight in other.weights}
    assert len(other.get_layer("read").inbound_nodes) == 2
    losses = [model.fit(data, targets, epochs=4, initial_epoch=2, verbose=0).history for model in (other, network)]
    assert losses[0] == losses[1]
    np.testing.assert_equal(other.predict(data, verbose=0), network.predict(data, verbose=0))
    assert _bits(way(other).get_weights()) == _bits(network.get_weights())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_model_from_the_middle_of_a_graph(way) -> None:
    network = _middle()
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(way(network).predict(x, verbose=0), network.predict(x, verbose=0))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_model_of_a_class_of_ones_own(way) -> None:
    network = Reader()
    x = {name: np.random.default_rng(4).normal(size=(2, 4, 3)).astype(np.float32) for name in "ab"}
    unbuilt = way(network)
    assert unbuilt.predict(x, verbose=0)["sum"].shape == (2, 1)
    expected = network.predict(x, verbose=0)
    other = way(network)
    np.testing.assert_equal(other.predict(x, verbose=0), expected)
    assert len(other.weights) == len(network.weights) == 5
