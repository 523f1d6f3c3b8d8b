"""The kubelet double does what the kubelet does: upstream's assertions 15–22 and the rules of reference/kubelet.md."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import podresources_pb2 as pr
from device_plugin_agent.kubelet_api.podresources_pb2_grpc import PodResourcesListerStub
from kubelet_double import (
    GRACE,
    AdmissionError,
    ContainerKind,
    Counts,
    Device,
    FakeClock,
    KubeletDouble,
    Pod,
    ScriptedPlugin,
    StartError,
)
from kubelet_double.choice import Ask, ChoiceError, Wanted, by_affinity, choose
from kubelet_double.names import is_extended_resource_name
from kubelet_double.pods import merged
from kubelet_double.ratelimit import RateLimit
from kubelet_double.sockets import LONGEST_PATH

RES = "example.com/camera"
POD = Pod("web")


@pytest_asyncio.fixture
async def plugin(kubelet: KubeletDouble) -> AsyncIterator[ScriptedPlugin]:
    scripted = ScriptedPlugin(kubelet.directory, RES)
    await scripted.serve()
    yield scripted
    await scripted.stop()


async def registered(kubelet: KubeletDouble, plugin: ScriptedPlugin, **health: bool) -> None:
    """The plugin has registered and the kubelet knows these devices."""
    plugin.tell_health(**health)
    before = len(kubelet.received)
    await plugin.register()
    await kubelet.wait_for(lambda: len(kubelet.received) > before)


async def refused(plugin: ScriptedPlugin, **request: str) -> str:
    """What Register was answered; always UNKNOWN."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plugin.register(version=request.get("version", "v1beta1"), resource=request.get("resource"))
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    return caught.value.details() or ""


# Registration


async def test_register_refuses_another_version(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    text = 'requested API version "v1beta9" is not supported by kubelet. Supported version is ["v1beta1"]'
    assert await refused(plugin, version="v1beta9", resource="bad") == text


async def test_register_refuses_a_resource_name_with_the_kubernetes_domain(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    assert await refused(plugin, resource="kubernetes.io/x") == 'the ResourceName "kubernetes.io/x" is invalid'
    assert kubelet.registrations[-1].error == 'the ResourceName "kubernetes.io/x" is invalid'
    assert not kubelet.calls


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("example.com/camera", True),
        ("example.com/Camera_1.a-b", True),
        ("camera", False),
        ("kubernetes.io/camera", False),
        ("a.kubernetes.io/camera", False),
        ("requests.example.com/camera", False),
        ("example.com/a/b", False),
        ("Example.com/camera", False),
        ("example.com/", False),
        ("/camera", False),
        ("example.com/-camera", False),
        ("example.com/" + "c" * 63, True),
        ("example.com/" + "c" * 64, False),
        ("a" * 244 + "/camera", True),
        ("a" * 245 + "/camera", False),
    ],
)
def test_resource_names_follow_the_rule_for_extended_resources(name: str, good: bool) -> None:
    assert is_extended_resource_name(name) is good


