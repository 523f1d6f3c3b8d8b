"""Network functions, on recorded machines and on made ones."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from device_plugin_agent.sources import Candidate, Discovery, HostView, Unfit
from device_plugin_agent.sources.network import Network
from device_plugin_agent.uevents import Uevent
from device_plugin_api.sources import NetworkSource
from recorded import sriov, unpacked
from recorded.sriov import KERNEL, NAMES, NONE, PORTS, RDMA, UIO, VDPA, VFIO, Machine, addresses

FIRST, SECOND = addresses(0), addresses(1)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Two ports with 64 functions each. Not to be changed."""
    return sriov.two_ports(tmp_path_factory.mktemp("cards"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A port with four functions, and one without."""
    made = Machine(tmp_path)
    for port, name in zip(PORTS, NAMES, strict=True):
        made.port(port, name)
    made.functions(PORTS[0], FIRST[:4])
    for address in FIRST[:4]:
        made.bind(address, "iavf")
    return made


def discover(host: HostView, **selector: Any) -> Discovery:
    return Network(NetworkSource(**selector), host).discover()


def found(host: HostView, **selector: Any) -> list[Candidate]:
    return list(discover(host, **selector).candidates)


def ids(host: HostView, **selector: Any) -> list[str]:
    return [each.id for each in found(host, **selector)]


def dropped(host: HostView, **selector: Any) -> list[str]:
    return [line for step in discover(host, **selector).steps for line in step.dropped]


# Recorded machines


def test_the_functions_of_a_real_driver_are_found_and_its_physical_functions_are_not(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-vfio-nvme-dri", tmp_path)
    assert ids(host) == ["0000:01:10.0", "0000:01:10.2", "0000:01:10.4", "0000:01:10.6"]
    assert discover(host).steps[1].dropped == (
        "0000:01:00.0: it has 4 virtual functions",
        "0000:02:00.0: a physical function (eth1) with none of its 7 virtual functions made",
    )


def test_what_is_known_of_a_function_with_the_kernels_driver(tmp_path: Path) -> None:
    device = found(unpacked("sriov-igb-vfio-nvme-dri", tmp_path), drivers=("igbvf",))[0]
    assert (device.path, device.nodes, device.shared_nodes) == ("", (), ())
    assert device.sysfs == "/sys/devices/pci0000:00/0000:00:03.0/0000:01:10.0"
    assert device.uplink == "/sys/devices/pci0000:00/0000:00:03.0/0000:01:00.0"
    assert device.attributes == {
        "pciAddress": "0000:01:10.0",
        "vendor": "8086",
        "device": "10ca",
        "driver": "igbvf",
        "iommuGroup": "13",
        "pciRoot": "pci0000:00",
        "physicalFunction": "0000:01:00.0",
        "pfName": "eth0",
        "function": "0",
        "linkType": "ether",
    }


def test_a_function_bound_to_vfio_is_its_iommu_group(tmp_path: Path) -> None:
    (device,) = found(unpacked("sriov-igb-vfio-nvme-dri", tmp_path), drivers=("vfio-pci",))
    assert (device.id, device.nodes, device.shared_nodes) == ("0000:01:10.6", ("/dev/vfio/16",), ("/dev/vfio/vfio",))


def test_functions_are_told_on_which_numa_node_they_are_unless_that_is_not_wanted(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    assert {each.numa_node for each in found(host)} == {None, 1}  # the kernel knows none for the first card
    assert {each.numa_node for each in found(host, exclude_topology=True)} == {None}


def test_a_port_is_found_on_either_numa_node_by_name_and_by_address(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    by_name = {name: found(host, pf_names=(name,)) for name in ("eth0", "eth1")}
    assert [len(each) for each in by_name.values()] == [7, 7]
    for devices in by_name.values():
        (port,) = {each.attributes["physicalFunction"] for each in devices}
        assert [each.id for each in devices] == ids(host, root_devices=(port,))


def test_a_machine_without_sriov_says_why_there_is_nothing(tmp_path: Path) -> None:
    discovery = discover(unpacked("virtio", tmp_path), vendors=("8086",), pf_names=("eth0",))
    assert discovery.candidates == ()
    assert [(step.step, step.kept) for step in discovery.steps][:2] == [
        ("network functions", 1),
        ("virtual, or named in pciAddresses", 0),
    ]
    assert discovery.steps[1].dropped == ("0000:00:03.0: a physical function (eth0) without SR-IOV",)


def test_a_card_that_the_host_routes_through_is_not_given_away_by_its_address_either(tmp_path: Path) -> None:
    host = replace(unpacked("virtio", tmp_path), net_dir=tmp_path / "net")
    host.net_dir.mkdir()
    (host.net_dir / "route").write_text("Iface\tDestination\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n")
    assert dropped(host, pci_addresses=("0000:00:03.0",)) == ["0000:00:03.0: the host uses it: it routes through eth0"]
    (host.net_dir / "route").write_text("Iface\tDestination\n")
    assert ids(host, pci_addresses=("0000:00:03.0",)) == ["0000:00:03.0"]


def test_a_machine_without_pci_says_that_there_is_nothing(tmp_path: Path) -> None:
    discovery = discover(HostView(dev_root=tmp_path, sys_root=tmp_path))
    assert {step.kept for step in discovery.steps} == {0}


# Two ports with 64 functions each


def test_all_functions_with_a_driver_are_found(cards: Machine) -> None:
    assert ids(cards.host) == sorted(FIRST[:NONE] + SECOND)


def test_functions_of_each_kind_of_driver_get_the_nodes_it_made(cards: Machine) -> None:
    by_id = {each.id: each for each in found(cards.host)}
    assert all(not by_id[FIRST[number]].nodes for number in (*KERNEL, *RDMA))
    for number in VFIO:
        device = by_id[FIRST[number]]
        assert device.nodes == (f"/dev/vfio/{device.attributes['iommuGroup']}",)
        assert device.shared_nodes == ("/dev/vfio/vfio",)
    assert all(by_id[FIRST[number]].path.startswith("/dev/uio") for number in UIO)
    for number in VDPA:
        device = by_id[FIRST[number]]
        assert device.path.startswith("/dev/vhost-vdpa-")
        assert (device.attributes["vdpaDevice"], device.attributes["vdpaType"]) == ("vdpa0", "vhost")


def test_functions_without_a_driver_are_left_out_and_say_so(cards: Machine) -> None:
    assert f"{FIRST[NONE]}: it has no driver" in dropped(cards.host)


def test_rdma_is_handed_out_when_it_is_asked_for(cards: Machine) -> None:
    devices = found(cards.host, is_rdma=True)
    assert [each.id for each in devices] == [FIRST[number] for number in RDMA]
    for each in devices:
        assert [path.rstrip("0123456789") for path in each.nodes] == ["/dev/infiniband/umad", "/dev/infiniband/uverbs"]
        assert each.shared_nodes == ("/dev/infiniband/rdma_cm",)
        assert each.attributes["rdmaDevice"].startswith("rocep")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"drivers": ("vfio-pci", "uio_pci_generic")}, [FIRST[number] for number in (*VFIO, *UIO)]),
        ({"pf_names": (f"{NAMES[1]}#0,2-4,63",)}, [SECOND[number] for number in (0, 2, 3, 4, 63)]),
        ({"pf_names": (f"{NAMES[0]}#1", f"{NAMES[1]}#1")}, [FIRST[1], SECOND[1]]),
        ({"root_devices": (f"{PORTS[1]}#62-70",)}, SECOND[62:]),
        ({"pci_addresses": (FIRST[3], SECOND[3])}, [FIRST[3], SECOND[3]]),
        ({"devices": ("0x1889",), "vendors": ("8086",), "pf_names": (NAMES[1],)}, SECOND),
        ({"link_types": ("ether",), "pf_names": (NAMES[1],)}, SECOND),
        ({"link_types": ("infiniband",)}, []),
        ({"vendors": ("15b3",)}, []),
        ({"pf_names": ("ens801",)}, []),
    ],
)
def test_functions_have_to_fit_every_selector(cards: Machine, selector: dict[str, Any], expected: list[str]) -> None:
    assert ids(cards.host, **selector) == expected


def test_functions_are_told_apart_by_the_link_type_of_their_port(machine: Machine) -> None:
    (machine.directory(PORTS[0]) / "net" / NAMES[0] / "type").write_text("32\n")
    assert ids(machine.host, link_types=("infiniband",)) == FIRST[:4]
    assert ids(machine.host, link_types=("ether",)) == []
    assert {each.attributes["linkType"] for each in found(machine.host)} == {"infiniband"}


def test_vhost_net_is_handed_out_beside_a_function_when_it_is_needed(cards: Machine) -> None:
    for device in found(cards.host, need_vhost_net=True, pf_names=(f"{NAMES[0]}#0",)):
        assert (device.path, device.shared_nodes) == ("", ("/dev/vhost-net", "/dev/net/tun"))


# What changes


def test_a_node_that_is_needed_and_not_there_is_named(machine: Machine) -> None:
    (machine.dev / "vhost-net").unlink()
    discovery = discover(machine.host, need_vhost_net=True)
    assert discovery.candidates == ()
    why = "/dev/vhost-net: cannot be looked at: No such file or directory"
    assert discovery.unfit[FIRST[0]] == Unfit(reason="NodeMissing", why=why)


def test_functions_made_later_are_found_and_those_taken_away_are_not(machine: Machine) -> None:
    machine.functions(PORTS[1], SECOND[:2])
    for address in SECOND[:2]:
        machine.bind(address, "iavf")
    assert ids(machine.host) == FIRST[:4] + SECOND[:2]
    machine.functions(PORTS[0], FIRST[:1])
    machine.bind(FIRST[0], "iavf")
    assert ids(machine.host) == FIRST[:1] + SECOND[:2]


def test_a_function_that_another_driver_has_is_no_longer_fit_and_says_which(machine: Machine) -> None:
    machine.bind(FIRST[1], "vfio-pci")
    machine.bind(FIRST[2], "")
    unfit = discover(machine.host, drivers=("iavf",)).unfit
    assert {address: unfit[address] for address in FIRST[:4] if address in unfit} == {
        FIRST[1]: Unfit(reason="DriverChanged", why="its driver is vfio-pci"),
        FIRST[2]: Unfit(reason="DriverChanged", why="it has no driver"),
    }


def test_a_function_stays_when_its_network_device_went_into_a_container(machine: Machine) -> None:
    before = found(machine.host)
    shutil.rmtree(machine.directory(FIRST[0]) / "net")
    assert found(machine.host) == before


def test_a_function_that_the_host_uses_is_left_out(machine: Machine) -> None:
    (interface,) = (machine.directory(FIRST[0]) / "net").iterdir()
    (interface / "master").symlink_to("../../../../../virtual/net/bond0")
    (other,) = (machine.directory(FIRST[1]) / "net").iterdir()
    machine.routes(other.name)
    assert ids(machine.host) == FIRST[2:4]
    assert dropped(machine.host)[-2:] == [
        f"{FIRST[0]}: the host uses it: {interface.name} belongs to bond0",
        f"{FIRST[1]}: the host uses it: it routes through {other.name}",
    ]


# Physical functions


def test_a_physical_function_is_offered_only_when_its_address_is_named(machine: Machine) -> None:
    assert PORTS[1] not in ids(machine.host, pf_names=(NAMES[1],))
    (device,) = found(machine.host, pci_addresses=(PORTS[1],))
    assert (device.id, device.uplink, device.attributes["pfName"]) == (PORTS[1], "", NAMES[1])


def test_a_physical_function_with_functions_is_not_offered_whoever_asks(machine: Machine) -> None:
    assert ids(machine.host, pci_addresses=(PORTS[0],)) == []


@pytest.mark.parametrize("upper", ["master", "upper_vlan7"])
def test_a_physical_function_that_carries_something_of_the_host_is_never_offered(machine: Machine, upper: str) -> None:
    interface = machine.directory(PORTS[1]) / "net" / NAMES[1]
    (interface / upper).symlink_to("../../../../../virtual/net/bond0")
    discovery = discover(machine.host, pci_addresses=(PORTS[1],))
    assert discovery.candidates == ()
    assert discovery.unfit[PORTS[1]].reason == "UsedByHost"


def test_a_physical_function_that_the_host_routes_through_is_never_offered(machine: Machine) -> None:
    machine.routes("docker0", NAMES[1])
    assert ids(machine.host, pci_addresses=(PORTS[1],)) == []


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("20010db8000000000000000000000000 20 {zero} 00 {zero} 00000400 00000001 00000000 00000001 {name}", True),
        ("{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003 {name}", True),
        ("fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 {name}", False),
        ("ff000000000000000000000000000000 08 {zero} 00 {zero} 00000100 00000001 00000000 00000001 {name}", False),
        ("{gateway} 80 {zero} 00 {zero} 00000000 00000001 00000000 80200001 {name}", False),
        ("rubbish", False),
    ],
)
def test_routes_of_ipv6_count_but_for_those_that_every_device_has(machine: Machine, line: str, used: bool) -> None:
    zero, gateway = "0" * 32, "20010db8000000000000000000000001"
    (machine.net / "ipv6_route").write_text(line.format(name=NAMES[1], zero=zero, gateway=gateway) + "\n")
    assert (ids(machine.host, pci_addresses=(PORTS[1],)) == []) is used


def test_a_physical_function_is_not_offered_when_the_hosts_routes_cannot_be_seen(machine: Machine) -> None:
    blind = replace(machine.host, net_dir=machine.net / "nowhere")
    assert ids(blind) == FIRST[:4]
    assert ids(blind, pci_addresses=(PORTS[1],)) == []
    assert "whether the host uses it cannot be known" in dropped(blind, pci_addresses=(PORTS[1],))[-1]


def test_ports_of_a_cards_switch_are_not_taken_for_the_port(machine: Machine) -> None:
    port = machine.directory(PORTS[0]) / "net"
    (port / "a_representor").mkdir()
    (port / "a_representor/phys_port_name").write_text("pf0vf0\n")
    assert {each.attributes["pfName"] for each in found(machine.host)} == {NAMES[0]}


def test_rubbish_in_sysfs_is_no_function(machine: Machine) -> None:
    (machine.directory(FIRST[0]) / "class").write_bytes(b"\xff\xfe" * 3000)
    (machine.directory(FIRST[1]) / "physfn").unlink()
    (machine.directory(FIRST[1]) / "physfn").symlink_to(b"../\xff\n".decode(errors="surrogateescape"))
    assert ids(machine.host, pf_names=(NAMES[0],)) == FIRST[2:4]


def test_events_of_functions_concern_it_and_traffic_does_not(machine: Machine) -> None:
    source = Network(NetworkSource(), machine.host)
    assert source.concerns(Uevent(action="bind", devpath=f"/{sriov.ROOT}/{FIRST[0]}", subsystem="pci"))
    assert not source.concerns(Uevent(action="add", devpath=f"/{sriov.ROOT}/x/net/a/queues/rx-0", subsystem="queues"))
    assert not source.concerns(Uevent(action="add", devpath="/devices/virtual/net/veth0", subsystem="net"))


def test_a_network_device_whose_name_is_no_text_is_shown_in_characters_that_a_status_can_have(machine: Machine) -> None:
    shown = machine.directory(PORTS[0]) / "net"
    (shown / NAMES[0]).rename(shown / os.fsdecode(b"eth\xff"))
    assert {each.attributes["pfName"] for each in found(machine.host)} == {"eth?"}
