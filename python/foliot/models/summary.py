"""The table that `model.summary()` prints, in Keras 3's layout."""

import itertools
import math
import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from foliot._checks import check_integer
from foliot._graph import Shape
from foliot.models.costs import Costs, costs

if TYPE_CHECKING:
    from foliot.layers import Layer
    from foliot.models.model import Model

# Where Keras's columns end as parts of the table's width, and how wide the table is where there is room.
_STACK = ((0.45, 0.8, 1.0), 88)
_GRAPH = ((0.3, 0.56, 0.74, 1.0), 108)
_COSTS = ((0.38, 0.64, 0.84, 1.0), 88)
_COST_HEADER = ("Layer (type)", "Output Shape", "FLOPs", "Outputs")
_HEADER = ("Layer (type)", "Output Shape", "Param #", "Connected to")
# The column of numbers, which stand on the right.
_NUMBERS = 2


def print_summary(
    model: "Model",
    line_length: int | None,
    print_fn: Callable[[str], object] | None,
    expand_nested: bool,
    batch_size: int | None = None,
    time: int | None = None,
) -> None:
    """Prints the table line by line; with a size also the one of costs."""
    lines = summary_lines(model, line_length, expand_nested=expand_nested)
    if batch_size is not None or time is not None:
        lines += cost_lines(costs(model, batch_size, time), batch_size or 1, time, line_length)
    show = print_fn or print
    for line in lines:
        show(line)


def cost_lines(found: Costs, batch_size: int, time: int | None, line_length: int | None = None) -> list[str]:
    """The lines of the table of costs."""
    positions, widest = _COSTS
    widths = _widths(positions, line_length or _default_length(widest))
    length = "" if time is None else f" and {time} time steps"
    lines = [
        "",
        f" A batch of {batch_size}{length}:",
        _rule("┏━┳━┓", widths),
        *_row(_COST_HEADER, widths, "┃", numbers=(2, 3)),
        _rule("┡━╇━┩", widths),
    ]
    for position, cost in enumerate(found.layers):
        if position:
            lines.append(_rule("├─┼─┤", widths))
        operations = "?" if cost.operations is None else f"{cost.operations:,}"
        name = f"{cost.layer.name} ({type(cost.layer).__name__})"
        lines += _row((name, _shape(cost.shapes), operations, _bytes(cost.outputs)), widths, "│", numbers=(2, 3))
    lines.append(_rule("└─┴─┘", widths))
    known = [cost.operations for cost in found.layers if cost.operations is not None]
    least = "" if len(known) == len(found.layers) else " at least"
    # A pass back costs two forward, and checkpoints one more.
    times = "three to four" if found.checkpoints else "three"
    return [
        *lines,
        f" FLOPs, forward:{least} {sum(known):,} (in products of matrices; training takes about {times} times as many)",
        f" Memory of a prediction: {_bytes(found.predicting)}",
        f" Memory of a training step: {_bytes(found.training)} (without weights and the optimizer's state)",
    ]


def summary_lines(model: "Model", line_length: int | None = None, *, expand_nested: bool = False) -> list[str]:
    """The lines of the summary."""
    positions, widest = _STACK if is_stack(model) else _GRAPH
    if line_length is None:
        line_length = _default_length(widest)
    widths = _widths(positions, check_integer("line_length", line_length, minimum=40))
    lines = [
        f'Model: "{model.name}"',
        _rule("┏━┳━┓", widths),
        *_row(_HEADER[: len(widths)], widths, "┃"),
        _rule("┡━╇━┩", widths),
    ]
    rows = [cells for layer in model.layers for cells in _rows(model, layer, expand_nested)]
    for position, cells in enumerate(rows):
        if position:
            lines.append(_rule("├─┼─┤", widths))
        lines += _row(cells[: len(widths)], widths, "│")
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


def _default_length(widest: int) -> int:
    # Four columns less than the terminal has, as Keras leaves them.
    return max(min(widest, shutil.get_terminal_size().columns - 4), 40)


def is_stack(model: "Model") -> bool:
    """Whether the layers of a model follow one another, so that nothing needs to be said about what they read."""
    if not model.inputs or model.is_traced():
        return True
    nodes = model.graph.nodes
    chained = all([tensor.node for tensor in node.inputs] == [before] for before, node in itertools.pairwise(nodes))
    return chained and len({node.layer for node in nodes}) == len(nodes)


def _widths(positions: Sequence[float], line_length: int) -> list[int]:
    """The columns' widths, borders left out: Keras's, cut by what the borders and spaces take as its table does it."""
    ends = [int(position * line_length) for position in positions]
    widths = [end - start + 2 for start, end in zip([0, *ends], ends, strict=False)]
    excess = sum(widths) + len(widths) + 1 - line_length
    for column in range(len(widths)):
        share = round(excess / (len(widths) - column))
        widths[column] -= share
        excess -= share
    return widths


def _rows(model: "Model", layer: "Layer", expand: bool, level: int = 0) -> list[tuple[str, str, str, str]]:
    shapes = model.layer_output_shapes(layer)
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    name = f"{'   ' * level}{'└ ' if level else ''}{layer.name} ({type(layer).__name__})"
    rows = [(name, _shape(shapes), count, _connections(model, layer))]
    if expand:
        for inner in getattr(layer, "layers", []):
            rows += _rows(model, inner, expand, level + 1)
    return rows


def _connections(model: "Model", layer: "Layer") -> str:
    """`lstm[0][1]`: output 1 of the call 0 of the layer `lstm`, for each tensor that the layer reads in the model."""
    if is_stack(model):
        return "-"
    read = [tensor for node in model.graph.nodes if node.layer is layer for tensor in node.inputs]
    calls = (tensor.node.layer.inbound_nodes.index(tensor.node) for tensor in read)
    texts = [f"{tensor.name}[{call}][{tensor.index}]" for tensor, call in zip(read, calls, strict=True)]
    return ", ".join(texts) or "-"


def _shape(shapes: Sequence[Shape] | None) -> str:
    if shapes is None:
        return "?"
    return str(shapes[0]) if len(shapes) == 1 else f"[{', '.join(map(str, shapes))}]"


def _rule(pieces: str, widths: Sequence[int]) -> str:
    return pieces[0] + pieces[2].join(pieces[1] * width for width in widths) + pieces[4]


def _row(cells: Sequence[str], widths: Sequence[int], border: str, numbers: Sequence[int] = (_NUMBERS,)) -> list[str]:
    """The cells of a row, long ones wrapped over several lines; numbers on the right."""
    wrapped = [_wrap(cell, width - 2) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for index in range(max(map(len, wrapped))):
        padded = []
        for column, (texts, width) in enumerate(zip(wrapped, widths, strict=True)):
            text = texts[index] if index < len(texts) else ""
            padded.append(f" {text:{'>' if column in numbers else '<'}{width - 2}} ")
        lines.append(border + border.join(padded) + border)
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """The text in lines, broken at spaces only; a word that is too long ends in `…`."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def _size(count: int) -> str:
    """`108 (432.00 B)`: the number of float32 values and the memory that they take."""
    return f"{count:,} ({_bytes(4 * count)})"


def _bytes(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f} {unit}"
