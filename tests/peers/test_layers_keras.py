"""Every layer of the table against the layer of the same name and arguments in Keras (JAX backend): outputs, loss with
its mask, gradients, weights that training moves.

Needs Keras and JAX beside foliot: `make test-peers`.
"""

from typing import Any

import numpy as np
import pytest

from parity.layer_table import CASES, ONE_BY_ONE, Case, problem, quiet
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


def keras_results(
    case: Case, made: Problem, training: bool
) -> tuple[list[Any], float, list[Any], list[Any], list[Any]]:
    """Outputs, loss, gradients of the trained weights and of the inputs of numbers, weights after the call."""
    inputs = [keras.Input(shape, dtype="float32" if case.ids is None else "int32") for shape in case.shapes]
    masks = [mask for mask in made.all_masks if mask is not None]
    flags = [keras.Input(mask.shape[1:], dtype="bool") for mask in masks]
    pending = iter(flags)
    read = [
        x if mask is None else keras_models.WithMask()([x, next(pending)])
        for x, mask in zip(inputs, made.all_masks, strict=True)
    ]
    with quiet():
        layer = case.make(keras.layers)
        model = keras.Model([*inputs, *flags], case.apply(layer, read))
    layer.set_weights(made.weights)
    fixed = [variable.value for variable in model.non_trainable_variables]
    loss = keras.losses.MeanSquaredError()

    def total(trained: list[Any], values: Any) -> tuple[Any, Any]:
        found, moved, penalties = model.stateless_call(
            trained, fixed, [*values, *masks], training=training, return_losses=True
        )
        outputs = keras.tree.flatten(found)
        losses = [loss(target, output) for target, output in zip(made.targets, outputs, strict=True)]
        return sum(losses) + sum(penalties), (outputs, moved)

    trained = [variable.value for variable in model.trainable_variables]
    slopes = jax.value_and_grad(total, argnums=(0, 1) if case.ids is None else 0, has_aux=True)
    with quiet():
        (value, (outputs, moved)), gradients = slopes(trained, made.inputs)
    gradients, d_inputs = gradients if case.ids is None else (gradients, [])
    return outputs, float(value), gradients, d_inputs, moved


# A graph lists the weights of several layers by depth, Keras in the order in which they were made, as
# test_bidirectional_keras.py and test_attention_keras.py know.
SINGLE = [case for case in CASES if case.name not in ("Bidirectional", *ONE_BY_ONE) and case.in_keras]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_against_keras(case: Case, training: bool) -> None:
    if training and case.random:
        pytest.skip("each side draws numbers of its own")
    for seed, mask in enumerate([None, "interior"] if case.takes_masks and case.keras_masks else [None]):
        made = problem(case, 6, seed, mask)
        expected, expected_loss, expected_gradients, expected_d_inputs, moved = keras_results(case, made, training)
        native = Native(made)
        loss, gradients, d_inputs = native.all_gradients(training, 0)
        for output, wanted in zip(native.forward(training), expected, strict=True):
            assert_outputs_close(output, np.asarray(wanted))
        assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
        specs = made.graph.parameters
        trained = [gradient for gradient, spec in zip(gradients, specs, strict=True) if spec["trainable"]]
        for actual, wanted in zip(trained, expected_gradients, strict=True):
            assert_gradients_close(actual, np.asarray(wanted), f"a weight of {case}", case.floor)
        if case.ids is not None:
            assert d_inputs == [None]
            continue
        # Where UnitNormalization meets zeros Keras has NaN and we have 0; at their bend some may have either slope.
        bent = case.name in ("LeakyReLU", "ActivityRegularization")
        for d_input, wanted, value in zip(d_inputs, expected_d_inputs, made.inputs, strict=True):
            assert d_input is not None
            undecided = np.isnan(wanted) | (bent & (value == 0))
            assert not undecided.any() or bent or case.name == "UnitNormalization"
            actual, wanted = (np.where(undecided, 0.0, slope) for slope in (d_input, wanted))
            assert_gradients_close(actual, wanted, "input", case.floor)
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
