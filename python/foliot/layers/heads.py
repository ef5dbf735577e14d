"""What attention of several heads is made of: projections, attention by heads, gates."""

import math
from collections.abc import Sequence
from typing import Any

from foliot._checks import check_number, value_error
from foliot._graph import Graph, Node, Shape, SymbolicTensor
from foliot.layers.attention import ROLES, BaseAttention, apply_to_tensors, by_role, call_options, check_shapes
from foliot.layers.base import BUILDING, Layer
from foliot.layers.input import InputLayer
from foliot.layers.merging import Multiply


class Projection(Layer):
    """A `Dense` with a kernel of three axes: `(features, heads, size)` or, for the way out, `(heads, size, units)`."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    passes_mask = True

    def __init__(
        self,
        owner: Layer,
        heads: tuple[int, int],
        units: int | None,
        options: dict[str, Any],
        name: str,
        activation: str = "linear",
    ) -> None:
        super().__init__(name=name, activity_regularizer=options["activity_regularizer"])
        self.owner = owner
        self.activation = activation
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
        return {"key": "key, or the value without one", "value": "value"}.get(self.name, "query")

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
            "activation": {"kind": self.activation},
            "use_bias": self.use_bias,
            "axes": {"units" if self.is_entrance else "features": list(self.heads)},
        }


class _Heads(BaseAttention):
    """Attention by heads, of tensors `(batch, time, heads * size)`."""

    score = "dot"

    def __init__(self, owner: "ManyHeads", num_heads: int, size: int, dropout: float, seed: int | None) -> None:
        super().__init__(name="heads")
        self.owner = owner
        self.num_heads, self.size, self.sliding_window = num_heads, size, owner.sliding_window
        self._set_dropout(dropout, seed)

    @property
    def native_name(self) -> str:
        return str(self.owner.name)

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
            "factor": 1 / math.sqrt(self.size),
            "sliding_window": self.sliding_window,
        }


class _Shared(Layer):
    """Each head of keys or values as often as there are heads of queries that share it."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    passes_mask = True

    def __init__(self, owner: Layer, heads: int, times: int, name: str) -> None:
        super().__init__(name=name)
        self.owner, self.heads, self.times = owner, heads, times

    @property
    def native_name(self) -> str:
        return f"{self.owner.name}/{self.name}"

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        features = input_shape[-1]
        return [(*input_shape[:-1], None if features is None else features * self.times)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "repeat_parts", "parts": self.heads, "times": self.times}


class _Gated(Multiply):
    """The product with a gate, at masked steps, too."""

    operation = "product"

    def __init__(self, owner: Layer) -> None:
        super().__init__(name=f"{owner.name}/gated")
        self.owner = owner


class ManyHeads(Layer):
    """What layers of several heads share. Each says how many heads there are, and how large."""

    axes = "(batch, time, features)"
    ranks = (3, 3)
    passes_mask = True

    use_bias: bool
    sliding_window: int | None
    use_gate: bool

    def _make_heads(
        self, queries: tuple[int, int], keys: tuple[int, int], values: tuple[int, int], dropout: float, seed: int | None
    ) -> None:
        """Makes the layers inside. Heads of queries, of keys and of values are pairs of their number and their size."""
        options = {name: getattr(self, name) for name in self.argument_names() if hasattr(self, name)}
        count, size = queries[0], values[1]
        # In Keras's order, which is that of the weights.
        self._query_dense = Projection(self, queries, math.prod(queries), options, "query")
        self._key_dense = Projection(self, keys, math.prod(keys), options, "key")
        self._gate_dense = (
            Projection(self, (count, size), count * size, options, "gate", "sigmoid") if self.use_gate else None
        )
        self._value_dense = Projection(self, values, math.prod(values), options, "value")
        self._heads = _Heads(self, count, queries[1], dropout, seed)
        self._output_dense = Projection(self, (count, size), None, options, "attention_output")
        self._attended = count * size
        times = count // keys[0]
        self._shared = [_Shared(self, keys[0], times, f"{name}s") for name in ("key", "value")] if times > 1 else []
        if not self.trainable:
            self.trainable = False  # of the inner layers too

    def _units(self, query: Shape) -> int | None:
        """The size of the output's last axis."""
        return query[-1]

    @property
    def dropout(self) -> float:
        """The part of the weights that training drops."""
        return self._heads.dropout

    @dropout.setter
    def dropout(self, value: float) -> None:
        self._heads.dropout = check_number("dropout", value, minimum=0, maximum=1)

    @property
    def seed(self) -> int | None:
        """The seed of what training drops."""
        seed: int | None = self._heads.seed
        return seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._heads.seed = value

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
            self._output_dense.units = self._units(query)
            self._query_dense.build(query)
            self._key_dense.build(key)
            if self._gate_dense is not None:
                self._gate_dense.build(query)
            self._value_dense.build(value)
            self._output_dense.build((*query[:2], self._attended))
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
        keys, values = self._key_dense(value if key is None else key), self._value_dense(value)
        if self._shared:
            keys, values = (shared(tensor) for shared, tensor in zip(self._shared, (keys, values), strict=True))
        inputs = [self._query_dense(query), values, keys]
        if attention_mask is not None:
            inputs.append(attention_mask)
        roles = ROLES[: len(inputs)]
        attended, *scores = self._heads.connect(inputs, **call_options(roles, use_causal_mask, return_attention_scores))
        if self._gate_dense is not None:
            attended = _Gated(self)([attended, self._gate_dense(query)])
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
        return (*query[:2], self._units(query))
