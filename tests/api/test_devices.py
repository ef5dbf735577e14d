"""How a device is chosen, on a machine that may have none."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import foliot
from foliot import _devices, layers
from foliot._devices import Device


def named(index: int, name: str, kind: str) -> Device:
    return Device(index, name, kind, "vulkan", "1.0", {}, ())


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Device]]:
    """A machine with three devices."""
    there = [named(0, "llvmpipe", "software"), named(1, "Iris Xe", "integrated"), named(2, "GeForce 4060", "discrete")]
    monkeypatch.setattr(_devices, "devices", lambda: there)
    monkeypatch.setattr(_devices._setting, "name", None)
    monkeypatch.delenv("FOLIOT_DEVICE", raising=False)
    _devices._environment.cache_clear()
    yield there
    _devices._environment.cache_clear()


@pytest.mark.parametrize(
    ("name", "index"), [("gpu", 2), ("gpu:1", 1), ("gpu:0", 0), ("iris", 1), ("geforce", 2), ("LLVM", 0)]
)
def test_names(found: list[Device], name: str, index: int) -> None:
    assert _devices._find("name", name) is found[index]


@pytest.mark.parametrize("name", ["gpu:3", "gpu:", "gpu:x", "radeon", ""])
def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(found: list[Device], name: str) -> None:
    with pytest.raises(ValueError, match=r"`name`.*0 'llvmpipe' \(software\), 1 'Iris Xe'") as error:
        foliot.config.set_device(name)
    assert repr(name) in str(error.value)
    assert foliot.config.get_device() == "auto"


def test_software_is_no_gpu(found: list[Device]) -> None:
    del found[1:]
    with pytest.raises(ValueError, match="one of 0 'llvmpipe'"):
        foliot.config.set_device("gpu")


def test_without_a_driver_the_error_says_so(found: list[Device]) -> None:
    found.clear()
    with pytest.raises(ValueError, match=r"no driver for Vulkan, Metal or D3D12|built without"):
        foliot.config.set_device("gpu")


def test_settings_and_blocks(found: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOT_DEVICE", "cpu")
    assert foliot.config.get_device() == "cpu"
    with foliot.device("gpu:1"):
        assert foliot.config.get_device() == "gpu:1"
        with foliot.device("auto"):
            assert foliot.config.get_device() == "auto"
        assert foliot.config.get_device() == "gpu:1"
    assert foliot.config.get_device() == "cpu"


@pytest.mark.parametrize("name", [3, None, b"cpu", ["cpu"]])
def test_a_name_is_a_string(found: list[Device], name: object) -> None:
    with pytest.raises(TypeError, match=r"^`name`: expected 'auto', 'cpu', 'gpu'"):
        foliot.config.set_device(name)  # type: ignore[arg-type]
    assert foliot.config.get_device() == "auto"


@pytest.mark.parametrize(("name", "simple"), [("CPU", "cpu"), ("Auto", "auto"), ("GPU", "gpu"), ("Gpu:1", "gpu:1")])
def test_the_case_of_letters_says_nothing(
    found: list[Device], monkeypatch: pytest.MonkeyPatch, name: str, simple: str
) -> None:
    monkeypatch.setenv("FOLIOT_DEVICE", name)
    assert foliot.config.get_device() == simple
    with foliot.device("llvmpipe"):
        foliot.config.set_device(name)
        assert foliot.config.get_device() == simple


def test_an_empty_variable_is_not_set(found: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOT_DEVICE", "")
    assert foliot.config.get_device() == "auto"


def test_the_variable_is_read_once(found: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOT_DEVICE", "cpu")
    assert foliot.config.get_device() == "cpu"
    monkeypatch.setenv("FOLIOT_DEVICE", "gpu")
    assert foliot.config.get_device() == "cpu"
    with foliot.device("gpu:1"):
        assert foliot.config.get_device() == "gpu:1"
    assert foliot.config.get_device() == "cpu"


def test_a_layer_that_a_gpu_does_not_have_is_called_what_the_user_calls_it(
    found: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = foliot.Sequential([foliot.Input((4, 3)), layers.Conv1D(2, 2, name="windows"), layers.Dense(2, name="out")])
    monkeypatch.setattr(_devices, "_core", SimpleNamespace(refused_by_gpus=lambda graph: (refused, "heads")))
    for refused, named in (("windows", "Conv1D 'windows'"), ("out", "Dense 'out'")):
        message = rf"^`{refused}`: .*4060 has; received {named}: heads"
        with foliot.device("geforce"), pytest.raises(ValueError, match=message):
            model.predict(np.zeros((2, 4, 3)), verbose=0)


def test_the_variable_is_named_where_it_is_wrong(found: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOT_DEVICE", "radeon")
    with pytest.raises(ValueError, match="`FOLIOT_DEVICE`"):
        _devices.choose('{"nodes": [], "outputs": [], "parameters": []}', 1, {})


def test_auto_wants_a_model_that_gains() -> None:
    nodes = [{"layer": {"kind": kind}, "parameters": [index]} for index, kind in enumerate(["embedding", "lstm"])]
    assert _devices.weights_of_steps(json.dumps({"nodes": nodes}), [1000, 7]) == 7


def test_auto_takes_devices_that_were_measured_to_gain(found: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    graph = '{"nodes": [], "outputs": [], "parameters": []}'
    assert _devices.choose(graph, 10**9, {}) == _devices.CPU
    monkeypatch.setattr(_devices, "_GAINS", {"discrete": 1000, "integrated": 10})
    taken = [_devices.choose(graph, weights, {}).device for weights in (9, 10, 999, 1000)]
    assert taken == [None, found[1], found[1], found[2]]
    del found[1:]
    assert _devices.choose(graph, 1000, {}) == _devices.CPU


def test_the_list_of_devices_is_that_of_the_native_module() -> None:
    script = (
        "import foliot; print([(d.index, bool(d.name), d.limits['max_buffer_size'] > 0) for d in foliot.devices()])"
    )
    environment = {**os.environ, "VK_DRIVER_FILES": "/nowhere", "VK_ICD_FILENAMES": "/nowhere"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    if sys.platform == "linux":
        assert run.stdout == "[]\n"
