"""The sample of the README: example.com/custom-device, and its two pods."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from apiserver_fixture.client import Client
from e2e_bed.bed import until
from e2e_bed.cluster import GROUP, WORKERS, Json, kubectl, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
LABEL = "example.com/custom-device"
NAME = "custom-device"
ASKING = (("one-device", "reader", 1), ("three-devices", "first", 1), ("three-devices", "second", 2))
"""Pod, container, and how many devices it asks for."""


def documents(name: str) -> list[Json]:
    return list(yaml.safe_load_all((SAMPLES / name).read_text()))


@pytest.fixture
def pods() -> list[Json]:
    return [
        each | {"metadata": each["metadata"] | {"namespace": "default"}}
        for each in documents("custom-device-pods.yaml")
    ]


@pytest.fixture(autouse=True)
def devices(cluster: Client, pods: list[Json]) -> Iterator[None]:
    """Four devices on the first worker, and nothing of the sample before and after."""

    def clear() -> None:
        cluster.delete(GROUP, "DevicePluginConfig", NAME, missing_ok=True)
        for pod in pods:
            cluster.delete("v1", "Pod", pod["metadata"]["name"], namespace="default", missing_ok=True)
        for node in WORKERS:
            cluster.patch("v1", "Node", node, {"metadata": {"labels": {LABEL: None}}})
            on_node(node, "rm -rf /dev/custom-device-* /opt/custom-device")
        names = {pod["metadata"]["name"] for pod in pods}
        until(
            lambda: (
                not names & {pod["metadata"]["name"] for pod in cluster.list("v1", "Pod", namespace="default")}
                and cluster.find(GROUP, "NodeDevicePlugin", f"{NAME}.{WORKERS[0]}") is None
            ),
            "nothing of the sample is there",
        )

    clear()
    on_node(
        WORKERS[0],
        "for i in 0 1 2 3; do mknod -m 0666 /dev/custom-device-$i c 1 5; done; "
        "mkdir -p /opt/custom-device && echo gain=1.0 >/opt/custom-device/calibration",
    )
    cluster.patch("v1", "Node", WORKERS[0], {"metadata": {"labels": {LABEL: "true"}}})
    yield
    clear()


def test_both_sample_pods_find_devices_and_mount_without_setting_a_variable_and_a_pulled_device_is_told(
    cluster: Client, pods: list[Json]
) -> None:
    (config,) = documents("custom-device.yaml")
    cluster.create(config)
    for pod in pods:
        cluster.create(pod)

    def running() -> bool:
        found = [cluster.get("v1", "Pod", pod["metadata"]["name"], namespace="default") for pod in pods]
        return all(each["status"]["phase"] == "Running" for each in found)

    until(running, "both pods run", limit=120)

    def told(pod: str, container: str, devices: int) -> list[str]:
        path = f"/api/v1/namespaces/default/pods/{pod}/log"

        def lines() -> list[str]:
            answer = cluster.request("GET", path, query={"container": container})
            found = str(answer.get("text", "")).splitlines()
            return found if len(found) == 2 + devices else []

        return until(lines, f"{pod}/{container} has told")

    seen = []
    for name, container, count in ASKING:
        ids, paths, *read = told(name, container, count)
        names = ids.removeprefix("CUSTOM_DEVICE_ID=").split(",")
        assert len(names) == count
        assert paths == "CUSTOM_DEVICE_PATH=" + ",".join(f"/dev/{each}" for each in names)
        assert read == [f"one byte of /dev/{each}:  00" for each in names]
        seen += names
        assert in_container(name, container, "cat /etc/custom-device/calibration") == "gain=1.0\n"
        refused = "touch /etc/custom-device/calibration 2>&1 || true"
        assert "Read-only" in in_container(name, container, refused)
    assert len(set(seen)) == 4
    report = cluster.get(GROUP, "NodeDevicePlugin", f"{NAME}.{WORKERS[0]}")
    (resource,) = report["spec"]["resources"]
    assert resource["name"] == LABEL
    until(
        lambda: cluster.get(GROUP, "DevicePluginConfig", NAME)["status"]["devices"]["allocated"] == 4,
        "the config counts four in use",
    )

    def state() -> tuple[str, str]:
        report = cluster.get(GROUP, "NodeDevicePlugin", f"{NAME}.{WORKERS[0]}")
        (device,) = [each for each in report["status"]["resources"][0]["devices"] if each["id"] == seen[0]]
        return device["state"], device["reason"]

    on_node(WORKERS[0], f"rm /dev/{seen[0]}")
    until(lambda: state() == ("Unhealthy", "DeviceMissing"), "the health check tells a device that is pulled out")
    on_node(WORKERS[0], f"mknod -m 0666 /dev/{seen[0]} c 1 5")
    until(lambda: state() == ("Healthy", "Works"), "and that it is back")


def in_container(pod: str, container: str, script: str) -> str:
    """What a shell says in a container of a sample pod."""
    return kubectl("exec", "--namespace=default", pod, f"--container={container}", "--", "sh", "-c", script)
