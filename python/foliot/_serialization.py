"""Configurations: what an object was made with, as plain data, and the way back through closed tables of classes.

A configuration is `{"class_name": ..., "config": {...}}`, as Keras writes it. Reading one can build objects of the
tables' classes only: it never imports a module or calls a function that the data name.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, ClassVar, Generic, Self, TypeVar

from foliot._checks import identifier_error, shorten, type_error, unknown_keys, unknown_name, value_error

# What Keras writes beside the two keys that matter, and the packages whose built-in classes a table stands for.
_KERAS_KEYS = ("module", "registered_name", "build_config")
_PACKAGES = ("foliot", "keras", "tensorflow", "tf_keras")


def snake_case(name: str) -> str:
    """Keras's spelling of a class name as a function name.

    Example:

    >>> snake_case("GlorotUniform"), snake_case("RMSprop"), snake_case("L1L2")
    ('glorot_uniform', 'rmsprop', 'l1_l2')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@functools.cache
def _parameters(constructor: Callable[..., None]) -> tuple[inspect.Parameter, ...]:
    """The named parameters of an `__init__`, without `self`."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    listed = list(inspect.signature(constructor).parameters.values())[1:]
    return tuple(parameter for parameter in listed if parameter.kind in named)


def _checking_arguments(constructor: FunctionType) -> Callable[..., None]:
    """`constructor` with errors for unknown arguments, which list the known ones, and for two spellings of one."""
    takes_any = bool(constructor.__code__.co_flags & inspect.CO_VARKEYWORDS)

    @functools.wraps(constructor)
    def checked(self: Configurable, *args: Any, **kwargs: Any) -> None:
        # Only the outermost has the caller's arguments, and the whole object: a constructor hands its base class's on.
        outermost = type(self).__init__ is checked
        if not takes_any:
            # Here and not above: to read the signatures of all classes would be felt in `import foliot`.
            known = [parameter.name for parameter in _parameters(constructor)]
            if not kwargs.keys() <= set(known):
                raise TypeError(unknown_keys(f"{type(self).__name__}()", kwargs.keys() - set(known), known))
            if outermost:
                self._check_spellings(dict(zip(known, args, strict=False)) | kwargs)
        constructor(self, *args, **kwargs)
        if outermost:
            self._was_made()

    return checked


class Configurable:
    """An object that can say how it was made.

    A subclass keeps every argument of its constructor as an attribute of the same name; all else follows from the
    signature: `get_config`, `from_config`, `repr`, and the refusal of unknown arguments.
    """

    # Constructor arguments that are another spelling of one that is kept: they stay out of the configuration.
    _spellings: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _checking_arguments(cls.__dict__["__init__"])  # type: ignore[method-assign]

    def _was_made(self) -> None:
        """Called at the end of the constructor."""

    @classmethod
    def _check_spellings(cls, given: Mapping[str, Any]) -> None:
        for old, new in cls._spellings.items():
            if given.get(old) is not None and new in given:
                raise ValueError(
                    f"`{old}`, `{new}`: expected one of them, for they are the same argument of {cls.__name__}; "
                    f"received {old}={given[old]!r} and {new}={given[new]!r}"
                )

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        """The constructor's arguments in order, which are the keys of the configuration."""
        return tuple(parameter.name for parameter in _parameters(cls.__init__) if parameter.name not in cls._spellings)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data.

        Returns:
            A dict that `from_config` takes and `json.dumps` can write.

        Raises:
            ValueError: A class of the user's keeps an argument under no attribute of its name.
        """
        try:
            return {name: getattr(self, name) for name in self.argument_names()}
        except AttributeError as error:
            raise ValueError(
                f"{type(self).__name__}: expected a get_config that returns the constructor's arguments, or an "
                f"attribute for each of them; received neither ({error})"
            ) from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes an object from what `get_config` gave.

        Args:
            config: The constructor's arguments; those left out take their defaults.

        Returns:
            A new object.

        Raises:
            ValueError: A key is no argument of the constructor.
        """
        if not isinstance(config, Mapping):
            raise type_error("config", f"a dict of {cls.__name__}'s arguments", config)
        known = cls.argument_names()
        unknown = set(config) - set(known) - set(cls._spellings)
        # With **kwargs a class of the user's takes what its base takes, which checks it.
        hands_on = cls.__module__.split(".")[0] != "foliot" and any(
            parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in inspect.signature(cls).parameters.values()
        )
        if unknown and not hands_on:
            raise ValueError(unknown_keys(f"the config of {cls.__name__}", unknown, known))
        return cls(**config)

    def __repr__(self) -> str:
        defaults = {parameter.name: parameter.default for parameter in _parameters(type(self).__init__)}
        try:
            config = self.get_config()
        except ValueError:
            return f"<{type(self).__name__}>"
        changed = [f"{name}={shorten(value)}" for name, value in config.items() if value != defaults.get(name)]
        return f"{type(self).__name__}({', '.join(changed)})"


