"""The fixture itself: says what is missing, notices what died, leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apiserver_fixture import ControlPlane, eventually
from apiserver_fixture.process import Exited, Process

TESTS = Path(__file__).parents[1]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """An etcd that stays and an API server that does not."""
    folder = tmp_path / "assets"
    folder.mkdir()
    for name, script in (("etcd", "exec sleep 60"), ("kube-apiserver", "echo no such flag; exit 3")):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def test_without_assets_the_tests_fail_and_say_what_sets_them_up() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "KUBEBUILDER_ASSETS"}
    one = "apiserver/test_api_objects.py::test_a_status_sent_with_a_new_object_is_dropped"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / one)]
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "`make test-apiserver` sets it up" in done.stdout


def test_an_api_server_that_ends_is_noticed_told_and_leaves_neither_process_nor_descriptor(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Process] = []
    start = Process.__init__

    def remembered(self: Process, *arguments: object) -> None:
        start(self, *arguments)  # type: ignore[arg-type]
        started.append(self)

    monkeypatch.setattr(Process, "__init__", remembered)
    before = descriptors()
    plane = ControlPlane(assets, tmp_path / "plane")
    with pytest.raises(Exited, match=r"kube-apiserver ended with 3:\nno such flag"):
        plane.start()
    assert [process.name for process in started] == ["etcd", "kube-apiserver"]
    assert not any(running(process.pid) for process in started)
    assert descriptors() == before
    assert plane.pids == []


def test_processes_end_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from apiserver_fixture.process import Process\n"
        "print(Process(['/bin/sleep', '60'], Path(sys.argv[1])).pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as killed:
        assert killed.stdout is not None
        pid = int(killed.stdout.readline())
        comm = Path(f"/proc/{pid}/comm")
        eventually(lambda: comm.read_text() == "sleep\n", "the program runs")
        killed.send_signal(signal.SIGKILL)
    eventually(lambda: not running(pid), "the program is gone")


def test_the_kubeconfig_opens_the_cluster_to_kubectl(control_plane: ControlPlane) -> None:
    command = [str(control_plane.assets / "kubectl"), "--kubeconfig", str(control_plane.kubeconfig), "get", "dpc,ndp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "No resources found\n")


def test_controllers_clean_up_what_an_object_owned(controllers: ControlPlane) -> None:
    with controllers.client() as admin:
        owner = admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixture-owner"}})
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "fixture-owner", "uid": owner["metadata"]["uid"]}
        owned = {"name": "fixture-owned", "ownerReferences": [reference]}
        admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": owned})
        admin.delete("v1", "ConfigMap", "fixture-owner")
        eventually(lambda: not admin.find("v1", "ConfigMap", "fixture-owned"), "what it owned is gone")
