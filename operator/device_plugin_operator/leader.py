"""The Lease by which one of several operators leads, and the fence that keeps all others from writing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from device_plugin_operator import paths
from device_plugin_operator.client import JSON, ApiError, RequestFailed, Requests
from device_plugin_operator.clock import Clock
from device_plugin_operator.decode import Meta, Wire
from device_plugin_operator.election import Election, Record, Timing

LEASE = "device-plugin-operator"
"""Its name, in the operator's namespace."""

_NOT_FOUND, _CONFLICT = 404, 409
RELEASE = 3.0
"""Seconds that a release may take: without it the others just wait longer."""

_log = logging.getLogger(__name__)


class Lost(Exception):
    """We led, and do so no more."""


class NotLeading(RequestFailed):
    """A write that was not sent: somebody else may lead by now."""


class _Spec(Wire, frozen=True):
    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    lease_transitions: int = 0


class _Lease(Wire, frozen=True):
    metadata: Meta
    spec: _Spec = _Spec()


class Leader:
    """Takes part in the election. `identity` is this process's alone."""

    def __init__(
        self,
        client: Requests,
        clock: Clock,
        random: Callable[[], float],
        *,
        namespace: str,
        identity: str,
        timing: Timing | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._random = random
        self._namespace = namespace
        self._election = Election(identity, timing or Timing())
        self._timing = self._election.timing
        self._unanswered: asyncio.Task[bytes] | None = None
        """Our last write, unless it succeeded: the API server may have stored it all the same."""

    @property
    def leads(self) -> bool:
        """Whether we may write, now."""
        return self._election.leads(self._clock.monotonic())

    @property
    def holder(self) -> str:
        """Who leads, as far as is known; "" before the Lease was read, and when nobody does."""
        return self._election.record.holder if self._election.record is not None else ""

    async def acquire(self) -> None:
        """Return when we lead."""
        told = ""
        while not self.leads:
            try:
                async with asyncio.timeout(self._timing.deadline):
                    await self._read()
                    if self._election.free(self._clock.monotonic()):
                        await self._write()
            except (RequestFailed, TimeoutError, msgspec.DecodeError) as error:
                _log.warning("Could not read or write the Lease", extra={"err": str(error) or type(error).__name__})
            if not self.leads:
                if self.holder != told:
                    told = self.holder
                    _log.info("Standing by", extra={"leader": told})
                await asyncio.sleep(self._pause())
        _log.info("Leading", extra={"identity": self._election.identity})

    async def hold(self) -> None:
        """Renew for ever. Raises Lost, at the latest when others may think so."""
        problem = ""
        while True:
            await asyncio.sleep(min(self._timing.period, self._left()))
            try:
                async with asyncio.timeout(self._left()):
                    await self._renew()
            except TimeoutError:
                problem = problem or "no answer"
            except (RequestFailed, msgspec.DecodeError) as error:
                problem = str(error)
                _log.warning("Could not renew the Lease", extra={"err": problem})
            if not self.leads:
                if self.holder != self._election.identity:
                    raise Lost(f"the Lease is now held by {self.holder or 'nobody'}")
                raise Lost(f"the Lease could not be renewed for {self._timing.deadline:g} s: {problem}")

    async def release(self) -> None:
        """Let the next one lead at once. Call it when nothing writes any more."""
        if self._election.lost(self._clock.monotonic()):
            return
        try:
            async with asyncio.timeout(RELEASE):
                if self._unanswered is not None:
                    await asyncio.wait({self._unanswered})
                    await self._read()
                known = self._election.record
                if known is not None and known.holder == self._election.identity:
                    await self._put(known, holder="", duration=1.0, transitions=known.transitions)
        except (RequestFailed, TimeoutError, msgspec.DecodeError) as error:
            _log.warning("Could not release the Lease", extra={"err": str(error) or type(error).__name__})

    def _left(self) -> float:
        return self._election.left(self._clock.monotonic())

    def _pause(self) -> float:
        """A little apart from other candidates, and at once when the Lease becomes free."""
        free = self._election.free_in(self._clock.monotonic()) or self._timing.period
        return min(self._timing.period, free) + 0.1 * self._timing.period * self._random()

    async def _renew(self) -> None:
        try:
            await self._write()
        except ApiError as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise
            # Somebody else wrote, or an earlier write of ours came through although its answer did not.
            await self._read()
            if self.leads:
                await self._write()

    async def _read(self) -> None:
        try:
            content = await self._client.request("GET", paths.lease(self._namespace, LEASE))
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            self._election.saw(None, self._clock.monotonic())
            return
        self._election.saw(_record(content), self._clock.monotonic())

    async def _write(self) -> None:
        """Make it ours, or keep it so. Based on the version we know: of two that try, one fails."""
        election, known = self._election, self._election.record
        sent = self._clock.monotonic()
        if known is not None and known.holder == election.identity:
            transitions = known.transitions
        else:
            transitions = known.transitions + 1 if known is not None else 0
        record = await self._put(
            known, holder=election.identity, duration=self._timing.duration, transitions=transitions
        )
        election.wrote(record, sent, self._clock.monotonic())

    async def _put(self, known: Record | None, *, holder: str, duration: float, transitions: int) -> Record:
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = known is not None and known.holder in (holder, self._election.identity)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": self._namespace}
            | ({"resourceVersion": known.version} if known is not None else {}),
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": int(duration),
                "acquireTime": known.acquired if known is not None and kept and known.acquired else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
        where = paths.lease(self._namespace, LEASE)
        method, path = ("PUT", where) if known is not None else ("POST", paths.leases(self._namespace))
        self._unanswered = asyncio.create_task(self._client.request(method, path, body=body))
        # Who stops us must not stop the write: whether it was stored is known by its answer alone.
        content = await asyncio.shield(self._unanswered)
        self._unanswered = None
        return _record(content)


def _record(content: bytes) -> Record:
    lease = msgspec.json.decode(content, type=_Lease)
    return Record(
        version=lease.metadata.resource_version,
        holder=lease.spec.holder_identity,
        duration=float(lease.spec.lease_duration_seconds),
        acquired=lease.spec.acquire_time or "",
        transitions=lease.spec.lease_transitions,
    )


class Fence:
    """A client that sends nothing unless we lead: a process that was frozen may find its lease gone when it goes on."""

    def __init__(self, client: Requests, leader: Leader) -> None:
        self._client = client
        self._leader = leader

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> bytes:
        """As the client's. Raises NotLeading besides."""
        if not self._leader.leads:
            raise NotLeading(f"{method} {path}: not sent, since this operator does not lead")
        return await self._client.request(method, path, params=params, body=body, content_type=content_type)
