"""Who uses which device, from the kubelet's podresources service."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc.aio

from device_plugin_agent import grpc_options
from device_plugin_agent.agreement import Slots
from device_plugin_agent.clock import Clock
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.kubelet_api import podresources_pb2_grpc as rpc
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.signal import Signal
from device_plugin_agent.trouble import Trouble
from device_plugin_api.node import Holder

Use = Mapping[str, Mapping[str, tuple[Holder, ...]]]
"""Resource name → slot → who has it."""

PERIOD_IN_USE, _PERIOD_DISAGREEING, _PERIOD_IDLE = 1.0, 10.0, 60.0
"""Seconds between two questions: the kubelet answers 100 a second to all clients of the node together (R18).

Idle is when nothing is in use or has lately been handed out: what is in use begins with an Allocate of ours.
"""

_PERIOD_COMPARE = 30.0
"""Seconds between two looks at what the kubelet could hand out, as long as it is what was offered."""

_AFTER_ALLOCATE = (0.2, 1.0)
"""Seconds after an Allocate to ask out of turn: a pod is named once the kubelet has admitted it."""

_DEADLINE = 5.0

_BELIEVED = 60.0
"""Seconds after the start from which an answer counts that has never named the agent's own pod."""

_log = logging.getLogger(__name__)


class PodResources:
    """Asks gently who has what, and hands every answer to `tell`, which says whether it names any device of ours.

    `tell` hears too when it was asked, in monotonic seconds.

    From time to time it asks too what the kubelet could hand out, for `compare`, which says whether that is as it
    should be. No answer is no news, never "nobody"; nor is one of a kubelet that does not name `own_pod` any more.
    """

    def __init__(
        self,
        socket: Path,
        tell: Callable[[Use, float], bool],
        compare: Callable[[Slots], bool],
        *,
        clock: Clock,
        pulse: Pulse,
        own_pod: str,
    ) -> None:
        self._socket = socket
        self._tell = tell
        self._compare = compare
        self._clock = clock
        self._pulse = pulse
        self._own_pod = own_pod
        self._named = False
        self._began = clock.monotonic()
        self._compare_at = 0.0
        # What the process before this one handed out last, podresources may not name yet.
        self._handed_out_at = clock.monotonic()
        self._asked = Signal()
        self._trouble = Trouble(_log, "podresources does not answer: who has which device is not known")

    def ask_soon(self) -> None:
        """Something was handed out."""
        self._asked.fire()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with self._channel() as channel:
            lister = rpc.PodResourcesListerStub(channel)
            period = 0.0
            seen = self._asked.count
            while True:
                self._pulse.turned("podresources", period)
                await self._asked.after(seen, period)
                pauses: tuple[float, ...] = (0.0,)
                if self._asked.count != seen:
                    pauses, self._handed_out_at = _AFTER_ALLOCATE, self._clock.monotonic()
                seen = self._asked.count
                for pause in pauses:
                    await asyncio.sleep(pause)
                    used = await self._ask(lister)
                agrees = await self._ask_what_there_is(lister)
                period = until_next(used=used, handed_out=self._clock.monotonic() - self._handed_out_at, agrees=agrees)

    async def now(self) -> Use | None:
        """Who has what at this moment, asked out of turn; None when that cannot be learnt."""
        async with self._channel() as channel:
            return await self._answer(rpc.PodResourcesListerStub(channel))

    def _channel(self) -> grpc.aio.Channel:
        return grpc_options.channel(f"unix:{self._socket}", ("grpc.max_reconnect_backoff_ms", 2000))

    async def _ask(self, lister: "rpc.PodResourcesListerAsyncStub") -> bool:
        """One question; whether any device is in use, or that could not be learnt."""
        asked = self._clock.monotonic()
        use = await self._answer(lister)
        return use is None or self._tell(use, asked)

    async def _answer(self, lister: "rpc.PodResourcesListerAsyncStub") -> Use | None:
        asked = self._clock.monotonic()
        try:
            answer = await lister.List(api.ListPodResourcesRequest(), timeout=_DEADLINE)
        except grpc.aio.AioRpcError as error:
            self._trouble.failed(str(error.details()))
            return None
        self._trouble.worked()
        named = any(pod.name == self._own_pod for pod in answer.pod_resources)
        young = asked - self._began < _BELIEVED
        if not named and (self._named or (self._own_pod and young)):
            # A kubelet that has just started hears of its pods from the API server, which may take long: not even ours
            # is there, and who has what it does not know.
            return None
        self._named = named
        return holders(answer)

    async def _ask_what_there_is(self, lister: "rpc.PodResourcesListerAsyncStub") -> bool:
        """Now and then one more question; whether the kubelet has what it should have, as far as is known."""
        now = self._clock.monotonic()
        if now < self._compare_at:
            return True
        try:
            answer = await lister.GetAllocatableResources(api.AllocatableResourcesRequest(), timeout=_DEADLINE)
        except grpc.aio.AioRpcError as error:
            _log.debug("podresources did not answer", extra={"err": error.details()})
            return False
        agrees = self._compare(allocatable(answer))
        if agrees:
            self._compare_at = now + _PERIOD_COMPARE
        return agrees


def until_next(*, used: bool, handed_out: float, agrees: bool) -> float:
    """Seconds until the next question.

    `handed_out`: seconds since something may have been; `agrees`: whether the kubelet has what it was told.
    """
    if used or handed_out < ALLOCATION_GRACE:
        return PERIOD_IN_USE
    return _PERIOD_IDLE if agrees else _PERIOD_DISAGREEING


def allocatable(answer: api.AllocatableResourcesResponse) -> dict[str, frozenset[str]]:
    """Resource → what the kubelet could hand out of it, or has handed out, and takes for healthy."""
    slots: dict[str, frozenset[str]] = {}
    for devices in answer.devices:
        slots[devices.resource_name] = slots.get(devices.resource_name, frozenset()).union(devices.device_ids)
    return slots


def holders(answer: api.ListPodResourcesResponse) -> dict[str, dict[str, tuple[Holder, ...]]]:
    """Resource → device → containers. A device is named once for each of its NUMA nodes; here it counts once."""
    use: dict[str, dict[str, tuple[Holder, ...]]] = {}
    for pod in answer.pod_resources:
        for container in pod.containers:
            holder = Holder(namespace=pod.namespace, pod=pod.name, container=container.name)
            for devices in container.devices:
                of_resource = use.setdefault(devices.resource_name, {})
                for device_id in devices.device_ids:
                    known = of_resource.get(device_id, ())
                    if holder not in known:
                        of_resource[device_id] = (*known, holder)
    return use
