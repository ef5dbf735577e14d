"""Every layer of the table against the layer of the same name and arguments in Keras (JAX backend): outputs, loss with
its mask, gradients, weights that training moves.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

from typing import Any

import numpy as np
import pytest

from parity.layer_table import CASES, Case, problem, quiet
from parity.native import Native, assert_gradients_close, assert_outputs_close
from parity.problems import Problem

keras_models: Any = pytest.importorskip(
    "golden.keras_models", reason="Keras with JAX is not installed", exc_type=ImportError
)
jax: Any = pytest.importorskip("jax")
keras: Any = pytest.importorskip("keras")

pytestmark = [
    # Keras's variables have an __array__ without the arguments that NumPy 2 asks for.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
    # What Keras says where a layer ends a mask.
    pytest.mark.filterwarnings("ignore:Layer .* does not support mask:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*but does not support masking:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*destroyed:UserWarning"),
]


def keras_results(case: Case, made: Problem, training: bool) -> tuple[np.ndarray, float, list[Any], Any, list[Any]]:
    """Output, loss, gradients of the trained weights and of the input, weights after the call."""
    with quiet():
        layer = case.make(keras.layers)
        x = keras.Input(case.shape)
        inputs = [x]
        if made.masks is not None:
            inputs.append(keras.Input(case.shape[:1], dtype="bool"))
            x = keras_models.WithMask()(inputs)
        model = keras.Model(inputs, layer(x))
    layer.set_weights(made.weights)
    fixed = [variable.value for variable in model.non_trainable_variables]
    rest = [made.masks[0]] if made.masks is not None else []
    loss = keras.losses.MeanSquaredError()

    def total(trained: list[Any], value: Any) -> tuple[Any, Any]:
        output, moved, penalties = model.stateless_call(
            trained, fixed, [value, *rest], training=training, return_losses=True
        )
        return loss(made.targets[0], output) + sum(penalties), (output, moved)

    trained = [variable.value for variable in model.trainable_variables]
    slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    with quiet():
        (value, (output, moved)), (gradients, d_input) = slopes(trained, made.inputs[0])
    return np.asarray(output), float(value), gradients, d_input, moved


# A graph lists the weights of the two directions by depth, Keras forward first: test_bidirectional_keras.py knows.
SINGLE = [case for case in CASES if case.name != "Bidirectional" and case.in_keras]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_against_keras(case: Case, training: bool) -> None:
    if training and case.random:
        pytest.skip("each side draws numbers of its own")
    for seed, mask in enumerate([None, "interior"] if case.takes_masks and case.keras_masks else [None]):
        made = problem(case, 6, seed, mask)
        expected, expected_loss, expected_gradients, expected_d_input, moved = keras_results(case, made, training)
        native = Native(made)
        loss, gradients, d_inputs = native.all_gradients(training, 0)
        (output,) = native.forward(training)
        assert_outputs_close(output, expected)
        assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
        specs = made.graph.parameters
        trained = [gradient for gradient, spec in zip(gradients, specs, strict=True) if spec["trainable"]]
        for actual, wanted in zip(trained, expected_gradients, strict=True):
            assert_gradients_close(actual, np.asarray(wanted), f"a weight of {case}")
        assert d_inputs[0] is not None
        # Where UnitNormalization meets zeros Keras has NaN and we have 0; at their bend some may have either slope.
        bent = case.name in ("LeakyReLU", "ActivityRegularization")
        undecided = np.isnan(expected_d_input) | (bent & (made.inputs[0] == 0))
        assert not undecided.any() or bent or case.name == "UnitNormalization"
        actual, wanted = (np.where(undecided, 0.0, slope) for slope in (d_inputs[0], expected_d_input))
        assert_gradients_close(actual, wanted, "input")
        kept = [weight for weight, spec in zip(native.weights(), specs, strict=True) if not spec["trainable"]]
        # Keras counts the draws of a random layer among its weights.
        moved = [value for value in moved if np.asarray(value).dtype == np.float32]
        for actual, wanted in zip(kept, moved, strict=True):
            assert_outputs_close(actual, np.asarray(wanted), "a moving weight")


def shared_keys(ours: Any, theirs: Any) -> Any:
    """What Keras's configuration has a key for, also inside; the rest goes beyond Keras."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {key: shared_keys(value, theirs[key]) for key, value in ours.items() if key in theirs}
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [shared_keys(one, other) for one, other in zip(ours, theirs, strict=True)]
    return ours


@pytest.mark.parametrize("case", [case for case in SINGLE if case.name != "TimeDistributed"], ids=str)
def test_configuration(case: Case) -> None:
    """Keras makes the same layer of our configuration, and knows no argument that we do not."""
    with quiet():
        ours, theirs = case.make(), case.make(keras.layers)
        config, expected = ours.get_config(), theirs.get_config()
        # Our configurations name no module, by which Keras would find a cell.
        cells = {name: getattr(keras.layers, name) for name in dir(keras.layers) if name.endswith(("Cell", "Cells"))}
        with keras.saving.custom_object_scope(cells):
            again = type(theirs).from_config(shared_keys(config, expected))
    missing = set(expected) - set(config) - {"quantization_config"}
    assert not missing
    kept = again.get_config()
    for key, value in expected.items():
        if key not in ("name", "seed", "dtype", "layer", "cell", "quantization_config"):
            assert kept[key] == value, key
