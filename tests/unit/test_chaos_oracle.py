"""What tests/chaos_bed sees of processes, of configs and of statuses."""

from pathlib import Path

from chaos_bed.oracle import processes
from chaos_bed.sampler import wanted
from chaos_bed.samples import Complaint, Report, Said, Summary, Told, Wanted
from chaos_bed.statuses import report, summary


def process(proc: Path, pid: int, command: list[str], *devices: str, **environment: str) -> None:
    place = proc / str(pid)
    (place / "root/dev").mkdir(parents=True)
    for device in devices:
        (place / "root/dev" / device).touch()
    (place / "cmdline").write_text("".join(f"{word}\0" for word in command))
    (place / "environ").write_text("".join(f"{key}={value}\0" for key, value in environment.items()))


def test_agents_and_containers_are_told_from_all_other_processes(tmp_path: Path) -> None:
    process(tmp_path, 10, ["python", "--config-name=chaos"], NODE_NAME="one")
    process(tmp_path, 11, ["python", "--config-name=chaos-2"], NODE_NAME="one")
    process(tmp_path, 20, ["sh", "-c", "wait", "chaos"], "null", "chaos-0", NODE="two", NAMESPACE="ns", POD="p0")
    process(tmp_path, 21, ["sh", "-c", "wait", "another"], "chaos-0", NODE="two", NAMESPACE="ns", POD="p1")
    (tmp_path / "self").mkdir()
    found = processes("chaos", "chaos", tmp_path)
    assert [(agent.pid, agent.node) for agent in found.agents] == [(10, "one")]
    assert found.running("two") == {"chaos-0": frozenset({"ns/p0/c0"})}
    assert found.running("one") == {}


def test_a_process_that_ends_while_it_is_looked_at_is_none(tmp_path: Path) -> None:
    process(tmp_path, 10, ["python", "--config-name=chaos"])
    process(tmp_path, 20, [], "chaos-0", NODE="two", NAMESPACE="ns", POD="p0")
    found = processes("chaos", "chaos", tmp_path)
    assert (found.agents, found.users) == ((), ())


def test_a_config_means_the_devices_that_its_patterns_match() -> None:
    spec = {
        "resources": [
            {"name": "a", "source": {"paths": {"include": ["/dev/cam-*"], "exclude": ["/dev/cam-1"]}}},
            {"name": "b", "source": {"paths": {"include": ["/dev/mic-*"]}}, "sharing": {"replicas": 2}},
        ],
        "cordonedDevices": [{"node": "one", "resource": "a", "device": "cam-0", "reason": "why"}],
    }
    assert wanted(spec, frozenset({"cam-0", "cam-1", "mic-0"})) == Wanted(
        selected=frozenset({"cam-0", "mic-0"}),
        replicas={"cam-0": 1, "mic-0": 2},
        resources={"cam-0": "a", "mic-0": "b"},
        cordoned=frozenset({("one", "cam-0")}),
    )


STAMP, UNIX = "2026-11-27T05:00:00Z", 1795755600.0


def test_the_status_of_a_node_is_read_as_it_is_written() -> None:
    holder = {"namespace": "ns", "pod": "p0", "container": "c0"}
    device = {"id": "cam-0", "state": "Unhealthy", "reason": "DeviceMissing", "lastTransitionTime": STAMP}
    resource = {
        "name": "a",
        "registered": True,
        "counts": {"total": 1, "unhealthy": 1, "allocated": 1},
        "slots": {"total": 2, "used": 1},
        "devices": [device | {"allocatedTo": [holder]}],
    }
    status = {
        "conditions": [{"type": "Registered", "status": "True", "reason": "AllRegistered"}],
        "counts": {"total": 1, "unhealthy": 1, "allocated": 1},
        "resources": [resource],
    }
    some = {"total": 1, "healthy": 0, "unhealthy": 1, "unknown": 0, "cordoned": 0, "allocated": 1}
    assert report(status) == Report(
        devices={"cam-0": Told(state="Unhealthy", reason="DeviceMissing", holders=frozenset({"ns/p0/c0"}), since=UNIX)},
        counts=some | {f"a {count}": number for count, number in some.items()} | {"a slots": 2, "a slots in use": 1},
        registered={"a": True},
        conditions={"Registered": Said(status="True", reason="AllRegistered")},
    )
    assert report({}).devices == {}


def test_the_status_of_a_config_is_read_as_it_is_written() -> None:
    assert summary({"conditions": []}) is None
    devices = {"total": 2, "healthy": 1, "unhealthy": 1}
    told = summary(
        {
            "conditions": [
                {"type": "Degraded", "status": "True", "reason": "x"},
                {"type": "Ready", "status": "True", "reason": "SomeUnhealthy"},
            ],
            "devices": devices,
            "nodes": {"desired": 2, "ready": 1, "updated": 0},
            "resources": [{"name": "a", "nodes": 1, "devices": devices, "slots": {"total": 4, "used": 3}}],
            "problems": [{"node": "one", "state": "Unknown", "reason": "AgentMissing", "since": STAMP}],
            "problemsTruncated": True,
        }
    )
    some = {"total": 2, "healthy": 1, "unhealthy": 1, "unknown": 0, "cordoned": 0, "allocated": 0}
    assert told == Summary(
        counts=some
        | {f"a {count}": number for count, number in some.items()}
        | {"a slots": 4, "a slots in use": 3, "a nodes": 1}
        | {"nodes desired": 2, "nodes ready": 1, "nodes updated": 0},
        conditions={
            "Degraded": Said(status="True", reason="x"),
            "Ready": Said(status="True", reason="SomeUnhealthy"),
        },
        problems=frozenset({Complaint(node="one", device="", state="Unknown", reason="AgentMissing", since=UNIX)}),
        truncated=True,
    )
    assert told.reason == "SomeUnhealthy"
