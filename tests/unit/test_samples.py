"""The samples, as an operator and an agent read them."""

from pathlib import Path

import msgspec
import pytest
import yaml

from device_plugin_agent.serving import prepare
from device_plugin_agent.sources import HostView
from device_plugin_api.config import ConfigSpec
from device_plugin_operator.plan import validation
from manual_clock import ManualClock

SAMPLES = Path(__file__).parents[2] / "manifests/samples"

CONFIGS = [
    pytest.param(document["spec"], id=document["metadata"]["name"])
    for path in sorted(SAMPLES.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "DevicePluginConfig"
]


@pytest.mark.parametrize("spec", CONFIGS)
def test_a_sample_is_accepted_by_operator_and_agent(spec: dict[str, object], tmp_path: Path) -> None:
    decoded = msgspec.convert(spec, ConfigSpec)
    assert validation.error(decoded, {}) is None
    for resource in decoded.resources:
        prepare(resource, HostView(dev_root=tmp_path, sys_root=tmp_path), ManualClock())
