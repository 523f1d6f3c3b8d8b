"""Keys and certificates of a control plane, made by openssl."""

import subprocess
from pathlib import Path

_NAMES = "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1"


class Pki:
    """The files, all in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = folder / "ca.crt"
        self.ca_key = folder / "ca.key"
        self.certificate = folder / "api.crt"
        self.key = folder / "api.key"
        self.accounts_public = folder / "sa.pub"
        self.accounts_key = folder / "sa.key"

    def make(self) -> None:
        """Make them anew."""
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        self._openssl("req", "-x509", *curve, "-keyout", self.ca_key, "-out", self.ca, "-subj", "/CN=test-ca")
        signed: list[str | Path] = ["-CA", self.ca, "-CAkey", self.ca_key, "-addext", _NAMES]
        ours: list[str | Path] = ["-keyout", self.key, "-out", self.certificate, "-subj", "/CN=kube-apiserver"]
        self._openssl("req", "-x509", *curve, *ours, *signed, "-addext", "basicConstraints=critical,CA:FALSE")
        self._openssl("genrsa", "-out", self.accounts_key, "2048")
        self._openssl("rsa", "-in", self.accounts_key, "-pubout", "-out", self.accounts_public)

    def _openssl(self, *arguments: str | Path) -> None:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr}")
