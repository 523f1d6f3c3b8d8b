"""The DaemonSet: what is in it, what never gets into it, and when it is written."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from device_plugin_api.config import ConfigSpec
from device_plugin_operator.plan import daemonset, drift
from device_plugin_operator.plan.actions import Action, ApplyDaemonSet, DeleteDaemonSet, RepairDaemonSet
from device_plugin_operator.plan.agents import SILENT_AFTER
from device_plugin_operator.plan.changes import changes
from operator_fixture import SETTINGS, config, daemons, snapshot, spec

Json = dict[str, Any]


def pod_of(made: Any) -> Json:
    template: Json = daemonset.wanted(config(made), made, SETTINGS)["spec"]["template"]["spec"]
    return template


def planned(edit: Any) -> list[Action]:
    """What is planned for a DaemonSet in place after someone's edit of it."""
    there = daemons(0)
    live = copy.deepcopy(there.live)
    assert live is not None
    edit(live)
    return changes(snapshot(daemons=replace(there, live=live)))


def container(live: Json) -> Json:
    found: Json = live["spec"]["template"]["spec"]["containers"][0]
    return found


def test_resources_are_not_in_the_template_so_a_change_of_them_restarts_no_agent() -> None:
    other = spec(resources=[{"name": "example.com/other", "source": {"simulated": {"count": 3}}}])
    assert pod_of(other) == pod_of(spec())


def test_two_agents_of_a_config_are_never_on_a_node_at_once() -> None:
    strategy = daemonset.wanted(config(spec()), spec(), SETTINGS)["spec"]["updateStrategy"]
    assert strategy["type"] == "RollingUpdate"
    assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": "10%"}


