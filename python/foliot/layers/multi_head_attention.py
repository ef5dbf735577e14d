"""Attention of several heads: a composite of projections and of attention by heads."""

import math
from collections.abc import Sequence
from typing import Any

from foliot._checks import check_flag, check_integer, check_number, check_off, value_error
from foliot._graph import Graph, Node, Shape, SymbolicTensor
from foliot.layers.attention import ROLES, BaseAttention, apply_to_tensors, by_role, call_options, check_shapes
from foliot.layers.base import BUILDING, Layer, set_weight_options
from foliot.layers.input import InputLayer


class Projection(Layer):
    """A `Dense` with a kernel of three axes: `(features, heads, size)` or, for the way out, `(heads, size, units)`."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    passes_mask = True

    def __init__(
        self, owner: Layer, heads: tuple[int, int], units: int | None, options: dict[str, Any], name: str
    ) -> None:
        super().__init__(name=name, activity_regularizer=options["activity_regularizer"])
        self.owner = owner
        self.use_bias: bool = options["use_bias"]
        self.heads = heads
        #: None while it is not known for the way out; the way in has as many units as all heads together.
        self.units = units
        self.is_entrance = units is not None
        for suffix in ("initializer", "regularizer", "constraint"):
            for weight in ("kernel", "bias"):
                setattr(self, f"{weight}_{suffix}", options[f"{weight}_{suffix}"])

    def _build(self, input_shape: Shape) -> None:
        features, units = input_shape[-1], self.units
        if features is None or units is None:
            raise ValueError(
                f"`{self._argument()}`: expected a known number of features (last axis) for {self.owner.label}; "
                f"received {input_shape}"
            )
        self.features = features
        self.kernel = self._add_weight(
            "kernel", (features, *self.heads) if self.is_entrance else (*self.heads, units), "kernel"
        )
        if self.use_bias:
            self.bias = self._add_weight("bias", self.heads if self.is_entrance else (units,), "bias")

    def _argument(self) -> str:
        """What the user gave, for messages."""
        return {"key": "key, or the value without one", "attention_output": "query"}.get(self.name, self.name)

    @property
    def native_name(self) -> str:
        return f"{self.owner.name}/{self.name}"

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.built and shape[-1] != self.features:
            raise ValueError(
                f"`{self._argument()}`: expected {self.features} features in the last axis, for which "
                f"{self.owner.label} was built; received {shape}"
            )

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        return [(*input_shape[:-1], self.units)]

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "dense",
            "units": self.units,
            "activation": {"kind": "linear"},
            "use_bias": self.use_bias,
            "axes": {"units" if self.is_entrance else "features": list(self.heads)},
        }


class _Heads(BaseAttention):
    """Attention by heads, of tensors `(batch, time, heads * size)`."""

    score = "dot"

    def __init__(self, owner: "MultiHeadAttention", dropout: float, seed: int | None, name: str) -> None:
        super().__init__(name=name)
        self.owner = owner
        self.num_heads, self.key_dim, self.sliding_window = owner.num_heads, owner.key_dim, owner.sliding_window
        self._set_dropout(dropout, seed)

    @property
    def native_name(self) -> str:
        return self.owner.name

    def build(self, input_shape: Any) -> None:
        """Does nothing: there are no weights."""
        self.built = True

    def _shape_of_scores(self, shape: Shape) -> Shape:
        return (shape[0], self.num_heads, *shape[1:])

    def to_spec(
        self,
        roles: Sequence[str] = ("query", "value"),
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> dict[str, Any]:
        # Keras has two ways to compute this, and they differ where a query sees no key.
        zero = return_attention_scores or self.dropout > 0
        return super().to_spec(roles, use_causal_mask, return_attention_scores) | {
            "masked_scores": "zero" if zero else "uniform",
            "heads": self.num_heads,
            "factor": 1 / math.sqrt(self.key_dim),
            "sliding_window": self.sliding_window,
        }


class MultiHeadAttention(Layer):
    """Scaled dot-product attention of several heads (Vaswani et al., "Attention Is All You Need", 2017).

    Each head projects query, key and value, attends with `softmax(query · keyᵀ / sqrt(key_dim)) · value`, and the
    results of all heads are projected together. A masked key is not seen; a masked query sees nothing. Where a query
    sees no key, Keras's result depends on what is asked for, and so does this one: without dropout and scores it is the
    mean of all values, otherwise 0 (each through the last projection). Other than in Keras 3, which takes the masks off
    the tensors that this layer reads, later layers still see them.

    Args:
        num_heads: The number of heads.
        key_dim: Size of a head's queries and keys.
        value_dim: Size of a head's values; None is `key_dim`.
        dropout: Part of the weights to drop in training.
        use_bias: Whether the projections add biases.
        output_shape: Size of the output's last axis, or a tuple of it; None is that of the query.
        attention_axes: None or 1, the time axis.
        sliding_window: Let a query see the keys that are fewer steps away than this; None for all.
        flash_attention: Must be None or False.
        kernel_initializer: Initial values of the kernels.
        bias_initializer: Initial values of the biases.
        kernel_regularizer: Penalty on each kernel.
        bias_regularizer: Penalty on each bias.
        activity_regularizer: Penalty on the output of each projection.
        kernel_constraint: Applied to each kernel after each training step.
        bias_constraint: Applied to each bias after each training step.
        use_gate: Must be False.
        seed: Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`.

    The weights are, in this order, the kernel and the bias of the query, of the key, of the value, all `(features,
    num_heads, size)` and `(num_heads, size)`, and of the output, `(num_heads, value_dim, units)` and `(units,)`.

    Call arguments:
        query: `(batch, queries, features)`.
        value: `(batch, keys, features)`.
        key: `(batch, keys, features)`; None is the value.
        query_mask: `(batch, queries)`, False at padding; likewise `value_mask` and `key_mask`, `(batch, keys)`. In a
            model masks come along by themselves.
        attention_mask: `(batch, queries, keys)`, 0 or False where a query does not see a key. Arrays may lack the batch
            axis.
        return_attention_scores: Return the weights, too.
        training: True to apply dropout.
        use_causal_mask: Let a query see the keys up to its own time step only.

    Returns:
        `(batch, queries, units)`; with `return_attention_scores` a tuple of it and of the weights `(batch, num_heads,
        queries, keys)`.

    Raises:
        ValueError: An option is not one of those above, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import MultiHeadAttention
        >>> x = np.ones((2, 5, 8))
        >>> MultiHeadAttention(num_heads=2, key_dim=4)(x, x, use_causal_mask=True).shape
        (2, 5, 8)
    """

    axes = "(batch, time, features)"
    ranks = (3, 3)
    passes_mask = True

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        set_weight_options(self, locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads = check_integer("num_heads", num_heads, minimum=1)
        self.key_dim = check_integer("key_dim", key_dim, minimum=1)
        self.value_dim = self.key_dim if value_dim is None else check_integer("value_dim", value_dim, minimum=1)
        self.use_bias = check_flag("use_bias", use_bias)
        self.output_shape = _check_output_shape(output_shape)
        self.attention_axes = _check_axes(attention_axes)
        self.sliding_window = (
            None if sliding_window is None else check_integer("sliding_window", sliding_window, minimum=1)
        )
        if flash_attention is not None:
            check_off("flash_attention", flash_attention, False)
        check_off("use_gate", use_gate, False)
        self.flash_attention, self.use_gate = flash_attention, False
        options = {name: getattr(self, name) for name in self.argument_names() if hasattr(self, name)}
        queries, values = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim)
        # In Keras's order, which is that of the weights.
        self._query_dense = Projection(self, queries, math.prod(queries), options, "query")
        self._key_dense = Projection(self, queries, math.prod(queries), options, "key")
        self._value_dense = Projection(self, values, math.prod(values), options, "value")
        self._heads = _Heads(self, dropout, seed, "heads")
        self._output_dense = Projection(self, values, None, options, "attention_output")
        self.seed = seed
        if not self.trainable:
            self.trainable = False  # of the inner layers too

    @property
    def dropout(self) -> float:
        """The part of the weights that training drops."""
        return self._heads.dropout

    @dropout.setter
    def dropout(self, value: float) -> None:
        self._heads.dropout = check_number("dropout", value, minimum=0, maximum=1)

    @property
    def query_dense(self) -> Layer:
        """The projection of the queries."""
        return self._query_dense

    @property
    def key_dense(self) -> Layer:
        """The projection of the keys."""
        return self._key_dense

    @property
    def value_dense(self) -> Layer:
        """The projection of the values."""
        return self._value_dense

    @property
    def output_dense(self) -> Layer:
        """The projection of the results of all heads."""
        return self._output_dense

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Creates the weights for inputs of the given shapes, batch axis first; the value's default is the query's."""
        query = tuple(query_shape)
        value = query if value_shape is None else tuple(value_shape)
        key = value if key_shape is None else tuple(key_shape)
        check_shapes(self, {"query": query, "value": value, "key": key})
        with BUILDING:
            if self.built:
                return
            units = query[-1] if self.output_shape is None else self.output_shape[0]
            self._output_dense.units = units
            self._query_dense.build(query)
            self._key_dense.build(key)
            self._value_dense.build(value)
            self._output_dense.build((*query[:2], self.num_heads * self.value_dim))
            self.built = True
            if self._initial_weights is not None:
                self.set_weights(self._initial_weights)
                self._initial_weights = None

    def call(
        self,
        query: SymbolicTensor,
        value: SymbolicTensor,
        key: SymbolicTensor | None = None,
        attention_mask: SymbolicTensor | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> list[SymbolicTensor]:
        """The layers that this one is made of; `__call__` is what scripts use."""
        keys = self._key_dense(value if key is None else key)
        inputs = [self._query_dense(query), self._value_dense(value), keys]
        if attention_mask is not None:
            inputs.append(attention_mask)
        roles = ROLES[: len(inputs)]
        attended, *scores = self._heads.connect(inputs, **call_options(roles, use_causal_mask, return_attention_scores))
        return [self._output_dense(attended), *scores]

    def __call__(  # type: ignore[override]  # these are Keras's arguments
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attends; see the class."""
        self.check_begun()
        given = {"query": query, "value": value, "key": key, "attention_mask": attention_mask}
        masks = {"query": query_mask, "value": value_mask, "key": key_mask}
        roles = [role for role, tensor in given.items() if tensor is not None or role in ROLES[:2]]
        if key is None and key_mask is not None:
            raise value_error("key_mask", "None where there is no key", key_mask)
        options = call_options(roles, use_causal_mask, return_attention_scores)
        tensors = [given[role] for role in roles]
        return apply_to_tensors(self, tensors, [masks.get(role) for role in roles], training, options)

    def connect(
        self, inputs: Sequence[SymbolicTensor], training: bool | None = None, **options: Any
    ) -> tuple[SymbolicTensor, ...]:
        """Applies the layer to symbolic tensors; `options` are those of `call_options`."""
        roles = options.get("roles")
        given = by_role(self, roles, [tensor.shape for tensor in inputs])
        check_shapes(self, given)
        self.build(*(given.get(role) for role in ROLES[:3]))
        inner = [InputLayer(batch_shape=shape, name=f"{self.name}_{role}").output for role, shape in given.items()]
        flags: dict[str, Any] = {name: value for name, value in options.items() if name != "roles"}
        outputs = self.call(**flags, **dict[str, Any](zip(given, inner, strict=True)))
        body = Graph(inner, outputs)
        return self.record(Node(self, inputs, [tensor.shape for tensor in outputs], training, body, options))

    def compute_output_shape(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> Any:
        """The output's shape for a query (and a value and a key) of the given shapes."""
        query = tuple(query_shape)
        value = query if value_shape is None else tuple(value_shape)
        shapes = {"query": query, "value": value, "key": value if key_shape is None else tuple(key_shape)}
        check_shapes(self, shapes)
        return (*query[:2], query[2] if self.output_shape is None else self.output_shape[0])


def _check_output_shape(value: Any) -> tuple[int] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            expected = "None, an integer or a tuple of one, for an output (batch, time, features)"
            raise value_error("output_shape", expected, value)
        value = value[0]
    return (check_integer("output_shape", value, minimum=1),)


def _check_axes(value: Any) -> tuple[int, ...] | None:
    """The time axis of (batch, time, features), by itself or in a list; Keras counts -2 as it, too."""
    if value is None:
        return None
    axes = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if [check_integer("attention_axes", axis) for axis in axes] not in ([1], [-2]):
        raise value_error("attention_axes", "None or 1, the time axis of inputs (batch, time, features)", value)
    return axes
