"""SR-IOV functions that come, go, lose their link and change their driver: what the kubelet and containers learn."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.agent_bench import CAMERA, Bench, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.sources import Discovery
from device_plugin_agent.sources.network import Network
from device_plugin_agent.uevents import Uevent, Uevents
from device_plugin_api.resource import Health, Resource, Sharing
from device_plugin_api.sources import NetworkSource, Source
from kubelet_double.pods import Pod
from recorded import sriov
from recorded.sriov import FUNCTIONS, KERNEL, NAMES, NONE, PORTS, RDMA, UIO, VDPA, VFIO, addresses

NET = "example.com/sriov.net-1"
FIRST, SECOND = addresses(0), addresses(1)
QUICK = Health(success_threshold=1)


class Machine(sriov.Machine):
    """Tells its changes as the kernel does."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.tell: Callable[[Uevent | None], None] = lambda event: None

    def functions(self, port: str, addresses: list[str]) -> None:
        super().functions(port, addresses)
        self._event("add", port)

    def bind(self, address: str, driver: str, *, interface: str = "") -> None:
        super().bind(address, driver, interface=interface)
        self._event("bind" if driver else "unbind", address)

    def _event(self, action: str, address: str) -> None:
        self.tell(Uevent(action=action, devpath=f"/{sriov.ROOT}/{address}", subsystem="pci"))


@pytest.fixture
def machine(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Two ports with two functions each, all with the kernel's driver."""
    made = Machine(tmp_path)
    for index, port in enumerate(PORTS):
        made.port(port, NAMES[index])
        made.functions(port, addresses(index, 2))
        for address in addresses(index, 2):
            made.bind(address, "iavf")
    monkeypatch.setattr(Uevents, "open", lambda uevents: setattr(made, "tell", uevents._tell))
    return made


def network(name: str = NET, health: Health = QUICK, sharing: Sharing | None = None, **selector: Any) -> Resource:
    source = Source(network=NetworkSource(**selector))
    return Resource(name=name, source=source, health=health, sharing=sharing or Sharing())


def serve(bench: Bench, *resources: Resource, revision: str = "r1") -> None:
    bench.api.put(spec(*resources, revision=revision))


def files(bench: Bench) -> set[str]:
    directory = bench.settings.devinfo_dir
    return {path.name for path in directory.iterdir() if path.name[0] != "."} if directory.is_dir() else set()


def file_of(address: str) -> str:
    return f"example.com-sriov.net-1-{address}-device.json"


async def test_functions_are_offered_with_their_numa_node(bench: Bench, machine: Machine) -> None:
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)
        await bench.until(lambda: bench.states(NET) == dict.fromkeys(FIRST[:2] + SECOND[:2], "Works"))
        assert {device.numa_node for device in bench.resource_status(NET).devices} == {1}


async def test_the_kubelet_is_told_no_numa_node_of_a_function_that_has_none(bench: Bench, machine: Machine) -> None:
    (machine.directory(FIRST[0]) / "numa_node").write_text("-1\n")
    serve(bench, network(pf_names=(NAMES[0],)))
    async with bench.agent():
        await bench.offers(2, 2, NET)
    told = {device.id: device.numa_nodes for device in bench.kubelet.received[-1].devices}
    assert told == {FIRST[0]: (), FIRST[1]: (1,)}


async def test_a_link_that_goes_is_told_of_the_functions_of_that_port_and_so_is_its_return(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network(health=Health(failure_threshold=3, success_threshold=1)))
    async with bench.agent():
        await bench.offers(4, 4, NET)
        async with asyncio.timeout(2):
            machine.link(PORTS[0], "down")
            await bench.offers(2, 4, NET)
        down, works = dict.fromkeys(FIRST[:2], "LinkDown"), dict.fromkeys(SECOND[:2], "Works")
        await bench.until(lambda: bench.states(NET) == down | works)
        messages = {device.message for device in bench.resource_status(NET).devices}
        assert messages == {f"{NAMES[0]} is down", ""}
        machine.link(PORTS[0], "up")
        await bench.offers(4, 4, NET)


