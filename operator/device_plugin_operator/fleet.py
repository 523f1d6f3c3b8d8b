"""All NodeDevicePlugins and agent pods, by config. Kopf cannot say when its first list is complete; this can."""

import asyncio
from collections.abc import Callable, Sequence, Set
from typing import Generic, TypeVar

from device_plugin_operator import decode_fleet, paths
from device_plugin_operator.client import Client
from device_plugin_operator.facts import AgentPod, NodeObject, Rivals
from device_plugin_operator.plan import conflicts, daemonset
from device_plugin_operator.reflector import Reflector
from device_plugin_operator.settings import Settings

T = TypeVar("T", bound=NodeObject | AgentPod)

Changed = Callable[[str], None]
"""Called with the name of a config of which something has changed."""


class Store(Generic[T]):
    """Objects of one kind by config and node."""

    def __init__(self, changed: Changed, placed: Callable[[T], None] = lambda item: None) -> None:
        """`placed` is called with each item that comes, changes or goes."""
        self.complete = False
        self._changed = changed
        self._placed = placed
        self._by_name: dict[str, T] = {}
        self._by_node: dict[str, dict[str, tuple[T, ...]]] = {}
        self._configs: dict[str, tuple[str, ...]] = {}
        self._touched: dict[str, set[str]] = {}

    def nodes(self, config: str) -> Set[str]:
        """The nodes that have any of that config."""
        return self._by_node.get(config, {}).keys()

    def on(self, config: str, node: str) -> tuple[T, ...]:
        """What that node has of that config, sorted by name."""
        return self._by_node.get(config, {}).get(node, ())

    def others(self, config: str, node: str) -> tuple[T, ...]:
        """What that node has of other configs."""
        return tuple(item for other in self._configs.get(node, ()) if other != config for item in self.on(other, node))

    def touch(self, config: str, node: str) -> None:
        """Something that concerns that config has changed on that node."""
        self._touched.setdefault(config, set()).add(node)
        self._changed(config)

    def touched(self, config: str) -> Set[str]:
        """The nodes on which something of that config has changed since it was last asked."""
        return self._touched.pop(config, set())

    def __len__(self) -> int:
        return len(self._by_name)

    def replace(self, items: list[T]) -> None:
        """These are all there are. As in `put`, an older version is late news: a long list began before our change."""
        first, self.complete = not self.complete, True
        there = {item.name for item in items}
        touched = [self._remove(known) for name, known in list(self._by_name.items()) if name not in there]
        for item in items:
            known = self._by_name.get(item.name)
            if known != item and not _late(known, item):
                touched += [] if known is None else [self._remove(known)]
                touched.append(self._insert(item))
        configs = {item.config for item in items} if first else set()
        for config in sorted(configs.union(touched)):
            self._changed(config)

    def put(self, item: T) -> None:
        """One is new or has changed. An older version than the known one is late news of a change of our own."""
        known = self._by_name.get(item.name)
        if _late(known, item):
            return
        if known is not None and (left := self._remove(known)) != item.config:
            self._changed(left)
        self._changed(self._insert(item))

    def drop(self, name: str, uid: str) -> None:
        """One is gone; another object that has got its name since stays."""
        known = self._by_name.get(name)
        if known is not None and known.uid == uid:
            self._changed(self._remove(known))

    def _insert(self, item: T) -> str:
        self._by_name[item.name] = item
        self._place(item, sorted([*self.on(item.config, item.node), item], key=lambda each: each.name))
        return item.config

    def _remove(self, item: T) -> str:
        del self._by_name[item.name]
        self._place(item, [each for each in self.on(item.config, item.node) if each.name != item.name])
        return item.config

    def _place(self, item: T, there: Sequence[T]) -> None:
        """These are on the node of that item."""
        self._touched.setdefault(item.config, set()).add(item.node)
        nodes = self._by_node.setdefault(item.config, {})
        if there:
            nodes[item.node] = tuple(there)
        else:
            nodes.pop(item.node, None)
        if not nodes:
            del self._by_node[item.config]
        configs = {*self._configs.pop(item.node, ())} - {item.config} | ({item.config} if there else set())
        if configs:
            self._configs[item.node] = tuple(sorted(configs))
        self._placed(item)


def _late(known: NodeObject | AgentPod | None, item: NodeObject | AgentPod) -> bool:
    """Whether the known one is no older version of the same object."""
    return known is not None and known.uid == item.uid and known.version >= item.version


class Fleet:
    """Both stores, and the loops that fill them."""

    def __init__(self, client: Client, settings: Settings, changed: Changed, random: Callable[[], float]) -> None:
        self.nodes: Store[NodeObject] = Store(changed, self._placed)
        self.pods: Store[AgentPod] = Store(changed, self._placed)
        self._nodes = Reflector(client, paths.NODE_DEVICE_PLUGINS, decode_fleet.node_object, self.nodes, random=random)
        self._pods = Reflector(
            client,
            paths.pods(settings.agents_namespace),
            decode_fleet.agent_pod,
            self.pods,
            params={"labelSelector": f"app.kubernetes.io/name={daemonset.AGENT}"},
            random=random,
        )

    @property
    def complete(self) -> bool:
        """Whether both first lists have come to their end."""
        return self.nodes.complete and self.pods.complete

    def rivals(self, config: str, node: str) -> Rivals:
        """What other configs have on that node."""
        pods = [pod for pod in self.pods.others(config, node) if pod.bound]
        return Rivals(
            objects=self.nodes.others(config, node),
            pods=frozenset(pod.config for pod in pods),
            ready=frozenset(pod.config for pod in pods if pod.ready),
        )

    def _placed(self, item: NodeObject | AgentPod) -> None:
        for rival in self.nodes.others(item.config, item.node):
            if conflicts.concerned(rival, item):
                self.nodes.touch(rival.config, rival.node)

    def touched(self, config: str) -> Set[str]:
        """The nodes on which an agent or a NodeDevicePlugin of that config has changed since it was last asked."""
        return self.nodes.touched(config) | self.pods.touched(config)

    def everywhere(self, config: str) -> Set[str]:
        """The nodes that have an agent or a NodeDevicePlugin of that config."""
        return self.nodes.nodes(config) | self.pods.nodes(config)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nodes.run())
            group.create_task(self._pods.run())
