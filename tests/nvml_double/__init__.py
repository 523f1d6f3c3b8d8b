"""NVML as the binding nvidia-ml-py shows it, over made-up GPUs that tests break and mend.

Only functions are made up here: constants and errors are the binding's own.
"""

import ctypes
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from types import SimpleNamespace
from typing import Any, TypeVar

import pynvml

_Call = TypeVar("_Call", bound=Callable[..., Any])

ALL_OF_IT = 0xFFFFFFFF

_FIRST = 0x1000
"""The first handle."""


@dataclass(kw_only=True, eq=False)
class Instance:
    """A MIG instance."""

    uuid: str
    gpu_instance: int
    compute_instance: int = 0
    slices: int = 1
    compute_slices: int = 0
    memory: int
    """MiB."""
    name: str = ""


@dataclass(kw_only=True, eq=False)
class Card:
    """A GPU."""

    uuid: str
    bus_id: str
    minor: int
    name: str
    memory: int
    """Bytes."""
    mig: bool | None = None
    """None: it cannot do that."""
    instances: list[Instance] = field(default_factory=list)
    links: list[str | None] = field(default_factory=list)
    """Bus IDs at the other ends; None for a link that is down."""
    events: int = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError
    remap_failed: bool | None = False
    """None: it cannot do that."""
    broken: int | None = None
    """The error that each question about it ends with."""


@dataclass(frozen=True)
class _Device:
    of: Any
    """The card, or the instance."""
    card: Card


def _nvml(call: _Call) -> _Call:
    """Refused before nvmlInit, and hanging when it shall."""

    @wraps(call)
    def guarded(self: "NvmlDouble", *arguments: Any) -> Any:
        self.calls.append(call.__name__)
        until = self._hanging.get(call.__name__)
        if until is not None:
            self.stuck = call.__name__
            until.wait(60)
            self.stuck = None
        if not self.started and call.__name__ != "nvmlInit":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        return call(self, *arguments)

    return guarded  # type: ignore[return-value]


