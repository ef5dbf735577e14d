"""Methods of Keras's classes that a class of the user's may define there, and that would never be called here."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from foliot import _nest
from foliot._custom import definer
from foliot._masks import SymbolicMask
from foliot._warnings import warn

if TYPE_CHECKING:
    from foliot._graph import Application, SymbolicTensor

_STEP = "a training step runs in Rust and is differentiated there"
_LOSS = "pass losses of foliot.losses and `loss_weights` to compile"
_METRICS = "pass metrics, or functions of (y_true, y_pred), to compile"

# What to do instead.
_LAYER_METHODS = {
    "__call__": "define `call`, which is run with symbolic tensors and leaves the graph of layers",
    "losses": "set `activity_regularizer` of a layer, or its regularizers of weights",
    "inner_loop": "use one of foliot's recurrent layers, or RNN around a cell",
    "get_initial_state": "pass `initial_state=` when the layer is called",
    "save_own_variables": "keep what is to be saved in weights of layers, or return it in `get_config`",
    "load_own_variables": "keep what is to be saved in weights of layers, or return it in `get_config`",
    "save_assets": "return what is to be saved in `get_config`",
    "load_assets": "return what is to be saved in `get_config`",
}
_MODEL_METHODS = {
    "train_step": f"{_LOSS}, or write the loop over batches around model.train_on_batch",
    "test_step": f"{_METRICS}, or write the loop over batches around model.test_on_batch",
    "predict_step": "apply what it does to what model.predict returns, or with layers in `call`",
    "make_train_function": "write the loop over batches around model.train_on_batch",
    "make_test_function": "write the loop over batches around model.test_on_batch",
    "make_predict_function": "write the loop over batches around model.predict_on_batch",
    "compute_loss": f"{_LOSS}, or set `activity_regularizer` of a layer",
    "compute_metrics": _METRICS,
    "get_metrics_result": _METRICS,
    "reset_metrics": _METRICS,
    "metrics": _METRICS,
}


def check_layer_class(cls: type) -> None:
    """Refuses a layer class of the user's that defines what Keras would call and foliot would not.

    Raises:
        TypeError: It does; the message names the method.
    """
    hashable: Any = cls  # which mypy doubts
    _check(hashable, False)


def check_model_class(cls: type) -> None:
    """`check_layer_class` for what models have beside that."""
    hashable: Any = cls
    _check(hashable, True)


@functools.cache
def _check(cls: Any, model: bool) -> None:
    methods, reason = (_MODEL_METHODS, _STEP) if model else (_LAYER_METHODS, "layers become a graph that runs in Rust")
    for name, advice in methods.items():
        found = definer(cls, name)
        if found is not None:
            raise TypeError(
                f"`{name}` of {found.__name__}: expected a class without it, for it would never be called: "
                f"{reason}. Instead {advice}"
            )


def check_masks(applied: "Sequence[Application]", masks: "Mapping[SymbolicTensor, SymbolicMask]") -> None:
    """Refuses a `compute_mask` of the user's that says something else than what becomes of masks.

    They follow the layers that a class is made of. In Keras they do, too, and `compute_mask` has a say on outputs that
    come without one; only while a functional model is made does it count for all.

    Args:
        applied: What layers read and give.
        masks: What tensors have a mask.

    Raises:
        TypeError: It does.
    """
    for application in applied:
        node = application.node
        found = definer(type(node.layer), "compute_mask")
        if found is None:
            continue
        count = None if node.body is None else node.body.leading
        inputs = list(application.inputs[:count])
        given = [masks.get(tensor) for tensor in inputs]
        usual = [masks.get(tensor) for tensor in application.outputs]
        try:
            answer: Any = node.layer.compute_mask(_nest.simplify(inputs), _nest.simplify(given))
        except Exception as error:
            what = f"{_expected(found)} (it raised {type(error).__name__}: {error})"
            if node.body is None or None in usual:
                raise TypeError(what) from error
            warn(f"{what}. The output has the mask that comes from the layers of {node.layer.label}")
            continue
        answers = [*_nest.flatten(answer), *([None] * len(usual))]
        for said, follows in zip(answers, usual, strict=False):
            may_be_none = said is None and (node.body is not None or follows is None)
            if not may_be_none and not (isinstance(said, SymbolicMask) and said == follows):
                raise TypeError(_expected(found))


def _expected(found: type) -> str:
    return (
        f"`compute_mask` of {found.__name__}: expected None, or the mask as it was given where all layers hand it on, "
        "for masks follow foliot's layers and nothing is computed of them in Python; leave the method out, pass "
        "`mask=` to the layers that are to have one, or end a mask with ZeroPadding1D(0) behind the layer"
    )
