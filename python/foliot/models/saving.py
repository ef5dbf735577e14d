"""Models as files: safetensors with a JSON description, data only.

Metadata `format` is `foliot`, `format_version` the version below and `model` the description: the model's
configuration, how it was compiled, the optimizer's counters and the seeds, so that a loaded model trains on with the
same bits. Tensors are `layers/<position>/<number>/<name>` for weights, `optimizer/<slot>/<position>` for the optimizer.
"""

import json
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foliot import _core, _custom
from foliot._arrays import Array
from foliot._checks import check_flag, check_path, check_writable_path, type_error, value_error
from foliot._serialization import serialize
from foliot.layers.weights import weight_source

if TYPE_CHECKING:
    from foliot.models.model import Model

_FORMAT_VERSION = "1"
_DESCRIPTION_KEYS = {"model", "compile", "optimizer", "seeds", "shuffles"}


def save_model(model: "Model", filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model to a file, as `model.save` does.

    Args:
        model: The model.
        filepath: Where to; the extension `.foliot` is customary.
        overwrite: Replace a file that exists.

    Raises:
        TypeError, ValueError, FileExistsError: As `model.save`; `model` is none.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import foliot
        >>> from foliot.layers import LSTM, Input
        >>> from foliot.models import load_model, save_model
        >>> model = foliot.Sequential([Input((5, 3)), LSTM(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, Path(folder) / "model.foliot")
        ...     load_model(Path(folder) / "model.foliot").count_params() == model.count_params()
        True
    """
    from foliot.models.model import Model

    if not isinstance(model, Model):
        raise type_error("model", "a model", model)
    write_model(model, filepath, overwrite)


def write_model(model: "Model", filepath: str | os.PathLike[str], overwrite: bool) -> None:
    """See `Model.save`."""
    from foliot.models.configs import is_own, serialize_layer, write_inputs

    path = _checked_path(filepath, overwrite)
    tensors, state = _state(model)
    description = {"model": serialize_layer(model), "compile": compile_config(model), **state}
    if not is_own(type(model)):
        # Nothing else says what a graph was made for that a class of the user's makes of data.
        description["inputs"] = write_inputs(model)
    _write(path, tensors, {"model": json.dumps(description)})


def _state(model: "Model") -> tuple[dict[str, Array], dict[str, Any]]:
    """What training has made of a model: the tensors, and what else there is as plain data."""
    tensors = _weight_tensors(model)
    state = model.optimizer_state()
    if state is not None:
        for slot, values in state.pop("slots").items():
            tensors |= {f"optimizer/{slot}/{position}": array for position, array in enumerate(values)}
    return tensors, {"optimizer": state, "seeds": model.seeds(), "shuffles": model.shuffles}


def save_weights(model: "Model", filepath: str | os.PathLike[str], overwrite: bool) -> None:
    """See `Model.save_weights`."""
    _write(_checked_path(filepath, overwrite), _weight_tensors(model), {})


def load_weights(model: "Model", filepath: str | os.PathLike[str]) -> None:
    """See `Model.load_weights`."""
    path = check_path("filepath", filepath)
    tensors, _ = _read(path)
    _assign(model, {name: array for name, array in tensors.items() if name.startswith("layers/")}, path)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002 - Keras's name
    safe_mode: bool = True,
) -> "Model":
    """Reads a model that `model.save` wrote. The file is data: nothing in it can run.

    Args:
        filepath: The file.
        custom_objects: Classes and metric functions of yours by name. What the file names runs then.
        compile: Also restore how the model was compiled, and the optimizer's state.
        safe_mode: Accepted for Keras's scripts: a file holds no code in any case.

    Returns:
        The model. Training goes on from it with the same bits as if it had not been saved.

    Raises:
        TypeError: `filepath` is no path, or `custom_objects` no dict.
        ValueError: The file is no foliot model, is damaged, or names classes or arguments that foliot does not know.
        FileNotFoundError: There is no such file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import foliot
        >>> from foliot.layers import LSTM, Dense, Input
        >>> model = foliot.Sequential([Input((5, 3)), LSTM(4), Dense(1)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.foliot")
        ...     same = foliot.models.load_model(Path(folder) / "model.foliot")
        >>> [layer.name for layer in same.layers] == [layer.name for layer in model.layers]
        True

        A class of yours is named, for a file holds no code:

        >>> class Memory(LSTM):
        ...     pass
        >>> model = foliot.Sequential([Input((5, 3)), Memory(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.foliot")
        ...     own = {"Memory": Memory}
        ...     same = foliot.models.load_model(Path(folder) / "model.foliot", custom_objects=own)
        >>> type(same.layers[0]).__name__
        'Memory'
    """
    check_flag("compile", compile)
    check_flag("safe_mode", safe_mode)
    path = check_path("filepath", filepath)
    tensors, metadata = _read(path)
    if "model" not in metadata:
        raise ValueError(f"{path}: expected a whole model; received weights only, which model.load_weights reads")
    with _custom.scope(custom_objects):
        try:
            return _model_of(tensors, json.loads(metadata["model"]), compile, in_order=not custom_objects)
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:  # RecursionError is one
            # Whatever is odd about a description, the file is what the user can do something about.
            raise ValueError(
                f"{path}: not a model that this version of foliot wrote ({type(error).__name__}: {error})"
            ) from error


def _model_of(
    tensors: Mapping[str, Array],
    description: Mapping[str, Any],
    compile: bool,  # noqa: A002
    in_order: bool,
) -> "Model":
    from foliot.models.configs import build_for_inputs, layer_from_config
    from foliot.models.model import Model

    if set(description) - {"inputs"} != _DESCRIPTION_KEYS:
        raise value_error("description", f"the keys {', '.join(sorted(_DESCRIPTION_KEYS))}", sorted(description))
    stored = _StoredWeights(tensors, in_order)
    token = weight_source.set(stored.next)
    try:
        model = layer_from_config(description["model"])
        if not isinstance(model, Model):
            raise type_error("model", "a model", model)
        if not model.inputs and "inputs" in description:
            build_for_inputs(model, description["inputs"])
    finally:
        weight_source.reset(token)
    if in_order:
        stored.check_all_used()
    else:
        _assign(model, {name: array for name, array in tensors.items() if name.startswith("layers/")}, "file")
    model.restore_randomness(
        # Inside a class of the user's, layers get automatic names anew.
        description["seeds"] if in_order else _in_order(description["seeds"], model),
        description["shuffles"],
    )
    if compile and description["compile"] is not None:
        model.compile_from_config(description["compile"])
        if description["optimizer"] is not None:
            model.restore_optimizer(description["optimizer"], _slots(tensors))
    return model


def save_training(model: "Model", path: Path, epoch: int) -> None:
    """Writes what `fit` has come to and made of the model, with the epoch that is to begin or has begun."""
    tensors, state = _state(model)
    run, arrays = model.training_run.state()
    optimizer, rate = model.optimizer, None
    # A schedule of the user's is compiled in, and may have no configuration.
    if optimizer is not None and not optimizer.schedule_runs_in_python:
        rate = optimizer.get_config()["learning_rate"]
    training = {"epoch": epoch, "run": run, "learning_rate": rate, **state}
    _write(str(path), tensors | arrays, {"training": json.dumps(training)})


def restore_training(model: "Model", path: Path) -> None:
    """Gives a model of the same layers, and its `fit`, all that `save_training` wrote; `fit` has still to go on.

    Raises:
        ValueError: The file is damaged or of another model or training.
    """
    tensors, metadata = _read(str(path))
    try:
        found = json.loads(metadata["training"])
        _assign(model, {name: array for name, array in tensors.items() if name.startswith("layers/")}, str(path))
        # In one process the layers of a second model have other automatic names.
        model.restore_randomness(_in_order(found["seeds"], model), found["shuffles"])
        if model.optimizer is not None:
            if found["optimizer"] is not None:
                model.restore_optimizer(found["optimizer"], _slots(tensors))
            if found["learning_rate"] is not None and not model.optimizer.schedule_runs_in_python:
                model.optimizer.learning_rate = found["learning_rate"]
        model.training_run.resume(found["epoch"], found["run"], tensors)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected a backup of {model.name!r} as it is compiled; received another file "
            f"({type(error).__name__}: {error}). Delete it to begin anew"
        ) from error


def _in_order(seeds: Any, model: "Model") -> dict[str, int]:
    """The seeds of a file under the names that the model's have, by position."""
    if not isinstance(seeds, dict) or len(seeds) != len(model.seeds()):
        raise value_error("seeds", f"{len(model.seeds())} seeds by name", seeds)
    return dict(zip(model.seeds(), seeds.values(), strict=True))


class _StoredWeights:
    """The weights of a file, each of which is taken once.

    Taking them instead of initial values means that no size that a description claims is allocated before a tensor of
    that size has been read.

    Args:
        tensors: The file's tensors.
        in_order: Whether they are taken in their order. A class of the user's makes its weights in the order in which
            its `call` meets them, so that for the time being any tensor of the same name and shape has to serve.
    """

    def __init__(self, tensors: Mapping[str, Array], in_order: bool) -> None:
        self._tensors = {name: array for name, array in tensors.items() if name.startswith("layers/")}
        self._in_order = in_order
        self._left: dict[Any, deque[str]] = {}
        for stored in sorted(self._tensors, key=lambda name: [int(part) for part in name.split("/")[1:3]]):
            key = self._key(stored.split("/")[-1], self._tensors[stored].shape)
            self._left.setdefault(key, deque()).append(stored)

    def _key(self, name: str, shape: tuple[int, ...]) -> Any:
        """What tensors that may stand for each other have in common."""
        return None if self._in_order else (name, shape)

    def next(self, name: str, shape: tuple[int, ...]) -> Array:
        left = self._left.get(self._key(name, shape))
        if not left:
            raise ValueError(f"expected a tensor for the weight {name} of shape {shape}; received no more")
        stored = left.popleft()
        array = self._tensors[stored]
        if not stored.endswith(f"/{name}") or array.shape != shape:
            raise ValueError(f"expected a tensor {name} of shape {shape}; received {stored} of shape {array.shape}")
        return array

    def check_all_used(self) -> None:
        left = [stored for names in self._left.values() for stored in names]
        if left:
            raise ValueError(f"expected no tensors but those of the weights; received {left}")


def compile_config(model: "Model") -> dict[str, Any] | None:
    """See `Model.get_compile_config`."""
    compilation = model.compilation
    if compilation is None or model.optimizer is None:
        return None
    return {"optimizer": serialize(model.optimizer), **compilation.get_config()}


def _weight_tensors(model: "Model") -> dict[str, Array]:
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet: it is built when data come, or by build(input_shape)")
    tensors: dict[str, Array] = {}
    written: set[_core.Parameter] = set()
    for position, layer in enumerate(model.layers):
        for number, parameter in enumerate(layer.weights):
            # One that layers share is written where it comes first.
            if parameter not in written:
                written.add(parameter)
                tensors[f"layers/{position}/{number}/{parameter.name}"] = parameter.numpy()
    return tensors


def _assign(model: "Model", tensors: Mapping[str, Array], path: str) -> None:
    expected = _weight_tensors(model)
    # Names hold the layer's position and the weight's name, so a file of another architecture shows here.
    if set(tensors) != set(expected):
        missing, unknown = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
        raise ValueError(f"{path}: expected the weights of {model.name!r}; missing {missing}, unknown {unknown}")
    for name, array in expected.items():
        if tensors[name].shape != array.shape:
            raise ValueError(f"{path}: expected {name} of shape {array.shape}; received shape {tensors[name].shape}")
    model.set_weights([tensors[name] for name in expected])


def _slots(tensors: Mapping[str, Array]) -> dict[str, list[Array]]:
    """The optimizer's state by slot, in the order of the positions in the names."""
    found: dict[str, dict[int, Array]] = {}
    for name, array in tensors.items():
        kind, _, rest = name.partition("/")
        slot, _, position = rest.partition("/")
        if kind == "optimizer":
            if not position.isdecimal():
                raise value_error("file", "optimizer/<slot>/<position> as the name of a tensor", name)
            found.setdefault(slot, {})[int(position)] = array
    return {slot: [arrays[position] for position in sorted(arrays)] for slot, arrays in found.items()}


def _checked_path(filepath: str | os.PathLike[str], overwrite: bool) -> str:
    path = check_writable_path("filepath", filepath)
    if not check_flag("overwrite", overwrite) and Path(path).exists():
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    return path


def _write(path: str, tensors: dict[str, Array], metadata: dict[str, str]) -> None:
    _core.save_file(path, tensors, {"format": "foliot", "format_version": _FORMAT_VERSION, **metadata})


def _read(path: str) -> tuple[dict[str, Array], dict[str, str]]:
    tensors, metadata = _core.load_file(path)
    if metadata.get("format") != "foliot":
        raise ValueError(
            f"{path}: expected a file that foliot wrote; received safetensors with format {metadata.get('format')!r}"
        )
    if metadata.get("format_version") != _FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {_FORMAT_VERSION}; received {metadata.get('format_version')!r}, which "
            "another version of foliot wrote"
        )
    return tensors, metadata
