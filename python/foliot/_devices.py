"""Where models run: the CPU, or a GPU through Vulkan, Metal or D3D12."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from foliot import _core, _warnings
from foliot._checks import type_error, value_error

_VARIABLE = "FOLIOT_DEVICE"
_SOFTWARE = "software"

#: For each type of device on which a training step was measured to take less time than on the CPU: how many weights
#: must take part in every time step for that. There is no such measurement yet, so "auto" stays on the CPU.
_GAINS: dict[str, int] = {}


@dataclass(frozen=True)
class Device:
    """A GPU, or a program that plays one, as its driver describes it.

    Attributes:
        index: Its number, as in `"gpu:0"`.
        name: Its name.
        type: `"discrete"`, `"integrated"`, `"virtual"`, `"software"` or `"other"`.
        api: `"vulkan"`, `"metal"` or `"dx12"`.
        driver: The driver and its version.
        limits: What decides on what fits, in bytes or numbers, by WebGPU's names.
        features: What it can do beyond the least.
    """

    index: int
    name: str
    type: str
    api: str
    driver: str
    limits: Mapping[str, int] = field(repr=False)
    features: tuple[str, ...] = field(repr=False)


def devices() -> list[Device]:
    """All devices beside the CPU, in the order of their numbers: real GPUs, and programs that play one.

    The order is that of the drivers and says nothing of speed; `"gpu"` and `"auto"` never take a `"software"` device.

    Returns:
        A list that is empty where there is no driver for Vulkan, Metal or D3D12, or where foliot was built without its
        feature `gpu`.

    Raises:
        RuntimeError: In a process that was forked after its parent had looked for devices.

    Example:
        >>> all(device.type in ("discrete", "integrated", "virtual", "software", "other") for device in devices())
        True
    """
    return [
        Device(index, name, kind, api, driver, dict(limits), tuple(features))
        for index, (name, kind, api, driver, limits, features) in enumerate(_core.adapters())
    ]


class _Setting:
    """What was said about the device; None before anything was."""

    def __init__(self) -> None:
        self.name: str | None = None


_setting = _Setting()


def get_device() -> str:
    """What `set_device` was told last; `FOLIOT_DEVICE` at first, or `"auto"` where that is not set or empty.

    The variable is read once, when the device is first asked for.

    Example:
        >>> import foliot
        >>> before = foliot.config.get_device()
        >>> foliot.config.set_device("cpu")
        >>> foliot.config.get_device()
        'cpu'
        >>> foliot.config.set_device(before)
    """
    return _setting.name if _setting.name is not None else _environment()


@functools.cache
def _environment() -> str:
    """What `FOLIOT_DEVICE` said when this was first called: a process does not move because its environment changes."""
    return _simple(os.environ.get(_VARIABLE) or "auto")


def set_device(name: str) -> None:
    """Chooses where models run from now on. Weights move by themselves when they are needed elsewhere.

    Args:
        name: One of these, in any case.

            - `"auto"`: a GPU where there is one of a kind that was measured to gain from such a model, else the CPU. No
              kind was measured yet: it is the CPU.
            - `"cpu"`.
            - `"gpu"`: the first GPU; a discrete one comes before others.
            - `"gpu:1"`: the device with that number in `foliot.devices()`.
            - A part of a device's name. This is how to ask for a software device.

    Raises:
        TypeError: `name` is no string.
        ValueError: There is no such device; the message says which there are.

    Example:
        >>> set_device("cpu")
        >>> get_device()
        'cpu'
        >>> set_device("auto")
    """
    if not isinstance(name, str):
        raise type_error("name", "'auto', 'cpu', 'gpu', 'gpu:0' or a part of a device's name", name)
    simple = _simple(name)
    if simple not in ("auto", "cpu"):
        _find("name", simple)
    _setting.name = simple


def _simple(name: str) -> str:
    """The name as `get_device` says it: in small letters, but for a part of a device's name."""
    lower = name.lower()
    return lower if lower in ("auto", "cpu", "gpu") or lower.startswith("gpu:") else name


