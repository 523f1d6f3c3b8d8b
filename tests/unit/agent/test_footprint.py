"""What is imported is paid for on every node, and at every start."""

import subprocess
import sys

NEEDED_BY_FEW = (
    "device_plugin_agent.health.fpga_port",
    "device_plugin_agent.record",
    "device_plugin_agent.sources.fpga",
    "device_plugin_agent.sources.network",
    "device_plugin_agent.sources.nvidia.session",
    "device_plugin_agent.sources.nvidia.source",
    "device_plugin_agent.sources.paths",
    "device_plugin_agent.sources.pci",
    "device_plugin_agent.sources.usb",
    "device_plugin_agent.standalone",
    "device_plugin_api.crd",
    "prometheus_client",
    "pynvml",
    "yaml",
)


def test_an_agent_in_a_cluster_carries_nothing_that_only_a_command_line_or_few_nodes_need() -> None:
    program = f"import sys, device_plugin_agent.__main__; print(*(m for m in {NEEDED_BY_FEW!r} if m in sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told.split() == []
