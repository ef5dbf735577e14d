"""Every public class and function shows what a user does with it; that the examples are true is for the doctests."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import foliot

# Commands, and programs to run, are no names that a script uses.
NOT_FOR_SCRIPTS = ("foliot.cli", "foliot.examples")


def public_modules() -> Iterator[Any]:
    """foliot and all modules in it whose path has no underscore and that say what they hold."""
    yield foliot
    for found in pkgutil.walk_packages(foliot.__path__, "foliot."):
        if "._" not in found.name and not found.name.startswith(NOT_FOR_SCRIPTS):
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def public_names() -> dict[str, Any]:
    """Every class and function, under the first of its public names: an alias is the same object."""
    found: dict[int, tuple[str, Any]] = {}
    for module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(id(value), (f"{module.__name__}.{name}", value))
    return dict(found.values())


NAMES = public_names()


def test_all_are_found() -> None:
    assert len(NAMES) > 250
    expected = {"foliot.Model", "foliot.layers.LSTM", "foliot.losses.get", "foliot.optimizers.schedules.CosineDecay"}
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_there_is_an_example(name: str) -> None:
    # `vars`, for a class without a docstring has its base's.
    text = NAMES[name].__doc__ if inspect.isfunction(NAMES[name]) else vars(NAMES[name]).get("__doc__")
    assert text, f"{name} has no docstring"
    assert ">>> " in text, f"the docstring of {name} has no example"
