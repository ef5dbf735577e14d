"""Drawings of models and trainings."""

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foliot._checks import check_choice, check_flag, check_integer, check_path, type_error, value_error
from foliot._graph import Node, SymbolicTensor

if TYPE_CHECKING:
    from foliot.models.model import Model

_TEXT = (".dot", ".gv", ".txt")
_DIRECTIONS = ("TB", "BT", "LR", "RL")


def model_to_dot(
    model: "Model",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> str:
    """A model as text in the language of Graphviz.

    Args:
        model: A built model.
        show_shapes: Show the shapes of outputs.
        show_dtype: Show the type of numbers.
        show_layer_names: Show the layers' names beside their classes.
        rankdir: `'TB'` from top to bottom, `'LR'` from left to right, or `'BT'`, `'RL'`.
        dpi: Dots per inch.
        show_layer_activations: Show the layers' activations.
        show_trainable: Show which layers are not trained.

    Returns:
        The text; Keras returns pydot's object.

    Raises:
        ValueError: The model is not built, or an argument is out of its range.

    Example:
        >>> import foliot
        >>> model = foliot.Sequential([foliot.Input((3,)), foliot.layers.Dense(1)])
        >>> print(foliot.utils.model_to_dot(model))
        digraph model {
          graph [rankdir=TB, dpi=200];
          node [shape=box];
          n0 [label="InputLayer"];
          n1 [label="Dense"];
          n0 -> n1;
        }
    """
    check_choice("rankdir", rankdir, _DIRECTIONS)
    check_integer("dpi", dpi, minimum=1)
    nodes, edges = _graph(model)
    labels = _labels(nodes, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    lines = ["digraph model {", f"  graph [rankdir={rankdir}, dpi={dpi}];", "  node [shape=box];"]
    for number, label in enumerate(labels):
        text = "\\n".join(part.replace("\\", "\\\\").replace('"', '\\"') for part in label)
        lines.append(f'  n{number} [label="{text}"];')
    lines += [f"  n{start} -> n{end};" for start, end in edges]
    return "\n".join([*lines, "}"])


def plot_model(
    model: "Model",
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    **kwargs: Any,
) -> Any:
    """Draws a model to a file.

    A file `.dot`, `.gv` or `.txt` is text for Graphviz and needs nothing else. Images (`.png`, `.svg`, `.pdf`) are
    drawn with matplotlib: `pip install 'foliot[plot]'`.

    Args:
        model: A built model.
        to_file: The file.
        show_shapes: See `model_to_dot`, as for all that follow.
        show_dtype: Show the type of numbers.
        show_layer_names: Show the layers' names.
        rankdir: The direction.
        expand_nested: False: a model inside a model is one box.
        dpi: Dots per inch.
        show_layer_activations: Show activations.
        show_trainable: Show which layers are not trained.
        **kwargs: Keras's older `layer_range`, which must be None.

    Returns:
        The text for Graphviz, or matplotlib's figure.

    Raises:
        ModuleNotFoundError: An image was asked for and matplotlib is not installed.

    Example:
        >>> import foliot, tempfile
        >>> model = foliot.Sequential([foliot.Input((3,)), foliot.layers.Dense(1)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = foliot.utils.plot_model(model, f"{folder}/model.dot")
    """
    if kwargs.pop("layer_range", None) is not None or kwargs:
        raise TypeError(f"plot_model() got unexpected arguments: {', '.join(sorted(kwargs)) or 'layer_range'}")
    if check_flag("expand_nested", expand_nested):
        raise value_error("expand_nested", "False: a model inside a model is one box", expand_nested)
    path = Path(check_path("to_file", to_file))
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, dpi, show_layer_activations, show_trainable
    )
    if path.suffix.lower() in _TEXT:
        path.write_text(dot + "\n", encoding="utf-8")
        return dot
    nodes, edges = _graph(model)
    labels = _labels(nodes, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    figure = _draw(["\n".join(label) for label in labels], edges, rankdir)
    figure.savefig(path, dpi=dpi)
    return figure


def plot_history(
    history: Any, to_file: str | os.PathLike[str] | None = None, metrics: Sequence[str] | None = None, dpi: int = 100
) -> Any:
    """Draws the curves of a training: a picture for the loss and each metric, with validation beside training.

    Args:
        history: What `fit` returned, or its `history`.
        to_file: Where to save the drawing.
        metrics: The names to draw, all if None.
        dpi: Dots per inch of the file.

    Returns:
        matplotlib's figure. In a notebook it shows itself.

    Raises:
        ModuleNotFoundError: matplotlib is not installed: `pip install 'foliot[plot]'`.
        ValueError: There are no epochs, or a name is not among the curves.

    Example:
        >>> from foliot.utils import plot_history
        >>> history = {"loss": [0.7, 0.5], "val_loss": [0.8, 0.6], "accuracy": [0.5, 0.75]}
        >>> figure = plot_history(history)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'accuracy']
    """
    curves = getattr(history, "history", history)
    if not isinstance(curves, Mapping):
        raise type_error("history", "what fit returned", history)
    epochs = getattr(history, "epoch", None) or range(max(map(len, curves.values()), default=0))
    names = [name for name in curves if not name.startswith("val_")] if metrics is None else list(metrics)
    if not names or not len(epochs):
        raise value_error("history", "at least one epoch", curves)
    for name in names:
        if name not in curves:
            raise value_error("metrics", f"names among {', '.join(curves)}", name)
    figure = _require("matplotlib.figure").Figure(figsize=(5 * len(names), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for label, marker, values in (
            ("training", "o-", curves[name]),
            ("validation", "s-", curves.get(f"val_{name}", ())),
        ):
            if len(values):
                # With validation_freq there are fewer values than epochs; the last ones belong to the last epochs.
                places = [int(epoch) + 1 for epoch in epochs]
                step = max(len(places) // len(values), 1)
                axes.plot(places[step - 1 :: step][: len(values)], values, marker, label=label, markersize=4)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    if to_file is not None:
        figure.savefig(check_path("to_file", to_file), dpi=check_integer("dpi", dpi, minimum=1))
    return figure


def _require(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"drawing needs {error.name}, which comes with: pip install 'foliot[plot]'", name=error.name
        ) from error


def _graph(model: "Model") -> tuple[list[Node], list[tuple[int, int]]]:
    """The nodes, each after the ones that it reads, and from which to which an edge leads."""
    outputs: Sequence[SymbolicTensor] = getattr(model, "outputs", ())
    if not outputs:
        raise value_error("model", "a built model: call build(input_shape), or fit it first", model)
    numbers: dict[Node, int] = {}
    nodes: list[Node] = []
    waiting = [tensor.node for tensor in reversed(outputs)]
    while waiting:
        node = waiting[-1]
        missing = [tensor.node for tensor in node.inputs if tensor.node not in numbers]
        if node in numbers or not missing:
            waiting.pop()
            if node not in numbers:
                numbers[node] = len(nodes)
                nodes.append(node)
        else:
            waiting += reversed(missing)
    pairs = [(numbers[tensor.node], number) for number, node in enumerate(nodes) for tensor in node.inputs]
    return nodes, list(dict.fromkeys(pairs))


def _labels(
    nodes: Sequence[Node], shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool
) -> list[list[str]]:
    labels = []
    for node in nodes:
        layer = node.layer
        label = [f"{layer.name} ({type(layer).__name__})" if names else type(layer).__name__]
        activation = getattr(layer, "activation", None)
        if activations and activation is not None:
            label.append(f"activation: {getattr(activation, '__name__', activation)}")
        if shapes:
            found = [tensor.shape for tensor in node.outputs]
            label.append(f"output: {', '.join(map(str, found))}")
        if dtype:
            label.append(f"dtype: {layer.dtype}")
        if trainable and layer.weights:
            label.append("trainable" if layer.trainable else "not trainable")
        labels.append(label)
    return labels


def _draw(labels: Sequence[str], edges: Sequence[tuple[int, int]], rankdir: str) -> Any:
    """Boxes in ranks: a node stands one rank behind the last that it reads."""
    ranks = [0] * len(labels)
    for start, end in edges:  # in the order of their ends
        ranks[end] = max(ranks[end], ranks[start] + 1)
    members: dict[int, list[int]] = {}
    for number, rank in enumerate(ranks):
        members.setdefault(rank, []).append(number)
    wide = 0.11 * max(len(line) for label in labels for line in label.split("\n")) + 0.6
    high = 0.22 * max(label.count("\n") + 1 for label in labels) + 0.6
    across = max(map(len, members.values()))
    vertical = rankdir in ("TB", "BT")
    columns, rows = (across, len(members)) if vertical else (len(members), across)
    figure = _require("matplotlib.figure").Figure(figsize=(max(columns * wide, 2), max(rows * high, 1)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, columns), ylim=(0, rows))
    places = {}
    for rank, numbers in members.items():
        along = rank if rankdir in ("LR", "BT") else len(members) - 1 - rank
        for position, number in enumerate(numbers):
            beside = (position + 0.5) * across / len(numbers)
            places[number] = (beside, along + 0.5) if vertical else (along + 0.5, beside)
    boxes = [
        axes.text(*places[number], label, ha="center", va="center", fontsize=10, bbox={"boxstyle": "square", "fc": "w"})
        for number, label in enumerate(labels)
    ]
    for start, end in edges:
        arrow = {"arrowstyle": "->", "patchA": boxes[start].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
        axes.annotate("", xy=places[end], xytext=places[start], arrowprops=arrow)
    return figure
