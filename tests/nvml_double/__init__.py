"""NVML as the binding nvidia-ml-py shows it, over made-up GPUs that tests break and mend.

Only functions are made up here: constants and errors are the binding's own.
"""

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

MIB = 1 << 20


@dataclass(kw_only=True)
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


@dataclass(kw_only=True)
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
class _Handle:
    of: Any
    parent: Card


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
        self.listening: dict[str, int] = {}
        self.stuck: str | None = None
        """The function that somebody waits for."""
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
                    device=_Handle(card, card),
                    eventType=kind,
                    eventData=data,
                    gpuInstanceId=ALL_OF_IT if instance is None else instance.gpu_instance,
                    computeInstanceId=ALL_OF_IT if instance is None else instance.compute_instance,
                )
            )

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
    def nvmlDeviceGetHandleByIndex(self, index: int) -> _Handle:  # noqa: N802
        card = self.cards[index]
        if card.broken == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise pynvml.NVMLError(card.broken)
        return _Handle(card, card)

    @_nvml
    def nvmlDeviceGetUUID(self, handle: _Handle) -> str:  # noqa: N802
        return str(handle.of.uuid)

    @_nvml
    def nvmlDeviceGetName(self, handle: _Handle) -> str:  # noqa: N802
        return str(handle.of.name or handle.parent.name)

    @_nvml
    def nvmlDeviceGetMinorNumber(self, handle: _Handle) -> int:  # noqa: N802
        return _card(handle).minor

    @_nvml
    def nvmlDeviceGetPciInfo(self, handle: _Handle) -> Any:  # noqa: N802
        return SimpleNamespace(busId=_card(handle).bus_id)

    @_nvml
    def nvmlDeviceGetMemoryInfo(self, handle: _Handle) -> Any:  # noqa: N802
        return SimpleNamespace(total=_card(handle).memory)

    @_nvml
    def nvmlDeviceGetMigMode(self, device: _Handle) -> list[int]:  # noqa: N802
        mode = _supported(_card(device).mig)
        return [int(mode), int(mode)]

    @_nvml
    def nvmlDeviceGetMaxMigDeviceCount(self, device: _Handle) -> int:  # noqa: N802
        return 7

    @_nvml
    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: _Handle, index: int) -> _Handle:  # noqa: N802
        card = _card(device)
        if index >= len(card.instances):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return _Handle(card.instances[index], card)

    @_nvml
    def nvmlDeviceGetAttributes(self, device: _Handle) -> Any:  # noqa: N802
        instance = device.of
        return SimpleNamespace(
            gpuInstanceSliceCount=instance.slices,
            computeInstanceSliceCount=instance.compute_slices or instance.slices,
            memorySizeMB=instance.memory,
        )

    @_nvml
    def nvmlDeviceGetGpuInstanceId(self, device: _Handle) -> int:  # noqa: N802
        return int(device.of.gpu_instance)

    @_nvml
    def nvmlDeviceGetComputeInstanceId(self, device: _Handle) -> int:  # noqa: N802
        return int(device.of.compute_instance)

    @_nvml
    def nvmlDeviceGetRemappedRows(self, device: _Handle) -> tuple[int, int, int, int]:  # noqa: N802
        return 0, 0, 0, int(_supported(_card(device).remap_failed))

    @_nvml
    def nvmlDeviceGetNvLinkState(self, device: _Handle, link: int) -> int:  # noqa: N802
        links = _card(device).links
        if link >= len(links):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT if links else pynvml.NVML_ERROR_NOT_SUPPORTED)
        return int(links[link] is not None)

    @_nvml
    def nvmlDeviceGetNvLinkRemotePciInfo(self, device: _Handle, link: int) -> Any:  # noqa: N802
        return SimpleNamespace(busId=_card(device).links[link])

    @_nvml
    def nvmlDeviceGetSupportedEventTypes(self, handle: _Handle) -> int:  # noqa: N802
        return _card(handle).events

    @_nvml
    def nvmlEventSetCreate(self) -> object:  # noqa: N802
        return object()

    @_nvml
    def nvmlDeviceRegisterEvents(self, handle: _Handle, eventTypes: int, eventSet: object) -> None:  # noqa: N802, N803
        self.listening[_card(handle).uuid] = eventTypes

    @_nvml
    def nvmlEventSetFree(self, eventSet: object) -> None:  # noqa: N802, N803
        self.listening.clear()

    @_nvml
    def nvmlEventSetWait_v2(self, eventSet: object, timeoutms: int) -> Any:  # noqa: N802, N803
        try:
            return self._events.get(block=timeoutms > 0, timeout=timeoutms / 1000)
        except queue.Empty:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT) from None


def _card(handle: _Handle) -> Card:
    if handle.parent.broken is not None:
        raise pynvml.NVMLError(handle.parent.broken)
    return handle.parent


def _supported(value: bool | None) -> bool:
    if value is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return value
