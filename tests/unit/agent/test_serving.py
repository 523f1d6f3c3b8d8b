"""What is decided about a resource before it is served."""

from pathlib import Path

import pytest

from device_plugin_agent.inventory import Inventory
from device_plugin_agent.plugin import device_list
from device_plugin_agent.serving import Rejected, prepare, without_surplus, without_taken
from device_plugin_agent.sources import Candidate, Discovery, HostView
from device_plugin_api.resource import Health, Resource, Sharing
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import (
    GroupMember,
    GroupsSource,
    PathsSource,
    PciSource,
    SimulatedSource,
    Source,
    UsbSource,
)
from manual_clock import ManualClock
from recorded import unpacked

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


def test_one_id_is_never_a_device_of_two_resources_whatever_finds_it(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    usb, pci = UsbSource(vendor_id="0403"), PciSource(classes=("03", "02", "01", "0c"))
    port = GroupMember(name="port", paths=PathsSource(include=("/dev/ttyUSB0",)))
    sources = {
        "example.com/rig": Source(groups=GroupsSource(members=(port,))),
        "example.com/stick": Source(usb=usb),
        "example.com/card": Source(pci=pci),
        "example.com/any": Source(
            paths=PathsSource(include=("/dev/tty*", "/dev/bus/usb/*/*", "/dev/vfio/*", "/dev/dri/*"))
        ),
        "example.com/sim": Source(simulated=SimulatedSource(count=5)),
        "example.org/sim": Source(simulated=SimulatedSource(count=5)),
    }
    looks = {
        name: prepare(Resource(name=name, source=source), host, ManualClock()).source.discover()
        for name, source in sources.items()
    }
    for order in (list(sources), list(reversed(sources))):
        offers: dict[str, set[str]] = {}
        taken: dict[str, str] = {}
        for name in order:
            found = without_taken(looks[name], taken)
            taken |= {mark: name for each in found.candidates for mark in each.marks}
            offers[name] = {each.id for each in found.candidates}
            assert len(offers[name]) == len(found.candidates)
        # Told apart by themselves, and where one device is found in two ways, by whose it is.
        assert sum(map(len, offers.values())) == len(set().union(*offers.values()))
        assert offers[order[0]]
