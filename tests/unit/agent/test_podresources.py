"""Who uses what."""

from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.podresources import holders
from device_plugin_api.node import Holder


def test_a_device_named_once_for_each_numa_node_has_one_holder() -> None:
    devices = [
        api.ContainerDevices(
            resource_name="example.com/a",
            device_ids=["d0"],
            topology=api.TopologyInfo(nodes=[api.NUMANode(ID=node)]),
        )
        for node in (0, 1)
    ]
    answer = api.ListPodResourcesResponse(
        pod_resources=[
            api.PodResources(name="p", namespace="n", containers=[api.ContainerResources(name="c", devices=devices)])
        ]
    )
    assert holders(answer) == {"example.com/a": {"d0": (Holder(namespace="n", pod="p", container="c"),)}}


def test_a_shared_device_has_all_its_holders() -> None:
    device = api.ContainerDevices(resource_name="example.com/a", device_ids=["d0"])
    answer = api.ListPodResourcesResponse(
        pod_resources=[
            api.PodResources(name=name, namespace="n", containers=[api.ContainerResources(name="c", devices=[device])])
            for name in ("p", "q")
        ]
    )
    assert [holder.pod for holder in holders(answer)["example.com/a"]["d0"][:]] == ["p", "q"]
