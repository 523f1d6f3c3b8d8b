"""Names: of configs and of resources."""

from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import config, of, resource

BAD = [
    bad("a name over 45 characters", config("c" * 46), "metadata.name", "at most 45 characters"),
    bad("a name with a dot", config("cameras.front"), "metadata.name", "must be a DNS label"),
    bad("a resource without domain", of(name="camera"), f"{FIRST}.name", "must be <domain>/<name>"),
    bad("a resource with two slashes", of(name="example.com/a/b"), f"{FIRST}.name", "must be <domain>/<name>"),
    bad("a resource of Kubernetes", of(name="kubernetes.io/camera"), f"{FIRST}.name", "kubernetes.io domain"),
    bad("a resource below Kubernetes", of(name="a.kubernetes.io/camera"), f"{FIRST}.name", "kubernetes.io domain"),
    bad("a resource of a quota", of(name="requests.a.com/camera"), f"{FIRST}.name", "must not start with 'requests.'"),
    bad("a domain with capitals", of(name="Example.com/camera"), f"{FIRST}.name", "lower-case DNS name"),
    bad("a domain over 244 characters", of(name="d" * 245 + "/camera"), f"{FIRST}.name", "at most 244 characters"),
    bad("a resource over 63 characters", of(name="example.com/" + "n" * 64), f"{FIRST}.name", "at most 63 letters"),
    bad("a resource ending in a dash", of(name="example.com/camera-"), f"{FIRST}.name", "letter or digit at both ends"),
    bad("a resource of 2 characters", of(name="a/"), f"{FIRST}.name", "at least 3 chars long"),
    bad("a resource over 308 characters", of(name="d" * 244 + "/" + "n" * 64), f"{FIRST}.name", "than 308"),
    *(
        bad(
            f"{first} and {second}, whose variables are the same",
            config(resources=[resource(first), resource(second)]),
            "spec",
            "resources must differ in what stands behind '/'",
        )
        for first, second in (
            ("a.com/gpu", "b.com/gpu"),
            ("a.com/big-gpu", "a.com/big_gpu"),
            ("a.com/gpu", "a.com/GPU"),
        )
    ),
    bad(
        "two resources with one path in a container",
        config(
            resources=[
                resource(name, allocation={"containerPath": "/dev/camera$(INDEX)"}) for name in ("a.com/x", "a.com/y")
            ]
        ),
        "spec",
        "resources must differ in allocation.containerPath",
    ),
    bad("the same resource twice", config(resources=[resource(), resource()]), "spec.resources[1]", "Duplicate value"),
]

GOOD = [
    good("a config with what must be there", config()),
    good("a name of 45 characters", config("c" * 45)),
    good("a name of one character", config("c")),
    good("a resource name as long as may be", of(name="d" * 244 + "/" + "n" * 63)),
    good("a resource of k8s.io", of(name="k8s.io/camera")),
    good("a resource with capitals and dots", of(name="example.com/Camera_v1.5-hd")),
    good("two resources", config(resources=[resource(), resource("example.com/microphone")])),
]