async def test_register_asks_for_the_options_before_it_answers(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await plugin.register()
    assert [call.method for call in kubelet.calls] == ["GetDevicePluginOptions"]
    assert kubelet.counts(RES) is None, "no list, no number"


async def test_register_fails_with_the_plugins_own_words_when_options_fail(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    """Upstream's 15."""
    plugin.options_error = "lens cap is on"
    text = "failed to get device plugin options: rpc error: code = Unknown desc = lens cap is on"
    assert await refused(plugin) == text
    assert [call.method for call in kubelet.calls] == ["GetDevicePluginOptions"]
    assert plugin.streams == 0
    assert kubelet.capacity() == {}


async def test_register_fails_when_nobody_listens_at_the_endpoint(kubelet_root: Path) -> None:
    async with KubeletDouble(kubelet_root, dial_timeout=0.02) as kubelet:
        plugin = ScriptedPlugin(kubelet.directory, RES)
        assert (await refused(plugin)).startswith("failed to dial device plugin: ")


async def test_faults_reject_hold_and_break_a_registration(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    kubelet.faults.reject_register = "not today"
    assert await refused(plugin) == "not today"
    kubelet.faults.reject_register = None
    kubelet.faults.options_error = "made up"
    assert await refused(plugin) == "failed to get device plugin options: made up"
    kubelet.faults.options_error = None
    kubelet.faults.hold_register = asyncio.Event()
    call = asyncio.create_task(plugin.register())
    kubelet.faults.hold_register.set()
    await call
    assert [entry.error is None for entry in kubelet.registrations] == [False, False, True]


async def test_a_second_registration_takes_over_the_calls(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True)
    newer = ScriptedPlugin(kubelet.directory, RES, "newer.sock")
    await newer.serve()
    await registered(kubelet, newer, a=True, b=True)
    await kubelet.admit(POD, "c", {RES: 1})
    assert (len(plugin.allocated), len(newer.allocated)) == (0, 1)
    await newer.stop()


async def test_the_end_of_an_older_stream_disconnects_the_newer_client(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    newer = ScriptedPlugin(kubelet.directory, RES, "newer.sock")
    await newer.serve()
    await registered(kubelet, newer, a=True, b=True)
    plugin.end_streams()
    await kubelet.wait_for_counts(RES, 0, 2)
    newer.tell_health(a=True, b=True, c=True)
    with pytest.raises(AdmissionError, match="no healthy devices present"):
        await kubelet.admit(POD, "c", {RES: 1})
    assert len(kubelet.received) == 2, "the newer stream was cut"
    await newer.stop()


# The list


async def test_one_device_goes_unhealthy_and_back(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    """Upstream's 16."""
    await registered(kubelet, plugin, a=True)
    for healthy in (False, True):
        plugin.tell_health(a=healthy)
        await kubelet.wait_for_counts(RES, int(healthy), 1)
    assert [(change.allocatable, change.capacity) for change in kubelet.history] == [(1, 1), (0, 1), (1, 1)]


async def test_a_pod_keeps_its_device_when_that_goes_unhealthy(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    """Upstream's 17."""
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    plugin.tell_health(a=False)
    await kubelet.wait_for_counts(RES, 0, 1)
    assert POD.key in kubelet.node.active
    kubelet.delete_pod(POD)
    assert kubelet.counts(RES) == Counts(capacity=1, allocatable=0)


async def test_four_devices_are_counted_as_they_come_and_go(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    """Upstream's 18."""
    await registered(kubelet, plugin, a=True, b=True, c=True, d=True)
    for a, b, allocatable in ((False, True, 3), (True, True, 4), (False, False, 2), (True, False, 3), (True, True, 4)):
        plugin.tell_health(a=a, b=b, c=True, d=True)
        await kubelet.wait_for_counts(RES, allocatable, 4)
    assert [change.allocatable for change in kubelet.history] == [4, 3, 4, 2, 3, 4]


async def test_a_stream_that_fails_at_once_is_never_asked_again(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    """Upstream's 19."""
    plugin.list_error = "no list"
    await plugin.register()
    await kubelet.wait_for_counts(RES, 0, 0)
    kubelet_calls = len(kubelet.calls)
    assert isinstance(kubelet.clock, FakeClock)
    kubelet.clock.advance(60)
    assert plugin.streams == 1
    assert len(kubelet.calls) == kubelet_calls
    kubelet.clock.advance(GRACE)
    assert kubelet.capacity() == {RES: 0}, "the key stays"


async def test_a_stream_that_ends_later_leaves_the_capacity_until_grace_has_passed(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    """Upstream's 20."""
    await registered(kubelet, plugin, a=True, b=False)
    plugin.end_streams()
    await kubelet.wait_for_counts(RES, 0, 2)
    kubelet_clock.advance(GRACE)
    assert kubelet.counts(RES) == Counts(2, 0)
    kubelet_clock.advance(0.1)
    assert kubelet.counts(RES) == Counts(0, 0)
    assert plugin.streams == 1


async def test_a_plugin_that_stops_is_forgotten_after_grace(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    """Upstream's 21."""
    await registered(kubelet, plugin, a=True, b=True)
    await plugin.stop()
    await kubelet.wait_for_counts(RES, 0, 2)
    kubelet_clock.advance(GRACE + 1)
    assert [(change.allocatable, change.capacity) for change in kubelet.history] == [(2, 2), (0, 2), (0, 0)]
    assert kubelet.history[-1].at - kubelet.history[0].at == GRACE + 1


async def test_a_plugin_that_comes_back_in_time_loses_nothing(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    await registered(kubelet, plugin, a=True)
    plugin.end_streams()
    await kubelet.wait_for_counts(RES, 0, 1)
    await registered(kubelet, plugin, a=True)
    kubelet_clock.advance(GRACE + 1)
    assert kubelet.counts(RES) == Counts(1, 1)


async def test_pod_status_shows_the_last_health_told(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    """Upstream's 22; and a plugin's end changes nothing in it."""
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    assert kubelet.health(POD, "c") == {RES: {"a": "Healthy"}}
    plugin.tell_health(a=False)
    await kubelet.wait_for_counts(RES, 0, 1)
    assert kubelet.health(POD, "c") == {RES: {"a": "Unhealthy"}}
    await plugin.stop()
    assert kubelet.health(POD, "c") == {RES: {"a": "Unhealthy"}}


async def test_a_list_over_four_mebibytes_ends_the_stream(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True)
    plugin.tell(*(Device(f"{number:063}", "Healthy") for number in range(60_000)))
    await kubelet.wait_for_counts(RES, 0, 1)
    assert len(kubelet.received) == 1


async def test_an_empty_list_counts_nothing_but_keeps_the_plugin(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    await registered(kubelet, plugin)
    kubelet_clock.advance(GRACE + 1)
    assert kubelet.counts(RES) == Counts(0, 0)
    plugin.tell_health(a=True)
    await kubelet.wait_for_counts(RES, 1, 1)


async def test_an_id_with_both_healths_counts_twice_and_is_noted(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    plugin.tell(Device("a", "Healthy"), Device("a", "Sick"), Device("b" * 64, "Healthy", (-1,)))
    await plugin.register()
    await kubelet.wait_for_counts(RES, 2, 3)
    assert kubelet.violations == [
        f"{RES}: a is listed 2 times",
        f"{RES}: the ID {'b' * 64} is too long",
        f"{RES}: {'b' * 64} is on NUMA node -1",
    ]


async def test_a_device_that_two_resources_offer_is_noted_and_one_that_moves_is_not(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True, b=False)
    other = ScriptedPlugin(kubelet.directory, "example.com/microphone", "other.sock")
    await other.serve()
    await registered(kubelet, other, a=False, b=True)
    assert kubelet.violations == []
    other.tell_health(a=True)
    await kubelet.wait_for_counts("example.com/microphone", 1, 1)
    assert kubelet.violations == ["example.com/microphone: a is offered by another resource too"]
    await other.stop()


async def test_a_device_that_leaves_the_list_while_allocated_is_noted(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    plugin.tell_health(b=True)
    await kubelet.wait_for(lambda: len(kubelet.received) == 2)
    assert kubelet.violations == [f"{RES}: a left the list while allocated"]


async def test_a_device_may_leave_the_list_once_podresources_shows_it_free(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    kubelet.delete_pod(POD)
    assert await listed(kubelet) == {}
    plugin.tell()
    await kubelet.wait_for_counts(RES, 0, 0)
    assert kubelet.violations == []


# Restarts


async def test_a_restart_deletes_sockets_and_leaves_files_and_folders(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    (kubelet.directory / "notes.txt").write_text("mine")
    (kubelet.directory / "folder").mkdir()
    before = kubelet.socket.stat().st_ino
    await kubelet.restart()
    left = sorted(path.name for path in kubelet.directory.iterdir())
    assert left == ["folder", "kubelet.sock", "notes.txt"]
    assert kubelet.socket.stat().st_ino != before


async def test_a_restart_shows_nothing_until_the_plugin_registers_again(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    await registered(kubelet, plugin, a=True, b=True)
    await plugin.stop()
    await kubelet.restart()
    assert kubelet.counts(RES) == Counts(0, 0)
    await plugin.serve()
    await registered(kubelet, plugin, a=True, b=True)
    assert kubelet.counts(RES) == Counts(2, 2)
    kubelet_clock.advance(GRACE + 1)
    assert kubelet.counts(RES) == Counts(2, 2)


async def test_the_five_minutes_run_from_the_kubelets_start(
    kubelet: KubeletDouble, plugin: ScriptedPlugin, kubelet_clock: FakeClock
) -> None:
    await registered(kubelet, plugin, a=True)
    granted = await kubelet.admit(POD, "c", {RES: 1})
    await kubelet.restart()
    kubelet_clock.advance(GRACE)
    assert await kubelet.start_container(POD, "c") == granted.options
    kubelet_clock.advance(1)
    with pytest.raises(StartError, match="endpoint not found in cache for a registered resource"):
        await kubelet.start_container(POD, "c")


async def test_a_restart_keeps_assignments_and_answers(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    plugin.response = api.ContainerAllocateResponse(envs={"CAMERA": "a"})
    await registered(kubelet, plugin, a=True, b=True)
    granted = await kubelet.admit(POD, "c", {RES: 1})
    await plugin.stop()
    await kubelet.restart()
    await plugin.serve()
    await registered(kubelet, plugin, a=True, b=True)
    other = await kubelet.admit(Pod("other"), "c", {RES: 1})
    assert not other.devices[RES] & granted.devices[RES]
    assert (await kubelet.start_container(POD, "c")).envs == {"CAMERA": "a"}
    assert len(plugin.allocated) == 2, "the first container's answer was kept"


async def test_a_pod_deleted_while_the_kubelet_was_away_holds_nothing(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    """Upstream's 10."""
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    await plugin.stop()
    await kubelet.stop()
    kubelet.delete_pod(POD)
    await kubelet.start()
    await plugin.serve()
    await registered(kubelet, plugin, a=True)
    assert (await kubelet.admit(Pod("next"), "c", {RES: 1})).devices == {RES: {"a"}}


async def test_a_kubelet_without_checkpoint_zeroes_the_node(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True)
    await plugin.stop()
    await kubelet.stop()
    kubelet.wipe()
    assert not list(kubelet.directory.iterdir())
    await kubelet.start()
    assert kubelet.counts(RES) == Counts(0, 0)
    with pytest.raises(AssertionError, match="runs already"):
        await kubelet.start()


async def test_a_stopped_kubelet_leaves_its_socket_and_cuts_the_stream(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    seen = kubelet.socket.stat()
    await kubelet.stop()
    after = kubelet.socket.stat()
    assert (after.st_ino, after.st_ctime_ns) == (seen.st_ino, seen.st_ctime_ns)
    assert kubelet.counts(RES) == Counts(1, 1), "the Node object does not know"
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(kubelet.socket))


async def test_a_dead_socket_can_lie_there_before_the_first_start(stopped_kubelet: KubeletDouble) -> None:
    stopped_kubelet.leave_dead_socket()
    plugin = ScriptedPlugin(stopped_kubelet.directory, RES)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plugin.register()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await stopped_kubelet.start()
    await plugin.serve()
    await registered(stopped_kubelet, plugin, a=True)
    await plugin.stop()


def test_a_root_whose_sockets_would_have_too_long_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 107 bytes"):
        KubeletDouble(tmp_path / ("x" * LONGEST_PATH))


# Allocation


async def test_allocate_is_called_once_per_container_and_resource(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    other = ScriptedPlugin(kubelet.directory, "example.com/microphone", "other.sock")
    await other.serve()
    await registered(kubelet, plugin, a=True, b=True)
    await registered(kubelet, other, m=True)
    plugin.response = api.ContainerAllocateResponse(envs={"NAME": "camera", "CAMERA": "1"})
    other.response = api.ContainerAllocateResponse(envs={"NAME": "microphone", "MICROPHONE": "1"})
    granted = await kubelet.admit(POD, "c", {RES: 2, other.resource: 1, "cpu": 1})
    assert granted.devices == {RES: {"a", "b"}, other.resource: {"m"}}
    assert (len(plugin.allocated), len(other.allocated)) == (1, 1)
    assert granted.options.envs["NAME"] in ("camera", "microphone")
    assert granted.options.conflicts == ["env NAME"]
    await other.stop()


async def test_a_resource_that_nobody_registered_is_skipped(kubelet: KubeletDouble) -> None:
    assert (await kubelet.admit(POD, "c", {RES: 1})).devices == {}


async def test_a_pod_that_asks_for_too_much_fails(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True, b=False)
    with pytest.raises(AdmissionError, match="Requested: 2, Available: 1, which is unexpected"):
        await kubelet.admit(POD, "c", {RES: 2})
    assert POD.key not in kubelet.node.active


async def test_a_refused_allocate_fails_the_pod_and_frees_the_device(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    plugin.allocate_error = "gone"
    text = "Allocate failed due to rpc error: code = Unknown desc = gone, which is unexpected"
    with pytest.raises(AdmissionError) as caught:
        await kubelet.admit(POD, "c", {RES: 1})
    assert str(caught.value) == text
    plugin.allocate_error = None
    await kubelet.admit(Pod("next"), "c", {RES: 1})


async def test_an_answer_without_containers_fails_the_pod_and_keeps_the_device_marked(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True, b=True)
    await kubelet.admit(Pod("first"), "c", {RES: 1})
    plugin.response = None
    with pytest.raises(AdmissionError, match="no containers return in allocation response"):
        await kubelet.admit(POD, "c", {RES: 1})
    plugin.response = api.ContainerAllocateResponse()
    with pytest.raises(AdmissionError, match="Available: 0"):
        await kubelet.admit(Pod("next"), "c", {RES: 1})
    kubelet.delete_pod(Pod("first"))
    await kubelet.admit(Pod("last"), "c", {RES: 2})


async def test_admission_again_fails_when_the_assigned_device_is_no_longer_healthy(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True, b=True)
    granted = await kubelet.admit(POD, "c", {RES: 1})
    assert (await kubelet.admit(POD, "c", {RES: 1})).devices == granted.devices
    assert len(plugin.allocated) == 1
    (mine,) = granted.devices[RES]
    plugin.tell_health(a=mine != "a", b=mine != "b")
    await kubelet.wait_for_counts(RES, 1, 2)
    with pytest.raises(AdmissionError, match="previously allocated devices are no longer healthy"):
        await kubelet.admit(POD, "c", {RES: 1})


async def test_the_plugins_preference_is_followed_within_what_was_offered(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    plugin.options = api.DevicePluginOptions(get_preferred_allocation_available=True)
    plugin.preferred = ("c", "d", "unknown")
    await registered(kubelet, plugin, a=True, b=True, c=True, d=True, e=False)
    granted = await kubelet.admit(POD, "c", {RES: 2})
    assert granted.devices == {RES: {"c", "d"}}
    (asked,) = (call for call in kubelet.calls if call.method == "GetPreferredAllocation")
    assert (asked.devices, asked.must_include, asked.size) == (frozenset("abcd"), frozenset(), 2)


async def test_devices_of_ordinary_init_containers_are_used_again(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    plugin.options = api.DevicePluginOptions(get_preferred_allocation_available=True)
    await registered(kubelet, plugin, a=True, b=True, c=True)
    init = await kubelet.admit(POD, "init", {RES: 1}, kind=ContainerKind.INIT)
    sidecar = await kubelet.admit(POD, "sidecar", {RES: 1}, kind=ContainerKind.RESTARTABLE_INIT)
    main = await kubelet.admit(POD, "main", {RES: 2})
    assert sidecar.devices == init.devices
    assert not main.devices[RES] & sidecar.devices[RES]


async def test_a_device_that_leaves_the_list_during_its_allocate_is_noted(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    await registered(kubelet, plugin, a=True)
    plugin.hold_allocate = asyncio.Event()
    admission = asyncio.create_task(kubelet.admit(POD, "c", {RES: 1}))
    await plugin.allocating.wait()
    plugin.tell()
    await kubelet.wait_for(lambda: len(kubelet.received) == 2)
    plugin.hold_allocate.set()
    await admission
    assert f"{RES}: a left the list during its Allocate" in kubelet.violations


async def test_pre_start_is_called_before_every_start_and_skipped_until_registered_again(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    plugin.options = api.DevicePluginOptions(pre_start_required=True)
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})

    def calls() -> int:
        return sum(call.method == "PreStartContainer" for call in kubelet.calls)

    await kubelet.start_container(POD, "c")
    await kubelet.start_container(POD, "c")
    assert calls() == 2
    plugin.pre_start_error = "not yet"
    with pytest.raises(StartError, match="not yet"):
        await kubelet.start_container(POD, "c")
    await kubelet.restart()
    await kubelet.start_container(POD, "c")
    assert calls() == 3


async def test_pre_start_fails_while_the_plugin_has_stopped(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    plugin.options = api.DevicePluginOptions(pre_start_required=True)
    await registered(kubelet, plugin, a=True)
    await kubelet.admit(POD, "c", {RES: 1})
    plugin.end_streams()
    await kubelet.wait_for_counts(RES, 0, 1)
    with pytest.raises(StartError, match=f"endpoint {RES} has been stopped"):
        await kubelet.start_container(POD, "c")


def test_the_first_resource_to_name_an_env_mount_node_or_annotation_wins() -> None:
    def answer(name: str) -> api.ContainerAllocateResponse:
        response = api.ContainerAllocateResponse(envs={"E": name, name: name}, annotations={"a": name})
        response.mounts.add(container_path="/m", host_path=f"/{name}")
        response.devices.add(container_path="/dev/d", host_path=f"/dev/{name}", permissions="rw")
        response.cdi_devices.add(name="v/c=d")
        return response

    options = merged([answer("one"), answer("two")])
    assert options.envs == {"E": "one", "one": "one", "two": "two"}
    assert options.mounts["/m"].host_path == "/one"
    assert options.devices["/dev/d"].host_path == "/dev/one"
    assert options.annotations == {"a": "one"}
    assert options.cdi_devices == ["v/c=d"]
    assert options.conflicts == ["env E", "mount /m", "device /dev/d", "annotation a"]


# The choice of devices, without I/O

IDS = [f"d{number}" for number in range(12)]


def decide(wanted: Wanted, answer: Collection[str] = (), seed: int = 0) -> tuple[frozenset[str], list[Ask]]:
    """Drive the choice with one answer for all its questions."""
    choosing = choose(wanted, random.Random(seed))
    asked: list[Ask] = []
    try:
        asked.append(next(choosing))
        while True:
            asked.append(choosing.send(answer))
    except StopIteration as done:
        return done.value, asked


@st.composite
def situations(draw: st.DrawFn) -> Wanted:
    """Any state of a node in which nothing is assigned to the container yet."""
    subset = st.frozensets(st.sampled_from(IDS))
    healthy = draw(st.frozensets(st.sampled_from(IDS), min_size=1))
    in_use = draw(subset)
    return Wanted(
        resource=RES,
        size=draw(st.integers(1, len(IDS))),
        healthy=healthy,
        in_use=in_use,
        # The kubelet reuses what its init containers had, so these are in use and, here, healthy.
        reusable=draw(subset) & in_use & healthy,
        numa_nodes={device: draw(st.sampled_from([(), (0,), (1,), (0, 1)])) for device in IDS},
        affinity=draw(st.sampled_from([None, frozenset({0}), frozenset({1}), frozenset({0, 1})])),
    )


@given(situations(), st.frozensets(st.sampled_from([*IDS, "unknown"])), st.integers(0, 3))
def test_the_choice_is_exact_healthy_and_free(wanted: Wanted, answer: frozenset[str], seed: int) -> None:
    assert wanted.healthy is not None
    free = wanted.healthy - wanted.in_use
    fits = len(free) + len(wanted.reusable) >= wanted.size
    if not fits:
        with pytest.raises(ChoiceError, match="requested number of devices unavailable"):
            decide(wanted, answer, seed)
        return
    chosen, asked = decide(wanted, answer, seed)
    assert len(chosen) == wanted.size
    assert chosen <= free | wanted.reusable
    assert len(asked) <= 1
    assert len(chosen & wanted.reusable) == min(wanted.size, len(wanted.reusable)), "reusable ones first"
    for ask in asked:
        assert ask.must_include <= ask.available <= free | wanted.reusable
        assert ask.must_include <= chosen, "what was chosen before the question stays"
        assert ask.size == wanted.size
        left = wanted.size - len(ask.must_include)
        assert len(chosen & (ask.available & answer - ask.must_include)) == min(
            left, len(ask.available & answer - ask.must_include)
        ), "the answer is followed as far as it goes"


@given(situations())
def test_the_split_by_numa_node_has_every_device_once(wanted: Wanted) -> None:
    assert wanted.healthy is not None
    split = by_affinity(wanted.healthy, wanted.numa_nodes, wanted.affinity)
    assert sorted([*split.aligned, *split.unaligned, *split.without_topology]) == sorted(wanted.healthy)


@given(situations())
def test_aligned_devices_come_first(wanted: Wanted) -> None:
    assert wanted.healthy is not None
    free = wanted.healthy - wanted.in_use
    needed = wanted.size - min(wanted.size, len(wanted.reusable))
    if needed > len(free):
        return
    split = by_affinity(free, wanted.numa_nodes, wanted.affinity)
    chosen, asked = decide(wanted)
    fresh = chosen - wanted.reusable
    assert len(fresh & split.aligned) == min(needed, len(split.aligned))
    if asked and needed < len(split.aligned):
        assert asked[0].available == split.aligned | asked[0].must_include
    elif asked:
        assert asked[0].must_include >= split.aligned
        assert asked[0].available >= free


def test_without_a_hint_the_plugin_is_offered_every_free_device() -> None:
    wanted = Wanted(resource=RES, size=1, healthy=frozenset(IDS), numa_nodes=dict.fromkeys(IDS, (0,)))
    _, asked = decide(wanted)
    assert asked == [Ask(available=frozenset(IDS), must_include=frozenset(), size=1)]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted(resource=RES, size=1, healthy=None), "cannot allocate unregistered device"),
        (Wanted(resource=RES, size=1, healthy=frozenset()), "no healthy devices present"),
        (Wanted(resource=RES, size=2, healthy=frozenset("a"), assigned=frozenset("a")), "changed from 1 to 2"),
        (Wanted(resource=RES, size=1, healthy=frozenset("b"), assigned=frozenset("a")), "previously allocated"),
    ],
)
def test_a_choice_is_refused_in_the_kubelets_words(wanted: Wanted, text: str) -> None:
    with pytest.raises(ChoiceError, match=text):
        decide(wanted)


# podresources


async def listed(kubelet: KubeletDouble) -> dict[str, dict[str, list[tuple[str, ...]]]]:
    """Pod → container → device entries, as (resource, ID, NUMA nodes…)."""
    async with grpc.aio.insecure_channel(f"unix:{kubelet.podresources_socket}") as channel:
        answer = await PodResourcesListerStub(channel).List(pr.ListPodResourcesRequest())
    return {
        pod.name: {container.name: [_entry(line) for line in container.devices] for container in pod.containers}
        for pod in answer.pod_resources
    }


def _entry(line: pr.ContainerDevices) -> tuple[str, ...]:
    return (line.resource_name, *line.device_ids, *(str(node.ID) for node in line.topology.nodes))


async def test_list_names_a_device_once_for_each_of_its_numa_nodes(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    assert await listed(kubelet) == {}
    plugin.tell(Device("a", "Healthy", (0, 1)))
    await plugin.register()
    await kubelet.wait_for_counts(RES, 1, 1)
    await kubelet.admit(POD, "c", {RES: 1})
    await kubelet.admit(Pod("plain"), "c", {})
    expected = {"web": {"c": [(RES, "a", "0"), (RES, "a", "1")]}, "plain": {"c": []}}
    assert await listed(kubelet) == expected
    await kubelet.restart()
    assert await listed(kubelet) == expected
    kubelet.delete_pod(POD)
    assert await listed(kubelet) == {"plain": {"c": []}}


async def test_list_leaves_out_ordinary_init_containers(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True, b=True)
    await kubelet.admit(POD, "init", {RES: 1}, kind=ContainerKind.INIT)
    await kubelet.admit(POD, "sidecar", {RES: 1}, kind=ContainerKind.RESTARTABLE_INIT)
    await kubelet.admit(POD, "main", {})
    assert list((await listed(kubelet))["web"]) == ["sidecar", "main"]


async def test_allocatable_resources_are_the_healthy_devices_in_use_or_not(
    kubelet: KubeletDouble, plugin: ScriptedPlugin
) -> None:
    plugin.tell(Device("a", "Healthy"), Device("b", "Healthy", (1,)), Device("c", "Unhealthy"))
    await plugin.register()
    await kubelet.wait_for_counts(RES, 2, 3)
    await kubelet.admit(POD, "c", {RES: 1})
    async with grpc.aio.insecure_channel(f"unix:{kubelet.podresources_socket}") as channel:
        stub = PodResourcesListerStub(channel)
        answer = await stub.GetAllocatableResources(pr.AllocatableResourcesRequest())
    assert [_entry(line) for line in answer.devices] == [(RES, "a"), (RES, "b", "1")]


async def test_get_knows_active_pods_only(kubelet: KubeletDouble) -> None:
    await kubelet.admit(POD, "c", {})
    async with grpc.aio.insecure_channel(f"unix:{kubelet.podresources_socket}") as channel:
        stub = PodResourcesListerStub(channel)
        request = pr.GetPodResourcesRequest(pod_name="web", pod_namespace="default")
        assert (await stub.Get(request)).pod_resources.name == "web"
        kubelet.delete_pod(POD)
        with pytest.raises(grpc.aio.AioRpcError, match="pod web in namespace default not found"):
            await stub.Get(request)


async def test_podresources_refuses_the_eleventh_call_at_once_until_time_passes(
    kubelet: KubeletDouble, kubelet_clock: FakeClock
) -> None:
    """Upstream's 35."""
    for _ in range(10):
        await listed(kubelet)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(kubelet)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "rejected by rate limit"
    kubelet_clock.advance(0.011)
    await listed(kubelet)


def test_the_rate_limit_refills_up_to_its_burst(kubelet_clock: FakeClock) -> None:
    limit = RateLimit(kubelet_clock)
    kubelet_clock.advance(3600)
    assert [limit.allow() for _ in range(11)] == [True] * 10 + [False]


async def test_podresources_can_be_refused(kubelet: KubeletDouble) -> None:
    kubelet.faults.refuse_podresources = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(kubelet)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_waiting_in_vain_tells_how_things_stand(kubelet: KubeletDouble, plugin: ScriptedPlugin) -> None:
    await registered(kubelet, plugin, a=True)
    with pytest.raises(TimeoutError, match=r"node \{'example.com/camera': '1/1'\}"):
        await kubelet.wait_for_counts(RES, 5, 5, timeout=0.001)
