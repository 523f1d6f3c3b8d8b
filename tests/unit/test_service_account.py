"""Where a pod finds the API server."""

from pathlib import Path

import pytest

from device_plugin_api.service_account import NotInCluster, ServiceAccount, in_cluster

ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def give(folder: Path, token: str = "secret") -> None:
    """What the kubelet gives a pod."""
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text("authority")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (ENVIRON, "https://10.96.0.1:443"),
        (ENVIRON | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443"),
    ],
)
def test_address_token_and_authority_are_the_ones_of_the_pod(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    give(tmp_path)
    assert in_cluster(environ, tmp_path) == ServiceAccount(url, tmp_path / "token", tmp_path / "ca.crt")


def test_a_token_that_the_kubelet_has_changed_is_the_next_that_is_used(tmp_path: Path) -> None:
    give(tmp_path, token="old\n")
    account = in_cluster(ENVIRON, tmp_path)
    assert account.token() == "old"
    (tmp_path / "token").write_text("new\n")
    assert account.token() == "new"


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "token", "ca.crt"])
def test_outside_of_a_cluster_it_is_said_what_is_missing(tmp_path: Path, missing: str) -> None:
    give(tmp_path)
    (tmp_path / missing).unlink(missing_ok=True)
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    with pytest.raises(NotInCluster, match=r"this needs .* which a pod with a ServiceAccount has"):
        in_cluster(environ, tmp_path)
