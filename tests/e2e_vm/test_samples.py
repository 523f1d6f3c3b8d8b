"""The samples for what many machines have: a pod opens the kernel's own devices, and sees a picture of a camera."""

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

SHARED = {"example.com/kvm": 100, "example.com/fuse": 100, "example.com/tun": 100, "example.com/render-node": 4}
CAMERA = "example.com/camera"
NODES = ("/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/dri/renderD128")


def test_containers_open_the_kernels_own_devices_side_by_side_and_see_a_picture_of_a_camera(bed: Bed) -> None:
    offered = SHARED | {CAMERA: 1}
    until(lambda: {name: bed.offered(VM, name) for name in offered} == offered, "all of them are allocatable")
    first, *others = SHARED
    opening = f'for node in {" ".join(NODES)}; do true <>"$node" && echo "$node"; done;'
    bed.pod("users", 1, 1, node=VM, resource=first, beside=others, script=opening)
    picture = 'echo "$CAMERAS"; ls /dev | grep video; head -c 16 "$CAMERAS" | wc -c;'
    bed.pod("viewer", 1, node=VM, resource=CAMERA, script=picture)
    bed.running("users", "viewer")
    for container in ("c0", "c1"):
        assert bed.told("users", container)[-len(NODES) :] == list(NODES)
    # The sample calls it so, and leaves the node of its metadata out.
    assert bed.told("viewer") == ["/dev/camera0", "16"]
