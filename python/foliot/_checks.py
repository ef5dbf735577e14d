"""Checks of what a user passes in: each error names the argument, what was expected and what was received."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NoReturn

# The largest finite float32: larger numbers would reach the core as infinity.
FLOAT32_MAX = 3.4028234663852886e38
# The smallest normal float32.
FLOAT32_MIN = 2.0**-126


def shorten(value: object) -> str:
    """The `repr` of a value, cut when long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def describe(value: object) -> str:
    """A value as error messages show it: its `repr`, cut when long, and its type where that is not plain.

    Example:

    >>> describe("relu"), describe(3), describe([1, 2])
    ("'relu'", '3 (int)', '[1, 2] (list)')
    """
    text = shorten(value)
    return text if value is None or isinstance(value, str) else f"{text} ({type(value).__name__})"


def value_error(argument: str, expected: str, received: object) -> ValueError:
    """The error for a value that cannot be used."""
    return ValueError(f"`{argument}`: expected {expected}; received {describe(received)}")


def type_error(argument: str, expected: str, received: object) -> TypeError:
    """The error for a type that cannot be used."""
    return TypeError(f"`{argument}`: expected {expected}; received {describe(received)}")


def suggest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` when a known name is close, else nothing.

    Example:

    >>> suggest("sigmoyd", ["relu", "sigmoid"])
    " (did you mean 'sigmoid'?)"
    """
    import difflib  # only an error pays for its import

    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def missing(kind: str, module: str, known: Iterable[str]) -> Callable[[str], NoReturn]:
    """A module's `__getattr__`, which says of what Keras has that it is not here.

    Example:

    >>> missing("layer", "foliot.layers", ["LSTM", "Conv1D"])("Conv2D")
    Traceback (most recent call last):
    ...
    AttributeError: foliot has no layer 'Conv2D' (did you mean 'Conv1D'?): dir(foliot.layers) lists all
    """

    def refuse(name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise AttributeError(f"foliot has no {kind} {name!r}{suggest(name, known)}: dir({module}) lists all")

    return refuse


def identifier_error(argument: str, expected: str, received: object) -> TypeError:
    """The error for something that names none of foliot's objects; for a function it says why."""
    if callable(received) and not isinstance(received, type):
        expected += ", because a function of Python's own cannot run inside a training step"
    return type_error(argument, expected, received)


def unknown_name(argument: str, name: str, known: Collection[str]) -> ValueError:
    """The error for a name that is not among the known ones."""
    listed = ", ".join(repr(known_name) for known_name in known)
    return ValueError(f"`{argument}`: expected one of {listed}; received {name!r}{suggest(name, known)}")


def unknown_keys(argument: str, keys: Iterable[str], known: Collection[str]) -> str:
    """The text for keys that are not among the known ones: the caller decides which error carries it."""
    unknown = sorted(str(key) for key in keys)
    listed = ", ".join(repr(name) for name in known) or "none"
    shown = ", ".join(f"{key!r}{suggest(key, known)}" for key in unknown)
    return f"{argument}: expected arguments among {listed}; received {shown}"


def check_number(
    argument: str,
    value: object,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a float, checked to be a finite float32 within the bounds (`above` and `below` exclude their end).

    What is above 0 must be so in float32 too, where numbers below 2^-126 are flushed to 0.

    Example:

    >>> check_number("rate", 1, minimum=0, below=1)
    Traceback (most recent call last):
    ...
    ValueError: `rate`: expected a number, at least 0 and below 1; received 1 (int)
    """
    bounds = [
        f"{words} {bound:g}"
        for words, bound in (("at least", minimum), ("at most", maximum), ("above", above), ("below", below))
        if bound is not None
    ]
    expected = f"a number, {' and '.join(bounds)}" if bounds else "a finite number"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise type_error(argument, expected, value)
    number = float(value)
    inside = (
        math.isfinite(number)
        and abs(number) <= FLOAT32_MAX
        and (minimum is None or number >= minimum)
        and (maximum is None or number <= maximum)
        and (above is None or (number > above and not 0 < number < FLOAT32_MIN))
        and (below is None or number < below)
    )
    if not inside:
        raise value_error(argument, expected, value)
    return number


def check_integer(argument: str, value: object, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """`value` as an int within the bounds; a float is refused even when whole."""
    bounds = [f"{words} {bound}" for words, bound in (("at least", minimum), ("at most", maximum)) if bound is not None]
    expected = f"an integer, {' and '.join(bounds)}" if bounds else "an integer"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise type_error(argument, expected, value)
    integer = int(value)
    if (minimum is not None and integer < minimum) or (maximum is not None and integer > maximum):
        raise value_error(argument, expected, value)
    return integer


def check_flag(argument: str, value: object) -> bool:
    """`value` as a bool; NumPy's bool passes, 0 and 1 do not."""
    # By name, because NumPy is not imported for a check: `numpy.bool` and, before NumPy 2, `numpy.bool_`.
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise type_error(argument, "True or False", value)


def check_choice(argument: str, value: object, choices: Collection[str]) -> str:
    """`value`, checked to be one of the strings."""
    if not isinstance(value, str):
        raise type_error(argument, f"one of {', '.join(repr(choice) for choice in choices)}", value)
    if value not in choices:
        raise unknown_name(argument, value, choices)
    return value


def check_text(argument: str, value: object) -> str:
    """`value`, checked to be a non-empty string."""
    if not isinstance(value, str):
        raise type_error(argument, "a string", value)
    if not value:
        raise value_error(argument, "a string that is not empty", value)
    return value


def check_path(argument: str, value: object) -> str:
    """`value`, a string or a `pathlib.Path`, as a string that is not empty."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise type_error(argument, "a path, as a string or a pathlib.Path", value)
    path = os.fsdecode(value)
    if not path:
        raise value_error(argument, "a path that is not empty", value)
    return path


def check_writable_path(argument: str, value: object) -> str:
    """`check_path`, and an extension that does not promise one of Keras's formats."""
    path = check_path(argument, value)
    extension = Path(path).suffix.lower()
    if extension in (".h5", ".hdf5", ".keras"):
        raise ValueError(
            f"`{argument}`: expected a path such as 'model.foliot', for foliot writes its own format (safetensors with "
            f"a JSON description) and not {extension}; received {path!r}"
        )
    return path


def check_off(argument: str, value: object, off: object) -> None:
    """Refuses any value but the one that leaves a feature of Keras off, for features that foliot does not have."""
    if type(value) is not type(off) or value != off:
        raise value_error(argument, f"{off!r}, because foliot does not have this feature of Keras", value)


def check_dtype(value: object) -> None:
    """Refuses any dtype but float32, in which foliot computes."""
    if value not in (None, "float32"):
        raise value_error("dtype", "None or 'float32', in which foliot computes", value)


def check_last_axis(argument: str, value: object) -> int:
    """Refuses any axis but the last."""
    if check_integer(argument, value) != -1:
        raise value_error(argument, "-1, the last axis", value)
    return -1