async def test_functions_of_a_port_without_link_are_offered_when_the_link_is_to_be_ignored(
    bench: Bench, machine: Machine
) -> None:
    machine.link(PORTS[0], "down")
    serve(bench, network(ignore_link=True))
    async with bench.agent():
        await bench.offers(4, 4, NET)


async def test_functions_that_are_made_later_are_offered_without_a_restart(bench: Bench, machine: Machine) -> None:
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)
        machine.functions(PORTS[1], SECOND[:5])
        for address in SECOND[:5]:
            machine.bind(address, "iavf")
        await bench.offers(7, 7, NET)


@pytest.mark.parametrize("lost", [False, True], ids=["told", "lost"])
async def test_what_leaves_no_trace_in_dev_is_known_by_the_kernels_events_and_by_the_news_that_some_were_lost(
    bench: Bench, machine: Machine, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    time = asyncio.get_running_loop().time
    looked: list[float] = []
    discover = Network.discover

    def counted(source: Network) -> Discovery:
        looked.append(time())
        return discover(source)

    def hush() -> bool:
        return time() - looked[-1] > 0.5

    monkeypatch.setattr(Network, "discover", counted)
    serve(bench, network(drivers=("iavf",), health=Health(period_seconds=3600, success_threshold=1)))
    async with bench.agent():
        await bench.offers(4, 4, NET)
        await bench.hand_out(Pod("p"), NET)
        tell = machine.tell
        event = None if lost else Uevent(action="bind", devpath=f"/{sriov.ROOT}/{SECOND[2]}", subsystem="pci")
        monkeypatch.setattr(machine, "tell", lambda _: None)

        # What else is news to a young agent makes it look too.
        await bench.until(hush)
        machine.functions(PORTS[1], SECOND[:3])
        for address in SECOND[:3]:
            machine.bind(address, "iavf")
        with pytest.raises(TimeoutError):
            await bench.kubelet.wait_for_counts(NET, 5, 5, timeout=0.3)
        tell(event)
        await bench.offers(5, 5, NET)

        await bench.until(hush)
        machine.bind(SECOND[2], "")
        tell(event)
        await bench.offers(4, 5, NET)
        await bench.until(lambda: bench.states(NET).get(SECOND[2]) == "DriverChanged")


async def test_a_function_in_use_that_is_taken_away_stays_listed_until_it_is_free(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network(pf_names=(f"{NAMES[0]}#0",)))
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.admit(Pod("p"), "c", {NET: 1})
        machine.functions(PORTS[0], [])
        await bench.offers(0, 1, NET)
        await bench.until(lambda: bench.states(NET) == {FIRST[0]: "DeviceMissing"})
        assert files(bench) == {file_of(FIRST[0])}
        bench.clock.pass_(ALLOCATION_GRACE)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.until(lambda: not files(bench))


async def test_a_function_that_a_container_drives_itself_is_the_next_agents_too(bench: Bench, machine: Machine) -> None:
    machine.bind(FIRST[0], "vfio-pci")
    serve(bench, network(drivers=["vfio-pci"]))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.admit(pod, "c", {NET: 1})
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.start_container(pod, "c")
        await bench.until(lambda: bench.api.reported().counts.allocated == 1)
    assert bench.states(NET) == {FIRST[0]: "Works"}


async def test_a_function_that_gets_another_driver_is_told_by_that(bench: Bench, machine: Machine) -> None:
    serve(bench, network(drivers=("iavf",)))
    async with bench.agent():
        await bench.offers(4, 4, NET)
        machine.bind(FIRST[0], "vfio-pci")
        await bench.offers(3, 4, NET)
        await bench.until(lambda: bench.states(NET)[FIRST[0]] == "DriverChanged")
        machine.bind(FIRST[0], "iavf")
        await bench.offers(4, 4, NET)


async def test_a_function_in_use_that_gets_another_driver_is_not_offered_as_that_before_it_is_free(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network(pf_names=(f"{NAMES[0]}#0",)))
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.admit(Pod("p"), "c", {NET: 1})
        machine.bind(FIRST[0], "vfio-pci")
        await bench.until(lambda: bench.states(NET) == {FIRST[0]: "DriverChanged"})
        (device,) = bench.resource_status(NET).devices
        assert device.message == f"{FIRST[0]}: its driver is vfio-pci, and was iavf"
        bench.clock.pass_(ALLOCATION_GRACE)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.until(lambda: bench.states(NET) == {FIRST[0]: "Works"})
        await bench.kubelet.admit(Pod("q"), "c", {NET: 1})
        options = await bench.kubelet.start_container(Pod("q"), "c")
        assert "/dev/vfio/vfio" in options.devices


async def test_a_container_gets_the_variables_that_its_programs_know(bench: Bench, machine: Machine) -> None:
    machine.bind(FIRST[1], "vfio-pci")
    serve(bench, network(pf_names=(NAMES[0],), need_vhost_net=True))
    async with bench.agent():
        await bench.offers(2, 2, NET)
        await bench.kubelet.admit(Pod("p"), "c", {NET: 2})
        options = await bench.kubelet.start_container(Pod("p"), "c")
    (group,) = {path for path in options.devices if path not in ("/dev/vfio/vfio", "/dev/vhost-net", "/dev/net/tun")}
    assert options.envs["PCIDEVICE_EXAMPLE_COM_SRIOV_NET_1"] == f"{FIRST[0]},{FIRST[1]}"
    vhost = {"net-mount": "/dev/vhost-net", "tun-mount": "/dev/net/tun"}
    assert json.loads(options.envs["PCIDEVICE_EXAMPLE_COM_SRIOV_NET_1_INFO"]) == {
        FIRST[0]: {"generic": {"deviceID": FIRST[0]}, "vhost": vhost},
        FIRST[1]: {
            "generic": {"deviceID": FIRST[1]},
            "vfio": {"dev-mount": group, "mount": "/dev/vfio/vfio"},
            "vhost": vhost,
        },
    }
    assert options.envs["SRIOV_NET_1_PATH"] == group


@pytest.mark.parametrize(
    ("made", "selector", "nodes", "family"),
    [
        (lambda machine: machine.bind(FIRST[0], "uio_pci_generic"), {}, {"/dev/uio"}, "uio"),
        (lambda machine: machine.vdpa(FIRST[0]), {}, {"/dev/vhost-vdpa-"}, "vdpa"),
        (
            lambda machine: machine.rdma(FIRST[0]),
            {"is_rdma": True},
            {"/dev/infiniband/uverbs", "/dev/infiniband/umad", "/dev/infiniband/rdma_cm"},
            "rdma",
        ),
    ],
    ids=["uio", "vdpa", "rdma"],
)
async def test_a_container_gets_the_nodes_that_the_functions_driver_made(
    bench: Bench,
    machine: Machine,
    made: Callable[[Machine], None],
    selector: dict[str, Any],
    nodes: set[str],
    family: str,
) -> None:
    made(machine)
    serve(bench, network(pf_names=(f"{NAMES[0]}#0",), **selector))
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.admit(Pod("p"), "c", {NET: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
    assert {path.rstrip("0123456789") for path in options.devices} == nodes
    info = json.loads(options.envs["PCIDEVICE_EXAMPLE_COM_SRIOV_NET_1_INFO"])[FIRST[0]]
    assert set(options.devices) <= set(info[family].values())


async def test_two_ports_with_64_functions_each_are_offered_with_mixed_drivers_and_one_port_down(
    bench: Bench, tmp_path: Path
) -> None:
    sriov.two_ports(tmp_path)
    serve(bench, network(drivers=("iavf",)), network("example.com/dpdk", drivers=("vfio-pci",)))
    async with bench.agent():
        await bench.offers(len(KERNEL) + len(RDMA) + len(VDPA), NONE - len(VFIO) - len(UIO) + FUNCTIONS, NET)
        await bench.offers(len(VFIO), len(VFIO), "example.com/dpdk")
        await bench.until(
            lambda: (
                {device for device, reason in bench.states(NET).items() if reason == "LinkDown"} == set(addresses(1))
            )
        )


async def test_device_information_is_there_before_the_kubelet_knows_the_resource(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network())
    await bench.kubelet.stop()
    async with bench.agent():
        await bench.until(lambda: files(bench) == set(map(file_of, FIRST[:2] + SECOND[:2])))
        assert bench.kubelet.registrations == []
        await bench.kubelet.start()
        await bench.offers(4, 4, NET)
    told = json.loads((bench.settings.devinfo_dir / file_of(SECOND[1])).read_text())
    assert told == {
        "type": "pci",
        "version": "1.1.0",
        "pci": {"pci-address": SECOND[1], "pf-pci-address": PORTS[1]},
    }


async def test_device_information_stays_for_containers_that_may_start_again_and_goes_when_they_are_gone(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network(pf_names=(f"{NAMES[0]}#0",)))
    async with bench.agent():
        await bench.offers(1, 1, NET)
        await bench.kubelet.admit(Pod("p"), "c", {NET: 1})
    foreign = bench.settings.devinfo_dir / "vendor.com-net-0000:00:01.0-device.json"
    foreign.write_text("{}")
    serve(bench, Resource(name=CAMERA, source=network().source), revision="r2")
    async with bench.agent():
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        bench.clock.pass_(ALLOCATION_GRACE)
        await bench.until(lambda: bench.states(CAMERA) != {})
        assert file_of(FIRST[0]) in files(bench)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.until(lambda: file_of(FIRST[0]) not in files(bench))
        assert foreign.exists()


async def test_device_information_goes_with_its_config_but_for_what_a_container_has(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)
        bench.clock.pass_(ALLOCATION_GRACE)
        await bench.hand_out(Pod("p"), NET, ago=ALLOCATION_GRACE)
        (taken,) = [device.id for device in bench.resource_status(NET).devices if device.allocated_to]
        bench.api.objects.clear()
    assert files(bench) == {file_of(taken)}


async def test_device_information_stays_when_another_config_tells_of_the_same_function(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)
        bench.clock.pass_(ALLOCATION_GRACE)
        (index,) = bench.settings.devinfo_dir.glob(".*.json")
        ours = json.loads(index.read_text())
        another = index.with_name(index.name[:-13] + "00000000.json")
        another.write_text(json.dumps({file_of(FIRST[0]): ours[file_of(FIRST[0])]}))
        bench.api.objects.clear()
    assert files(bench) == {file_of(FIRST[0])}


async def test_device_information_that_somebody_removed_is_written_again(bench: Bench, machine: Machine) -> None:
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)
        (bench.settings.devinfo_dir / file_of(FIRST[0])).unlink()
        machine.tell(None)
        await bench.until(lambda: file_of(FIRST[0]) in files(bench))


async def test_device_information_of_a_share_is_found_by_the_shares_id(bench: Bench, machine: Machine) -> None:
    serve(bench, network(sharing=Sharing(replicas=2), pf_names=(f"{NAMES[0]}#0",)))
    async with bench.agent():
        await bench.offers(2, 2, NET)
        assert files(bench) == {file_of(f"{FIRST[0]}::0"), file_of(f"{FIRST[0]}::1")}


async def test_functions_are_served_where_device_information_cannot_be_written(bench: Bench, machine: Machine) -> None:
    bench.settings.devinfo_dir.parent.write_text("")
    serve(bench, network())
    async with bench.agent():
        await bench.offers(4, 4, NET)


async def test_a_function_without_any_node_has_one_owner_too(bench: Bench, machine: Machine) -> None:
    serve(bench, network(pf_names=(NAMES[0],)), network("example.com/any"))
    other = bench.neighbour("younger")
    other.api.put(spec(network("example.com/other")))
    async with bench.agent():
        await bench.offers(2, 2, NET)
        await bench.offers(2, 2, "example.com/any")
        async with other.agent():
            await bench.offers(0, 0, "example.com/other")
            await other.until(lambda: len(other.resource_status("example.com/other").candidates) > 0)
            dropped = other.resource_status("example.com/other").candidates[-1].dropped
            assert dropped[0].startswith(f"{FIRST[0]}: belongs to config")
