"""To a next version and back, where both are builds of their own: hack/next-version.sh makes the other one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import device_plugin_api
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import CONTROL_PLANE, SYSTEM, WORKERS, Json, kubectl, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

(NODE, *_) = WORKERS
NODES = {*WORKERS, CONTROL_PLANE}
ROOT = Path(__file__).parents[2]
NEXT_ROOT = ROOT / "build/next-version"
NOW, NEXT = device_plugin_api.__version__, "0.2.0"
CONTACT = "the people at the test bench"
"""What only the next version knows: its operator hands it to the nodes, its agents keep and report it."""


def install(root: Path, *, crds: bool = True) -> None:
    """What docs/upgrade.md says, with that version's manifests."""
    made = kubectl("kustomize", str(root / "manifests/overlays/dev")).split("\n---\n")
    wanted = [item for item in made if crds or "\nkind: CustomResourceDefinition\n" not in item]
    kubectl("apply", "--filename=-", stdin="\n---\n".join(wanted))


@pytest.fixture
def restored() -> Iterator[None]:
    """Afterwards there is what there was."""
    assert NEXT_ROOT.exists(), "hack/next-version.sh makes it, and hack/load.sh loads its images"
    yield
    install(ROOT)
    kubectl("--namespace", SYSTEM, "rollout", "status", "deployment/device-plugin-operator", limit=120)


@pytest.fixture
def everywhere(bed: Bed, restored: None) -> Iterator[Bed]:
    """Two devices on one node and one on each other: agents on three nodes, which are replaced one by one."""
    for node in NODES:
        bed.plug(node, 0)
    bed.plug(NODE, 1)
    yield bed
    bed.pull(CONTROL_PLANE, 0)


def spec_everywhere(bed: Bed) -> Json:
    toleration = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
    return bed.spec({"kubernetes.io/os": "linux"}) | {"tolerations": [toleration]}


def told_by_kubectl(bed: Bed) -> set[str]:
    """The versions in the column AGENT."""
    selector = f"--selector=deviceplugins.dev/config={bed.name}"
    header, *lines = kubectl("get", "ndp", "--output=wide", selector).splitlines()
    column = header.index("AGENT")
    return {(line[column:].split() or [""])[0] for line in lines}


def that_are_ready(bed: Bed) -> set[str]:
    """The images of the agents that are ready."""
    return {
        pod["spec"]["containers"][0]["image"]
        for pod in bed.agents()
        for condition in pod["status"].get("conditions", [])
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }


def both_run(bed: Bed) -> bool:
    """Whether agents of both versions are at work at once, and have reported."""
    return len(that_are_ready(bed)) == 2 and told_by_kubectl(bed) == {NOW, NEXT}


def run_all(bed: Bed, version: str) -> None:
    """Wait until that version's agents are all there is, and all is well with them."""

    def reported() -> bool:
        found = {bed.report(node)["status"].get("agentVersion") for node in bed.reports()}
        return found == {version} and len(that_are_ready(bed)) == 1

    until(reported, f"agents of {version} have replaced the others", limit=120)
    bed.settled()
    for node in bed.reports():
        conditions = {each["type"]: each["status"] for each in bed.report(node)["status"]["conditions"]}
        assert conditions["ConfigAccepted"] == "True"
        # What an agent cannot read of its node's state it sets aside.
        assert on_node(node, "find /var/lib/deviceplugins.dev -name '*.damaged'") == ""


def users(device: Json) -> list[str]:
    return [user["pod"] for user in device.get("allocatedTo", [])]


def held(bed: Bed, pod: str) -> str:
    """The device that a pod has, once its agent knows it."""
    return until(
        lambda: next((name for name, device in bed.reported().items() if users(device) == [pod]), ""),
        f"the agent knows what {pod} has",
    )


def keeps(bed: Bed, pod: str, device: str) -> Callable[[], None]:
    """Call what this returns later: the pod was never disturbed, and nobody, at no time, was told otherwise."""
    since = bed.config()["metadata"]["resourceVersion"]
    same = bed.undisturbed(pod)
    path = bed.client.path("deviceplugins.dev/v1alpha1", "NodeDevicePlugin")

    def check() -> None:
        same()
        assert bed.views[NODE].holders(bed.resource)[device] == [f"{bed.name}/{pod}/c0"]
        selector = f"metadata.name={bed.name}.{NODE}"
        events = list(bed.client.watch(path, seconds=1, resourceVersion=since, fieldSelector=selector))
        assert {event["type"] for event in events} == {"MODIFIED"}
        told = [told_of(event["object"], device) for event in events]
        assert {(state, *names) for state, names in told} == {("Healthy", pod)}

    return check


def told_of(report: Json, device: str) -> tuple[str, list[str]]:
    """Its state and its users, as one version of a report has them."""
    ((found, *_),) = (
        [each for each in resource["devices"] if each["id"] == device] for resource in report["status"]["resources"]
    )
    return found["state"], users(found)


def saved(bed: Bed) -> Json:
    """What the agent of a node keeps on its disk."""
    uid = bed.config()["metadata"]["uid"]
    content: Json = json.loads(on_node(NODE, f"cat /var/lib/deviceplugins.dev/{uid}/desired.json"))
    return content


def contacts(bed: Bed, part: str) -> set[str | None]:
    return {bed.report(node)[part].get("contact") for node in bed.reports()}


def ask(bed: Bed, contact: str) -> None:
    """Use what is new, as soon as the API server takes it."""

    def taken() -> bool:
        bed.change({"contact": contact})
        return True

    until(taken, "the API server knows the new member")


def test_a_pod_keeps_its_device_while_agents_change_to_the_next_version_and_back_and_no_member_is_lost(
    everywhere: Bed,
) -> None:
    bed = everywhere
    bed.apply(spec_everywhere(bed))
    run_all(bed, NOW)
    bed.pod("holder", 1, node=NODE)
    bed.running("holder")
    bed.pod("other", 1, node=NODE)
    bed.running("other")
    device = held(bed, "holder")
    assert held(bed, "other") != device
    # At each moment of what follows it would take a device that is offered.
    bed.pod("waiting", 1, node=NODE)

    kept = keeps(bed, "holder", device)
    install(NEXT_ROOT, crds=False)
    until(lambda: both_run(bed), "agents of both versions run", limit=120)
    run_all(bed, NEXT)
    kept()

    # Nobody can go on from what was before other CRDs came: hence two times.
    kubectl("apply", "--kustomize", str(NEXT_ROOT / "crds"))
    ask(bed, CONTACT)
    until(lambda: contacts(bed, "status") == {CONTACT}, "operator and agents do what is new when the CRDs are there")
    # So the former agents find in both what they do not know.
    file = saved(bed)
    assert (file["writtenBy"], file["spec"]["contact"]) == (NEXT, CONTACT)

    kept = keeps(bed, "holder", device)
    install(ROOT, crds=False)
    until(lambda: both_run(bed), "agents of both versions run again", limit=120)
    run_all(bed, NOW)
    # The former version with the next one's CRDs, as when those are applied first.
    ask(bed, "somebody else")
    bed.settled()
    assert bed.config()["spec"]["contact"] == "somebody else"
    assert contacts(bed, "spec") == {CONTACT}, "kept where it stands, and of no effect"

    assert bed.look("waiting")["status"]["phase"] == "Pending"
    assert "nodeName" not in bed.look("waiting")["spec"]
    bed.client.delete("v1", "Pod", "other", namespace=bed.name)
    bed.running("waiting")
    assert held(bed, "waiting") != device
    kept()
