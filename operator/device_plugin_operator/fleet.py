"""All NodeDevicePlugins and agent pods, by config. Kopf cannot say when its first list is complete; this can."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from device_plugin_operator import decode_fleet, paths
from device_plugin_operator.client import Client
from device_plugin_operator.facts import AgentPod, NodeObject
from device_plugin_operator.plan import daemonset
from device_plugin_operator.reflector import Reflector
from device_plugin_operator.settings import Settings

T = TypeVar("T", NodeObject, AgentPod)

Changed = Callable[[str], None]
"""Called with the name of a config of which something has changed."""


class Store(Generic[T]):
    """Objects of one kind by config and name."""

    def __init__(self, changed: Changed) -> None:
        self.complete = False
        self._changed = changed
        self._by_name: dict[str, T] = {}
        self._by_config: dict[str, dict[str, T]] = {}

    def of(self, config: str) -> Mapping[str, T]:
        """The objects of that config, by name."""
        return self._by_config.get(config, {})

    def __len__(self) -> int:
        return len(self._by_name)

    def replace(self, items: list[T]) -> None:
        """These are all there are."""
        before, self._by_name = self._by_name, {item.name: item for item in items}
        self._by_config = {}
        for item in items:
            self._by_config.setdefault(item.config, {})[item.name] = item
        first, self.complete = not self.complete, True
        touched = {item.config for item in items if first or before.get(item.name) != item}
        touched |= {item.config for name, item in before.items() if name not in self._by_name}
        for config in sorted(touched):
            self._changed(config)

    def put(self, item: T) -> None:
        """One is new or has changed. An older version than the known one is late news of a change of our own."""
        known = self._by_name.get(item.name)
        if known is not None and known.uid == item.uid and known.version >= item.version:
            return
        if known is not None and known.config != item.config:
            self.drop(known.name, known.uid)
        self._by_name[item.name] = item
        self._by_config.setdefault(item.config, {})[item.name] = item
        self._changed(item.config)

    def drop(self, name: str, uid: str) -> None:
        """One is gone; another object that has got its name since stays."""
        known = self._by_name.get(name)
        if known is None or known.uid != uid:
            return
        del self._by_name[name]
        siblings = self._by_config[known.config]
        del siblings[name]
        if not siblings:
            del self._by_config[known.config]
        self._changed(known.config)


class Fleet:
    """Both stores, and the loops that fill them."""

    def __init__(self, client: Client, settings: Settings, changed: Changed, random: Callable[[], float]) -> None:
        self.nodes: Store[NodeObject] = Store(changed)
        self.pods: Store[AgentPod] = Store(changed)
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

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nodes.run())
            group.create_task(self._pods.run())
