"""NVML from its start to its shutdown, through the binding nvidia-ml-py. Everything here may hang.

Source of the calls: the NVML API reference; error codes by the binding's own names.
"""

import ctypes
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from device_plugin_agent.sources.base import Unfit
from device_plugin_agent.sources.nvidia.gpu import (
    DOUBLE_BIT_ECC,
    LOST,
    Fault,
    Gpu,
    Instance,
    mig_profile,
    pci_address,
)
from device_plugin_agent.sources.selection import printable

_MIG_NAME = re.compile(r"MIG (\S+)$")

_WHOLE = 0xFFFFFFFF
"""In the place of an instance: the event concerns all of the GPU."""


class Session:
    """What must be started anew when a GPU was lost: NVML finds one that is back only at its start."""

    def __init__(self, nvml: Any, turn: Callable[[], None], facts: dict[str, Gpu]) -> None:
        """Raises the binding's NVMLError.

        `turn` is called between two calls. `facts`: what was last known, by UUID, for a GPU that answers no more.
        """
        self._nvml = nvml
        self._turn = turn
        self._known = facts
        self._told: dict[str, bool] = {}
        self._uuids: dict[int, str] = {}
        """Of those that are listened to, by handle: one that is lost does not tell its UUID any more."""
        self._events: Any = None
        self._unsupported = frozenset(
            (
                nvml.NVML_ERROR_NOT_SUPPORTED,
                nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
                nvml.NVML_ERROR_NO_PERMISSION,
                nvml.NVML_ERROR_NOT_FOUND,
                nvml.NVML_ERROR_INVALID_ARGUMENT,
            )
        )
        nvml.nvmlInit()

    def look(self) -> tuple[list[Gpu], bool]:
        """The GPUs that answer, and whether all do. Raises NVMLError."""
        nvml, found, whole = self._nvml, [], True
        handles = {}
        for index in range(nvml.nvmlDeviceGetCount()):
            self._turn()
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                gpu, answers = self._gpu(handle)
            except nvml.NVMLError:
                whole = False
                continue
            found.append(gpu)
            if answers:
                handles[gpu.uuid] = handle
            else:
                whole = False
        self._listen(handles)
        return [replace(gpu, tells=self._told.get(gpu.uuid, False)) for gpu in found], whole

    def wait(self, milliseconds: int) -> Fault | None:
        """The next thing that happens to a GPU, or None when nothing does for so long."""
        nvml = self._nvml
        self._turn()
        try:
            event = nvml.nvmlEventSetWait_v2(self._events, milliseconds)
            uuid = self._uuids.get(_number(event.device)) or nvml.nvmlDeviceGetUUID(event.device)
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_TIMEOUT:
                # One that is lost, or none that tells anything: the next look says what is the matter.
                time.sleep(milliseconds / 1000)
            return None
        xid = event.eventData if event.eventType == nvml.nvmlEventTypeXidCriticalError else DOUBLE_BIT_ECC
        return Fault(
            gpu=uuid,
            gpu_instance=None if event.gpuInstanceId == _WHOLE else event.gpuInstanceId,
            compute_instance=None if event.computeInstanceId == _WHOLE else event.computeInstanceId,
            xid=int(xid),
        )

    def close(self) -> None:
        """Let go of everything; never raises."""
        with suppress(self._nvml.NVMLError):
            self._forget_events()
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _ask(self, default: Any, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the driver answers, or the default where this GPU, or this driver, has no such thing."""
        try:
            return call(*arguments)
        except self._nvml.NVMLError as error:
            if error.value in self._unsupported:
                return default
            raise

    def _gpu(self, handle: Any) -> tuple[Gpu, bool]:
        """What is known of it, and whether it answers."""
        nvml = self._nvml
        uuid = nvml.nvmlDeviceGetUUID(handle)
        if uuid not in self._known:
            self._known[uuid] = self._facts(uuid, handle)
        gpu = self._known[uuid]
        try:
            mig = self._ask((0, 0), nvml.nvmlDeviceGetMigMode, handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
            gpu = self._known[uuid] = replace(gpu, mig=mig, instances=self._instances(handle) if mig else ())
            return replace(gpu, trouble=self._trouble(handle)), True
        except nvml.NVMLError as error:
            return replace(gpu, trouble=self._told_by(error)), False

    def _told_by(self, error: Any) -> Unfit:
        if error.value == self._nvml.NVML_ERROR_GPU_IS_LOST:
            return LOST
        if error.value == self._nvml.NVML_ERROR_RESET_REQUIRED:
            return Unfit(reason="ResetRequired", why="it has to be reset: nvidia-smi --gpu-reset, or a reboot")
        return Unfit(reason="NvmlFailed", why=f"NVML could not ask it: {error}", seen=False)

    def _trouble(self, handle: Any) -> Unfit | None:
        *_, failed = self._ask((0, 0, 0, 0), self._nvml.nvmlDeviceGetRemappedRows, handle)
        if failed:
            return Unfit(reason="RowRemapFailed", why="a row of its memory is broken and could not be remapped")
        return None

    def _facts(self, uuid: str, handle: Any) -> Gpu:
        nvml = self._nvml
        memory = self._ask(None, nvml.nvmlDeviceGetMemoryInfo, handle)
        return Gpu(
            uuid=uuid,
            pci_address=pci_address(nvml.nvmlDeviceGetPciInfo(handle).busId),
            model=printable(nvml.nvmlDeviceGetName(handle)),
            minor=self._ask(None, nvml.nvmlDeviceGetMinorNumber, handle),
            memory=None if memory is None else memory.total >> 20,
            links=self._links(handle),
        )

    def _links(self, handle: Any) -> frozenset[str]:
        nvml, ends = self._nvml, set()
        for link in range(nvml.NVML_NVLINK_MAX_LINKS):
            active = self._ask(None, nvml.nvmlDeviceGetNvLinkState, handle, link)
            if active is None:
                break
            remote = self._ask(None, nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link) if active else None
            if remote is not None:
                ends.add(pci_address(remote.busId))
        return frozenset(ends)

    def _instances(self, handle: Any) -> tuple[Instance, ...]:
        nvml = self._nvml
        total = nvml.nvmlDeviceGetMemoryInfo(handle).total
        found = []
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            self._turn()
            instance = self._ask(None, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
            if instance is None:
                continue
            facts = nvml.nvmlDeviceGetAttributes(instance)
            # The name alone knows of media extensions (+me); older drivers give it the GPU's own.
            named = _MIG_NAME.search(self._ask("", nvml.nvmlDeviceGetName, instance))
            found.append(
                Instance(
                    uuid=nvml.nvmlDeviceGetUUID(instance),
                    profile=printable(named[1])
                    if named
                    else mig_profile(
                        slices=facts.gpuInstanceSliceCount,
                        compute_slices=facts.computeInstanceSliceCount,
                        memory=facts.memorySizeMB,
                        gpu_memory=total,
                    ),
                    memory=int(facts.memorySizeMB),
                    gpu_instance=nvml.nvmlDeviceGetGpuInstanceId(instance),
                    compute_instance=nvml.nvmlDeviceGetComputeInstanceId(instance),
                )
            )
        return tuple(found)

    def _listen(self, handles: dict[str, Any]) -> None:
        if handles.keys() == self._told.keys():
            return
        self._forget_events()
        nvml = self._nvml
        self._events = self._ask(None, nvml.nvmlEventSetCreate)
        wanted = nvml.nvmlEventTypeXidCriticalError | nvml.nvmlEventTypeDoubleBitEccError
        for uuid, handle in handles.items():
            self._uuids[_number(handle)] = uuid
            supported = self._ask(0, nvml.nvmlDeviceGetSupportedEventTypes, handle) & wanted
            self._told[uuid] = bool(
                self._events is not None
                and supported
                and self._ask(False, nvml.nvmlDeviceRegisterEvents, handle, supported, self._events) is None
            )

    def _forget_events(self) -> None:
        self._told, self._uuids = {}, {}
        if self._events is not None:
            events, self._events = self._events, None
            self._nvml.nvmlEventSetFree(events)


def _number(handle: Any) -> int:
    """What tells one handle from another: pointers into the library."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
