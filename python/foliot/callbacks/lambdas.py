"""Callbacks made of functions."""

from collections.abc import Callable
from typing import Any

from foliot._checks import suggest, type_error
from foliot.callbacks.base import Callback

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback whose hooks are given as functions.

    Args:
        on_epoch_begin: Called with `epoch, logs`.
        on_epoch_end: Called with `epoch, logs`.
        on_train_begin: Called with `logs`.
        on_train_end: Called with `logs`.
        on_train_batch_begin: Called with `batch, logs`.
        on_train_batch_end: Called with `batch, logs`.
        **kwargs: Functions for other hooks of `Callback`, by name.

    Raises:
        TypeError: Something that cannot be called, or the name of no hook.

    Example:
        >>> from foliot.callbacks import LambdaCallback
        >>> announce = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if name not in _HOOKS:
                # A hook that is misspelt would never be called.
                raise TypeError(f"LambdaCallback() got an unexpected argument {name!r}{suggest(name, _HOOKS)}")
            if function is not None:
                if not callable(function):
                    raise type_error(name, "a function", function)
                setattr(self, name, function)
