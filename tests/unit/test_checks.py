"""What agents refuse although an API server let it through."""

import pytest
from msgspec import convert
from msgspec.structs import replace

from device_plugin_api.checks import problems, together
from device_plugin_api.nvidia import Mig, NvidiaSource
from device_plugin_api.resource import Allocation, Cdi, EnvVar, Health, Mount, Probe, Resource
from device_plugin_api.rules import ONE_SOURCE
from device_plugin_api.sources import (
    SOURCES,
    CustomSource,
    FpgaSource,
    GroupMember,
    GroupsSource,
    NetworkSource,
    PathsSource,
    PciSource,
    SimulatedSource,
    Source,
    UsbSource,
)

PATHS = Source(paths=PathsSource(include=("/dev/video*",), exclude=("/dev/video9",)))


def of(allocation: Allocation | None = None, *, name: str = "example.com/a", source: Source = PATHS) -> list[str]:
    return list(problems(Resource(name=name, source=source, allocation=allocation or Allocation())))


def test_an_ordinary_resource_has_no_problems() -> None:
    assert of() == []
    assert of(Allocation(container_path="/dev/camera$(INDEX)", mounts=(mount("/opt/x"),))) == []


def mount(host: str, inside: str = "/x", *, read_only: bool = True) -> Mount:
    return Mount(host_path=host, container_path=inside, read_only=read_only)


