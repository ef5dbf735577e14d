"""What constructors of layers take: shapes, sizes, seeds and the input options of older Keras versions, checked."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from foliot import _random
from foliot._checks import check_integer, value_error
from foliot._graph import Shape

#: Keyword arguments of older Keras versions that say what the first layer's input looks like.
INPUT_OPTIONS = ("input_shape", "batch_input_shape", "input_dim", "input_length", "batch_size")


def draw_seed(seed: Any) -> int:
    """The user's seed, checked, or a new one."""
    return _random.next_seed() if seed is None else check_integer("seed", seed, minimum=0, maximum=2**64 - 1)


class Seed:
    """A layer's option `seed`: what the user gave. `_seed` is the seed that the layer has, drawn where that is None.

    A seed that is set later counts, as all options, when the native graph is next written.
    """

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        try:
            return vars(layer)["seed"]
        except KeyError:  # a user's class may look before `super().__init__()`
            raise AttributeError("seed") from None

    def __set__(self, layer: Any, value: int | None) -> None:
        if value is None and vars(layer).get("seed", value) is None and hasattr(layer, "_seed"):
            return  # None, again, keeps what was drawn
        vars(layer)["_seed"] = draw_seed(value)
        vars(layer)["seed"] = value


def check_shape(argument: str, shape: Any) -> Shape:
    """A user's shape: integers of at least 0, or None for any size."""
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise value_error(argument, "a tuple such as (10, 3)", shape)
    return tuple(None if size is None else check_integer(argument, size, minimum=0) for size in shape)


def check_pair(argument: str, value: Any) -> tuple[int, int]:
    """Two integers of at least 0; one stands for both."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        first, second = (check_integer(argument, number, minimum=0) for number in value)
        return first, second
    if isinstance(value, (Sequence, bool)) or not isinstance(value, numbers.Integral):
        raise value_error(argument, "an integer or two, each at least 0", value)
    return (check_integer(argument, value, minimum=0),) * 2


def check_data_format(value: Any) -> str | None:
    """`data_format`, of which foliot has Keras's default only: (batch, time, features)."""
    if value not in (None, "channels_last"):
        raise value_error("data_format", "None or 'channels_last'", value)
    return None if value is None else "channels_last"


def check_single(argument: str, value: Any) -> tuple[int]:
    """A positive integer, or a tuple of one, as Keras keeps sizes along the only axis that a layer slides over."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 1:
            raise value_error(argument, "an integer, or a tuple of one", value)
        return (check_integer(argument, value[0], minimum=1),)
    return (check_integer(argument, value, minimum=1),)


def check_dtype(dtype: Any) -> str:
    """`dtype`, of which foliot has float32 only, also as the policy that Keras writes into configurations."""
    name = dtype.get("config", {}).get("name") if isinstance(dtype, Mapping) else dtype
    if name is not None and str(name) != "float32":
        raise value_error("dtype", "'float32', in which foliot computes", dtype)
    return "float32"


def input_option(kwargs: dict[str, Any]) -> Shape | None:
    """Takes the older input options out of `kwargs` and returns the batch shape that they describe."""
    given = {key: value for key in INPUT_OPTIONS if (value := kwargs.pop(key, None)) is not None}
    batch = check_integer("batch_size", given["batch_size"], minimum=1) if "batch_size" in given else None
    if "batch_input_shape" in given:
        return check_shape("batch_input_shape", given["batch_input_shape"])
    if "input_shape" in given:
        return (batch, *check_shape("input_shape", given["input_shape"]))
    if "input_dim" in given:
        features = check_integer("input_dim", given["input_dim"], minimum=1)
        if "input_length" in given:
            return (batch, check_integer("input_length", given["input_length"], minimum=0), features)
        return (batch, features)
    return None
