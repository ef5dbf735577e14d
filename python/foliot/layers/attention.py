"""Attention with scores of whole queries and keys: what all attention layers share, and Luong's and Bahdanau's."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from foliot import _arrays, initializers
from foliot._arrays import Array
from foliot._checks import check_choice, check_flag, check_number, value_error
from foliot._graph import Node, Shape, SymbolicTensor, assemble
from foliot._masks import SymbolicMask
from foliot.layers.arguments import Seed
from foliot.layers.base import Layer, drops, has_symbolic, unrecorded

#: What an attention layer may read, in this order.
ROLES = ("query", "value", "key", "attention_mask")


def call_options(roles: Sequence[str], use_causal_mask: Any, return_attention_scores: Any) -> dict[str, Any]:
    """What a call says beside its tensors, as its node keeps it: what the tensors are, and the flags that are set."""
    flags = {"use_causal_mask": use_causal_mask, "return_attention_scores": return_attention_scores}
    return {"roles": list(roles)} | {name: True for name, value in flags.items() if check_flag(name, value)}


def by_role(layer: Layer, roles: Any, items: Sequence[Any]) -> dict[str, Any]:
    """The tensors of a call, or their shapes, by what they are."""
    known = isinstance(roles, (list, tuple)) and list(roles) == [role for role in ROLES if role in roles]
    if not known or len(roles) != len(items) or list(roles[:2]) != ["query", "value"]:
        raise value_error("roles", f"{', '.join(ROLES)} as far as they are given to {layer.label}", roles)
    return dict(zip(roles, items, strict=True))


def check_shapes(layer: Layer, shapes: Mapping[str, Shape]) -> None:
    """Refuses a query, a value, a key and a mask that do not fit one another."""

    def misfit(what: str) -> ValueError:
        listed = ", ".join(f"{role} {shape}" for role, shape in shapes.items())
        return ValueError(f"`inputs`: expected {what} for {layer.label}; received {listed}")

    def differ(*sizes: int | None) -> bool:
        return len({size for size in sizes if size is not None}) > 1

    for role, shape in shapes.items():
        if len(shape) != 3:
            raise misfit("(batch, queries, keys) as attention_mask" if role == ROLES[3] else "(batch, time, features)")
    query, value = shapes["query"], shapes["value"]
    key, mask = shapes.get("key", value), shapes.get("attention_mask", (query[0], query[1], value[1]))
    if differ(*(shape[0] for shape in shapes.values())):
        raise misfit("one batch size")
    if differ(value[1], key[1]):
        raise misfit("a value and a key of the same length")
    if differ(query[1], mask[1]) or differ(key[1], mask[2]):
        raise misfit("an attention_mask of shape (batch, queries, keys)")


def apply_to_tensors(
    layer: Layer, inputs: Sequence[Any], masks: Sequence[Any], training: bool | None, options: Mapping[str, Any]
) -> Any:
    """The answer of an attention layer: to symbolic tensors as a node of a model, to arrays at once."""
    if not has_symbolic(list(inputs)):
        results: Sequence[Any] = _run(layer, inputs, masks, drops(training), options)
    elif all(isinstance(value, SymbolicTensor) for value in inputs):
        for tensor, mask in zip(inputs, masks, strict=True):
            if mask is not None and not (isinstance(mask, SymbolicMask) and mask == tensor.mask()):
                expected = "None or, in a model, the mask that the input carries: Embedding(mask_zero=True) makes it"
                raise value_error("mask", expected, mask)
        results = layer.connect(inputs, layer.mode_in_model(training), **options)
    else:
        raise TypeError(f"{layer.name!r} was called on a mixture of arrays and symbolic tensors")
    return results[0] if len(results) == 1 else tuple(results)


def _run(
    layer: Layer, inputs: Sequence[Any], masks: Sequence[Any], training: bool, options: Mapping[str, Any]
) -> list[Array]:
    from foliot.layers.input import InputLayer

    roles = options["roles"]
    arrays = [
        _arrays.convert(role, _arrays.numeric(role, value), "float32")
        for role, value in zip(roles, inputs, strict=True)
    ]
    if roles[-1] == "attention_mask":
        arrays[-1] = _whole_mask(arrays)
    flags = [
        None if mask is None else _arrays.mask(f"{role}_mask", mask, array.shape[:2])
        for role, mask, array in zip(roles, masks, arrays, strict=True)
    ]
    tensors = [InputLayer(batch_shape=array.shape, name=role).output for role, array in zip(roles, arrays, strict=True)]
    with unrecorded():
        outputs = layer.connect(tensors, None, **options)
    assembly = assemble(tensors, outputs, [mask is not None for mask in flags])
    return layer.run_alone(assembly.identity(), lambda: assembly, arrays, flags, training)


def _whole_mask(arrays: Sequence[Array]) -> Array:
    """The mask of a call on arrays, repeated along a batch axis that is missing or 1, as in Keras."""
    mask = arrays[-1]
    shape = (arrays[0].shape[0], *arrays[0].shape[1:2], *arrays[1].shape[1:2])
    try:
        return np.ascontiguousarray(np.broadcast_to(mask, shape))
    except ValueError:
        raise value_error("attention_mask", f"the shape {shape}, (batch, queries, keys)", mask.shape) from None


class BaseAttention(Layer):
    """What the layers with one native node of attention share."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    #: How queries and keys are compared, and what becomes of masked scores: the native names.
    score: str
    masked_scores: ClassVar[str] = "lower"
    passes_mask = True

    seed = Seed()
    _seed: int
    dropout: float
    use_scale: bool = False

    def _set_dropout(self, dropout: float, seed: int | None) -> None:
        self.dropout = check_number("dropout", dropout, minimum=0, maximum=1)
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Creates the weights for a list of the inputs' shapes."""
        super().build(tuple(input_shape[0]))

    def connect(
        self, inputs: Sequence[SymbolicTensor], training: bool | None = None, **options: Any
    ) -> tuple[SymbolicTensor, ...]:
        """Applies the layer to symbolic tensors; `options` are those of `call_options`."""
        if not self.built:
            self.build([tensor.shape for tensor in inputs])
        shapes = self.infer([tensor.shape for tensor in inputs], **options)
        return self.record(Node(self, inputs, shapes, training, options=options))

    def infer(
        self,
        shapes: Sequence[Shape],
        roles: Any = ("query", "value"),
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> list[Shape]:
        given = by_role(self, roles, shapes)
        check_shapes(self, given)
        check_flag("use_causal_mask", use_causal_mask)
        query, value = given["query"], given["value"]
        key = given.get("key", value)
        if None not in (query[2], key[2]) and query[2] != key[2]:
            raise ValueError(
                f"`inputs`: expected a query and a key with as many features for {self.label}; received query {query}, "
                f"key {key}"
            )
        outputs: list[Shape] = [(query[0], query[1], value[2])]
        if check_flag("return_attention_scores", return_attention_scores):
            outputs.append(self._shape_of_scores((query[0], query[1], value[1])))
        return outputs

    def _shape_of_scores(self, shape: Shape) -> Shape:
        return shape

    def to_spec(
        self,
        roles: Sequence[str] = ("query", "value"),
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> dict[str, Any]:
        return {
            "kind": "attention",
            "score": self.score,
            "masked_scores": self.masked_scores,
            "use_scale": self.use_scale,
            "heads": 1,
            "factor": 1.0,
            "dropout": self.dropout,
            "seed": self._seed,
            "use_causal_mask": use_causal_mask,
            "sliding_window": None,
            "return_attention_scores": return_attention_scores,
            "has_key": "key" in roles,
            "has_mask": "attention_mask" in roles,
        }

    def to_inference_spec(self, **options: Any) -> dict[str, Any]:
        return self.to_spec(**options) | {"dropout": 0.0}

    def seeds(self) -> dict[str, int]:
        return {"dropout": self._seed}

    def set_seeds(self, seeds: Mapping[str, int]) -> None:
        self._seed = seeds["dropout"]


class Attention(BaseAttention):
    """Dot-product attention (Luong et al. 2015): `softmax(query · keyᵀ) · value`.

    A score whose key is masked, or to come under `use_causal_mask`, becomes 1e9 less. Where the query is masked the
    output is 0. As in Keras, where all keys of a query are masked they count nearly alike, and a mask of keys that are
    not the values is not looked at: give the values one.

    Args:
        use_scale: Multiply the scores with a learned number, `scale`.
        score_mode: `'dot'`, or `'concat'` for `concat_score_weight * sum(tanh(scale * (query + key)))`.
        dropout: Part of the weights to drop in training.
        seed: Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`.

    Call arguments:
        inputs: A list of the query `(batch, queries, features)`, the value `(batch, keys, size)` and, if it is not
            the value, the key `(batch, keys, features)`.
        mask: A list of the query's and the value's mask, each `(batch, time)`. In a model masks come along by
            themselves.
        training: True to apply dropout.
        return_attention_scores: Return the weights, too.
        use_causal_mask: Let a query see the keys up to its own time step only.

    Returns:
        `(batch, queries, size)`; with `return_attention_scores` a tuple of it and of the weights `(batch, queries,
        keys)`.

    Raises:
        ValueError: The inputs are no list of two or three, or their shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import Attention
        >>> Attention()([np.ones((2, 4, 8)), np.ones((2, 5, 8))]).shape
        (2, 4, 8)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = check_flag("use_scale", use_scale)
        self.score_mode = self.score = check_choice("score_mode", score_mode, ("dot", "concat"))
        self._set_dropout(dropout, seed)

    def build(self, input_shape: Any) -> None:
        """Creates the weights for a list of the shapes of query, value and key."""
        shapes = self._list("input_shape", input_shape)
        self.infer(shapes, ROLES[: len(shapes)])
        super().build(shapes)

    def _build(self, input_shape: Shape) -> None:
        if self.use_scale:
            self.scale = self._add_weight("scale", (), "scale", initializers.Ones())
        if self.score_mode == "concat":
            self.concat_score_weight = self._add_weight("concat_score_weight", (), "scale", initializers.Ones())

    def _list(self, argument: str, value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= 3:
            raise value_error(argument, f"a list [query, value] or [query, value, key] for {self.label}", value)
        return list(value)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for a list of the inputs' shapes."""
        shapes = [tuple(shape) for shape in self._list("input_shape", input_shape)]
        return self.infer(shapes, ROLES[: len(shapes)])[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, which is that of the query."""
        return None if mask is None else self._list("mask", mask)[0]

    def __call__(  # type: ignore[override]  # these are Keras's arguments
        self,
        inputs: Any,
        /,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attends; see the class."""
        self.check_begun()
        given = self._list("inputs", inputs)
        masks = [None] * len(given) if mask is None else self._list("mask", mask)
        masks = [*masks, None][: len(given)]
        options = call_options(ROLES[: len(given)], use_causal_mask, return_attention_scores)
        return apply_to_tensors(self, given, masks, training, options)


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau et al. 2015): weights from `sum(scale * tanh(query + key))`.

    Masks mean what they mean in `Attention`.

    Args:
        use_scale: Multiply with learned numbers, `scale` of shape `(features,)`, before the sum.
        dropout: Part of the weights to drop in training.
        seed: Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`.

    Call arguments:
        inputs: A list of the query `(batch, queries, features)`, the value `(batch, keys, size)` and, if it is not
            the value, the key `(batch, keys, features)`.
        mask: A list of the query's and the value's mask, each `(batch, time)`. In a model masks come along by
            themselves.
        training: True to apply dropout.
        return_attention_scores: Return the weights, too.
        use_causal_mask: Let a query see the keys up to its own time step only.

    Returns:
        As `Attention`.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import AdditiveAttention
        >>> AdditiveAttention()([np.ones((2, 4, 8)), np.ones((2, 5, 8))]).shape
        (2, 4, 8)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)
        self.score = "additive"

    def _build(self, input_shape: Shape) -> None:
        if not self.use_scale:
            return
        if input_shape[-1] is None:
            raise ValueError(f"{self.label} needs a known number of features (last axis); received {input_shape}")
        self.scale = self._add_weight("scale", (input_shape[-1],), "scale", initializers.GlorotUniform())

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built and self.use_scale:
            self._check_features(shape, self.scale.shape[0])

    def infer(self, shapes: Sequence[Shape], *args: Any, **options: Any) -> list[Shape]:
        outputs = super().infer(shapes, *args, **options)
        self.check_input(shapes[0])
        return outputs
