"""What is decided about a resource before it is served."""

import pytest

from device_plugin_agent.inventory import Inventory
from device_plugin_agent.plugin import device_list
from device_plugin_agent.serving import Rejected, prepare, without_surplus
from device_plugin_agent.sources import Candidate, Discovery, HostView
from device_plugin_api.resource import Health, Resource, Sharing
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import SimulatedSource, Source
from manual_clock import ManualClock

KUBELETS_LIMIT = 4 * 1024 * 1024


def discovery(count: int) -> Discovery:
    longest = "x" * 57
    return Discovery(
        candidates=tuple(Candidate(id=f"{number:06}{longest}", numa_node=63) for number in range(count)), steps=()
    )


def listed(found: Discovery, replicas: int) -> int:
    """Bytes of the list, with every device Unhealthy, which is the longer word."""
    inventory = Inventory(Health(), replicas)
    inventory.observe(found, now=0.0, monotonic=0.0)
    inventory.cordon({device.id: "" for device in found.candidates}, now=0.0, monotonic=0.0)
    return device_list(inventory).ByteSize()


@pytest.mark.parametrize("replicas", [1, 1000])
def test_the_longest_list_is_one_that_the_kubelet_takes(replicas: int) -> None:
    kept = without_surplus(discovery(MAX_SLOTS // replicas + 1), replicas)
    assert len(kept.candidates) == MAX_SLOTS // replicas
    assert listed(kept, replicas) < KUBELETS_LIMIT


def test_what_is_beyond_it_is_left_out_in_the_order_of_ids_and_told() -> None:
    kept = without_surplus(discovery(40), replicas=1000)
    assert [device.id[:6] for device in kept.candidates] == [f"{number:06}" for number in range(32)]
    (step,) = kept.steps
    assert (step.step, step.kept) == ("within the kubelet's limit", 32)
    assert step.dropped[0].endswith("the kubelet takes at most 32768 slots of one resource")


def test_a_configuration_that_can_only_be_too_long_is_rejected(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("host")
    resource = Resource(
        name="example.com/a", source=Source(simulated=SimulatedSource(count=10000)), sharing=Sharing(replicas=4)
    )
    with pytest.raises(Rejected, match=r"sharing.replicas: 40000 slots a node"):
        prepare(resource, HostView(dev_root=root, sys_root=root), ManualClock())
