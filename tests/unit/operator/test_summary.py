"""The numbers of a config."""

from device_plugin_api.config import SlotCounts
from device_plugin_operator.facts import NodeObject, Offer, Snapshot
from device_plugin_operator.plan import status
from operator_fixture import RESOURCE, counts, node, snapshot


def sharing(name: str, total: int, used: int) -> NodeObject:
    return node(name, offers=(Offer(RESOURCE, counts(2), SlotCounts(total=total, used=used)),))


def slots(seen: Snapshot) -> SlotCounts:
    (resource,) = status.status(seen, "agents").resources
    assert resource.name == RESOURCE
    return resource.slots


def test_slots_of_all_nodes_are_added_up() -> None:
    assert slots(snapshot(sharing("a", 8, 3), sharing("b", 8, 1))) == SlotCounts(total=16, used=4)


def test_a_node_that_reports_no_slots_adds_none() -> None:
    assert slots(snapshot(sharing("a", 8, 3), node("b"))) == SlotCounts(total=8, used=3)
