"""Classes of the user's that are made of layers: their `call` runs once, on symbolic tensors, and leaves a graph."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from foliot import _arrays, _nest
from foliot._custom import is_ours
from foliot._graph import Graph, Node, Shape, SymbolicTensor, assemble
from foliot.layers.arguments import check_shape
from foliot.layers.base import BUILDING, PHASE, Layer, drops, has_symbolic, unrecorded
from foliot.layers.input import InputLayer
from foliot.layers.preprocessing.strings import holds_texts, to_texts


def call_traced(layer: Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any], training: bool | None) -> Any:
    """The answer of a layer with a `call` of its own: to symbolic tensors as one node of a model, to arrays at once."""
    arguments = [list(args), dict(kwargs)]
    if not has_symbolic(arguments):
        return _run(layer, arguments, drops(training))
    leaves = _nest.flatten(arguments)
    tensors = list(dict.fromkeys(leaf for leaf in leaves if isinstance(leaf, SymbolicTensor)))
    body, outputs = _trace(layer, arguments, tensors, layer.mode_in_model(training))
    node = Node(layer, tensors, [tensor.shape for tensor in body.outputs], layer.mode_in_model(training), body)
    return _nest.pack(outputs, layer.record(node))


def trace(layer: Layer, arguments: Any, training: bool | None = None) -> Any:
    """What the layer's `call` returns for symbolic arguments, checked to be symbolic tensors only."""
    args, kwargs = arguments
    with BUILDING:
        _own_build(layer, args)
        options = _training_option(layer, training)
        try:
            outputs = type(layer).call(layer, *args, **kwargs, **options)  # type: ignore[attr-defined]
        except AttributeError as error:
            if str(error) != "'super' object has no attribute 'call'":
                raise
            base = next(cls for cls in type(layer).__mro__ if is_ours(cls))
            raise TypeError(
                f"`call` of {layer.label}: expected no super().call(...), for what {base.__name__} computes runs in "
                f"Rust; derive the class from Layer or Model, keep the {base.__name__} as an attribute and apply that"
            ) from error
        layer.built = True
    _nest.check_keys(f"call of {layer.label}", outputs)
    for leaf in _nest.flatten(outputs):
        if not isinstance(leaf, SymbolicTensor):
            raise TypeError(
                f"`call` of {layer.label}: expected it to return what its layers returned, a tensor or a list or dict "
                f"of tensors; received {type(leaf).__name__}"
            )
    return outputs


def _own_build(layer: Layer, args: Sequence[Any]) -> None:
    """Calls the `build` that the user's class has, once, before `call`: it may make layers for the input's shape."""
    own = next(cls for cls in type(layer).__mro__ if "build" in vars(cls))
    if layer.built or layer._in_own_build or own.__module__.split(".")[0] == "foliot":  # noqa: SLF001 - one piece
        return
    shapes: Any = _nest.transform(args[0], lambda leaf: leaf.shape) if args else None
    layer._in_own_build = True  # noqa: SLF001
    try:
        layer.build(shapes)
    finally:
        layer._in_own_build = False  # noqa: SLF001


def build_traced(layer: Layer, input_shape: Any) -> None:
    """Creates the weights of the layers that `call` meets for an input of the given shape, or a nest of such shapes."""
    _traced(layer, input_shape)


def traced_shapes(layer: Layer, input_shape: Any) -> Any:
    """The shapes of what `call` returns for an input of the given shape, or a nest of such shapes, in its form."""
    return _nest.transform(_traced(layer, input_shape), lambda tensor: tensor.shape)


def _traced(layer: Layer, input_shape: Any) -> Any:
    form, shapes = split_shapes("input_shape", input_shape)
    tensors = [InputLayer(batch_shape=shape, name=f"input_{position}").output for position, shape in enumerate(shapes)]
    with unrecorded():
        return trace(layer, [[_nest.pack(form, tensors)], {}])


