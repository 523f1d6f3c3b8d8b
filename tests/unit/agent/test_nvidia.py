"""NVIDIA GPUs: which are found, what is known of them, and which a config chooses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_agent.sources.nvidia.source import Nvidia
from device_plugin_agent.uevents import Uevent
from device_plugin_api.nvidia import Mig, NvidiaSource
from device_plugin_api.resource import Health
from manual_clock import ManualClock
from nvml_double import NvmlDouble
from nvml_double.machines import A100, card, eight, gpu_uuid, mig_uuid, mixed, sliced
from recorded.gpus import Machine

Make = Callable[..., Machine]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def machine(double: NvmlDouble, **more: Any) -> Machine:
        return Machine(tmp_path, double, **more)

    return machine


def discover(machine: Machine, **selector: Any) -> Discovery:
    return Nvidia(NvidiaSource(**selector), Health(), machine.host, ManualClock()).discover()


def found(machine: Machine, **selector: Any) -> list[Candidate]:
    return list(discover(machine, **selector).candidates)


def ids(machine: Machine, **selector: Any) -> list[str]:
    return [each.id for each in found(machine, **selector)]


def dropped(machine: Machine, **selector: Any) -> list[str]:
    return [line for step in discover(machine, **selector).steps for line in step.dropped]


def without_library(*cards: Any) -> NvmlDouble:
    double = NvmlDouble(*cards)
    double.fails = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    return double


# Whole GPUs


def test_each_gpu_is_a_device_by_its_uuid_with_what_nvml_tells_of_it(make: Make) -> None:
    machine = make(eight())
    assert ids(machine) == [gpu_uuid(0, number) for number in range(8)]
    device = found(machine)[5]
    assert (device.path, device.nodes, device.numa_node, device.trouble) == ("/dev/nvidia5", (), 1, None)
    assert device.sysfs == "/sys/devices/pci0000:80/0000:90:00.0"
    assert device.attributes == {
        "uuid": gpu_uuid(0, 5),
        "model": A100,
        "memoryMiB": "40960",
        "pciAddress": "0000:90:00.0",
        "pciRoot": "pci0000:80",
        "minor": "5",
        "nvlinkGroup": "0000:07:00.0",
    }


def test_gpus_are_chosen_by_model_memory_uuid_and_address(make: Make) -> None:
    double = eight()
    double.cards[2].name, double.cards[2].memory = "Tesla T4", 16 << 30
    machine = make(double)
    assert ids(machine, models=("Tesla*", "NVIDIA H*")) == [gpu_uuid(0, 2)]
    assert ids(machine, max_memory=20000) == [gpu_uuid(0, 2)]
    assert len(ids(machine, min_memory=40960)) == 7
    assert ids(machine, uuids=(gpu_uuid(0, 4),)) == [gpu_uuid(0, 4)]
    assert ids(machine, pci_addresses=("0000:0f:00.0",)) == [gpu_uuid(0, 1)]
    assert f"{gpu_uuid(0, 2)}: it has 16384 MiB" in dropped(machine, min_memory=20000)


def test_a_gpu_that_cannot_do_mig_links_or_remapping_is_found_without(make: Make) -> None:
    plain = card(0)
    plain.mig, plain.links, plain.remap_failed, plain.events = None, [], None, 0
    (device,) = found(make(NvmlDouble(plain)))
    assert device.trouble is None
    assert "nvlinkGroup" not in device.attributes
    assert device.attributes["health"] == "limited: it does not tell its errors"


def test_gpus_in_pairs_are_in_reach_of_each_others_links_and_no_others(make: Make) -> None:
    cards = [card(number) for number in range(4)]
    for number, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        cards[number].links = [cards[other].bus_id, None, cards[other].bus_id]
    devices = found(make(NvmlDouble(*cards)))
    assert [each.attributes["nvlinkGroup"] for each in devices] == ["0000:07:00.0"] * 2 + ["0000:47:00.0"] * 2


def test_a_gpu_in_mig_mode_is_no_whole_one(make: Make) -> None:
    discovery = discover(make(mixed(0)))
    assert len(discovery.candidates) == 6
    assert discovery.unfit[gpu_uuid(0, 6)].reason == "MigMode"


# MIG instances


def test_mixed_gives_the_instances_of_the_profiles_asked_for(make: Make) -> None:
    machine = make(mixed())
    small = found(machine, mig=Mig(mode="Mixed", profiles=("1g.5gb",)))
    assert [each.id for each in small] == [*(mig_uuid(1, 6, number) for number in range(7)), mig_uuid(1, 7, 2)]
    assert ids(machine, mig=Mig(mode="Mixed", profiles=("3g.20gb", "2g.10gb"))) == [
        mig_uuid(1, 7, 0),
        mig_uuid(1, 7, 1),
    ]
    device = small[-1]
    assert (device.path, device.numa_node) == ("", 1)
    assert device.attributes == {
        "uuid": mig_uuid(1, 7, 2),
        "model": A100,
        "memoryMiB": "4864",
        "pciAddress": "0000:bd:00.0",
        "pciRoot": "pci0000:b0",
        "minor": "7",
        "migProfile": "1g.5gb",
        "parentUUID": gpu_uuid(1, 7),
    }


def test_instances_are_chosen_by_their_own_uuid_or_their_gpus(make: Make) -> None:
    machine = make(mixed())
    wanted = Mig(mode="Mixed", profiles=("1g.5gb",))
    assert ids(machine, mig=wanted, uuids=(mig_uuid(1, 6, 3),)) == [mig_uuid(1, 6, 3)]
    assert ids(machine, mig=wanted, uuids=(gpu_uuid(1, 7),)) == [mig_uuid(1, 7, 2)]


def test_single_gives_instances_where_all_gpus_have_the_same_alone(make: Make) -> None:
    machine = make(NvmlDouble(sliced(0, 3, 3), sliced(1, 3, 3)))
    assert len(ids(machine, mig=Mig(mode="Single"))) == 4
    assert ids(machine, mig=Mig(mode="Single", profiles=("1g.5gb",))) == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (sliced(1, 2), "mig.mode is Single, and there are the profiles 2g.10gb, 3g.20gb"),
        (card(1), "mig.mode is Single, and the GPU 0000:0f:00.0 is not in MIG mode"),
    ],
)
def test_single_gives_nothing_where_gpus_differ_and_says_why(make: Make, other: Any, why: str) -> None:
    machine = make(NvmlDouble(sliced(0, 3), other))
    discovery = discover(machine, mig=Mig(mode="Single"))
    assert discovery.candidates == ()
    assert (discovery.unfit[mig_uuid(0, 0, 0)].reason, discovery.unfit[mig_uuid(0, 0, 0)].why) == ("MigNotUniform", why)


def test_a_profile_is_called_as_the_driver_names_it_and_by_its_slices_where_it_does_not(make: Make) -> None:
    gpu = sliced(0, 1, 3)
    gpu.instances[0].name = f"{A100} MIG 1g.5gb+me"
    gpu.instances[1].compute_slices = 1
    machine = make(NvmlDouble(gpu))
    profiles = ("1g.5gb+me", "1c.3g.20gb")
    assert [each.attributes["migProfile"] for each in found(machine, mig=Mig(mode="Mixed", profiles=profiles))] == [
        *profiles
    ]


def test_an_instance_with_the_uuid_of_an_old_driver_has_an_id_that_the_kubelet_takes(make: Make) -> None:
    gpu = sliced(0, 1)
    gpu.instances[0].uuid = f"MIG-{gpu.uuid}/7/0"
    (device,) = found(make(NvmlDouble(gpu)), mig=Mig(mode="Single"))
    assert "/" not in device.id
    assert len(device.id) <= 58
    assert device.attributes["uuid"] == f"MIG-{gpu.uuid}/7/0"


def test_instances_of_one_gpu_are_different_devices_for_other_configs_too(make: Make) -> None:
    devices = found(make(mixed()), mig=Mig(mode="Mixed", profiles=("1g.5gb",)))
    assert len(frozenset[str]().union(*(each.marks for each in devices))) == len(devices)


# Device nodes


def test_device_nodes_are_given_when_asked_for(make: Make) -> None:
    machine = make(eight())
    device = found(machine, device_nodes=True)[2]
    assert device.nodes == ("/dev/nvidia2",)
    assert device.shared_nodes == ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
    (machine.dev / "nvidia-uvm-tools").unlink()
    assert found(machine, device_nodes=True)[2].shared_nodes == ("/dev/nvidiactl", "/dev/nvidia-uvm")


def test_a_gpu_without_a_node_it_needs_is_told_so(make: Make) -> None:
    machine = make(eight())
    (machine.dev / "nvidia3").unlink()
    troubles = [each.trouble for each in found(machine, device_nodes=True)]
    assert [trouble.reason for trouble in troubles if trouble] == ["NodeMissing"]
    assert [each.trouble for each in found(machine)] == [None] * 8


def test_an_instance_has_the_nodes_of_its_capabilities(make: Make) -> None:
    machine = make(NvmlDouble(sliced(0, 3)))
    machine.mig_minors("gpu0/gi7/access 66", "gpu0/gi7/ci0/access 67", "gpu0/gi7/ci1/access 68", "gpu1/gi7/access 9")
    for number in (66, 67):
        machine.node(f"nvidia-caps/nvidia-cap{number}")
    (device,) = found(machine, device_nodes=True, mig=Mig(mode="Single"))
    assert device.nodes == ("/dev/nvidia-caps/nvidia-cap66", "/dev/nvidia-caps/nvidia-cap67")
    assert device.path == device.nodes[0]
    assert "/dev/nvidia0" in device.shared_nodes


# Without NVML


def test_without_nvml_gpus_are_read_from_proc_and_said_to_be_little_known(make: Make) -> None:
    machine = make(without_library(card(0), card(1)))
    discovery = discover(machine)
    assert [each.id for each in discovery.candidates] == [gpu_uuid(0, 0), gpu_uuid(0, 1)]
    assert discovery.candidates[1].attributes == {
        "uuid": gpu_uuid(0, 1),
        "model": A100,
        "pciAddress": "0000:0f:00.0",
        "pciRoot": "pci0000:00",
        "minor": "1",
        "health": "limited: NVML: NVML Shared Library Not Found",
    }
    assert discovery.steps[0].step == "GPUs by /proc/driver/nvidia (NVML: NVML Shared Library Not Found)"


def test_without_the_python_package_it_is_the_same(make: Make) -> None:
    machine = make(eight())

    def missing() -> Any:
        raise ImportError("No module named 'pynvml'")

    machine.nvml._load = missing
    assert "nvidia-ml-py is not installed" in found(machine)[0].attributes["health"]


def test_a_gpu_that_is_excluded_or_not_started_is_left_out(make: Make) -> None:
    machine = make(without_library(card(0), card(1), card(2), card(3)))
    machine.information(card(1), **{"GPU Excluded": "Yes"})
    machine.information(card(2), **{"GPU UUID": "GPU-????????-????-????-????-????????????"})
    machine.information(card(3), **{"Device Minor": "none"})
    assert ids(machine) == [gpu_uuid(0, 0), gpu_uuid(0, 3)]
    assert found(machine)[1].path == ""


def test_memory_that_is_not_known_fits_no_bounds(make: Make) -> None:
    machine = make(without_library(card(0)))
    assert dropped(machine, min_memory=1) == [f"{gpu_uuid(0, 0)}: how much memory it has is not known"]


def test_a_node_without_the_driver_says_why_there_is_nothing(make: Make) -> None:
    discovery = discover(make(without_library(), proc=False))
    assert discovery.candidates == ()
    assert discovery.steps[0].kept == 0
    assert "NVML Shared Library Not Found" in discovery.steps[0].step


# When to look again


def test_the_functions_of_pci_matter_and_what_is_inside_does_not(make: Make) -> None:
    source = Nvidia(NvidiaSource(), Health(), make(eight()).host, ManualClock())
    assert source.concerns(Uevent(action="add", devpath="/devices/pci0000:00/0000:07:00.0", subsystem="pci"))
    assert not source.concerns(Uevent(action="add", devpath="/devices/pci0000:00/0000:07:00.0/drm", subsystem="drm"))


def test_directories_are_watched_only_for_what_is_asked_for(make: Make) -> None:
    machine = make(eight())

    def watched(**selector: Any) -> frozenset[Path]:
        return Nvidia(NvidiaSource(**selector), Health(), machine.host, ManualClock()).watched()

    assert watched() == frozenset()
    assert watched(device_nodes=True) == {machine.dev}
    assert watched(device_list="Both") == {machine.cdi}
