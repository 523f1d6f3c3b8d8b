"""Facts for tests of the operator's plan: everything has a default, a test names only what it is about."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from device_plugin_api.config import ConfigSpec, ConfigStatus, DeviceCounts
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import (
    AgentPod,
    Config,
    Daemons,
    Machine,
    NodeObject,
    Offer,
    Snapshot,
    Taint,
    Trouble,
    Verdict,
)
from device_plugin_operator.plan import agents, daemonset, revision
from device_plugin_operator.settings import Settings

Json = dict[str, Any]

NOW = 1_800_000_000.0
UID = "11111111-1111-1111-1111-111111111111"
RESOURCE = "example.com/camera"
SETTINGS = Settings(agent_image="agent:1")


def spec(**members: Any) -> ConfigSpec:
    """A spec from JSON's names."""
    resources = [{"name": RESOURCE, "source": {"paths": {"include": ["/dev/video*"]}}}]
    return msgspec.convert({"resources": resources} | members, ConfigSpec)


REVISION = revision.of(spec().resources)


def config(made: ConfigSpec | None = None, *, invalid: str = "", status: ConfigStatus | None = None) -> Config:
    """A config of generation 2."""
    return Config(
        name="cameras",
        uid=UID,
        generation=2,
        created="2026-01-01T00:00:00Z",
        terminating=False,
        spec=None if invalid else made or spec(),
        invalid=invalid,
        status=status or ConfigStatus(),
    )


def counts(healthy: int = 0, unhealthy: int = 0, unknown: int = 0) -> DeviceCounts:
    """Devices by state."""
    return DeviceCounts(
        total=healthy + unhealthy + unknown, healthy=healthy, unhealthy=unhealthy, unknown=unknown, allocated=0
    )


def trouble(device: str, *, state: str = "Unhealthy", reason: str = "DeviceMissing", message: str = "") -> Trouble:
    """A device that does not work."""
    return Trouble(RESOURCE, device, state, reason, message, timestamp(NOW - 60))


def node(name: str, **members: Any) -> NodeObject:
    """A NodeDevicePlugin whose agent has reported that all is well with two devices."""
    told = members.pop("devices", counts(2))
    defaults: Json = {
        "name": f"cameras.{name}",
        "uid": f"ndp-{name}",
        "version": 1,
        "created": timestamp(NOW - 600),
        "terminating": False,
        "config": "cameras",
        "config_uid": UID,
        "node": name,
        "node_uid": f"machine-{name}",
        "revision": REVISION,
        "observed_revision": REVISION,
        "registered": Verdict(True, "", timestamp(NOW - 500)),
        "accepted": Verdict(True, "", timestamp(NOW - 500)),
        "disagrees": None,
        "counts": told,
        "offers": (Offer(RESOURCE, told),),
        "troubles": (),
        "more_troubles": False,
        "resources": (RESOURCE,),
    }
    return NodeObject(**defaults | members)


def pod(on: str, /, **members: Any) -> AgentPod:
    """A ready agent's pod on that node, older than the NodeDevicePlugin."""
    defaults: Json = {
        "name": f"cameras-agent-{on}",
        "uid": f"pod-{on}",
        "version": 1,
        "created": timestamp(NOW - 700),
        "terminating": False,
        "config": "cameras",
        "node": on,
        "bound": True,
        "ready": True,
        "since": timestamp(NOW - 690),
        "reason": "",
        "message": "",
    }
    return AgentPod(**defaults | members)


def machine(name: str, *, taints: Iterable[Taint] = (), runtime: str = "", **labels: str) -> Machine:
    """A Node."""
    labels = {"kubernetes.io/os": "linux"} | labels
    return Machine(name=name, uid=f"machine-{name}", labels=labels, taints=tuple(taints), runtime=runtime)


def daemons(desired: int | None, *, made: ConfigSpec | None = None, updated: int | None = None) -> Daemons:
    """A DaemonSet in place; `desired` None while its controller has not looked."""
    wanted = daemonset.wanted(config(made), made or spec(), SETTINGS)
    live = {**wanted, "metadata": {**wanted["metadata"], "generation": 1, "uid": "ds"}, "status": {}}
    if desired is not None:
        live["status"] = {
            "observedGeneration": 1,
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired,
            "updatedNumberScheduled": desired if updated is None else updated,
        }
    return Daemons(live=live, wanted=wanted, expected=wanted["spec"], refusal="")


def snapshot(*nodes: NodeObject, pods: Iterable[AgentPod] | None = None, **members: Any) -> Snapshot:
    """A config whose nodes all have a ready agent unless `pods` says otherwise; silent ones are so since `unready`."""
    made: dict[str, NodeObject] = {found.node: found for found in nodes}
    there = tuple(pod(found.node) for found in nodes) if pods is None else tuple(pods)
    unready: Mapping[str, float] = members.pop("unready", {})
    on_node = agents.by_node(there)
    missing = {name for name in {*made, *on_node} if name not in on_node or not on_node[name].ready}
    defaults: Json = {
        "now": NOW,
        "config": config(),
        "fleet_complete": True,
        "daemons": daemons(len(made)),
        "nodes": made,
        "pods": there,
        "unready": dict.fromkeys(missing, NOW) | dict(unready),
    }
    return Snapshot(**defaults | members)
