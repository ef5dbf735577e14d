"""Plans on wgpu-py: a host of WGSL that shares no code with foliot's own. It takes what `_core.plan` wrote down and
nothing else."""

import os
from typing import Any

import numpy as np
import wgpu

Array = np.ndarray
# Uniform blocks are at most so large, and begin at multiples of it.
BLOCK = 256
STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC


class Host:
    """An adapter that is open. Pipelines are made once."""

    def __init__(self, adapter: Any) -> None:
        self.name = adapter.info["device"]
        self.device = adapter.request_device_sync()
        self.modules: dict[str, Any] = {}
        self.pipelines: dict[Any, Any] = {}
        sizes = {"type": wgpu.BufferBindingType.uniform}
        self.sizes_layout = self._layout([(0, sizes)])

    def _layout(self, entries: list[tuple[int, dict[str, Any]]]) -> Any:
        return self.device.create_bind_group_layout(
            entries=[
                {"binding": slot, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": buffer} for slot, buffer in entries
            ]
        )

    def _buffer(self, values: Array | None = None, words: int = 0, usage: int = STORAGE) -> Any:
        if values is None:
            return self.device.create_buffer(size=max(words, 64) * 4, usage=usage)
        padded = np.zeros(max(values.size, 1), values.dtype)
        padded[: values.size] = values
        return self.device.create_buffer_with_data(data=padded, usage=usage)

    def _pipeline(self, dispatch: dict[str, Any]) -> tuple[Any, Any]:
        reads = tuple((slot, source[0] == "words") for slot, source in dispatch["bindings"])
        key = (dispatch["shader"], dispatch["entry"], tuple(dispatch["constants"]), reads)
        if key not in self.pipelines:
            if dispatch["shader"] not in self.modules:
                self.modules[dispatch["shader"]] = self.device.create_shader_module(code=dispatch["wgsl"])
            kinds = {False: wgpu.BufferBindingType.storage, True: wgpu.BufferBindingType.read_only_storage}
            layout = self._layout([(slot, {"type": kinds[only_read]}) for slot, only_read in reads])
            pipeline = self.device.create_compute_pipeline(
                layout=self.device.create_pipeline_layout(bind_group_layouts=[layout, self.sizes_layout]),
                compute={
                    "module": self.modules[dispatch["shader"]],
                    "entry_point": dispatch["entry"],
                    "constants": dict(dispatch["constants"]),
                },
            )
            self.pipelines[key] = (pipeline, layout)
        return self.pipelines[key]

    def run(self, plan: dict[str, Any]) -> tuple[list[Array], list[Array]]:
        """What the plan reads, in order, and the weights in the end, in the order of the plan's."""
        memories = {kind: self._buffer(words=plan[kind]) for kind in ("floats", "scratch")}
        weights: dict[int, tuple[Any, int]] = {}
        seen = []
        for kind, *event in plan["events"]:
            if kind == "hold":
                identity, values = event
                weights[identity] = self._buffer(values), values.size
            elif kind == "write":
                offset, values = event
                if values.size:
                    self.device.queue.write_buffer(memories["floats"], offset * 4, values)
            elif kind == "read":
                ((memory, offset, count),) = event
                seen.append(self._read(memories[memory], offset, count))
            else:
                self._dispatch(event[0], memories, weights)
        return seen, [self._read(weights[weight][0], 0, weights[weight][1]) for weight in plan["weights"]]

    def _read(self, buffer: Any, offset: int, count: int) -> Array:
        if count == 0:
            return np.empty(0, np.float32)
        return np.frombuffer(self.device.queue.read_buffer(buffer, offset * 4, count * 4), np.float32)

    def _dispatch(
        self, dispatch: dict[str, Any], memories: dict[str, Any], weights: dict[int, tuple[Any, int]]
    ) -> None:
        pipeline, layout = self._pipeline(dispatch)
        entries = []
        for slot, (kind, *place) in dispatch["bindings"]:
            if kind in memories:
                offset, count = place
                resource = {"buffer": memories[kind], "offset": offset * 4, "size": max(count, 1) * 4}
            elif kind == "weight":
                buffer, count = weights[place[0]]
                resource = {"buffer": buffer, "offset": 0, "size": max(count, 1) * 4}
            else:
                resource = {"buffer": self._buffer(*place, words=1), "offset": 0}
            entries.append({"binding": slot, "resource": resource})
        sizes = np.zeros(BLOCK // 4, np.uint32)
        sizes[: dispatch["sizes"].size] = dispatch["sizes"]
        uniform = self._buffer(sizes, usage=wgpu.BufferUsage.UNIFORM)
        groups = [
            self.device.create_bind_group(layout=layout, entries=entries),
            self.device.create_bind_group(
                layout=self.sizes_layout, entries=[{"binding": 0, "resource": {"buffer": uniform}}]
            ),
        ]
        encoder = self.device.create_command_encoder()
        compute = encoder.begin_compute_pass()
        compute.set_pipeline(pipeline)
        for index, group in enumerate(groups):
            compute.set_bind_group(index, group)
        compute.dispatch_workgroups(*dispatch["workgroups"])
        compute.end()
        self.device.queue.submit([encoder.finish()])


def _pick() -> Any:
    """As `adapter.ADAPTER`; OpenGL is not what plans are for."""
    named = os.environ.get("FOLIOT_TEST_GPU", "").casefold()
    there = [
        one for one in wgpu.gpu.enumerate_adapters_sync() if one.info["backend_type"] in ("Vulkan", "Metal", "D3D12")
    ]
    chosen = [one for one in there if named in one.info["device"].casefold()]
    return min(chosen or there, key=lambda one: one.info["adapter_type"] == "CPU")


HOST = Host(_pick())