def split_shapes(argument: str, shapes: Any) -> tuple[Any, list[Shape]]:
    """A nest of shapes as a nest of None and the shapes; a list of integers and None is a shape."""
    if isinstance(shapes, Mapping):
        parts = {key: split_shapes(argument, shapes[key]) for key in sorted(shapes)}
        return {key: form for key, (form, _) in parts.items()}, [shape for _, some in parts.values() for shape in some]
    if isinstance(shapes, (list, tuple)) and any(isinstance(item, (list, tuple, Mapping)) for item in shapes):
        several = [split_shapes(argument, item) for item in shapes]
        return [form for form, _ in several], [shape for _, some in several for shape in some]
    return None, [check_shape(argument, shapes)]


def _trace(layer: Layer, arguments: Any, tensors: list[SymbolicTensor], training: bool | None) -> tuple[Graph, Any]:
    """The graph of one `call`, with inputs of its own in the place of the tensors, and the form of its outputs."""
    inner = {
        tensor: InputLayer.like(tensor, f"{layer.name}_input_{position}").output
        for position, tensor in enumerate(tensors)
    }
    replaced = _nest.transform(arguments, lambda leaf: inner[leaf] if isinstance(leaf, SymbolicTensor) else leaf)
    outputs = trace(layer, replaced, training)
    leading = len({leaf for leaf in _nest.flatten(arguments[0][:1]) if isinstance(leaf, SymbolicTensor)})
    return Graph(list(inner.values()), _nest.flatten(outputs), leading), outputs


def _training_option(layer: Layer, training: bool | None) -> dict[str, Any]:
    parameters = inspect.signature(type(layer).call).parameters.values()  # type: ignore[attr-defined]
    takes = any(option.name == "training" or option.kind is inspect.Parameter.VAR_KEYWORD for option in parameters)
    return {"training": PHASE if training is None else training} if takes else {}


def is_array(value: Any) -> bool:
    """Whether an argument of a call on arrays is one: an array of any library, or a list of numbers."""
    if isinstance(value, (list, tuple)):
        return not any(hasattr(item, "__array__") for item in _nest.flatten(value))
    return hasattr(value, "__array__")


def form_of(value: Any) -> Any:
    """A nest of None where arrays are, by which `_nest.match` takes arguments apart: a list of numbers is an array."""
    if isinstance(value, Mapping):
        return {key: form_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_array(value):
        items = [form_of(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return None


def _run(layer: Layer, arguments: Any, training: bool) -> Any:
    """The answer to arrays: a program of this layer alone, kept for the next call of the same shape."""
    form = form_of(arguments)
    leaves = [value for _, value in _nest.match("inputs", arguments, form, [layer.name] * len(_nest.flatten(form)))]
    texts = [is_array(leaf) and holds_texts(leaf) for leaf in leaves]
    arrays = [
        (to_texts("inputs", leaf) if text else _arrays.numeric("inputs", leaf)) if is_array(leaf) else None
        for leaf, text in zip(leaves, texts, strict=True)
    ]
    tensors = [
        None
        if array is None
        else InputLayer(batch_shape=array.shape, dtype="string" if text else None, name=f"input_{position}").output
        for position, (array, text) in enumerate(zip(arrays, texts, strict=True))
    ]
    with unrecorded():
        outputs = trace(
            layer,
            _nest.pack(
                form, [leaf if tensor is None else tensor for leaf, tensor in zip(leaves, tensors, strict=True)]
            ),
        )
    assembly = assemble([tensor for tensor in tensors if tensor is not None], _nest.flatten(outputs))
    given = [array for array in arrays if array is not None]
    converted = []
    for entrance in assembly.entrances:
        array = given[entrance.position]
        if entrance.layer is not None:
            array, _ = entrance.layer.numbers("inputs", array)
        converted.append(_arrays.convert("inputs", array, entrance.dtype))
    results = layer.run_alone(assembly.identity(), lambda: assembly, converted, [None] * len(converted), training)
    return _nest.pack(outputs, results)
