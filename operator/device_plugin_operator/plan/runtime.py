"""What a node's container runtime can do."""

import re

_FIRST_WITH_CDI = {"containerd": (2, 0), "cri-o": (1, 28)}
"""Versions that take CDI devices from the kubelet without being configured for it.

containerd 1.7 knows them too, but leaves them out without a word unless `enable_cdi` is set.
"""

_VERSION = re.compile(r"([a-z-]+)://v?(\d+)\.(\d+)")


def takes_cdi(runtime: str) -> bool:
    """Whether it is known to, by Node.status.nodeInfo.containerRuntimeVersion."""
    found = _VERSION.match(runtime)
    if found is None or found[1] not in _FIRST_WITH_CDI:
        return False
    return (int(found[2]), int(found[3])) >= _FIRST_WITH_CDI[found[1]]
