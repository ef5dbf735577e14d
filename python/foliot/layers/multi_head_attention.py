"""Attention of several heads, with keys and values for each or for groups of them."""

from typing import Any

from foliot._checks import check_flag, check_integer, check_off, value_error
from foliot._graph import Shape
from foliot.layers.heads import ManyHeads
from foliot.layers.weights import set_weight_options


class MultiHeadAttention(ManyHeads):
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
        use_gate: Multiply the heads' results with `sigmoid(query · kernel + bias)` before the last projection.
        seed: Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`.

    The weights are, in this order, the kernel and the bias of the query, of the key, of the gate where there is one, of
    the value, all `(features, num_heads, size)` and `(num_heads, size)`, and of the output, `(num_heads, value_dim,
    units)` and `(units,)`.

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
        self.flash_attention, self.use_gate = flash_attention, check_flag("use_gate", use_gate)
        queries, values = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim)
        self._make_heads(queries, queries, values, dropout, seed)

    def _units(self, query: Shape) -> int | None:
        return query[-1] if self.output_shape is None else self.output_shape[0]


class GroupedQueryAttention(ManyHeads):
    """Attention of several heads that share keys and values in groups (Ainslie et al., 2023).

    As `MultiHeadAttention`, but with fewer heads of keys and values than of queries: the first `num_query_heads /
    num_key_value_heads` heads of queries look at the first one of keys and values, and so on. One head of keys and
    values is multi-query attention. Keras exports it as `GroupQueryAttention`.

    Args:
        head_dim: Size of each head.
        num_query_heads: The number of heads of queries.
        num_key_value_heads: The number of heads of keys and values, by which that of queries can be divided.
        dropout: Part of the weights to drop in training.
        use_bias: Whether the projections add biases.
        sliding_window: Let a query see the keys that are fewer steps away than this; None for all.
        flash_attention: Must be None or False.
        kernel_initializer: Initial values of the kernels.
        bias_initializer: Initial values of the biases.
        kernel_regularizer: Penalty on each kernel.
        bias_regularizer: Penalty on each bias.
        activity_regularizer: Penalty on the output of each projection.
        kernel_constraint: Applied to each kernel after each training step.
        bias_constraint: Applied to each bias after each training step.
        use_gate: Multiply the heads' results with `sigmoid(query · kernel + bias)` before the last projection.
        seed: Seed of the dropout; None draws one.
        **kwargs: `name`, `trainable`, `dtype`.

    Call arguments:
        query: `(batch, queries, features)`.
        value: `(batch, keys, features)`.
        key: `(batch, keys, features)`; None is the value.
        query_mask: As of `MultiHeadAttention`, like all that follow.
        attention_mask: `(batch, queries, keys)`, 0 or False where a query does not see a key.
        return_attention_scores: Return the weights, too.
        training: True to apply dropout.
        use_causal_mask: Let a query see the keys up to its own time step only.

    Returns:
        `(batch, queries, features)`, with as many features as the query has; with `return_attention_scores` a tuple of
        it and of the weights `(batch, num_query_heads, queries, keys)`.

    Raises:
        ValueError: An option is not one of those above, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from foliot.layers import GroupQueryAttention
        >>> x = np.ones((2, 5, 8))
        >>> GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)(x, x).shape
        (2, 5, 8)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        self.head_dim = check_integer("head_dim", head_dim, minimum=1)
        self.num_query_heads = check_integer("num_query_heads", num_query_heads, minimum=1)
        self.num_key_value_heads = check_integer("num_key_value_heads", num_key_value_heads, minimum=1)
        if self.num_query_heads % self.num_key_value_heads:
            expected = f"a divisor of the {self.num_query_heads} heads of queries"
            raise value_error("num_key_value_heads", expected, num_key_value_heads)
        self.use_bias = check_flag("use_bias", use_bias)
        self.sliding_window = (
            None if sliding_window is None else check_integer("sliding_window", sliding_window, minimum=1)
        )
        if flash_attention is not None:
            check_off("flash_attention", flash_attention, False)
        self.flash_attention, self.use_gate = flash_attention, check_flag("use_gate", use_gate)
        shared = (self.num_key_value_heads, self.head_dim)
        self._make_heads((self.num_query_heads, self.head_dim), shared, shared, dropout, seed)


#: Keras's name for it.
GroupQueryAttention = GroupedQueryAttention


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
