"""What a look at one statement found, and what was promised of each kind of statement. Times in seconds."""

from dataclasses import dataclass

STATE = "NodeDevicePlugin: a device's state"
USE = "NodeDevicePlugin: who has a device, by podresources"
RUNS = "NodeDevicePlugin: who has a device, by what runs"
SINCE = "NodeDevicePlugin: since when a device is so"
NODE_COUNT = "NodeDevicePlugin: counts of devices and slots"
NODE_CONDITION = "NodeDevicePlugin: conditions, and what is registered"
COUNT = "config: counts of devices"
RESOURCE = "config: counts of each resource"
NODES = "config: counts of nodes"
PROBLEM = "config: problems"
UNTOLD = "config: problems that are not named"
PROBLEM_SINCE = "config: since when there is a problem"
STATUS = "config: STATUS"
CONDITION = "config: Ready, Progressing, Degraded"
UNKNOWN = "config: Unknown, where nothing can be known"
GONE = "kubelet: offers what is gone or not wanted"
WITHHELD = "kubelet: lacks what works"
TWICE = "containers: more of them than may have a device"

LIMITS = {
    STATE: 3.0,
    USE: 3.0,
    RUNS: 3.0,
    SINCE: 3.0,
    NODE_COUNT: 3.0,
    NODE_CONDITION: 3.0,
    COUNT: 3.0,
    RESOURCE: 3.0,
    NODES: 3.0,
    PROBLEM: 3.0,
    UNTOLD: 3.0,
    PROBLEM_SINCE: 3.0,
    STATUS: 3.0,
    CONDITION: 3.0,
    UNKNOWN: 45.0,
    GONE: 3.0,
    WITHHELD: 5.0,
    TWICE: 0.0,
}
"""How long a statement of each kind may be wrong."""

BELIEVED = 15.0
"""Within this a node that was lost for long is believed again: its agent's pod has to get ready."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One look at one statement."""

    kind: str
    about: str
    at: float
    """time.monotonic()"""
    delay: float
    """How far it is behind the truth; 0 when it is right."""
    said: str

    @property
    def broken(self) -> bool:
        """Whether it is further behind than was promised."""
        return self.delay > LIMITS[self.kind]
