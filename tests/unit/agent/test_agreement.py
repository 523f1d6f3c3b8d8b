"""What was offered, and what the kubelet has."""

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.agreement import SETTLE, Agreement
from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.podresources import allocatable

CAMERA = "example.com/camera"
OFFERED = {CAMERA: frozenset({"a", "b", "c", "d", "e"})}


def test_a_difference_is_told_once_it_has_lasted() -> None:
    agreement = Agreement()
    agreement.compare(OFFERED, {CAMERA: frozenset({"a", "x"})}, monotonic=100.0)
    assert (agreement.pending, agreement.difference) == (True, "")
    agreement.compare(OFFERED, {CAMERA: frozenset({"a", "x"})}, monotonic=100.0 + SETTLE)
    assert agreement.difference == f"{CAMERA}: the kubelet has 1 of 5, misses b, c, d and 1 more, has besides x"


def test_a_resource_that_the_kubelet_lost_is_a_difference_and_one_of_others_is_none() -> None:
    agreement = Agreement()
    for now in (0.0, SETTLE):
        agreement.compare(OFFERED, {"vendor.com/other": frozenset("z")}, monotonic=now)
    assert agreement.difference.startswith(f"{CAMERA}: the kubelet has 0 of 5")


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=20))
def test_it_is_told_exactly_while_it_has_lasted_without_a_break(steps: list[tuple[bool, float]]) -> None:
    agreement, now, since = Agreement(), 0.0, None
    for agrees, later in steps:
        now += later
        agreement.compare(OFFERED, OFFERED if agrees else {}, monotonic=now)
        since = None if agrees else now if since is None else since
        assert bool(agreement.difference) == (since is not None and now - since >= SETTLE)


def test_a_device_that_podresources_names_once_for_each_numa_node_is_one() -> None:
    answer = api.AllocatableResourcesResponse()
    for node in (0, 1):
        devices = answer.devices.add(resource_name=CAMERA, device_ids=["a"])
        devices.topology.nodes.add(ID=node)
    assert allocatable(answer) == {CAMERA: frozenset({"a"})}
