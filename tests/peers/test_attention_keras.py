"""Attention against Keras (JAX backend): outputs, weights of the values, and ten steps of training.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.test_parity_attention import CASES, Case

from .test_bidirectional_keras import LENGTHS, MASKS, TOKENS, compare

keras: Any = pytest.importorskip("keras", reason="Keras with JAX is not installed", exc_type=ImportError)
keras_models: Any = pytest.importorskip("golden.keras_models")

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:Layer .* does not support mask:UserWarning"),
]

RANDOM = np.random.default_rng(5)
# Keras draws other numbers; and with JAX it fails where values are of another size than keys, unless scores are asked.
SAME = [
    Case(case.name, {**case.options, "dropout": 0.0} if "dropout" in case.options else case.options) for case in CASES
]


@settings(max_examples=12, deadline=None)
@given(data=st.data(), sizes=st.sampled_from([(1, 2, 1), (3, 4, 5), (2, 5, 5)]), seed=st.integers(0, 99))
@pytest.mark.parametrize("case", SAME, ids=str)
def test_calls(case: Case, data: st.DataObject, sizes: tuple[int, int, int], seed: int) -> None:
    """Outputs and weights for all masks and flags, rows without anything to see included."""
    batch, queries, keys = sizes
    random = np.random.default_rng(seed)
    roles = ["query", "value", "key"][: data.draw(st.integers(2, 3))]
    lengths = {"query": queries, "value": keys, "key": keys}
    arrays = {role: random.normal(size=(batch, lengths[role], 3)).astype(np.float32) for role in roles}
    flags = {name: data.draw(st.booleans()) for name in ("use_causal_mask", "return_attention_scores")}
    flags["return_attention_scores"] |= "value_dim" in case.options
    masked = {role: random.random((batch, lengths[role])) < 0.6 for role in roles if data.draw(st.booleans())}
    mine, theirs = case.make(), case.make(keras.layers)
    if case.takes_mask:
        sees = random.random((batch, queries, keys)) < 0.6 if data.draw(st.booleans()) else None
        masks = {f"{role}_mask": mask for role, mask in masked.items()}
        actual = mine(**arrays, **masks, attention_mask=sees, **flags)
        theirs.build(*(arrays[role].shape for role in roles))
        theirs.set_weights(weights := [random.normal(size=w.shape).astype(np.float32) for w in theirs.get_weights()])
        mine.set_weights(weights)
        actual = mine(**arrays, **masks, attention_mask=sees, **flags)
        tensors = {role: keras.ops.convert_to_tensor(array) for role, array in arrays.items()}
        for role, mask in masked.items():
            keras.src.backend.set_keras_mask(tensors[role], keras.ops.convert_to_tensor(mask))
        expected = theirs(**tensors, attention_mask=sees, **flags)
    else:
        given = list(arrays.values())
        mask = [masked.get(role) for role in roles] if masked else None
        theirs.build([array.shape for array in given])
        mine.build([array.shape for array in given])
        theirs.set_weights(weights := [random.normal(size=w.shape).astype(np.float32) for w in theirs.get_weights()])
        mine.set_weights(weights)
        actual, expected = (layer(given, mask=mask, **flags) for layer in (mine, theirs))
    if not flags["return_attention_scores"]:
        actual, expected = [actual], [expected]
    for ours, wanted in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, np.asarray(wanted), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", SAME, ids=str)
def test_configuration(case: Case) -> None:
    ours, theirs = case.make(), case.make(keras.layers)
    config, expected = ours.get_config(), theirs.get_config()
    again = type(theirs).from_config({key: value for key, value in config.items() if key in expected})
    assert not set(expected) - set(config)
    for key, value in expected.items():
        if key not in ("name", "seed", "dtype"):
            assert again.get_config()[key] == value, key


# Every mask for one layer of each way to call; JAX compiles each of these for seconds, and all share what reads masks.
THOROUGH = ("Attention()", "MultiHeadAttention(num_heads=2,key_dim=3)")
TRAINED = [
    pytest.param(case, pattern, id=f"{case}-{pattern}")
    for case in SAME
    for pattern in MASKS
    if "value_dim" not in case.options and (pattern in ("none", "interior") or str(case) in THOROUGH)
    # Without dropout the others are ones that stand there already.
    if "dropout" not in case.options or "score_mode" in case.options
]


@pytest.mark.parametrize(("case", "pattern"), TRAINED)
def test_training(case: Case, pattern: str) -> None:
    """Keras's usual encoder and decoder: a decoder that attends to what an encoder returns, and to itself."""

    def build(library: Any) -> Any:
        layers = library.layers
        source, target = layers.Input((6,), name="source"), layers.Input((6,), name="target")
        masked = pattern != "none"
        read, *states = layers.LSTM(3, return_sequences=True, return_state=True)(
            layers.Embedding(8, 3, mask_zero=masked)(source)
        )
        embedding = layers.Embedding(8, 3, mask_zero=masked)
        mask = embedding.compute_mask(target)
        written = layers.LSTM(3, return_sequences=True)(embedding(target), initial_state=states, mask=mask)
        # Keras's MultiHeadAttention takes the masks off what it reads, so that a later reader misses them.
        first, second = layers.Activation("tanh")(written), layers.Activation("softsign")(written)
        context = case.apply(case.make(layers), {"query": first, "value": read})
        itself = case.apply(case.make(layers), {"query": second, "value": second}, use_causal_mask=True)
        joined = layers.Concatenate()([written, context, itself])
        return library.Model([source, target], layers.Dense(4)(joined))

    ids = TOKENS * MASKS[pattern]
    # A last step that counts, for where Keras has none its mean over the mask is 0 / 0.
    compare(build, [ids, np.where(np.arange(6) < np.maximum(LENGTHS, 1), TOKENS, 0)])


def test_a_transformer_block() -> None:
    def build(library: Any) -> Any:
        layers = library.layers
        ids = layers.Input((6,), name="ids")
        x = layers.Embedding(8, 4, mask_zero=True)(ids)
        # The scores are no output: Keras gives them a mask that fits no loss.
        attended, _ = layers.MultiHeadAttention(2, 3, kernel_regularizer="l2", activity_regularizer="l1")(
            x, x, return_attention_scores=True, use_causal_mask=True
        )
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        x = layers.Dense(4)(layers.Dense(8, activation="relu")(x))
        return library.Model(ids, layers.GlobalAveragePooling1D()(x))

    compare(build, np.where(np.arange(6) < np.maximum(LENGTHS, 1), TOKENS, 0))
