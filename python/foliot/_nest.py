"""Nests of lists, tuples and dicts by name, in which models take inputs and return outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from foliot._checks import type_error, value_error


def check_keys(argument: str, nest: Any) -> None:
    """Refuses a dict whose keys are no strings, anywhere in the nest."""
    if isinstance(nest, Mapping):
        for key in nest:
            if not isinstance(key, str):
                raise type_error(argument, "strings as keys of a dict", key)
    if is_nest(nest):
        for item in nest.values() if isinstance(nest, Mapping) else nest:
            check_keys(argument, item)


def flatten(nest: Any) -> list[Any]:
    """The leaves in order; those of a dict by sorted keys, as Keras takes them.

    Example:

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in flatten(nest[key])]
    if isinstance(nest, (list, tuple)):
        return [leaf for item in nest for leaf in flatten(item)]
    return [nest]


def pack(nest: Any, leaves: Sequence[Any]) -> Any:
    """A nest of the form of `nest` with other leaves, in the order of `flatten`.

    Example:

    >>> pack({"b": 0, "a": [0, (0,)]}, "xyz")
    {'b': 'z', 'a': ['x', ('y',)]}
    """
    return _pack(nest, iter(leaves))


def _pack(nest: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(nest, Mapping):
        packed = {key: _pack(nest[key], leaves) for key in sorted(nest)}
        return {key: packed[key] for key in nest}
    if isinstance(nest, (list, tuple)):
        items = [_pack(item, leaves) for item in nest]
        return tuple(items) if isinstance(nest, tuple) else items
    return next(leaves)


def transform(nest: Any, function: Callable[[Any], Any]) -> Any:
    """A nest of the same form with `function` of each leaf."""
    return pack(nest, [function(leaf) for leaf in flatten(nest)])


def is_nest(value: Any) -> bool:
    """Whether the value holds others: a list, a tuple or a dict."""
    return isinstance(value, (list, tuple, Mapping))


def simplify(nest: Any) -> Any:
    """The only item of a list or tuple of one, else the nest: what Keras's models return."""
    return nest[0] if isinstance(nest, (list, tuple)) and len(nest) == 1 else nest


def match(argument: str, value: Any, form: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """What a user passed in the form of a nest, as (name for messages, value) in the order of `flatten`.

    Args:
        argument: What messages call the whole.
        value: Values in lists (or tuples) where `form` has them, in dicts of the same keys; or one dict by `names`
            where `form` has no dict of its own.
        form: The nest.
        names: The names of the leaves.

    Raises:
        ValueError: The value has another form, a key is missing or unknown.
    """
    if isinstance(value, Mapping) and not isinstance(form, Mapping):
        if not is_nest(form) or not any(is_nest(item) for item in form):
            return _by_key(argument, value, names, dict.fromkeys(names))
        raise value_error(argument, _describe(form), value)
    if isinstance(form, Mapping):
        if isinstance(value, Mapping):
            return _by_key(argument, value, sorted(form), form)
        if list(form) != sorted(form):
            expected = f"a dict with the keys {list(form)}, whose order says nothing here"
            raise value_error(argument, expected, value)
        form = [form[key] for key in form]
    if not is_nest(form):
        return [(argument, value)]
    if not isinstance(value, (list, tuple)) or len(value) != len(form):
        received = f"{len(value)} in a {type(value).__name__}" if isinstance(value, (list, tuple)) else None
        if received is None:
            raise type_error(argument, f"a list of {_count(len(form))}, for {', '.join(names)}", value)
        raise ValueError(
            f"`{argument}`: expected a list of {_count(len(form))}, for {', '.join(names)}; received {received}"
        )
    matched: list[tuple[str, Any]] = []
    for position, (item, part) in enumerate(zip(value, form, strict=True)):
        inner = names[len(matched) : len(matched) + len(flatten(part))]
        matched += match(f"{argument}[{position}]", item, part, inner)
    return matched


def _by_key(argument: str, value: Mapping[str, Any], names: Sequence[str], form: Mapping[str, Any]) -> list[Any]:
    if set(value) != set(names):
        missing = [repr(name) for name in names if name not in value]
        unknown = sorted(repr(key) for key in value if key not in names)
        parts = [f"{what} {', '.join(which)}" for what, which in (("no", missing), ("unknown", unknown)) if which]
        raise ValueError(f"`{argument}`: expected a dict with the keys {list(names)}; received {' and '.join(parts)}")
    return [
        leaf
        for name in names
        for leaf in match(f"{argument}[{name!r}]", value[name], form[name], [name] * len(flatten(form[name])))
    ]


def _count(number: int) -> str:
    return "1 array" if number == 1 else f"{number} arrays"


def _describe(form: Any) -> str:
    return f"the form {transform(form, lambda _: '*')}"
