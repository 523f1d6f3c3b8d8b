"""What the API server fills in where a config says nothing."""

from typing import Any

import pytest

from apiserver.cases.allocation import mount
from apiserver.cases.health import health
from apiserver.cases.placement import tolerating
from apiserver.cases.settings import quantities
from apiserver.objects import Json, config, node_object, of, resource
from apiserver_fixture import Client

DEFAULT_RESOURCE: Json = {
    "source": {"paths": {"include": ["/dev/video*"], "type": "Device"}},
    "sharing": {"replicas": 1},
    "allocation": {"permissions": "rw", "policy": "Aligned", "writableFiles": False},
    "health": {"probes": [{"type": "Exists"}], "periodSeconds": 10, "failureThreshold": 3, "successThreshold": 2},
}
DEFAULT_ROLLOUT: Json = {"maxUnavailable": "10%", "paused": False, "onRegression": "Pause"}
DEFAULT_AGENT: Json = {
    "logLevel": "info",
    "priorityClassName": "system-node-critical",
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
}


def test_a_config_comes_back_with_the_documented_defaults_and_no_others(api: Client) -> None:
    created = api.create(config(), dry_run=True)
    assert created["spec"] == {
        "mode": "Serve",
        "resources": [resource() | DEFAULT_RESOURCE],
        "rollout": DEFAULT_ROLLOUT,
        "agent": DEFAULT_AGENT,
    }
    assert "status" not in created


def test_a_node_object_comes_back_with_the_same_defaults_for_its_resources(api: Client) -> None:
    created = api.create(node_object(), dry_run=True)
    assert created["spec"]["resources"] == [resource() | DEFAULT_RESOURCE]
    assert "status" not in created


@pytest.mark.parametrize(
    ("item", "path", "expected"),
    [
        pytest.param(
            of(source={"simulated": {"count": 1}}),
            ("resources", 0, "source"),
            {"simulated": {"count": 1, "numaNodes": 0}},
            id="simulated devices have no topology",
        ),
        pytest.param(
            mount(),
            ("resources", 0, "allocation", "mounts", 0, "readOnly"),
            True,
            id="a mount is read only",
        ),
        pytest.param(
            health(periodSeconds=5),
            ("resources", 0, "health"),
            DEFAULT_RESOURCE["health"] | {"periodSeconds": 5},
            id="health keeps the defaults of what is not given",
        ),
        pytest.param(
            tolerating(key="a"),
            ("tolerations", 0),
            {"key": "a", "operator": "Equal"},
            id="a toleration compares by Equal",
        ),
        pytest.param(
            config(agent={"logLevel": "debug"}),
            ("agent",),
            DEFAULT_AGENT | {"logLevel": "debug"},
            id="the agent keeps the defaults of what is not given",
        ),
        pytest.param(
            quantities(requests={"cpu": "10m"}),
            ("agent", "resources"),
            {"requests": {"cpu": "10m"}, "limits": {"memory": "128Mi"}},
            id="requests replace the default requests as a whole",
        ),
    ],
)
def test_by_default(api: Client, item: Json, path: tuple[str | int, ...], expected: Any) -> None:
    found: Any = api.create(item, dry_run=True)["spec"]
    for step in path:
        found = found[step]
    assert found == expected
