"""NodeDevicePlugins."""

from apiserver.cases.health import CORDON
from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import node_object, resource
from device_plugin_api.names import node_device_plugin_name

BAD = [
    bad(
        "a node object named otherwise", node_object("a.worker-1"), "metadata.name", "<spec.configName>.<spec.nodeName>"
    ),
    bad(
        "a node object with a bad resource", node_object(resources=[resource("a")]), f"{FIRST}.name", "at least 3 chars"
    ),
    bad(
        "a node object with a resource of Kubernetes",
        node_object(resources=[resource("kubernetes.io/a")]),
        f"{FIRST}.name",
        "kubernetes.io domain",
    ),
    bad("a node object without resources", node_object(resources=[]), "spec.resources", "should have at least 1 items"),
    *(
        bad(f"a node object without {name}", node_object(without=name), f"spec.{name}", "Required value")
        for name in ("configName", "configUID", "nodeName", "nodeUID", "revision", "resources")
    ),
    *(
        bad(f"a node object with an empty {name}", node_object(**{name: ""}), f"spec.{name}", "at least 1 chars long")
        for name in ("configName", "configUID", "nodeName", "nodeUID", "revision")
    ),
]

GOOD = [
    good(
        "a cordoned device in a node object",
        node_object(cordonedDevices=[{key: CORDON[key] for key in ("resource", "device", "reason")}]),
    ),
    good("a node object", node_object()),
    good("a node object of a node with dots", node_object("cameras.a.b", nodeName="a.b")),
    good(
        "a node object whose name had to be cut",
        node_object(node_device_plugin_name("cameras", "n" * 253), nodeName="n" * 253),
    ),
]
