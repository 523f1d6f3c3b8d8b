"""How a pod finds the Kubernetes API server: address, authority and token as the kubelet gives them to it.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NotInCluster(Exception):
    """This process is in no pod that may talk to an API server."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """The API server's URL, and two files; without an authority's one, those that the system trusts count."""

    server: str
    token_path: Path
    ca_path: Path | None = None

    def token(self) -> str:
        """Read anew each time: the kubelet writes another one long before the old one ends. Raises OSError."""
        return self.token_path.read_text().strip()


def in_cluster(environ: Mapping[str, str], directory: Path = DIRECTORY) -> ServiceAccount:
    """What this pod was given; raises NotInCluster."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token, authority = directory / "token", directory / "ca.crt"
    if not host or not port or not token.exists() or not authority.exists():
        raise NotInCluster(
            f"no API server: this needs KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and {directory}, which a pod "
            "with a ServiceAccount has"
        )
    address = f"[{host}]" if ":" in host else host
    return ServiceAccount(f"https://{address}:{port}", token, authority)
