"""A user's own classes and functions by name, while a configuration that names them is read."""

import sys
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


def is_ours(cls: type) -> bool:
    """Whether a class belongs to foliot, and is none of the user's."""
    # The examples in docstrings define classes under a module's name, but not in it.
    module = sys.modules.get(cls.__module__)
    return cls.__module__.split(".")[0] == "foliot" and getattr(module, cls.__name__, None) is cls


def definer(cls: type, name: str) -> type | None:
    """The class of the user's whose attribute of this name `cls` has; None where it is foliot's, or nobody's."""
    found = next((base for base in cls.__mro__ if name in vars(base)), object)
    return None if found is object or is_ours(found) else found
