"""What kubelets and containers do, held against facts: none of it may last. Pure."""

from collections.abc import Iterator

from chaos_bed.ages import NEVER
from chaos_bed.facts import Device, Fact, Node
from chaos_bed.findings import GONE, TWICE, WITHHELD, Finding


def of_kubelets(fact: Fact) -> Iterator[Finding]:
    """What is offered, what is withheld, what runs."""
    for name, node in fact.nodes.items():
        for id_, device in node.devices.items():
            about = f"{name} {id_}"
            if device.offered is not None and node.informed:
                said = "offered" if device.offered else "not offered"
                yield _finding(GONE, about, fact, _offered_wrongly(device), said)
                yield _finding(WITHHELD, about, fact, _withheld(node, device), said)
            together = ", ".join(sorted(device.running))
            yield _finding(TWICE, about, fact, len(device.running) > device.replicas, together)


def _finding(kind: str, about: str, fact: Fact, wrong: bool, said: str) -> Finding:
    return Finding(kind=kind, about=about, at=fact.at, delay=NEVER if wrong else 0.0, said=said)


def _offered_wrongly(device: Device) -> bool:
    return device.offered is True and not device.works


def _withheld(node: Node, device: Device) -> bool:
    return node.agent and device.offered is False and device.works
