"""Where the operator finds the API server, and what it says when it finds none."""

import base64
import sys
from pathlib import Path

import pytest
import yaml

from device_plugin_operator.access import NoAccess, find, in_cluster

ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def kubeconfig(folder: Path, user: dict[str, str]) -> str:
    path = folder / "kubeconfig"
    cluster = {"server": "https://here:6443", "certificate-authority-data": base64.b64encode(b"authority").decode()}
    content = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


async def test_in_a_pod_it_is_the_pods_service_account_with_the_token_of_the_moment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    (tmp_path / "ca.crt").write_text("authority")
    access = in_cluster(ENVIRON, tmp_path)
    assert (access.server, access.ca_path) == ("https://10.96.0.1:443", str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text("new")
    assert await access.authorization() == "Bearer new"


async def test_a_kubeconfigs_token_and_authority_are_taken(tmp_path: Path) -> None:
    access = await find(kubeconfig(tmp_path, {"token": "t"}), {})
    assert access.server == "https://here:6443"
    assert await access.authorization() == "Bearer t"
    assert access.ca_path is not None
    assert not access.insecure


async def test_a_kubeconfigs_certificate_needs_no_token(tmp_path: Path) -> None:
    content = base64.b64encode(b"pem").decode()
    access = await find(kubeconfig(tmp_path, {"client-certificate-data": content, "client-key-data": content}), {})
    assert await access.authorization() == ""
    assert access.certificate_path is not None
    assert access.private_key_path is not None


async def test_outside_of_a_cluster_and_without_a_kubeconfig_it_is_said_what_is_missing() -> None:
    with pytest.raises(NoAccess, match="KUBERNETES_SERVICE_HOST"):
        await find(None, {})


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="missing"):
        await find(str(tmp_path / "missing"), {})


async def test_without_the_kubernetes_package_a_kubeconfig_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.aio", None)
    with pytest.raises(NoAccess, match=r"device-plugin-operator\[kubeconfig\]"):
        await find(kubeconfig(tmp_path, {"token": "t"}), {})
