"""The truth table: a state of the world, the reason of Ready, and which of the four conditions of a config hold."""

from msgspec.structs import replace

from device_plugin_api.node import WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import Rivals, Snapshot, Trial, Verdict
from device_plugin_operator.plan import revision
from operator_fixture import NOW, RESOURCE, config, counts, daemons, node, pod, snapshot, spec, trouble

REJECTION = Verdict(False, "example.com/camera: no such source; the last accepted configuration goes on", timestamp(0))
DISAGREEMENT = Verdict(False, "example.com/camera: the kubelet has 1 of 2, misses video3", timestamp(0))
BROKEN = {"devices": counts(1, 1), "troubles": (trouble("video3"),)}
LONG_AGO = NOW - 31
OLDER = node("a", config="others", config_created="2020")
PREVIEWED = spec(mode="Preview")
SEEN = {key: revision.of(PREVIEWED.resources, PREVIEWED.mode) for key in ("revision", "observed_revision")}

ROWS: list[tuple[str, Snapshot, str, str]] = [
    ("a spec that cannot be used", snapshot(config=config(invalid="no")), "InvalidSpec", "FFTT"),
    (
        "an older config has the name",
        snapshot(node("a"), node("b"), rivals={"a": Rivals(objects=(OLDER,))}),
        "ResourceNameConflict",
        "FFTT",
    ),
    (
        "a younger config still has the name",
        snapshot(
            node("a", withheld=(WithheldResource(name=RESOURCE, config="others", since=timestamp(NOW)),)),
            node("b"),
            rivals={"a": Rivals(objects=(replace(OLDER, config_created="2030"),))},
        ),
        "Starting",
        "FTF-",
    ),
    ("an agent rejects it", snapshot(node("a", accepted=REJECTION), node("b")), "ConfigRejected", "FFTT"),
    (
        "the rollout is paused",
        snapshot(node("a", revision="old", observed_revision="old"), config=config(spec(rollout={"paused": True}))),
        "RolloutPaused",
        "FFT-",
    ),
    (
        "a node got worse by the new configuration and another waits for it",
        snapshot(
            node("a", **BROKEN, trial=Trial(healthy={RESOURCE: ("video3",)})),
            node("b", revision="old", observed_revision="old"),
        ),
        "RolloutPaused",
        "FFTT",
    ),
    ("an agent is silent", snapshot(node("a"), pods=[], unready={"a": LONG_AGO}), "AgentsUnavailable", "FFT-"),
    (
        "an agent crashes",
        snapshot(node("a"), pods=[pod("a", ready=False, reason="CrashLoopBackOff")]),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "an agent cannot be scheduled",
        snapshot(
            pods=[pod("a", bound=False, ready=False, reason="Unschedulable")],
            unready={"a": LONG_AGO},
            daemons=daemons(1),
        ),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "agents were never created",
        snapshot(node("a"), daemons=daemons(2), unready={"": LONG_AGO}),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "the kubelet refuses a resource for long",
        snapshot(node("a", registered=Verdict(False, "the kubelet refused it", timestamp(LONG_AGO)))),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "a node runs another revision",
        snapshot(node("a", observed_revision="old"), node("b")),
        "RolloutInProgress",
        "FTF-",
    ),
    (
        "a node runs another revision and a device is broken",
        snapshot(node("a", observed_revision="old", **BROKEN)),
        "RolloutInProgress",
        "FTT-",
    ),
    ("agents are being replaced", snapshot(node("a"), daemons=daemons(1, updated=0)), "RolloutInProgress", "FTF-"),
    ("nothing is there yet", snapshot(daemons=daemons(None)), "Starting", "FTF-"),
    (
        "an agent starts",
        snapshot(node("a", observed_revision="", registered=None, created=timestamp(NOW - 5)), node("b")),
        "Starting",
        "FTF-",
    ),
    ("an agent is away for a moment", snapshot(node("a"), node("b"), pods=[pod("b")]), "Starting", "FTF-"),
    (
        "the kubelet has something else",
        snapshot(node("a", disagrees=DISAGREEMENT), node("b")),
        "KubeletDisagrees",
        "FFT-",
    ),
    (
        "devices are only looked at",
        snapshot(node("a", **SEEN), node("b", **SEEN), config=config(PREVIEWED)),
        "Preview",
        "TFF-",
    ),
    (
        "devices are only looked at and one is broken",
        snapshot(node("a", **SEEN, **BROKEN), config=config(PREVIEWED)),
        "Preview",
        "TFT-",
    ),
    (
        "devices are only looked for",
        snapshot(node("a", **SEEN, devices=counts()), config=config(PREVIEWED)),
        "NoDevicesFound",
        "TFF-",
    ),
    ("a device is broken", snapshot(node("a", **BROKEN), node("b")), "SomeUnhealthy", "TFT-"),
    ("a device's state is unknown", snapshot(node("a", devices=counts(1, 0, 1))), "SomeUnhealthy", "TFT-"),
    ("nodes are selected and have nothing", snapshot(node("a", devices=counts())), "NoDevicesFound", "TFF-"),
    ("no node is selected", snapshot(), "NoMatchingNodes", "TFF-"),
    ("all is well", snapshot(node("a"), node("b")), "AllNodesReady", "TFF-"),
]
