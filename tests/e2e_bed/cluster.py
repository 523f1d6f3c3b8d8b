"""The cluster's API server and its nodes: requests over one connection, commands by `docker exec`."""

import base64
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from apiserver_fixture.client import ApiError, Client

_NAME = os.environ.get("DP_CLUSTER", "dp")
WORKERS = (f"{_NAME}-worker", f"{_NAME}-worker2")
CONTROL_PLANE = f"{_NAME}-control-plane"
VM = f"{_NAME}-vm"
VM_LABEL = {"deviceplugins.dev/vm": "true"}
VM_TOLERATION = {"key": "deviceplugins.dev/vm", "operator": "Exists"}
AGENTS = "device-plugin-agents"
SYSTEM = "device-plugin-system"
GROUP = "deviceplugins.dev/v1alpha1"

_ADMIN = "e2e-admin"

Json = dict[str, Any]


def run(*command: str, stdin: str | None = None, limit: float = 60) -> str:
    """A command's output; its complaint as the error when it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def on_node(node: str, script: str, limit: float = 60) -> str:
    """A shell script in a node. The virtual machine has a container of its own around it."""
    inside = ("machine", "guest") if node == VM else ()
    return run("docker", "exec", node, *inside, "sh", "-c", script, limit=limit)


def reboot(node: str) -> None:
    """Cut a node's power and switch it on again: what was in its memory is gone, /dev and all processes too."""
    run("docker", "restart", "--time", "0", node)
    # What hack/pod-network.sh and hack/cluster.sh left in its memory, by which they know a node of theirs.
    on_node(node, "[ ! -e /kind/pod-network ] || sh -e /kind/pod-network; touch /run/device-plugins-cluster-is-up")


def kubeconfig() -> str:
    """The path of the file by which kubectl reaches the cluster."""
    path = os.environ.get("KUBECONFIG") or str(Path.home() / ".cache/device-plugins/kubeconfig")
    if not Path(path).exists():
        raise AssertionError(f"there is no {path}: `make test-e2e` makes the cluster first")
    return path


def connect() -> Client:
    """The API server, as an administrator with a token of its own."""
    path = kubeconfig()
    cluster = yaml.safe_load(Path(path).read_text())["clusters"][0]["cluster"]
    with tempfile.NamedTemporaryFile("wb", suffix=".crt", delete=False) as ca:
        ca.write(base64.b64decode(cluster["certificate-authority-data"]))
    kubectl = ("kubectl", "--kubeconfig", path, "--namespace", "kube-system")
    account = run(*kubectl, "create", "serviceaccount", _ADMIN, "--dry-run=client", "--output=json")
    run(*kubectl, "apply", "--filename=-", stdin=account)
    binding = run(
        *kubectl,
        "create",
        "clusterrolebinding",
        _ADMIN,
        "--clusterrole=cluster-admin",
        f"--serviceaccount=kube-system:{_ADMIN}",
        "--dry-run=client",
        "--output=json",
    )
    run(*kubectl, "apply", "--filename=-", stdin=binding)
    token = run(*kubectl, "create", "token", _ADMIN, "--duration=4h").strip()
    return Client(cluster["server"], Path(ca.name), token)


def reachable(client: Client) -> bool:
    """Whether the API server answers now."""
    try:
        client.request("GET", "/readyz")
    except (ApiError, OSError):
        return False
    return True


def quantity(text: str | None) -> int:
    """A node's count of an extended resource, which may read `10k`."""
    if text is None:
        return 0
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)
