"""Whether anything has to be done about a node, waited for or said of it by name, but for devices that do not work."""

from collections.abc import Sequence

from device_plugin_operator.facts import AgentPod, Config, NodeObject, Rivals
from device_plugin_operator.plan import agents, conflicts, cordons, nodes, runtime
from device_plugin_operator.plan.nodes import Checked


def calm(
    config: Config,
    wanted: str,
    found: Sequence[NodeObject],
    pods: Sequence[AgentPod],
    checked: Checked | None,
    rivals: Rivals,
) -> bool:
    """Of a node with these objects and pods, whatever the time. `wanted` is the config's revision.

    Such a node's share of a status is what it counts, and its part in a rollout is to be one more node.
    """
    if config.spec is None or len(found) != 1 or len(pods) != 1:
        return False
    told, pod = found[0], pods[0]
    return (
        told.config_uid == config.uid
        and not told.terminating
        and told.revision == told.observed_revision == wanted
        and told.trial is None
        and told.accepted is not None
        and told.accepted.holds
        and told.disagrees is None
        and told.registered is not None
        and told.registered.holds
        and pod.ready
        and nodes.living(pod)
        and not told.withheld
        and not conflicts.on(config, told, rivals)
        and told.cordoned == cordons.on(told.node, config.spec)
        and _known(config, told, pod, checked)
    )


def _known(config: Config, told: NodeObject, pod: AgentPod, checked: Checked | None) -> bool:
    """Whether its machine need not be looked at or has been, and is the one that it was."""
    needed = nodes.purposes(config, {told.node: told}, agents.by_node([pod]))
    if told.node not in needed:
        return True
    if checked is None or checked.purpose != needed[told.node] or checked.machine is None:
        return False
    return checked.machine.uid == told.node_uid and runtime.takes_cdi(checked.machine.runtime) == told.cdi
