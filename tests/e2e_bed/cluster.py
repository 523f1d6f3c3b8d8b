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
KUBECONFIG = Path(os.environ.get("KUBECONFIG") or Path.home() / ".cache/device-plugins/kubeconfig")

Json = dict[str, Any]


def run(*command: str, stdin: str | None = None, limit: float = 60) -> str:
    """A command's output; its complaint as the error when it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 60) -> str:
    """What kubectl says, as the cluster's administrator."""
    return run("kubectl", "--kubeconfig", str(KUBECONFIG), *arguments, stdin=stdin, limit=limit)


def on_node(node: str, script: str, limit: float = 60) -> str:
    """A shell script in a node. The virtual machine has a container of its own around it."""
    inside = ("machine", "guest") if node == VM else ()
    return run("docker", "exec", node, *inside, "sh", "-c", script, limit=limit)


def reboot(node: str) -> None:
    """Cut a node's power and switch it on again: what was in its memory is gone, /dev and all processes too."""
    run("docker", "restart", "--time", "0", node)
    # What hack/pod-network.sh and hack/cluster.sh left in its memory, by which they know a node of theirs.
    on_node(node, "[ ! -e /kind/pod-network ] || sh -e /kind/pod-network; touch /run/device-plugins-cluster-is-up")


def connect() -> Client:
    """The API server, as an administrator with a token of its own."""
    if not KUBECONFIG.exists():
        raise AssertionError(f"there is no {KUBECONFIG}: `make test-e2e` makes the cluster first")
    cluster = yaml.safe_load(KUBECONFIG.read_text())["clusters"][0]["cluster"]
    with tempfile.NamedTemporaryFile("wb", suffix=".crt", delete=False) as ca:
        ca.write(base64.b64decode(cluster["certificate-authority-data"]))
    system = "--namespace=kube-system"
    account = kubectl(system, "create", "serviceaccount", _ADMIN, "--dry-run=client", "--output=json")
    kubectl(system, "apply", "--filename=-", stdin=account)
    binding = kubectl(
        system,
        "create",
        "clusterrolebinding",
        _ADMIN,
        "--clusterrole=cluster-admin",
        f"--serviceaccount=kube-system:{_ADMIN}",
        "--dry-run=client",
        "--output=json",
    )
    kubectl(system, "apply", "--filename=-", stdin=binding)
    token = kubectl(system, "create", "token", _ADMIN, "--duration=4h").strip()
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
