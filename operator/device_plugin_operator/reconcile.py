"""One config: look, plan, act, tell. Safe to repeat; a second time writes nothing."""

from dataclasses import replace

from device_plugin_api.config import ConfigStatus
from device_plugin_operator.apply import Applier, Failure, NotRepaired
from device_plugin_operator.client import REFUSALS, ApiError, Unreachable
from device_plugin_operator.clock import Clock
from device_plugin_operator.events import Recorder
from device_plugin_operator.facts import Config, Snapshot
from device_plugin_operator.observe import Observer
from device_plugin_operator.plan import nodes, status
from device_plugin_operator.plan.actions import ApplyDaemonSet, RepairDaemonSet
from device_plugin_operator.plan.changes import AT_ONCE, changes
from device_plugin_operator.plan.events import transitions
from device_plugin_operator.queue import Request, Result, WorkQueue
from device_plugin_operator.settings import Settings

STATUS_PACE = 0.5
"""Least seconds between two writes of one config's status; the first change is written at once."""

_FLEET_PAUSE = 0.1
"""Until the fleet's first lists are complete."""

_RESYNC = 600.0
"""A look now and then although nothing happened: what an event should have told is then late, but not lost."""


class ConfigReconciler:
    """Reconciles DevicePluginConfigs."""

    def __init__(
        self,
        observer: Observer,
        applier: Applier,
        recorder: Recorder,
        queue: WorkQueue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._observer = observer
        self._applier = applier
        self._recorder = recorder
        self._queue = queue
        self._settings = settings
        self._clock = clock
        self._written: dict[str, float] = {}
        self.statuses: dict[str, ConfigStatus] = {}
        """What each config's status says."""

    async def reconcile(self, request: Request) -> Result:
        """Look and act once."""
        snapshot = await self._observer.observe(request.name)
        if snapshot is None or snapshot.config.terminating:
            # Garbage collection removes all that the config owns. To write anything now could only bring it back.
            self._forget(request)
            return Result()
        config = snapshot.config
        if not snapshot.fleet_complete and not config.status.conditions:
            await self._write(config, status.first(config, snapshot.now))
        actions = changes(snapshot)
        failures = await self._applier.apply(actions[:AT_ONCE])
        snapshot = self._with_failures(snapshot, failures)
        if not snapshot.fleet_complete:
            if failures:
                raise failures[0].error
            return Result(_FLEET_PAUSE)
        pause = await self._tell(snapshot, nodes.removed(actions))
        if failures:
            raise failures[0].error
        if len(actions) > AT_ONCE or snapshot.unseen:
            return Result(0.0)
        # What was written may not have been kept: CRDs that do not know a member yet drop it without a word.
        itself = not actions and _tells_itself(snapshot)
        return Result(min(pause, _RESYNC if itself else nodes.RECHECK))

    async def _tell(self, snapshot: Snapshot, removed: frozenset[str]) -> float:
        """Write the status if it differs; seconds until it may be another without anything happening."""
        config = snapshot.config
        wait = self._written.get(config.name, -STATUS_PACE) + STATUS_PACE - self._clock.monotonic()
        if wait > 0:
            return wait
        new = status.status(snapshot, self._settings.agents_namespace, removed)
        if new != config.status:
            await self._write(config, new)
            await self._recorder.post(config, transitions(config.status, new))
        self.statuses[config.name] = new
        recheck = status.recheck_in(snapshot)
        return _RESYNC if recheck is None else recheck

    async def _write(self, config: Config, new: ConfigStatus) -> None:
        await self._applier.write_status(config, new)
        self._written[config.name] = self._clock.monotonic()

    def _with_failures(self, snapshot: Snapshot, failures: list[Failure]) -> Snapshot:
        """A DaemonSet that is refused is told in the status: nobody reads the operator's log first."""
        for failure in failures:
            if isinstance(failure.error, Unreachable):
                raise failure.error
            if isinstance(failure.error, NotRepaired):
                self._observer.doubt(snapshot.config.name)
            elif (
                isinstance(failure.action, ApplyDaemonSet | RepairDaemonSet)
                and isinstance(failure.error, ApiError)
                and failure.error.status in REFUSALS
                and snapshot.daemons is not None
            ):
                snapshot = replace(snapshot, daemons=replace(snapshot.daemons, refusal=failure.error.message))
        return snapshot

    def _forget(self, request: Request) -> None:
        self._observer.forget(request.name)
        self._recorder.forget(request.name)
        self._queue.forget(request)
        self._written.pop(request.name, None)
        self.statuses.pop(request.name, None)


def _tells_itself(snapshot: Snapshot) -> bool:
    """Whether an event tells of everything that can change: not of a refusal's cause, nor of a node without agent."""
    if snapshot.daemons is not None and snapshot.daemons.refusal:
        return False
    return snapshot.nodes.keys() <= {pod.node for pod in snapshot.pods if nodes.living(pod)}
