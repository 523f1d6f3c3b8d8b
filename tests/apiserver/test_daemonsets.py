"""DaemonSets of agents, as a real API server takes them."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from apiserver_fixture import Client
from device_plugin_api.config import ConfigSpec
from device_plugin_operator.plan import daemonset
from operator_fixture import SETTINGS, config


@pytest.mark.parametrize(
    "source",
    [{"simulated": {"count": 1}}, {"network": {}}, {"nvidia": {"mig": {"mode": "Single"}, "deviceList": "Both"}}],
    ids=lambda source: str(next(iter(source))),
)
def test_whatever_an_agent_needs_its_daemonset_is_accepted(api: Client, source: dict[str, Any]) -> None:
    resource = {"name": "example.com/a", "source": source, "allocation": {"cdi": {}}}
    spec = msgspec.convert({"resources": [resource], "agent": {"runtimeClassName": "nvidia"}}, ConfigSpec)
    everything = replace(SETTINGS, allow_block_devices=True, allow_memory_devices=True, allow_mig_monitor=True)
    made = daemonset.wanted(config(), spec, everything)
    stored = api.create(made, dry_run=True)
    assert stored["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"
    for key, value in made["spec"]["template"]["spec"]["containers"][0]["securityContext"].items():
        assert stored["spec"]["template"]["spec"]["containers"][0]["securityContext"][key] == value
