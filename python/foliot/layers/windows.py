"""How windows slide over a sequence: for convolution and pooling."""

from foliot._graph import Shape
from foliot.layers.base import Layer


def window_count(time: int | None, extent: int, stride: int, padding: str) -> int | None:
    """How many windows of `extent` steps there are over `time` steps."""
    if time is None:
        return None
    return -(-(time - extent + 1 if padding == "valid" else time) // stride)


def check_windows(layer: Layer, shape: Shape, extent: int, padding: str) -> None:
    """Refuses a sequence (batch, time, features) over which there is no window."""
    least = extent if padding == "valid" else 1
    if shape[1] is not None and shape[1] < least:
        raise ValueError(
            f"{layer.label}: expected at least {least} time steps, the length of a window; received {shape}"
        )