def test_so_many_agents_are_replaced_at_a_time_as_nodes_get_a_new_configuration() -> None:
    bold = spec(rollout={"maxUnavailable": 3})
    made = daemonset.wanted(config(bold), bold, SETTINGS)["spec"]
    assert made["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 3
    assert made["template"] == daemonset.wanted(config(), spec(), SETTINGS)["spec"]["template"]


def test_placement_and_agent_settings_are_in_the_template() -> None:
    made = pod_of(
        spec(
            nodeSelector={"cameras": "true"},
            tolerations=[{"key": "gpu", "operator": "Exists"}],
            agent={"logLevel": "debug", "priorityClassName": "high", "resources": {"limits": {"memory": "1Gi"}}},
        )
    )
    assert made["nodeSelector"] == {"kubernetes.io/os": "linux", "cameras": "true"}
    assert pod_of(spec())["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert made["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert made["priorityClassName"] == "high"
    assert "--log-level=debug" in made["containers"][0]["args"]
    assert made["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}


def test_an_agent_is_restarted_when_its_loops_stand_still_and_not_because_the_kubelet_refuses_it() -> None:
    (agent,) = pod_of(spec())["containers"]
    paths = {probe: agent[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_an_agent_on_a_node_that_has_no_time_for_it_has_as_long_as_there_is_to_answer() -> None:
    (agent,) = pod_of(spec())["containers"]
    probe = agent["livenessProbe"]
    assert probe["timeoutSeconds"] == probe["periodSeconds"]


def test_what_an_agent_said_that_hangs_is_unknown_within_the_promised_45_seconds_with_some_to_spare() -> None:
    (agent,) = pod_of(spec())["containers"]
    probe = agent["readinessProbe"]
    noticed = probe["periodSeconds"] + probe["failureThreshold"] * probe["timeoutSeconds"]
    assert noticed + SILENT_AFTER <= 40


def test_an_agent_is_confined() -> None:
    made = pod_of(spec())
    (agent,) = made["containers"]
    context = agent["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & made.keys()
    writable = {mount["mountPath"] for mount in agent["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/kubelet/device-plugins", "/var/lib/deviceplugins.dev"}


def cdi_mounts(*modes: str | None) -> list[Json]:
    resources = [
        {
            "name": f"example.com/a{number}",
            "source": {"simulated": {"count": 1}},
            "allocation": {} if mode is None else {"cdi": {"mode": mode}},
        }
        for number, mode in enumerate(modes)
    ]
    made = pod_of(spec(resources=resources))
    return [mount for mount in made["containers"][0]["volumeMounts"] if mount["mountPath"] == "/var/run/cdi"]


def test_only_agents_that_may_need_it_can_write_where_container_runtimes_look_for_cdi() -> None:
    assert cdi_mounts(None, "Never") == []
    for mode in ("Auto", "Always"):
        assert cdi_mounts(None, mode) == [{"name": "cdi", "mountPath": "/var/run/cdi"}]


def test_only_agents_of_network_functions_see_the_hosts_routes_and_write_device_information() -> None:
    def network_mounts(source: Json) -> list[Json]:
        made = pod_of(spec(resources=[{"name": "example.com/a", "source": source}]))
        paths = {volume["name"]: volume["hostPath"]["path"] for volume in made["volumes"]}
        mounts = made["containers"][0]["volumeMounts"]
        return [mount | {"host": paths[mount["name"]]} for mount in mounts if mount["name"] in ("device-info", "net")]

    assert network_mounts({"simulated": {"count": 1}}) == []
    where = "/var/run/k8s.cni.cncf.io/devinfo/dp"
    assert network_mounts({"network": {}}) == [
        {"name": "device-info", "mountPath": where, "host": where},
        {"name": "net", "mountPath": "/host/net", "readOnly": True, "host": "/proc/1/net"},
    ]


def of_gpus(**source: Any) -> ConfigSpec:
    return spec(resources=[{"name": "nvidia.com/gpu", "source": {"nvidia": source}}])


def variables(made: Json) -> Json:
    return {each["name"]: each["value"] for each in made["containers"][0]["env"] if "value" in each}


def test_agents_of_gpus_ask_nvidias_runtime_for_the_drivers_library_and_stay_confined() -> None:
    made = pod_of(of_gpus())
    assert variables(made) == {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"}
    assert made["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert variables(pod_of(spec())) == {}


def test_agents_run_in_the_runtime_class_that_the_config_names() -> None:
    assert "runtimeClassName" not in pod_of(spec())
    assert pod_of(spec(agent={"runtimeClassName": "nvidia"}))["runtimeClassName"] == "nvidia"


def test_agents_of_mig_instances_alone_may_watch_them_and_only_where_the_operator_allows_it() -> None:
    allowed = replace(SETTINGS, allow_mig_monitor=True)

    def watches(source: Json, settings: Any = SETTINGS) -> list[bool]:
        made = daemonset.wanted(config(), of_gpus(**source), settings)["spec"]["template"]["spec"]
        agent = made["containers"][0]
        return [
            agent["securityContext"]["capabilities"].get("add") == ["SYS_ADMIN"],
            variables(made).get("NVIDIA_MIG_MONITOR_DEVICES") == "all",
            "--allow-mig-monitor" in agent["args"],
        ]

    assert watches({"mig": {"mode": "Single"}}, allowed) == [True] * 3
    assert watches({"mig": {"mode": "Single"}}) == [False] * 3
    assert watches({}, allowed) == [False] * 3


def test_agents_of_gpus_by_cdi_read_the_specs_of_others() -> None:
    def mounts(source: Json) -> list[Json]:
        return [each for each in pod_of(of_gpus(**source))["containers"][0]["volumeMounts"] if "cdi" in each["name"]]

    assert mounts({}) == []
    for how in ("CDI", "Both"):
        assert mounts({"deviceList": how}) == [
            {"name": "cdi", "mountPath": "/var/run/cdi", "readOnly": True},
            {"name": "static-cdi", "mountPath": "/etc/cdi", "readOnly": True},
        ]


def test_only_the_pod_resources_socket_follows_the_kubelets_root() -> None:
    made = daemonset.wanted(config(), spec(), replace(SETTINGS, kubelet_root="/data/kubelet"))
    volumes = made["spec"]["template"]["spec"]["volumes"]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in volumes}
    assert paths["pod-resources"] == "/data/kubelet/pod-resources"
    assert paths["device-plugins"] == "/var/lib/kubelet/device-plugins"


def test_forbidden_devices_are_offered_only_when_the_operators_settings_allow_it() -> None:
    allowed = replace(SETTINGS, allow_block_devices=True, allow_memory_devices=True)
    flags = {"--allow-block-devices", "--allow-memory-devices"}
    assert not flags & set(pod_of(spec())["containers"][0]["args"])
    made = daemonset.wanted(config(), spec(), allowed)
    assert flags <= set(made["spec"]["template"]["spec"]["containers"][0]["args"])


def test_nothing_is_written_when_it_is_in_place() -> None:
    assert planned(lambda live: None) == []


def test_one_that_is_not_there_is_applied() -> None:
    (action,) = changes(snapshot(daemons=replace(daemons(0), live=None)))
    assert isinstance(action, ApplyDaemonSet)


@pytest.mark.parametrize(
    "edit",
    [
        lambda live: container(live).update(image="another:1"),
        lambda live: container(live).pop("livenessProbe"),
        lambda live: container(live)["args"].remove("--http-port=8081"),
        lambda live: live["metadata"]["labels"].pop("app.kubernetes.io/instance"),
        lambda live: live["metadata"].pop("ownerReferences"),
        lambda live: live["spec"].update(revisionHistoryLimit=10),
    ],
)
def test_what_was_changed_or_removed_by_hand_is_applied_again(edit: Any) -> None:
    (action,) = planned(edit)
    assert isinstance(action, ApplyDaemonSet)


@pytest.mark.parametrize(
    "edit",
    [
        lambda live: live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"}),
        lambda live: container(live)["env"].append({"name": "X", "value": "1"}),
        lambda live: live["spec"]["template"]["spec"].update(hostNetwork=True),
        lambda live: live["spec"]["template"]["metadata"].update(annotations={"x": "y"}),
        lambda live: container(live)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    ],
)
def test_what_was_added_by_hand_is_removed_by_an_update(edit: Any) -> None:
    (action,) = planned(edit)
    assert isinstance(action, RepairDaemonSet)
    assert action.body["metadata"]["generation"] == 1  # all that the API server knows is sent back with it
    assert drift.settled(action.body, action.wanted, action.expected)


def test_a_wished_restart_is_left_alone_and_survives_a_repair() -> None:
    restarted = {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}}
    assert planned(lambda live: live["spec"]["template"]["metadata"].update(restarted)) == []

    def both(live: Json) -> None:
        live["spec"]["template"]["metadata"].update(copy.deepcopy(restarted))
        container(live)["env"].append({"name": "X", "value": "1"})

    (action,) = planned(both)
    assert isinstance(action, RepairDaemonSet)
    assert action.body["spec"]["template"]["metadata"]["annotations"] == restarted["annotations"]


def test_labels_annotations_and_owners_that_others_put_beside_ours_are_theirs() -> None:
    def others(live: Json) -> None:
        live["metadata"]["labels"]["team"] = "video"
        live["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "1"}
        live["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = False

    assert planned(others) == []


def test_one_that_belongs_to_an_earlier_config_of_this_name_is_deleted_first() -> None:
    (action,) = planned(lambda live: live["metadata"]["ownerReferences"][0].update(uid="earlier"))
    assert action == DeleteDaemonSet(name="cameras-agent", uid="ds")


def test_one_that_is_being_deleted_is_waited_for() -> None:
    assert planned(lambda live: live["metadata"].update(deletionTimestamp="2026-11-23T12:00:00Z")) == []
