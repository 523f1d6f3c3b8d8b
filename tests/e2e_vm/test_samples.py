"""The samples for what many machines have: a pod opens the kernel's own devices, and sees a picture of a camera."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from apiserver_fixture.client import Client
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, VM_LABEL, VM_TOLERATION, Json
from e2e_bed.machine import drivers
from e2e_bed.times import Times

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(400)]

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
SHARED = {"example.com/kvm": 100, "example.com/fuse": 100, "example.com/tun": 100, "example.com/render-node": 4}
CAMERA = "example.com/camera"
NODES = ("/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/dri/renderD128")


def of_samples(*names: str) -> list[Json]:
    """The resources of samples, as those have them."""
    configs = [config for name in names for config in yaml.safe_load_all((SAMPLES / f"{name}.yaml").read_text())]
    return [resource for config in configs for resource in config["spec"]["resources"]]


@pytest.fixture
def samples(cluster: Client) -> Iterator[Bed]:
    """A config and an agent for them alone: hundreds of shares are work for an emulated kubelet."""
    made = Bed(cluster, {}, Times())
    resources = of_samples("shared-nodes", "render", "cameras")
    with drivers():
        try:
            made.apply({"nodeSelector": VM_LABEL, "tolerations": [VM_TOLERATION], "resources": resources})
            until(lambda: made.reason() == "AllNodesReady", "the machine's agent serves", limit=180)
            yield made
        finally:
            made.end()


def test_containers_open_the_kernels_own_devices_side_by_side_and_see_a_picture_of_a_camera(samples: Bed) -> None:
    offered = SHARED | {CAMERA: 1}
    until(lambda: {name: samples.offered(VM, name) for name in offered} == offered, "all of them are allocatable")
    first, *others = SHARED
    opening = f'for node in {" ".join(NODES)}; do true <>"$node" && echo "$node"; done;'
    samples.pod("users", 1, 1, node=VM, resource=first, beside=others, script=opening)
    picture = 'echo "$CAMERAS"; ls /dev | grep video; head -c 16 "$CAMERAS" | wc -c;'
    samples.pod("viewer", 1, node=VM, resource=CAMERA, script=picture)
    samples.running("users", "viewer")
    for container in ("c0", "c1"):
        assert samples.told("users", container)[-len(NODES) :] == list(NODES)
    # The sample calls it so, and leaves the node of its metadata out.
    assert samples.told("viewer") == ["/dev/camera0", "16"]
