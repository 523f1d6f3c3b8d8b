"""What an agent may not do, tried with a real agent's own token."""

import pytest

from apiserver_fixture.client import ApiError
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import GROUP, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def token(bed: Bed, node: str) -> str:
    """The token that the kubelet gave to the agent's pod."""
    uid = bed.agent(node)["metadata"]["uid"]
    return on_node(node, f"cat /var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/*/token")


def test_an_agents_token_writes_its_own_nodes_status_and_no_others(bed: Bed) -> None:
    bed.apply(bed.spec(selector={"kubernetes.io/os": "linux"}))
    until(lambda: bed.reports() == set(WORKERS), "both nodes report")
    until(lambda: all("status" in bed.report(node) for node in WORKERS), "both have a status")
    here, there = WORKERS
    with bed.client.with_token(token(bed, here)) as agent:
        patch = {"status": {"agentVersion": "forged"}}
        with pytest.raises(ApiError) as denied:
            agent.patch(GROUP, "NodeDevicePlugin", f"{bed.name}.{there}", patch, subresource="status")
        assert denied.value.status == 403
        assert there in denied.value.message
        assert here in denied.value.message
        for attempt in (
            lambda: agent.patch(GROUP, "NodeDevicePlugin", f"{bed.name}.{here}", {"spec": {"revision": "x"}}),
            lambda: agent.delete(GROUP, "NodeDevicePlugin", f"{bed.name}.{here}"),
            lambda: agent.patch(GROUP, "DevicePluginConfig", bed.name, {"spec": {"nodeSelector": {}}}),
            lambda: agent.list("v1", "Secret", namespace="kube-system"),
        ):
            with pytest.raises(ApiError) as refused:
                attempt()
            assert refused.value.status == 403
        own = bed.report(here)["status"]
        agent.patch(GROUP, "NodeDevicePlugin", f"{bed.name}.{here}", {"status": own}, subresource="status")


def test_an_agent_runs_without_capabilities_or_host_namespaces_and_grpcs_threads_may_oversleep(bed: Bed) -> None:
    bed.apply()
    bed.settled("NoDevicesFound")
    spec = bed.agent()["spec"]
    assert not any(spec.get(each) for each in ("hostPID", "hostIPC", "hostNetwork"))
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    pid = bed.agent_pid()
    shown = on_node(WORKERS[0], f"grep -E '^Cap(Eff|Prm|Bnd)' /proc/{pid}/status")
    assert set(shown.split()[1::2]) == {"0" * 16}
    # Threads come and go.
    slack = on_node(
        WORKERS[0],
        f"for t in $(grep -l event_engine /proc/{pid}/task/*/comm | cut -d / -f 5); do "
        "cat /proc/$t/timerslack_ns || true; done",
    )
    assert set(slack.split()) == {"25000000"}
