"""The operator's own manifests, judged by the API server: pod security and network policies."""

from copy import deepcopy

import pytest
import yaml

from apiserver.objects import Json
from apiserver_fixture import ApiError, Client
from apiserver_fixture.control_plane import ROOT

SYSTEM, AGENTS = "device-plugin-system", "device-plugin-agents"


def base(file: str, kind: str) -> list[Json]:
    documents = yaml.safe_load_all((ROOT / "manifests/base" / file).read_text())
    return [item for item in documents if item["kind"] == kind]


def operator_pod() -> Json:
    """As the Deployment would make it."""
    (deployment,) = base("operator.yaml", "Deployment")
    template = deepcopy(deployment["spec"]["template"])
    template["metadata"] |= {"name": "operator", "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "Pod", **template}


def test_the_operators_deployment_is_accepted_as_it_is_written(api: Client) -> None:
    (item,) = base("operator.yaml", "Deployment")
    assert api.create(item, dry_run=True)["spec"]["replicas"] == 2


def test_the_operators_pod_keeps_to_the_restricted_level_that_its_namespace_enforces(api: Client) -> None:
    assert api.create(operator_pod(), dry_run=True)["spec"]["securityContext"]["runAsNonRoot"] is True
    loose = operator_pod()
    del loose["spec"]["containers"][0]["securityContext"]["capabilities"]
    with pytest.raises(ApiError, match='violates PodSecurity "restricted'):
        api.create(loose, dry_run=True)


@pytest.mark.parametrize(("namespace", "container_port"), [(SYSTEM, 8080), (AGENTS, 8081)])
def test_pods_are_asked_at_one_port_and_ask_the_api_server_only(
    api: Client, namespace: str, container_port: int
) -> None:
    (policy,) = api.list("networking.k8s.io/v1", "NetworkPolicy", namespace=namespace)
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"protocol": "TCP", "port": container_port}]}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {443, 6443}
