"""Probes of devices, and devices that are cordoned."""

from typing import Any

from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import Json, config, of

HEALTH = f"{FIRST}.health"

PROBE = f"{HEALTH}.probes[0]"

CORDON: Json = {"node": "worker-1", "resource": "example.com/camera", "device": "video3", "reason": "lens broken"}

CORDONS = "spec.cordonedDevices"


def health(**members: Any) -> Json:
    return of(health=members)


def probing(**members: Any) -> Json:
    return health(probes=[{key: value for key, value in members.items() if value is not None}])


def attribute(**members: Any) -> Json:
    return probing(**({"type": "SysfsAttribute", "path": "device/health", "equals": ["ok"]} | members))


def matching(pattern: str) -> Json:
    return attribute(equals=None, matches=pattern)


def heartbeat(**members: Any) -> Json:
    return probing(**({"type": "HeartbeatFile", "name": "cameras/$(DEVICE_ID)", "maxAgeSeconds": 30} | members))


def cordoned(*cordons: Json) -> Json:
    return config(cordonedDevices=list(cordons))


BAD = [
    bad("an unknown probe", health(probes=[{"type": "Ping"}]), f"{HEALTH}.probes[0].type", '"Exists"'),
    bad("no probes", health(probes=[]), f"{HEALTH}.probes", "should have at least 1 items"),
    bad("9 probes", health(probes=[{"type": "Exists"}] * 9), f"{HEALTH}.probes", "must have at most 8 items"),
    bad("an attribute without path", attribute(path=None), PROBE, "path must be given"),
    bad("an attribute that climbs out", attribute(path="../power"), f"{PROBE}.path", "must not contain '.' or '..'"),
    bad("an attribute of the kernel", attribute(path="/sys/kernel/a"), f"{PROBE}.path", "must be relative to"),
    bad("an attribute of no name", attribute(path="a//b"), f"{PROBE}.path", "without empty parts"),
    bad("an attribute compared with nothing", attribute(equals=None), PROBE, "exactly one comparison"),
    bad("an attribute compared in two ways", attribute(min=1), PROBE, "exactly one comparison"),
    bad("a range that is none", attribute(equals=None, min=2, max=1), PROBE, "min must not exceed max"),
    bad("a pattern with a group", matching("(a+)+"), f"{PROBE}.matches", "no groups"),
    bad("a pattern of many repetitions", matching("a*b*c*d*"), f"{PROBE}.matches", "at most 3 of"),
    bad("a pattern that is none", matching("[z-a]"), f"{PROBE}.matches", "must be a regular expression"),
    bad("a heartbeat without age", heartbeat(maxAgeSeconds=None), PROBE, "must be given with type: HeartbeatFile"),
    bad("a heartbeat elsewhere", heartbeat(name="../a"), f"{PROBE}.name", "must be relative to /run/deviceplugins.dev"),
    bad("an absolute heartbeat", heartbeat(name="/a"), f"{PROBE}.name", "must be relative to /run/deviceplugins.dev"),
    bad("a heartbeat of anything", heartbeat(name="$(NODE)"), f"{PROBE}.name", "only use the variable $(DEVICE_ID)"),
    bad("a link with a path", health(probes=[{"type": "Link", "path": "a"}]), PROBE, "belong to type: SysfsAttribute"),
    bad("a link with a name", health(probes=[{"type": "Link", "name": "a"}]), PROBE, "belong to type: HeartbeatFile"),
    bad("a period of 0", health(periodSeconds=0), f"{HEALTH}.periodSeconds", "greater than or equal to 1"),
    bad("a period over an hour", health(periodSeconds=3601), f"{HEALTH}.periodSeconds", "less than or equal to 3600"),
    bad("half a second", health(periodSeconds=0.5), f"{HEALTH}.periodSeconds", "must be of type integer"),
    bad("no failures", health(failureThreshold=0), f"{HEALTH}.failureThreshold", "greater than or equal to 1"),
    bad("101 failures", health(failureThreshold=101), f"{HEALTH}.failureThreshold", "less than or equal to 100"),
    bad("no successes", health(successThreshold=0), f"{HEALTH}.successThreshold", "greater than or equal to 1"),
    bad("101 successes", health(successThreshold=101), f"{HEALTH}.successThreshold", "less than or equal to 100"),
    bad("a cordon twice", cordoned(CORDON, CORDON), f"{CORDONS}[1]", "Duplicate value"),
    bad("a cordon without reason", cordoned(CORDON | {"reason": ""}), f"{CORDONS}[0].reason", "at least 1 chars"),
    bad(
        "a cordon of another resource", cordoned(CORDON | {"resource": "a.b/c"}), "spec", "must name resources of this"
    ),
    bad("a cordon of no node", cordoned(CORDON | {"node": "A b"}), f"{CORDONS}[0].node", "must be the name of a node"),
    bad("a cordon of no device", cordoned(CORDON | {"device": "a/b"}), f"{CORDONS}[0].device", "must be a device's ID"),
    bad(
        "129 cordons",
        cordoned(*(CORDON | {"device": f"d{number}"} for number in range(129))),
        CORDONS,
        "must have at most 128 items",
    ),
]

GOOD = [
    good("slow health", health(periodSeconds=3600, failureThreshold=100, successThreshold=100)),
    good("quick health", health(periodSeconds=1, failureThreshold=1, successThreshold=1)),
    good("a probe of an attribute", attribute()),
    good(
        "a probe of an attribute anywhere", attribute(path="/sys/class/net/eth0/speed", equals=None, min=-1, max=1000)
    ),
    good("a probe with a pattern", matching(r"[a-z_]+ \d*\.5|ok?")),
    good("a heartbeat of each device", heartbeat()),
    good("two probes of one type", health(probes=[{"type": "Link"}, {"type": "Link"}])),
    good("a cordoned device", cordoned(CORDON)),
]