@pytest.mark.parametrize(
    ("allocation", "field"),
    [
        (Allocation(permissions="rwm"), "allocation.permissions"),
        (Allocation(container_path="/etc/$(INDEX)"), "allocation.containerPath"),
        (Allocation(container_path="/dev/../etc/$(INDEX)"), "allocation.containerPath"),
        (Allocation(container_path="/dev/camera"), "allocation.containerPath"),
        (Allocation(env=(EnvVar(name="LD_PRELOAD", value="x"),)), "allocation.env"),
        (Allocation(env=(EnvVar(name="PATH", value="x"),)), "allocation.env"),
        (Allocation(env=(EnvVar(name="A=B", value="x"),)), "allocation.env"),
        (Allocation(mounts=(mount("/"),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/etc"),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/opt/../etc"),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/optional"),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/opt/x", read_only=False),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/opt/x", "/proc/1"),)), "allocation.mounts"),
        (Allocation(mounts=(mount("/opt/x", "x"),)), "allocation.mounts"),
        (Allocation(annotations={"cdi.k8s.io/x": "y"}), "allocation.annotations"),
        (Allocation(policy="Random"), "allocation.policy"),
        (Allocation(cdi=Cdi(), container_path="/dev/a$(INDEX)"), "allocation.containerPath"),
        (Allocation(cdi=Cdi(file_mode="rw")), "allocation.cdi.fileMode"),
        (Allocation(cdi=Cdi(mode="Perhaps")), "allocation.cdi.mode"),
        (Allocation(env=(EnvVar(name="A", value="$(TYPO)"),)), "allocation.env[A]"),
        (Allocation(annotations={"a": "$(attributes.serial)"}), "allocation.annotations[a]"),
        (Allocation(container_path="/dev/$(INDEX)$(DEVICE_PATH)"), "allocation.containerPath"),
        (Allocation(mounts=(mount("/srv/$(DEVICE_IDS)", "/x/$(INDEX)"),)), "allocation.mounts.hostPath"),
        (Allocation(mounts=(mount("/srv/x", "/x/$(INDEX)$(NODE)"),)), "allocation.mounts.containerPath"),
        (Allocation(mounts=(mount("/srv/$(DEVICE_ID)"),)), "allocation.mounts"),
    ],
)
def test_what_could_harm_the_node_is_refused_with_the_field(allocation: Allocation, field: str) -> None:
    (problem,) = of(allocation)
    assert problem.startswith(f"{field}: ")


@pytest.mark.parametrize("glob", ["/etc/shadow", "/dev/../etc/shadow", "dev/video0", "/dev/", "/dev/a\nb"])
def test_paths_outside_dev_are_refused(glob: str) -> None:
    (problem,) = of(source=Source(paths=PathsSource(include=(glob,))))
    assert problem.startswith("source.paths.include: ")


def test_paths_of_a_type_that_there_is_not_are_refused() -> None:
    (problem,) = of(source=Source(paths=PathsSource(include=("/dev/a",), type="Socket")))
    assert problem == "source.paths.type: must be Device, Directory or File"


@pytest.mark.parametrize("source", [Source(), Source(paths=PATHS.paths, simulated=SimulatedSource(count=1))])
def test_exactly_one_source_must_be_given(source: Source) -> None:
    (problem,) = of(source=source)
    assert problem == f"source: {ONE_SOURCE[0]['message']}"


def test_the_api_server_knows_the_same_sources() -> None:
    assert ONE_SOURCE[0]["message"].endswith(f": {', '.join(SOURCES)}")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (Source(usb=UsbSource(vendor_id="04D8")), "source.usb.vendorID: '04D8' must be four hexadecimal digits"),
        (Source(usb=UsbSource(vendor_id="0403", product_id="1")), "source.usb.productID: '1' must be four"),
        (Source(usb=UsbSource(vendor_id="0403", subsystems=("a/b",))), "source.usb.subsystems: 'a/b' must be letters"),
        (Source(pci=PciSource()), "source.pci: at least one of vendors, devices, classes, drivers and addresses"),
        (Source(pci=PciSource(vendors=("8086\n",))), "source.pci.vendors: '8086\\n' must be four hexadecimal digits"),
        (Source(pci=PciSource(devices=("0x",))), "source.pci.devices: '0x' must be four hexadecimal digits"),
        (Source(pci=PciSource(classes=("030",))), "source.pci.classes: '030' must be two, four or six"),
        (Source(pci=PciSource(drivers=("../x",))), "source.pci.drivers: '../x' must be letters"),
        (Source(pci=PciSource(addresses=("3b:00.0",))), "source.pci.addresses: '3b:00.0' must be a full PCI address"),
        (Source(network=NetworkSource(drivers=("../x",))), "source.network.drivers: '../x' must be letters"),
        (Source(network=NetworkSource(vendors=("x",))), "source.network.vendors: 'x' must be four hexadecimal digits"),
        (Source(network=NetworkSource(link_types=("x",))), "source.network.linkTypes: 'x' must be ether or infiniband"),
        (Source(network=NetworkSource(pf_names=("eth0#7-2",))), "source.network: the range 7-2 ends before it begins"),
        (Source(network=NetworkSource(pci_addresses=("3b:0.0",))), "source.network.pciAddresses: '3b:0.0' must be a"),
        (Source(fpga=FpgaSource(mode="af")), "source.fpga.mode: must be AcceleratorFunction, Region or RegionManage"),
        (Source(fpga=FpgaSource(afu_ids=("d842",))), "source.fpga.afuIDs: 'd842' must be 32 hexadecimal digits"),
        (Source(fpga=FpgaSource(interface_ids=("F" * 32,))), "source.fpga.interfaceIDs: 'FFFF"),
        (Source(fpga=FpgaSource(afu_ids=("f" * 32,))), f"source.fpga.afuIDs: '{'f' * 32}' must not be all zeros or"),
        (Source(fpga=FpgaSource(interface_ids=("0" * 32,))), f"source.fpga.interfaceIDs: '{'0' * 32}' must not be all"),
        (Source(fpga=FpgaSource(mode="Region", ports=(1,))), "source.fpga: afuIDs and ports belong to mode: Acceler"),
    ],
)
def test_hardware_that_is_named_in_no_way_a_bus_does_is_refused_with_the_field(source: Source, problem: str) -> None:
    (found,) = of(source=source)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (NvidiaSource(uuids=("GPU-1",)), "uuids: 'GPU-1' must be a UUID as nvidia-smi -L shows it"),
        (NvidiaSource(pci_addresses=("07:00.0",)), "pciAddresses: '07:00.0' must be a full PCI address"),
        (NvidiaSource(mig=Mig(mode="Mixed", profiles=("1g",))), "mig.profiles: '1g' must be a MIG profile"),
        (NvidiaSource(mig=Mig(mode="Mixed")), "mig.profiles: must be given with mode: Mixed"),
        (NvidiaSource(mig=Mig(profiles=("1g.5gb",))), "mig.profiles: must be given with mode: Mixed, and must not"),
        (NvidiaSource(mig=Mig(mode="Some")), "mig.mode: must be None, Single or Mixed"),
        (NvidiaSource(device_list="Volumes"), "deviceList: must be Environment, CDI or Both"),
    ],
)
def test_gpus_that_are_chosen_in_no_way_there_is_are_refused_with_the_field(source: NvidiaSource, problem: str) -> None:
    (found,) = of(source=Source(nvidia=source))
    assert found.startswith(f"source.nvidia.{problem}")


