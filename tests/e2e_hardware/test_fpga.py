"""FPGAs in the place of a node's own: each mode's pods, a port that fails, one that is programmed anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS
from recorded import fpga as machines
from recorded.fpga import CARDS, NLB0, NLB3, OLDER, OPAE, PAC, Machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

(NODE, *_) = WORKERS

OTHER = "bfac4d851ee856fe8c95865ce1bbaa2d"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A card under the older driver, one with one port, one with two."""
    made = machines.Machine(tmp_path)
    made.card(CARDS[0], driver=OPAE, interface=OLDER)
    made.card(CARDS[1], interface=PAC)
    made.card(CARDS[2], interface=OTHER, afus=(NLB0, NLB3))
    with recorded.made(NODE, made.sys, made.dev):
        yield made


def reason_of(bed: Bed, resource: str, device: str) -> str:
    return str(bed.reported(NODE, resource).get(device, {}).get("reason", ""))


def test_fpgas_are_handed_out_by_port_and_by_region_and_tell_what_is_wrong(bed: Bed, machine: Machine) -> None:
    loopback, stream, region, development = (f"{bed.resource}-{name}" for name in ("nlb0", "nlb3", "region", "dev"))
    quick = {"periodSeconds": 1, "failureThreshold": 1, "successThreshold": 1}
    sources = {
        loopback: {"afuIDs": [NLB0], "interfaceIDs": [OLDER]},
        stream: {"afuIDs": [NLB3], "interfaceIDs": [OLDER]},
        region: {"mode": "Region", "interfaceIDs": [PAC]},
        development: {"mode": "RegionManagement", "interfaceIDs": [OTHER]},
    }
    bed.apply(
        bed.spec()
        | {"resources": [{"name": name, "source": {"fpga": each}, "health": quick} for name, each in sources.items()]}
    )
    bed.settled()
    expected = {loopback: 1, stream: 0, region: 1, development: 1}
    until(lambda: {name: bed.offered(NODE, name) for name in expected} == expected, "ports and regions are allocatable")

    show = "env | grep ^FPGA_ | sort; ls /dev | grep -E '^(dfl|intel-fpga)' | sort;"
    for pod, resource in (("region", region), ("dev", development), ("port", loopback)):
        bed.pod(pod, 1, node=NODE, resource=resource, script=show)
    bed.running("region", "dev", "port")
    ids = [f"FPGA_AFU_1={NLB0}", f"FPGA_REGION_1={PAC}"]
    assert bed.told("region")[-3:] == [*ids, "dfl-port.0"]
    assert bed.told("dev")[-5:] == [
        f"FPGA_AFU_1={NLB0},{NLB3}",
        f"FPGA_REGION_1={OTHER}",
        "dfl-fme.1",
        "dfl-port.1",
        "dfl-port.2",
    ]
    assert bed.told("port")[-3:] == [ids[0], f"FPGA_REGION_1={OLDER}", "intel-fpga-port.0"]

    port, of_host = f"{CARDS[0]}-port0", f"/sys/{machine.directory('intel-fpga-port.0').relative_to(machine.sys)}"
    recorded.says(NODE, f"{of_host}/errors/errors", "0x2")
    until(lambda: reason_of(bed, loopback, port) == "PortErrors", "a port with errors is told")
    until(lambda: bed.offered(NODE, loopback) == 0, "it is not allocatable")
    recorded.says(NODE, f"{of_host}/errors/errors", "0x0")
    until(lambda: reason_of(bed, loopback, port) == "Works", "its recovery is told")

    recorded.says(NODE, f"{of_host}/afu_id", NLB3)
    until(lambda: reason_of(bed, loopback, port) == "OtherAFU", "that the port of a pod was programmed anew is told")
    assert bed.offered(NODE, stream) == 0
    bed.client.delete("v1", "Pod", "port", namespace=bed.name)
    until(lambda: bed.offered(NODE, stream) == 1, "the port is another resource's when the pod is gone")
    until(lambda: not bed.reported(NODE, loopback), "nothing is left of it in the former one")