class Value(Configurable):
    """A `Configurable` without state: two of the same class made with the same arguments are equal."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), json.dumps(self.get_config(), sort_keys=True)))


def serialize(value: Configurable | None) -> dict[str, Any] | None:
    """The configuration of an object: its class's name and its arguments.

    Args:
        value: The object; None stays None.

    Returns:
        `{"class_name": ..., "config": {...}}`.
    """
    return None if value is None else {"class_name": type(value).__name__, "config": value.get_config()}


def split_config(argument: str, config: object) -> tuple[str, Any]:
    """The class name and the inner configuration of a serialized object, after a check of its keys.

    Args:
        argument: What an error calls it.
        config: A dict as `serialize` or Keras writes it.

    Returns:
        The class name and the value of `config` (an empty dict where there is none).

    Raises:
        TypeError: `config` is no dict.
        ValueError: A key is missing or unknown, or the class is none of Keras's or foliot's own.
    """
    expected = "a dict with 'class_name' and 'config'"
    if not isinstance(config, Mapping):
        raise type_error(argument, expected, config)
    known = ("class_name", "config", *_KERAS_KEYS)
    unknown = set(config) - set(known)
    if unknown:
        raise ValueError(unknown_keys(f"`{argument}`", unknown, known))
    name = config.get("class_name")
    if not isinstance(name, str):
        raise value_error(argument, f"{expected}, the first a string", config)
    module = config.get("module")
    if module is not None and str(module).split(".")[0] not in _PACKAGES:
        raise value_error(argument, "a class of Keras or foliot", f"{module}.{name}")
    # Keras registers classes of users under "package>name"; its own have None here.
    if config.get("registered_name") not in (None, name):
        raise value_error(argument, "a class of Keras or foliot", config["registered_name"])
    return name, config.get("config", {})


T = TypeVar("T", bound=Configurable)


class Registry(Generic[T]):
    """A closed table of classes by name, and the ways to come from an identifier to an object of one of them.

    A class is found under its own name and under Keras's snake-case spelling of it, in any case of letters.

    Args:
        argument: What errors call an identifier that no caller named: "loss", "optimizer", ...
        base: The class that all have in common.
        classes: The classes.
        aliases: Further names.
    """

    def __init__(
        self, argument: str, base: type[T], classes: Iterable[type[T]], aliases: Mapping[str, type[T]] | None = None
    ) -> None:
        self.argument = argument
        self.base = base
        self.classes: tuple[type[T], ...] = tuple(classes)
        self._by_name: dict[str, type[T]] = {}
        listed: list[str] = []
        for cls in self.classes:
            self._by_name[cls.__name__.lower()] = cls
            self._by_name[snake_case(cls.__name__)] = cls
            listed.append(snake_case(cls.__name__))
        for name, cls in (aliases or {}).items():
            self._by_name[name.lower()] = cls
            listed.append(name)
        # As errors list them: the class names are left out, for they say the same twice.
        self.names: tuple[str, ...] = tuple(dict.fromkeys(sorted(listed)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def find(self, name: str, argument: str | None = None) -> type[T]:
        """The class of a name.

        Raises:
            ValueError: The name is unknown; the text lists the known ones.
        """
        cls = self._by_name.get(name.lower())
        if cls is None:
            raise unknown_name(argument or self.argument, name, self.names)
        return cls

    def deserialize(self, config: object, argument: str | None = None) -> T:
        """The object of a configuration.

        Raises:
            TypeError: `config` is no dict.
            ValueError: The class or a key is unknown.
        """
        name, arguments = split_config(argument or self.argument, config)
        return self.find(name, argument).from_config(arguments)

    def get(self, identifier: object, argument: str | None = None) -> T:
        """The object that a name, a configuration, a class or an object stands for.

        Args:
            identifier: A name, a dict with "class_name" and "config", one of the classes, or an object of one.
            argument: What errors call the identifier.

        Raises:
            TypeError: The identifier is of none of these kinds.
            ValueError: The name, the class or a key is unknown.
        """
        if isinstance(identifier, str):
            return self.find(identifier, argument)()
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier, argument)
        if isinstance(identifier, type) and identifier in self.classes:
            return identifier()
        if isinstance(identifier, self.base) and type(identifier) in self.classes:
            return identifier
        raise identifier_error(
            argument or self.argument,
            f"a name ({', '.join(repr(name) for name in self.names)}), a dict with 'class_name' and 'config', "
            f"or one of foliot's {self.base.__name__} classes or an object of one",
            identifier,
        )