def test_both_lists_of_xids_are_refused() -> None:
    (found,) = of(source=Source(nvidia=NvidiaSource(ignored_xids=(), critical_xids=(79,))))
    assert found == "source.nvidia: ignoredXids and criticalXids must not both be given"


def test_gpus_with_more_memory_than_themselves_are_refused() -> None:
    (found,) = of(source=Source(nvidia=NvidiaSource(min_memory=2, max_memory=1)))
    assert found == "source.nvidia: minMemoryMiB must not exceed maxMemoryMiB"


def rig(*members: GroupMember, pair_by: str = "Single") -> Source:
    return Source(groups=GroupsSource(members=members, pair_by=pair_by))


CAMERA = GroupMember(name="camera", paths=PATHS.paths)
LIGHT = GroupMember(name="light", usb=UsbSource(vendor_id="0403"))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (rig(CAMERA, replace(LIGHT, name="Li")), "source.groups.members: 'Li' must be lower-case letters and digits"),
        (rig(CAMERA, CAMERA), "source.groups.members: each name may stand only once"),
        (
            rig(replace(CAMERA, optional=True), replace(LIGHT, optional=True)),
            "source.groups.members: at least one must not be optional",
        ),
        (rig(CAMERA, LIGHT, pair_by="Luck"), "source.groups.pairBy: must be Single or Number"),
        (rig(CAMERA, GroupMember(name="none")), "source.groups.members[none]: exactly one source must be given"),
        (
            rig(CAMERA, replace(LIGHT, pci=PciSource(vendors=("1234",)))),
            "source.groups.members[light]: exactly one source must be given",
        ),
        (
            rig(CAMERA, GroupMember(name="light", paths=PathsSource(include=("/etc/shadow",)))),
            "source.groups.members[light].paths.include: '/etc/shadow' must be",
        ),
        (
            rig(CAMERA, GroupMember(name="light", paths=PathsSource(include=("/dev/light",), type="File"))),
            "source.groups.members[light].paths.type: a plain file cannot be a member",
        ),
        (
            rig(CAMERA, GroupMember(name="light", usb=UsbSource(vendor_id="1"))),
            "source.groups.members[light].usb.vendorID: '1' must be four hexadecimal digits",
        ),
    ],
)
def test_a_group_that_cannot_be_is_refused_with_its_member(source: Source, problem: str) -> None:
    (found,) = of(source=source)
    assert found.startswith(problem)


def test_a_group_within_a_group_that_an_api_server_pruned_is_refused_as_a_member_without_a_source() -> None:
    inner = {"name": "inner", "groups": {"members": [{"name": "light", "usb": {"vendorID": "0403"}}]}}
    outer = {"name": "camera", "paths": {"include": ["/dev/video*"]}}
    (found,) = of(source=convert({"groups": {"members": [outer, inner]}}, Source))
    assert found.startswith("source.groups.members[inner]: exactly one source must be given: paths")


@pytest.mark.parametrize(
    ("custom", "problem"),
    [
        (CustomSource(name="Scales"), "source.custom.name: 'Scales' must be lower-case letters, digits and '-'"),
        (CustomSource(name="a", parameters={"b c": ""}), "source.custom.parameters: 'b c' must be at most 63 letters"),
    ],
)
def test_a_source_of_a_package_that_nobody_could_name_is_refused(custom: CustomSource, problem: str) -> None:
    (found,) = of(source=Source(custom=custom))
    assert found.startswith(problem)


def test_the_attributes_of_a_group_are_its_members() -> None:
    assert of(Allocation(env=(EnvVar(name="A", value="$(attributes.light)"),)), source=rig(CAMERA, LIGHT)) == []
    (problem,) = of(Allocation(env=(EnvVar(name="A", value="$(attributes.sound)"),)), source=rig(CAMERA, LIGHT))
    assert "unknown variable $(attributes.sound)" in problem


