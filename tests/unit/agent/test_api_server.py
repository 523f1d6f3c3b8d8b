"""Where a pod finds the API server."""

import ssl
from pathlib import Path

import pytest

from device_plugin_agent import api_server
from device_plugin_agent.api_server import NotInCluster, in_cluster

ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (ENVIRON, "https://10.96.0.1:443"),
        (ENVIRON | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443"),
    ],
)
async def test_address_token_and_authority_are_the_ones_of_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str
) -> None:
    given: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(api_server, "ApiServer", lambda url, **more: given.append((url, more)))
    (tmp_path / "token").write_text("secret")
    in_cluster(environ, "test", tmp_path)
    assert given == [(url, {"token": tmp_path / "token", "authority": tmp_path / "ca.crt", "agent": "test"})]


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "token"])
def test_outside_of_a_cluster_it_is_said_what_is_missing_and_what_to_do(tmp_path: Path, missing: str) -> None:
    if missing != "token":
        (tmp_path / "token").write_text("secret")
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    with pytest.raises(NotInCluster, match=r"which a pod .* has; give --config"):
        in_cluster(environ, "test", tmp_path)


def test_a_server_has_to_prove_who_it_is_but_its_authority_may_be_an_old_one() -> None:
    context = api_server.trust(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
