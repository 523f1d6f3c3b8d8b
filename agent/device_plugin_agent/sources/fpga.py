"""Intel FPGAs: their ports as they are programmed, or their regions to be programmed."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec
from msgspec import structs

from device_plugin_agent.sources import fpga_card, pci_function, sysfs_device
from device_plugin_agent.sources.base import NODE_MISSING, Candidate, Discovery
from device_plugin_agent.sources.fpga_card import Card, Engine, Id, Port
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.identity import id_of_parts
from device_plugin_agent.sources.selection import Selection
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hardware import plain_fpga_id
from device_plugin_api.sources import FpgaSource

AFU_INVALID = "AFUInvalid"
OTHER_AFU = "OtherAFU"
OTHER_INTERFACE = "OtherInterface"
NOT_PROGRAMMABLE = "NotProgrammable"
REGION_MISSING = "RegionMissing"


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What may become one device."""

    id: str
    card: Card
    ports: tuple[Port, ...]
    engine: Engine | None
    """What manages it, whether containers get that or not."""

    @property
    def interface(self) -> Id:
        return self.engine.interface if self.engine is not None else Id(wrong="it has no management engine")


class Fpga:
    """Each port that fits is one device; or, by mode, each FPGA with what it has."""

    def __init__(self, spec: FpgaSource, host: HostView) -> None:
        plain = {name: tuple(map(plain_fpga_id, getattr(spec, name))) for name in ("afu_ids", "interface_ids")}
        self._spec = structs.replace(spec, **plain)
        self._by_port = spec.mode == "AcceleratorFunction"
        self._host = host

    def discover(self) -> Discovery:
        """Look at /sys/class/fpga_region and /sys/class/fpga once."""
        spec = self._spec
        cards = fpga_card.cards(self._host)
        if self._by_port:
            numbers = tuple(map(str, spec.ports))
            found = Selection("FPGA ports", _ports(cards), lambda each: each.id)
            found.narrow("port", numbers, lambda each: each.ports[0].number in numbers)
            found.keep("with their region", _without_region, told_as=REGION_MISSING)
        else:
            found = Selection("FPGAs", _regions(cards), lambda each: each.id)
        if spec.interface_ids or not self._by_port:
            found.keep("programmable", lambda each: each.interface.wrong or None, told_as=NOT_PROGRAMMABLE)
        _narrow(found, "interface", spec.interface_ids, lambda each: each.interface.text, OTHER_INTERFACE)
        if self._by_port:
            found.keep("with an AFU", lambda each: each.ports[0].afu.wrong or None, told_as=AFU_INVALID)
        _narrow(found, "AFU", spec.afu_ids, lambda each: each.ports[0].afu.text, OTHER_AFU)
        nodes = {each.id: self._nodes(each) for each in found.items}
        found.keep("with their nodes", lambda each: nodes[each.id][1], told_as=NODE_MISSING)
        candidates = {each.id: self._candidate(each, nodes[each.id][0]) for each in found.items}
        return Discovery(
            candidates=tuple(candidates[id_] for id_ in sorted(candidates)),
            steps=tuple(found.steps),
            unfit=found.unfit,
        )

    def watched(self) -> frozenset[Path]:
        """/dev, where nodes come and go; the kernel's own events tell of the FPGAs, and nothing of what is in them."""
        return frozenset((self._host.dev_root,))

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about an FPGA or what is inside."""
        return "/fpga" in event.devpath

    def _nodes(self, each: _Found) -> tuple[tuple[str, ...], str | None]:
        """What containers get, and what is missing of it."""
        parts = [(port.name, port.directory) for port in each.ports]
        if self._spec.mode == "RegionManagement" and each.engine is not None:
            parts.append((each.engine.name, each.engine.directory))
        paths: list[str] = []
        for name, directory in parts:
            own, refused = sysfs_device.nodes(self._host, directory, stranger=lambda _: True)
            if not own:
                return (), "; ".join((f"{name} has no device node", *refused))
            paths += [node.path for node in own]
        return tuple(paths), None if paths else "it has no port"

    def _candidate(self, each: _Found, nodes: tuple[str, ...]) -> Candidate:
        device = each.card.device
        attributes = {
            "pciAddress": device.name if pci_function.is_address(device.name) else "",
            "pciRoot": pci_function.root_of(device),
            "interfaceID": each.interface.text,
            "afuID": ",".join(port.afu.text for port in each.ports),
            "port": ",".join(port.number for port in each.ports),
        }
        return Candidate(
            id=each.id,
            path=nodes[0],
            nodes=nodes,
            sysfs=self._host.sysfs_path(each.ports[0].directory if self._by_port else each.card.directory),
            numa_node=self._host.numa_node_of(device),
            attributes={key: value for key, value in attributes.items() if value},
        )


def _ports(cards: Collection[Card]) -> Iterator[_Found]:
    for card in cards:
        for port in card.ports:
            id_ = id_of_parts(card.device.name, f"port{port.number}" if port.number else port.name)
            yield _Found(id=id_, card=card, ports=(port,), engine=card.engine)


def _regions(cards: Collection[Card]) -> Iterator[_Found]:
    for card in cards:
        if card.own_engine is not None:
            yield _Found(
                id=id_of_parts(card.device.name, "region"), card=card, ports=card.ports, engine=card.own_engine
            )


def _without_region(each: _Found) -> str | None:
    return None if each.engine is not None else "neither its FPGA nor a physical function of it has a management engine"


def _narrow(
    found: Selection[_Found], what: str, ids: Collection[str], id_of: Callable[[_Found], str], told_as: str
) -> None:
    """Keep those with one of the ids, if any are given. What has another one now is another resource's."""
    if ids:
        found.keep(
            f"{what} {' or '.join(ids)}",
            lambda each: None if id_of(each) in ids else f"its {what} is {id_of(each)}",
            told_as=told_as,
            leaves=True,
        )
