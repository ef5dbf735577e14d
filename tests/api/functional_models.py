"""Functional models and their data that several tests use."""

import numpy as np

from foliot import Input, Model
from foliot.layers import LSTM, Dense, Dropout
from foliot.models import Sequential

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(20, 7, 5)), RANDOM.normal(size=(20, 3, 6))
TOKENS = RANDOM.integers(0, 9, (13, 6))
Y = np.eye(6)[RANDOM.integers(0, 6, (20, 3))]


def assert_same(left, right) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


class Translator:
    """The encoder-decoder of Keras's examples, with the two models that answer step by step."""

    def __init__(self, latent_dim: int = 4, num_encoder_tokens: int = 5, num_decoder_tokens: int = 6) -> None:
        encoder_inputs = Input(shape=(None, num_encoder_tokens))
        encoder = LSTM(latent_dim, return_state=True)
        _, state_h, state_c = encoder(encoder_inputs)
        encoder_states = [state_h, state_c]
        decoder_inputs = Input(shape=(None, num_decoder_tokens))
        decoder_lstm = LSTM(latent_dim, return_sequences=True, return_state=True)
        decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
        decoder_dense = Dense(num_decoder_tokens, activation="softmax")
        decoder_outputs = decoder_dense(decoder_outputs)
        self.model = Model([encoder_inputs, decoder_inputs], decoder_outputs)

        self.encoder_model = Model(encoder_inputs, encoder_states)
        decoder_state_input_h = Input(shape=(latent_dim,))
        decoder_state_input_c = Input(shape=(latent_dim,))
        decoder_states_inputs = [decoder_state_input_h, decoder_state_input_c]
        decoder_outputs, state_h, state_c = decoder_lstm(decoder_inputs, initial_state=decoder_states_inputs)
        decoder_states = [state_h, state_c]
        decoder_outputs = decoder_dense(decoder_outputs)
        self.decoder_model = Model([decoder_inputs, *decoder_states_inputs], [decoder_outputs, *decoder_states])


def begin_alike(model: Model) -> None:
    """Weights and the order of rows that do not hang on what was drawn before."""
    model._shuffle_seed = 3
    random = np.random.default_rng(8)
    model.set_weights([random.normal(scale=0.3, size=weight.shape) for weight in model.get_weights()])


def two_heads(**options) -> Model:
    """Two inputs through one shared layer, two outputs; as Keras names them: p, q."""
    first, second = Input((3,), name="a"), Input((3,), name="b")
    shared = Dense(2, name="shared", **options)
    p = Dense(1, name="p")(shared(first))
    q = Dense(4, activation="softmax", name="q")(shared(second))
    return Model([first, second], [p, q])


XS = [RANDOM.normal(size=(8, 3)), RANDOM.normal(size=(8, 3))]
YS = [RANDOM.normal(size=(8, 1)), RANDOM.integers(0, 4, 8)]
DENSE_YS = [YS[0], np.eye(4)[YS[1]]]
WS = [RANDOM.uniform(0.5, 2, 8), RANDOM.uniform(0.5, 2, 8)]


def nested() -> tuple[Model, Model, Sequential]:
    first = Input((3,), name="first")
    shared = Dense(2, name="shared")
    hidden = shared(first)
    inner = Model(first, [hidden, Dense(1, name="side")(hidden)], name="inner")
    stack = Sequential([Dense(3, name="front"), Dropout(0.5)], name="stack")
    entrance = Input((3,), name="entrance")
    hidden, _ = inner(stack(entrance))
    _, side = inner(entrance)
    return Model(entrance, [Dense(1, name="last")(hidden), side, shared(entrance)], name="outer"), inner, stack
