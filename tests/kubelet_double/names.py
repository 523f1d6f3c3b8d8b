"""Which requests to register the kubelet takes: its checks and its words for what it refuses."""

import json
import re

SUPPORTED_VERSION = "v1beta1"

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def is_extended_resource_name(name: str) -> bool:
    """IsExtendedResourceName of pkg/apis/core/v1/helper."""
    if "/" not in name or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    # The quota of a resource is called "requests.<name>", so that must be a qualified name too.
    domain, *rest = f"requests.{name}".split("/")
    if len(rest) != 1 or len(domain) > 253 or len(rest[0]) > 63:
        return False
    return bool(_SUBDOMAIN.fullmatch(domain) and _NAME.fullmatch(rest[0]))


def refusal(version: str, resource: str) -> str | None:
    """Why Register of plugin/v1beta1/server.go refuses at once; None when it goes on to connect."""
    if version != SUPPORTED_VERSION:
        supported = json.dumps([SUPPORTED_VERSION])
        return f"requested API version {quoted(version)} is not supported by kubelet. Supported version is {supported}"
    if not is_extended_resource_name(resource):
        return f"the ResourceName {quoted(resource)} is invalid"
    return None


def quoted(text: str) -> str:
    """What Go's %q makes of plain text."""
    return json.dumps(text, ensure_ascii=False)
