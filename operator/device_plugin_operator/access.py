"""Where the API server is and who we are. The only file that knows the kubernetes package."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from device_plugin_api import service_account


class NoAccess(Exception):
    """Nothing tells where the API server is, or what does cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """One way to one API server."""

    server: str
    authorization: Callable[[], Awaitable[str]]
    """The header of that name as it has to be now; "" for none. May raise OSError."""
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    insecure: bool = False


async def find(kubeconfig: str | None, environ: Mapping[str, str]) -> Access:
    """By that file, or else as the pod that this process runs in; raises NoAccess."""
    return in_cluster(environ) if kubeconfig is None else await from_kubeconfig(kubeconfig)


def in_cluster(environ: Mapping[str, str], directory: Path = service_account.DIRECTORY) -> Access:
    """As this pod's ServiceAccount; raises NoAccess."""
    try:
        given = service_account.in_cluster(environ, directory)
    except service_account.NotInCluster as error:
        raise NoAccess(str(error)) from error

    async def authorization() -> str:
        return f"Bearer {given.token()}"

    return Access(server=given.server, authorization=authorization, ca_path=str(given.ca_path))


async def from_kubeconfig(path: str) -> Access:
    """As the current context of that file; raises NoAccess."""
    try:
        # In a pod nobody needs it, and it would be a quarter of the memory there: the image does without it.
        from kubernetes.aio import config
        from kubernetes.aio.client import Configuration
    except ImportError as error:
        raise NoAccess("--kubeconfig needs one more package: install device-plugin-operator[kubeconfig]") from error
    made = Configuration()
    try:
        await config.load_kube_config(config_file=path, client_configuration=made)
    except (config.ConfigException, OSError) as error:
        raise NoAccess(f"--kubeconfig {path}: {error}") from error

    async def authorization() -> str:
        if key := await made.get_api_key_with_prefix("BearerToken", alias="authorization"):
            scheme, _, token = str(key).partition(" ")
            return f"{scheme.capitalize()} {token.strip()}"
        return str(made.get_basic_auth_token()) if made.username else ""

    return Access(
        server=str(made.host).rstrip("/"),
        authorization=authorization,
        ca_path=made.ssl_ca_cert or None,
        certificate_path=made.cert_file or None,
        private_key_path=made.key_file or None,
        insecure=not made.verify_ssl,
    )