@contextlib.contextmanager
def device(name: str) -> Iterator[None]:
    """Chooses where models run inside a `with` block.

    Args:
        name: As in `set_device`.

    Example:
        >>> with device("cpu"):
        ...     get_device()
        'cpu'
    """
    before = _setting.name
    set_device(name)
    try:
        yield
    finally:
        _setting.name = before


def _find(argument: str, name: str) -> Device:
    """The device of a name that is neither "auto" nor "cpu"."""
    there = devices()
    real = [device for device in there if device.type != _SOFTWARE]
    if name == "gpu" and real:
        return min(real, key=lambda device: device.type != "discrete")
    prefix, colon, number = name.partition(":")
    if prefix == "gpu" and colon:
        if number.isdecimal() and int(number) < len(there):
            return there[int(number)]
    elif name and name != "gpu":
        for candidate in there:
            if name.casefold() in candidate.name.casefold():
                return candidate
    if _core.build_info()["gpu"] == "no":
        raise value_error(argument, "'auto' or 'cpu', for foliot was built without its feature `gpu`", name)
    listed = ", ".join(f"{device.index} {device.name!r} ({device.type})" for device in there)
    expected = f"a device that is there: 'cpu', or one of {listed}" if there else _NO_DRIVER
    raise value_error(argument, expected, name)


_NO_DRIVER = (
    "'auto' or 'cpu': no driver for Vulkan, Metal or D3D12 was found (on Linux: a graphics driver with Vulkan, or "
    "Debian's mesa-vulkan-drivers for a software device)"
)


@dataclass(frozen=True)
class Choice:
    """Where a program runs.

    Attributes:
        device: The device; None for the CPU.
        demanded: Whether that device and no other was asked for.
    """

    device: Device | None
    demanded: bool

    @property
    def index(self) -> int | None:
        """The device's number for the native module."""
        return None if self.device is None else self.device.index


CPU = Choice(None, demanded=False)


def choose(graph: str, weights: int, labels: Mapping[str, str]) -> Choice:
    """Where a model runs.

    Args:
        graph: The native description.
        weights: How many weights it has, without those of embeddings.
        labels: What messages call its nodes, by their names.

    Raises:
        ValueError: The device that was asked for does not exist, or does not have one of the layers.
    """
    name = get_device()
    if name == "cpu":
        return CPU
    if name == "auto":
        device = _automatic(weights)
        if device is None:
            return CPU
    else:
        device = _find("device" if _setting.name is not None else _VARIABLE, name)
    refused = _core.refused_by_gpus(graph)
    if refused is None:
        return Choice(device, demanded=name != "auto")
    layer, what = refused
    described = f"{labels.get(layer, layer)}: {what}"
    if name != "auto":
        raise ValueError(f"`{layer}`: expected a layer that the GPU {device.name} has; received {described}")
    warn(device, described)
    return CPU


def _automatic(weights: int) -> Device | None:
    """The device that "auto" takes for a model with so many weights."""
    if weights < min(_GAINS.values(), default=weights + 1):
        return None  # without asking the drivers, which takes its time
    gaining = [device for device in devices() if weights >= _GAINS.get(device.type, weights + 1)]
    return min(gaining, key=lambda device: device.type != "discrete", default=None)


def warn(device: Device, what: str) -> None:
    """Says that a model runs on the CPU, and why."""
    _warnings.warn(
        f"the model runs on the CPU, for the GPU {device.name} does not have {what}; "
        'foliot.config.set_device("cpu") silences this'
    )


def weights_of_steps(graph: str, sizes: list[int]) -> int:
    """How many weights take part in every time step: all but those of embeddings, of which a step reads a row.

    Args:
        graph: The native description.
        sizes: How many numbers each weight holds.
    """
    nodes = json.loads(graph)["nodes"]
    used = {index for node in nodes if node["layer"]["kind"] != "embedding" for index in node["parameters"]}
    return sum(sizes[index] for index in used)
