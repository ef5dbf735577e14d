"""Layers that take the mean or the maximum over time."""

from collections.abc import Sequence
from typing import Any, ClassVar

from foliot._checks import check_choice, check_flag
from foliot._graph import Shape
from foliot.layers.arguments import check_data_format, check_single
from foliot.layers.base import Layer
from foliot.layers.windows import check_windows, window_count


class _GlobalPooling1D(Layer):
    axes = "(batch, time, features)"
    ranks = (3, 3)
    method: ClassVar[str]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.keepdims = check_flag("keepdims", keepdims)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if shape[1] == 0:
            raise ValueError(f"{self.label}: expected at least one time step; received {shape}")

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, _, features = input_shape
        return [(batch, 1, features) if self.keepdims else (batch, features)]

    def to_spec(self) -> dict[str, Any]:
        return {"kind": "global_pooling1d", "method": self.method, "keepdims": self.keepdims}


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean of each feature over time: `(batch, time, features)` becomes `(batch, features)`.

    Args:
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        keepdims: Keep a time axis of length 1.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`.
        mask: `(batch, time)`: the mean is over the steps where it is True. Without any it is 0 (in Keras NaN).

    Example:
        >>> from foliot.layers import GlobalAveragePooling1D
        >>> layer = GlobalAveragePooling1D()
        >>> layer([[[1.0], [3.0], [8.0]]]).tolist()
        [[4.0]]
        >>> layer([[[1.0], [3.0], [8.0]]], mask=[[True, True, False]]).tolist()
        [[2.0]]
    """

    method = "average"


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest value of each feature over time: `(batch, time, features)` becomes `(batch, features)`.

    Args:
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        keepdims: Keep a time axis of length 1.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`.
        mask: `(batch, time)`: steps where it is False do not count, as in `GlobalAveragePooling1D`; a sequence without
            others gives 0. (Keras heeds the mask in the mean, but not in the maximum: its result then depends on how
            far the sequences were padded.)

    Example:
        >>> from foliot.layers import GlobalMaxPooling1D
        >>> layer = GlobalMaxPooling1D()
        >>> layer([[[1.0], [3.0], [8.0]]]).tolist()
        [[8.0]]
        >>> layer([[[1.0], [3.0], [8.0]]], mask=[[True, True, False]]).tolist()
        [[3.0]]
    """

    method = "max"


class _Pooling1D(Layer):
    axes = "(batch, time, features)"
    ranks = (3, 3)
    method: ClassVar[str]

    def _set(self, pool_size: Any, strides: Any, padding: Any, data_format: Any) -> None:
        self.pool_size = check_single("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else check_single("strides", strides)
        self.padding = check_choice("padding", padding, ("valid", "same"))
        self.data_format = check_data_format(data_format)

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        check_windows(self, shape, self.pool_size[0], self.padding)

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        batch, time, features = input_shape
        return [(batch, window_count(time, self.pool_size[0], self.strides[0], self.padding), features)]

    def to_spec(self) -> dict[str, Any]:
        return {
            "kind": "pooling1d",
            "method": self.method,
            "pool_size": self.pool_size[0],
            "strides": self.strides[0],
            "padding": self.padding,
        }


class MaxPooling1D(_Pooling1D):
    """The largest value of each feature in windows over time.

    Args:
        pool_size: Time steps in a window.
        strides: Steps from one window to the next; None is `pool_size`.
        padding: `'valid'`: windows lie inside the sequence. `'same'`: they also hang over its ends, so that there are
            `time / strides` of them, rounded up.
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`. As in Keras a mask ends here.

    Example:
        >>> from foliot.layers import MaxPooling1D
        >>> MaxPooling1D(2)([[[1.0], [3.0], [8.0], [2.0]]]).tolist()
        [[[3.0], [8.0]]]
    """

    method = "max"

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set(pool_size, strides, padding, data_format)


class AveragePooling1D(_Pooling1D):
    """The mean of each feature in windows over time; steps beyond the ends do not count.

    Args:
        pool_size: Time steps in a window.
        strides: Steps from one window to the next; None is `pool_size`.
        padding: `'valid'` or `'same'`, as in `MaxPooling1D`.
        data_format: Accepted for Keras's scripts; None or `'channels_last'`.
        **kwargs: `name`, `trainable`, `dtype`, `activity_regularizer`, `input_shape`.

    Call arguments:
        inputs: `(batch, time, features)`. As in Keras a mask ends here.

    Example:
        >>> from foliot.layers import AveragePooling1D
        >>> AveragePooling1D(2, padding="same")([[[1.0], [3.0], [8.0]]]).tolist()
        [[[2.0], [8.0]]]
    """

    method = "average"

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set(pool_size, strides, padding, data_format)
