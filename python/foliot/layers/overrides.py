"""Methods of Keras's classes that a class of the user's may define there, and that would never be called here."""

import functools
from typing import TYPE_CHECKING, Any

from foliot import _nest
from foliot._custom import definer, is_ours

if TYPE_CHECKING:
    from foliot._graph import Node, SymbolicTensor
    from foliot.layers.base import Layer

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


class _Given:
    """Stands for the mask of an input."""


def check_mask(layer: "Layer", node: "Node") -> None:
    """Refuses a `compute_mask` of the user's that says something else than what becomes of the mask.

    Masks follow the layers that a class is made of, as in Keras, where `compute_mask` has a say on outputs only that
    came without one.

    Raises:
        TypeError: It does.
    """
    found = definer(type(layer), "compute_mask")
    if found is None:
        return
    given = [_Given() for _ in node.inputs]
    arguments = _nest.simplify(list(node.inputs)), _nest.simplify(list(given))
    usual = _usual_mask(layer, arguments) if node.body is None else None
    try:
        answer: Any = layer.compute_mask(*arguments)
    except Exception as error:
        raise TypeError(_refusal(layer, found, node, usual, f"{type(error).__name__}: {error}")) from error
    answers = _nest.flatten(answer)
    if node.body is None:
        agrees = answers == _nest.flatten(usual)
    else:
        ends = set(node.body.inputs[:1]) if len(given) == 1 else set()
        agrees = all(
            each is None or (each in given and _comes_from(ends, tensor))
            for each, tensor in zip(
                answers * len(node.outputs) if len(answers) == 1 else answers, node.body.outputs, strict=False
            )
        )
    if not agrees:
        raise TypeError(_refusal(layer, found, node, usual, _shown(answer)))


def _usual_mask(layer: "Layer", arguments: Any) -> Any:
    """What the layer of foliot's answers from which the user's is derived."""
    own = next(base for base in type(layer).__mro__ if is_ours(base) and "compute_mask" in vars(base))
    try:
        return own.compute_mask(layer, *arguments)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - it wants an array: nothing that the user's could have returned
        return _Given()


def _shown(mask: Any) -> str:
    if isinstance(mask, _Given):
        return "the mask as it was given"
    return "None" if mask is None else type(mask).__name__


def _refusal(layer: "Layer", found: type, node: "Node", usual: Any, received: str) -> str:
    advice = "leave the method out, or pass `mask=` to the layers that are to have one"
    if node.body is not None:
        expected = "None, or the mask as it was given where all layers hand it on"
    else:
        ours = next(base for base in type(layer).__mro__ if is_ours(base)).__name__
        expected = f"what that of {ours} answers, {_shown(usual)}"
        if isinstance(usual, _Given):
            advice = "leave the method out, and where a mask is to end put ZeroPadding1D(0) behind the layer"
    return (
        f"`compute_mask` of {found.__name__}: expected {expected}; received {received}. Masks follow foliot's layers "
        f"and nothing is computed of them in Python: {advice}"
    )


def _comes_from(ends: "set[SymbolicTensor]", tensor: "SymbolicTensor") -> bool:
    """Whether the mask of a tensor is that of one of `ends`."""
    from foliot.layers.merging import Merge

    if tensor in ends:
        return True
    node = tensor.node
    if node.body is not None:
        places = dict(zip(node.body.inputs, node.inputs, strict=True))
        reached = {inner for inner, outer in places.items() if _comes_from(ends, outer)}
        return _comes_from(reached, node.body.outputs[tensor.index])
    if isinstance(node.layer, Merge):
        return all(_comes_from(ends, read) for read in node.inputs)
    return tensor.index == 0 and bool(node.layer.passes_mask and node.inputs) and _comes_from(ends, node.inputs[0])
