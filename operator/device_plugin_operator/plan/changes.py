"""Everything that has to be done for one config, but for its status."""

from device_plugin_api import names
from device_plugin_operator.facts import Config, Snapshot
from device_plugin_operator.plan import drift, nodes
from device_plugin_operator.plan.actions import Action, ApplyDaemonSet, DeleteDaemonSet, RepairDaemonSet

AT_ONCE = 200
"""Actions of one turn: with 5,000 nodes the status is not to wait for the last of them."""


def changes(snapshot: Snapshot) -> list[Action]:
    """What to do, in order. Nothing when all is as it should be; nothing either for a spec that makes no sense."""
    spec = snapshot.config.spec
    if spec is None or snapshot.config.terminating:
        return []
    actions = _daemonset(snapshot, snapshot.config)
    if snapshot.fleet_complete:
        actions += nodes.changes(snapshot, spec)
    return actions


def _daemonset(snapshot: Snapshot, config: Config) -> list[Action]:
    daemons = snapshot.daemons
    if daemons is None or daemons.expected is None:
        return []
    name = names.daemonset_name(config.name)
    if daemons.live is not None:
        if daemons.live["metadata"].get("deletionTimestamp"):
            return []  # the next event tells when it is gone
        if drift.foreign_owner(daemons.live, config):
            return [DeleteDaemonSet(name=name, uid=daemons.live["metadata"]["uid"])]
        if drift.settled(daemons.live, daemons.wanted, daemons.expected):
            return []
        if drift.added_to(daemons.live, daemons.expected):
            body = drift.repaired(daemons.live, daemons.wanted, daemons.expected)
            return [RepairDaemonSet(name=name, body=body, wanted=daemons.wanted, expected=daemons.expected)]
    return [ApplyDaemonSet(name=name, wanted=daemons.wanted)]
