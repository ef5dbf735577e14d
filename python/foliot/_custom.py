"""A user's own classes and functions by name, while a configuration that names them is read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from foliot._checks import type_error

_known: ContextVar[Mapping[str, Callable[..., Any]] | None] = ContextVar("custom_objects", default=None)


@contextmanager
def scope(custom_objects: Mapping[str, Callable[..., Any]] | None) -> Iterator[None]:
    """Inside, configurations may name these beside foliot's own; None adds nothing.

    Raises:
        TypeError: `custom_objects` is no dict from names to classes and functions.
    """
    if custom_objects is None:
        yield
        return
    expected = "None, or a dict from names to classes and functions"
    if not isinstance(custom_objects, Mapping):
        raise type_error("custom_objects", expected, custom_objects)
    for name, item in custom_objects.items():
        if not isinstance(name, str) or not callable(item):
            raise type_error("custom_objects", expected, {name: item})
    token = _known.set({**(_known.get() or {}), **custom_objects})
    try:
        yield
    finally:
        _known.reset(token)


def find(name: str) -> Callable[..., Any] | None:
    """The class or function that goes by a name, None if there is none."""
    return (_known.get() or {}).get(name)
