"""Random recurrent models, made by foliot or by Keras from one description; run, it answers for Keras.

`python -m peers.random_models FIRST:LAST FILE` builds the models of these seeds with Keras and writes their outputs.
The test runs it in a process of its own with Keras's NumPy backend, which compiles nothing: a model takes milliseconds
there, where JAX takes seconds for each new shape.
"""

import sys
from typing import Any

import numpy as np


def build(library: Any, seed: int) -> tuple[Any, np.ndarray]:
    """A model with weights, and rows for it; one seed gives the same to either library."""
    random = np.random.default_rng(seed)
    layers = library.layers

    def pick(*choices: Any) -> Any:
        return choices[random.integers(len(choices))]

    rows, time, features = random.integers(1, 7), random.integers(1, 8), random.integers(1, 6)
    if pick(True, False):
        x = random.integers(0, 9, (rows, time))
        inputs = layers.Input((None,), dtype="int32")
        tensor = layers.Embedding(9, int(features), mask_zero=bool(pick(True, False)))(inputs)
    else:
        x = random.normal(size=(rows, time, features)).astype(np.float32)
        inputs = tensor = layers.Input((None, int(features)))
        if pick(True, False):
            x[random.random((rows, time)) < 0.4] = 0
            tensor = layers.Masking()(tensor)

    outputs: list[Any] = []
    depth = pick(1, 2, 3)
    for position in range(depth):
        is_last = position == depth - 1
        cell = pick("SimpleRNN", "LSTM", "GRU")
        both, returns_state = pick(True, False, False), is_last and pick(True, False, False)
        options: dict[str, Any] = {
            "units": pick(1, 2, 3, 8, 9),
            "activation": pick("tanh", "tanh", "softsign", "elu", "sigmoid"),
            "use_bias": pick(True, True, False),
            "return_sequences": not is_last or pick(True, False),
            "return_state": returns_state,
            "go_backwards": not both and pick(True, False, False),
        }
        if cell != "SimpleRNN":
            options["recurrent_activation"] = pick("sigmoid", "sigmoid", "hard_sigmoid")
        if cell == "GRU":
            options["reset_after"] = pick(True, False)
        if not both:
            options["zero_output_for_mask"] = pick(True, False, False)
        layer = getattr(layers, cell)(**options)
        layer = layers.Bidirectional(layer, merge_mode=pick("concat", "sum", "mul", "ave")) if both else layer
        results = layer(tensor)
        if returns_state:
            tensor, *outputs = results
        else:
            tensor = results
        between = pick("none", "none", "dense", "normalization", "dropout")
        if between == "dense":
            tensor = layers.Dense(pick(1, 3, 8), activation=pick("tanh", "relu"))(tensor)
        elif between == "normalization":
            tensor = layers.LayerNormalization()(tensor)
        elif between == "dropout":
            tensor = layers.Dropout(0.5)(tensor)
    model = library.Model(inputs, [tensor, *outputs] if outputs else tensor)
    scale = pick(0.2, 0.5)
    model.set_weights([random.normal(scale=scale, size=weight.shape) for weight in model.get_weights()])
    return model, x


def answers(library: Any, seed: int) -> list[np.ndarray]:
    """What the model of a seed returns."""
    model, x = build(library, seed)
    found = model.predict(x, verbose=0)
    return [np.asarray(output) for output in (found if isinstance(found, list) else [found])]


def main() -> None:
    import keras

    first, last = map(int, sys.argv[1].split(":"))
    arrays = {}
    for seed in range(first, last):
        for position, output in enumerate(answers(keras, seed)):
            arrays[f"{seed}/{position}"] = output
        keras.utils.clear_session()
    np.savez(sys.argv[2], **arrays)


if __name__ == "__main__":
    main()
