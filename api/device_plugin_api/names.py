"""Names derived from other names, and the kubelet's rule for resource names."""

import hashlib
import re

MAX_OBJECT_NAME = 253
MAX_CONFIG_NAME = 45

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*")
_QUALIFIED_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

# The API server checks quota keys "requests.<name>" as qualified names, so their prefix eats into the domain's 253.
_MAX_DOMAIN = 253 - len("requests.")
_MAX_BASE_NAME = 63

_DAEMONSET = "-agent"


def resource_name_error(name: str) -> str | None:
    """Why the kubelet would refuse `name` as an extended resource, or None.

    Source: IsExtendedResourceName in k8s.io/kubernetes/pkg/apis/core/v1/helper.
    """
    domain, slash, base = name.partition("/")
    if not slash or "/" in base:
        return "must be <domain>/<name>, such as example.com/camera"
    if "kubernetes.io/" in name:
        return "must not be in the kubernetes.io domain, which belongs to Kubernetes"
    if name.startswith("requests."):
        return "must not start with 'requests.', which resource quotas use"
    if len(domain) > _MAX_DOMAIN or not _DNS_SUBDOMAIN.fullmatch(domain):
        return f"its domain must be a lower-case DNS name of at most {_MAX_DOMAIN} characters"
    if len(base) > _MAX_BASE_NAME or not _QUALIFIED_PART.fullmatch(base):
        return (
            f"the part behind '/' must be at most {_MAX_BASE_NAME} letters, digits, '-', '_' or '.', "
            "with a letter or digit at both ends"
        )
    return None


def env_prefix(resource_name: str) -> str:
    """`example.com/custom-device` → `CUSTOM_DEVICE`, the start of the variables a container gets."""
    base = resource_name.rpartition("/")[2]
    prefix = re.sub(r"[^A-Z0-9]", "_", base.upper())
    return f"_{prefix}" if prefix[:1].isdigit() else prefix


def node_device_plugin_name(config: str, node: str) -> str:
    """`<config>.<node>`; a name over 253 characters ends in a hash of the whole instead."""
    name = f"{config}.{node}"
    if len(name) <= MAX_OBJECT_NAME:
        return name
    tail = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: MAX_OBJECT_NAME - len(tail) - 1].rstrip('-.')}-{tail}"


def daemonset_name(config: str) -> str:
    """The name of a config's DaemonSet in the agents' namespace."""
    return f"{config}{_DAEMONSET}"


def config_of_daemonset(name: str) -> str:
    """The config whose DaemonSet has that name; "" when none can."""
    return name.removesuffix(_DAEMONSET) if name.endswith(_DAEMONSET) else ""
