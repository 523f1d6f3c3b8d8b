"""Takes samples at a steady beat, in a thread of its own."""

import threading
import time
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from fnmatch import fnmatchcase

from apiserver_fixture.client import ApiError, Client
from chaos_bed.facts import BEAT
from chaos_bed.oracle import Oracle, processes
from chaos_bed.plan import World
from chaos_bed.samples import Look, Sample, Wanted
from chaos_bed.statuses import Statuses
from e2e_bed.cluster import Json

_SLOW = 0.6
"""Seconds without an answer after which the API server counts as out of reach."""


class Reachability:
    """Whether the API server answers, asked again and again over a connection of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answered = time.monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._ask, name="asks the API server", daemon=True).start()

    def now(self) -> bool:
        """Whether it has answered of late."""
        return time.monotonic() - self._answered < _SLOW + BEAT

    def stop(self) -> None:
        """Ask no longer."""
        self._stopped.set()

    def _ask(self) -> None:
        while not self._stopped.wait(BEAT):
            with suppress(OSError, ApiError):
                self._client.request("GET", "/livez/ping")
                self._answered = time.monotonic()


class Sampler:
    """Between start() and stop(), all that was seen."""

    def __init__(
        self,
        config: str,
        world: World,
        oracles: Mapping[str, Oracle],
        statuses: Statuses,
        reachable: Callable[[], bool],
        cut: Set[str],
    ) -> None:
        self.samples: list[Sample] = []
        self._config = config
        self._devices = frozenset((*world.plain, *world.shared))
        self._oracles = oracles
        self._statuses = statuses
        self._reachable = reachable
        self._cut = cut
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)

    def start(self) -> None:
        """Begin; the statuses have to be there."""
        self._thread.start()

    def stop(self) -> None:
        """End; raises what kept it from going on."""
        self._stopped.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                sample = self._sample()
                self.samples.append(sample)
                self._stopped.wait(sample.at + BEAT - time.monotonic())
        except Exception as error:
            self._failure = error

    def _sample(self) -> Sample:
        at, wall = time.monotonic(), time.time()
        running = processes(self._config, self._config)
        agents = {agent.node: agent.pid for agent in running.agents}
        looks = {
            node: Look(
                present=oracle.present(),
                agent=agents.get(node, 0),
                reaches_api=node not in self._cut,
                offered=oracle.offered(),
                held=oracle.held(),
                running=running.running(node),
            )
            for node, oracle in self._oracles.items()
        }
        summary = self._statuses.summary
        assert summary is not None
        return Sample(
            at=at,
            wall=wall,
            api=self._reachable(),
            looks=looks,
            wanted=wanted(self._statuses.spec, self._devices),
            reports=self._statuses.reports,
            summary=summary,
        )


def wanted(spec: Json, devices: frozenset[str]) -> Wanted:
    """What a config's spec means for these devices."""
    selected: set[str] = set()
    replicas: dict[str, int] = {}
    resources: dict[str, str] = {}
    for resource in spec["resources"]:
        paths = resource["source"]["paths"]
        for device in devices:
            path = f"/dev/{device}"
            if _matches(path, paths["include"]) and not _matches(path, paths.get("exclude", [])):
                selected.add(device)
                resources[device] = resource["name"]
                replicas[device] = resource.get("sharing", {}).get("replicas", 1)
    cordoned = frozenset((each["node"], each["device"]) for each in spec.get("cordonedDevices", []))
    return Wanted(selected=frozenset(selected), replicas=replicas, resources=resources, cordoned=cordoned)


def _matches(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
