"""The table that `model.summary()` prints, in Keras 3's layout."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from foliot._checks import check_integer
from foliot._graph import Shape

if TYPE_CHECKING:
    from foliot.layers import Layer
    from foliot.models.model import Model

# Column widths of Keras's table in 80 columns, without the four borders.
_WIDTHS = (33, 24, 15)
_HEADER = ("Layer (type)", "Output Shape", "Param #")


def print_summary(model: "Model", line_length: int | None, print_fn: Callable[[str], object] | None) -> None:
    """Prints the table line by line."""
    show = print_fn or print
    for line in summary_lines(model, line_length):
        show(line)


def summary_lines(model: "Model", line_length: int | None = None) -> list[str]:
    """The lines of the summary."""
    widths = _WIDTHS
    if line_length is not None:
        inner = check_integer("line_length", line_length, minimum=40) - 4
        widths = (inner * 33 // 72, inner * 24 // 72, inner - inner * 33 // 72 - inner * 24 // 72)
    lines = [
        f'Model: "{model.name}"',
        _rule("┏━┳━┓", widths),
        *_row(_HEADER, widths, "┃"),
        _rule("┡━╇━┩", widths),
    ]
    for position, layer in enumerate(model.layers):
        if position:
            lines.append(_rule("├─┼─┤", widths))
        lines += _row(_cells(model, layer), widths, "│")
    lines.append(_rule("└─┴─┘", widths))

    trainable = sum(math.prod(parameter.shape) for parameter in model.trainable_weights)
    frozen = sum(math.prod(parameter.shape) for parameter in model.non_trainable_weights)
    optimizer = model.optimizer_size()
    lines += [
        f" Total params: {_size(trainable + frozen + optimizer)}",
        f" Trainable params: {_size(trainable)}",
        f" Non-trainable params: {_size(frozen)}",
    ]
    if optimizer:
        lines.append(f" Optimizer params: {_size(optimizer)}")
    return lines


def _cells(model: "Model", layer: "Layer") -> tuple[str, str, str]:
    shapes = model.layer_output_shapes(layer)
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    return f"{layer.name} ({type(layer).__name__})", _shape(shapes), count


def _shape(shapes: Sequence[Shape] | None) -> str:
    if shapes is None:
        return "?"
    return str(shapes[0]) if len(shapes) == 1 else f"[{', '.join(map(str, shapes))}]"


def _rule(pieces: str, widths: Sequence[int]) -> str:
    return pieces[0] + pieces[2].join(pieces[1] * width for width in widths) + pieces[4]


def _row(cells: Sequence[str], widths: Sequence[int], border: str) -> list[str]:
    """The cells of a row, long ones wrapped over several lines; numbers on the right."""
    wrapped = [textwrap.wrap(cell, width - 2) or [""] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for index in range(max(map(len, wrapped))):
        texts = [rows[index] if index < len(rows) else "" for rows in wrapped]
        padded = [f" {text:<{width - 2}} " for text, width in zip(texts[:-1], widths[:-1], strict=True)]
        padded.append(f" {texts[-1]:>{widths[-1] - 2}} ")
        lines.append(border + border.join(padded) + border)
    return lines


def _size(count: int) -> str:
    """`108 (432.00 B)`: the number of float32 values and the memory that they take."""
    size, unit = count * 4.0, "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:.2f} {unit})"