def test_hexadecimal_numbers_may_have_their_prefix() -> None:
    assert of(source=Source(usb=UsbSource(vendor_id="0x0403", product_id="0x6001"))) == []
    assert of(source=Source(pci=PciSource(vendors=("0x8086",), classes=("0x0302", "03")))) == []
    assert of(source=Source(network=NetworkSource(vendors=("0x8086",), pf_names=("eth0#0,2-7",)))) == []


def test_ids_of_fpgas_may_have_dashes() -> None:
    ids = ("d8424dc4a4a3c413f89e433683f9040b", "d8424dc4-a4a3-c413-f89e-433683f9040b")
    assert of(source=Source(fpga=FpgaSource(afu_ids=ids, interface_ids=ids, ports=(0, 63)))) == []


def test_a_name_that_the_kubelet_would_refuse_is_refused() -> None:
    (problem,) = of(name="kubernetes.io/gpu")
    assert problem.startswith("name: must not be in the kubernetes.io domain")


def test_an_unknown_attribute_is_told_with_those_that_the_source_has() -> None:
    (problem,) = of(Allocation(env=(EnvVar(name="A", value="$(attributes.serial)"),)))
    assert "unknown variable $(attributes.serial); known are $(DEVICE_ID)" in problem
    assert "$(attributes.target)" in problem
    assert of(Allocation(env=(EnvVar(name="A", value="$(attributes.target)"),))) == []


def beside(*resources: tuple[str, str | None]) -> list[str]:
    """From name and containerPath."""
    return list(
        together(
            Resource(name=name, source=PATHS, allocation=Allocation(container_path=path)) for name, path in resources
        )
    )


def test_resources_that_a_container_can_tell_apart_go_together() -> None:
    assert (
        beside(("a.com/x", None), ("a.com/y", None), ("a.com/z", "/dev/z$(INDEX)"), ("b.com/w", "/dev/w$(INDEX)")) == []
    )


@pytest.mark.parametrize("other", ["b.com/big-gpu", "a.com/big_gpu", "a.com/big.gpu", "a.com/Big-GPU"])
def test_resources_whose_variables_are_the_same_do_not_go_together(other: str) -> None:
    assert beside(("a.com/big-gpu", None), (other, None)) == [
        f"resources: a.com/big-gpu and {other} both set BIG_GPU_ID in a container"
    ]


def test_resources_with_one_path_in_a_container_do_not_go_together() -> None:
    assert beside(("a.com/x", "/dev/x$(INDEX)"), ("a.com/y", "/dev/x$(INDEX)")) == [
        "resources: a.com/x and a.com/y have the same allocation.containerPath"
    ]


@pytest.mark.parametrize(
    ("probe", "field"),
    [
        (Probe(type="HeartbeatFile", name="../x", max_age_seconds=1), "name '../x'"),
        (Probe(type="HeartbeatFile", name="/etc/passwd", max_age_seconds=1), "name '/etc/passwd'"),
        (Probe(type="HeartbeatFile", name="a\0b", max_age_seconds=1), r"name 'a\x00b'"),
        (Probe(type="HeartbeatFile", max_age_seconds=1), "name ''"),
        (Probe(type="HeartbeatFile", name="x"), "maxAgeSeconds"),
        (Probe(type="SysfsAttribute", path="../x", equals=("1",)), "path '../x'"),
        (Probe(type="SysfsAttribute", path="/sys/kernel/x", equals=("1",)), "path '/sys/kernel/x'"),
        (Probe(type="SysfsAttribute", path="a\0b", equals=("1",)), r"path 'a\x00b'"),
        (Probe(type="SysfsAttribute", equals=("1",)), "path ''"),
    ],
)
def test_a_probe_looks_where_probes_may_look(probe: Probe, field: str) -> None:
    (wrong,) = problems(Resource(name="example.com/a", source=PATHS, health=Health(probes=(probe,))))
    assert wrong.startswith(f"health.probes: {field}")


def test_probes_as_they_should_be_have_no_problems() -> None:
    probes = (
        Probe(type="Exists"),
        Probe(type="Link"),
        Probe(type="HeartbeatFile", name="cameras/$(DEVICE_ID)", max_age_seconds=1),
        Probe(type="SysfsAttribute", path="device/state", equals=("1",)),
        Probe(type="SysfsAttribute", path="/sys/class/x/y", equals=("1",)),
    )
    assert not list(problems(Resource(name="example.com/a", source=PATHS, health=Health(probes=probes))))
