"""The times that the tests saw, with the goals on an idle machine beside them."""

from dataclasses import dataclass, field

import pytest

GOALS = {
    "apply → the kubelets' own view on all nodes": "5 s",
    "apply → Node.allocatable on all nodes": "5 s",
    "device plugged → the kubelet's view": "50 ms",
    "device pulled → the kubelet's view": "50 ms",
    "device pulled → the config's status": "2 s",
    "device cordoned → the kubelet's view": "3 s",
    "kubelet.sock back → registered": "50 ms",
    "Node.allocatable was 0 after a kubelet restart": "never",
    "SIGTERM → the agent is gone": "2 s",
    "SIGTERM → last seen with too few allocatable": "",
    "agent hangs → its devices are unknown": "45 s",
    "agent hangs → its container is started anew": "",
    "20 pods on 20 devices": "",
    "cable pulled → the kernel says so, emulated": "",
    "the kernel says so → told, emulated": "2 s on hardware",
}


@dataclass
class Times:
    """Collected over a session."""

    seen: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, value: str) -> None:
        """One observation."""
        self.seen.setdefault(what, []).append(value)

    def seconds(self, what: str, value: float) -> None:
        """One observed time."""
        self.add(what, f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s")

    def table(self) -> list[str]:
        """Lines for people."""
        if not self.seen:
            return []
        lines = [f"{'':50} {'seen':28} goal"]
        return lines + [
            f"{what:50} {', '.join(self.seen[what]):28} {goal}" for what, goal in GOALS.items() if what in self.seen
        ]


TIMES = pytest.StashKey[Times]()


def pytest_configure(config: pytest.Config) -> None:
    """A rung's conftest that imports both of these has the times of its session told at the end."""
    config.stash[TIMES] = Times()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table."""
    lines = config.stash[TIMES].table()
    if lines:
        terminalreporter.section("times seen")
        for line in lines:
            terminalreporter.write_line(line)