class NvmlDouble:
    """In place of the module `pynvml`."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.started = 0
        self.starts = 0
        self.calls: list[str] = []
        self.fails: int | None = None
        """The error that its start ends with."""
        self.has_events = True
        self.listening: dict[str, int] = {}
        self.stuck: str | None = None
        """The function that somebody waits for."""
        self._devices: list[_Device] = []
        """Those that a handle, a pointer as the library's, was made of."""
        self._events: queue.Queue[Any] = queue.Queue()
        self._hanging: dict[str, threading.Event] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML", "nvmlEventType")):
            return getattr(pynvml, name)
        raise AttributeError(name)

    # What tests do

    def xid(self, card: Card, number: int, instance: Instance | None = None) -> None:
        """An error happens."""
        self._happens(card, pynvml.nvmlEventTypeXidCriticalError, number, instance)

    def double_bit_ecc(self, card: Card) -> None:
        """An error of the memory happens."""
        self._happens(card, pynvml.nvmlEventTypeDoubleBitEccError, 0, None)

    @contextmanager
    def hanging(self, function: str) -> Iterator[None]:
        """This function does not come back."""
        until = self._hanging[function] = threading.Event()
        try:
            yield
        finally:
            del self._hanging[function]
            until.set()

    def _happens(self, card: Card, kind: int, data: int, instance: Instance | None) -> None:
        if self.listening.get(card.uuid, 0) & kind:
            self._events.put(
                SimpleNamespace(
                    device=self._handle(card, card),
                    eventType=kind,
                    eventData=data,
                    gpuInstanceId=ALL_OF_IT if instance is None else instance.gpu_instance,
                    computeInstanceId=ALL_OF_IT if instance is None else instance.compute_instance,
                )
            )

    def _handle(self, of: Any, card: Card) -> Any:
        device = _Device(of, card)
        if device not in self._devices:
            self._devices.append(device)
        return ctypes.cast(ctypes.c_void_p(_FIRST + self._devices.index(device)), pynvml.c_nvmlDevice_t)

    def _device(self, handle: Any) -> _Device:
        return self._devices[(ctypes.cast(handle, ctypes.c_void_p).value or 0) - _FIRST]

    def _card(self, handle: Any) -> Card:
        card = self._device(handle).card
        if card.broken is not None:
            raise pynvml.NVMLError(card.broken)
        return card

    # What the binding has

    @_nvml
    def nvmlInit(self) -> None:  # noqa: N802  (and so on: the binding's names)
        if self.fails is not None:
            raise pynvml.NVMLError(self.fails)
        self.started += 1
        self.starts += 1

    @_nvml
    def nvmlShutdown(self) -> None:  # noqa: N802
        self.started -= 1

    @_nvml
    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    @_nvml
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        card = self.cards[index]
        if card.broken == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise pynvml.NVMLError(card.broken)
        return self._handle(card, card)

    @_nvml
    def nvmlDeviceGetUUID(self, handle: Any) -> str:  # noqa: N802
        device = self._device(handle)
        if device.card.broken == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise pynvml.NVMLError(device.card.broken)
        return str(device.of.uuid)

    @_nvml
    def nvmlDeviceGetName(self, handle: Any) -> str:  # noqa: N802
        device = self._device(handle)
        return str(device.of.name or device.card.name)

    @_nvml
    def nvmlDeviceGetMinorNumber(self, handle: Any) -> int:  # noqa: N802
        return self._card(handle).minor

    @_nvml
    def nvmlDeviceGetPciInfo(self, handle: Any) -> Any:  # noqa: N802
        return SimpleNamespace(busId=self._card(handle).bus_id)

    @_nvml
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        return SimpleNamespace(total=self._card(handle).memory)

    @_nvml
    def nvmlDeviceGetMigMode(self, device: Any) -> list[int]:  # noqa: N802
        mode = _supported(self._card(device).mig)
        return [int(mode), int(mode)]

    @_nvml
    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any) -> int:  # noqa: N802
        return 7

    @_nvml
    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> Any:  # noqa: N802
        card = self._card(device)
        if index >= len(card.instances):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self._handle(card.instances[index], card)

    @_nvml
    def nvmlDeviceGetAttributes(self, device: Any) -> Any:  # noqa: N802
        instance = self._device(device).of
        return SimpleNamespace(
            gpuInstanceSliceCount=instance.slices,
            computeInstanceSliceCount=instance.compute_slices or instance.slices,
            memorySizeMB=instance.memory,
        )

    @_nvml
    def nvmlDeviceGetGpuInstanceId(self, device: Any) -> int:  # noqa: N802
        return int(self._device(device).of.gpu_instance)

    @_nvml
    def nvmlDeviceGetComputeInstanceId(self, device: Any) -> int:  # noqa: N802
        return int(self._device(device).of.compute_instance)

    @_nvml
    def nvmlDeviceGetRemappedRows(self, device: Any) -> tuple[int, int, int, int]:  # noqa: N802
        return 0, 0, 0, int(_supported(self._card(device).remap_failed))

    @_nvml
    def nvmlDeviceGetNvLinkState(self, device: Any, link: int) -> int:  # noqa: N802
        links = self._card(device).links
        if link >= len(links):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT if links else pynvml.NVML_ERROR_NOT_SUPPORTED)
        return int(links[link] is not None)

    @_nvml
    def nvmlDeviceGetNvLinkRemotePciInfo(self, device: Any, link: int) -> Any:  # noqa: N802
        return SimpleNamespace(busId=self._card(device).links[link])

    @_nvml
    def nvmlDeviceGetSupportedEventTypes(self, handle: Any) -> int:  # noqa: N802
        return self._card(handle).events

    @_nvml
    def nvmlEventSetCreate(self) -> object:  # noqa: N802
        if not self.has_events:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return object()

    @_nvml
    def nvmlDeviceRegisterEvents(self, handle: Any, eventTypes: int, eventSet: object) -> None:  # noqa: N802, N803
        self.listening[self._card(handle).uuid] = eventTypes

    @_nvml
    def nvmlEventSetFree(self, eventSet: object) -> None:  # noqa: N802, N803
        self.listening.clear()

    @_nvml
    def nvmlEventSetWait_v2(self, eventSet: object, timeoutms: int) -> Any:  # noqa: N802, N803
        try:
            return self._events.get(block=timeoutms > 0, timeout=timeoutms / 1000)
        except queue.Empty:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT) from None


def _supported(value: bool | None) -> bool:
    if value is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return value
