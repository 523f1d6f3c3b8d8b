"""The policy on configs: what only the operator's settings may allow."""

from collections.abc import Callable, Iterator

import pytest

from apiserver.objects import API_VERSION, CONFIG, Json, config, including, largest_config, of, resource
from apiserver_fixture import ApiError, Client, eventually

SETTINGS = ("v1", "ConfigMap", "device-plugin-settings")
NAMESPACE = "device-plugin-system"
SETTING = 'allowMemoryDevices is "true" in ConfigMap device-plugin-system/device-plugin-settings'

SetTo = Callable[[Json | None], None]


def refusal(api: Client, item: Json) -> str:
    """The policy's words, or nothing where it let the config pass."""
    try:
        api.create(item, dry_run=True)
    except ApiError as error:
        assert "ValidatingAdmissionPolicy 'device-plugin-config-guard'" in error.message
        return error.message
    return ""


@pytest.fixture
def set_to(api: Client) -> Iterator[SetTo]:
    """Sets the settings and waits until the policy goes by them; they are put back afterwards."""
    before = api.get(*SETTINGS, namespace=NAMESPACE)["data"]

    def change(data: Json | None) -> None:
        change = (
            [{"op": "remove", "path": "/data"}] if data is None else [{"op": "add", "path": "/data", "value": data}]
        )
        api.patch(*SETTINGS, change, namespace=NAMESPACE, style="json")
        allowed = (data or {}).get("allowMemoryDevices") == "true"
        eventually(lambda: (not refusal(api, including("/dev/mem"))) == allowed, f"the policy goes by {data}")

    yield change
    change(before)


@pytest.mark.parametrize(
    "path", ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/[m]em", "/dev/[k][m][e][m]", "/dev/por[t]"]
)
def test_physical_memory_is_refused_naming_field_and_setting(api: Client, path: str) -> None:
    message = refusal(api, config(resources=[resource(), resource("a.com/mem", **source("/dev/null", path))]))
    assert f"spec.resources[1].source.paths.include: {path}" in message
    assert SETTING in message


def source(*include: str) -> Json:
    return {"source": {"paths": {"include": list(include)}}}


def test_every_such_device_is_named(api: Client) -> None:
    resources = [resource("a.com/a", **source("/dev/mem", "/dev/port")), resource("a.com/b", **source("/dev/kmem"))]
    message = refusal(api, config(resources=resources))
    assert "spec.resources[0].source.paths.include: /dev/mem, " in message
    assert "spec.resources[0].source.paths.include: /dev/port, " in message
    assert "spec.resources[1].source.paths.include: /dev/kmem is" in message


@pytest.mark.parametrize("path", ["/dev/mem0", "/dev/memory", "/dev/shm/mem", "/dev/ports", "/dev/[me]m", "/dev/me*"])
def test_what_only_looks_alike_is_accepted(api: Client, path: str) -> None:
    assert not refusal(api, including(path))


def test_physical_memory_may_be_excluded(api: Client) -> None:
    assert not refusal(api, of(source={"paths": {"include": ["/dev/*"], "exclude": ["/dev/mem"]}}))


def test_other_sources_are_accepted(api: Client) -> None:
    assert not refusal(api, of(source={"simulated": {"count": 1}}))


def test_the_setting_allows_physical_memory(api: Client, set_to: SetTo) -> None:
    set_to({"allowMemoryDevices": "true"})
    assert not refusal(api, including("/dev/mem", "/dev/kmem", "/dev/port"))


@pytest.mark.parametrize(
    "data", [{"allowMemoryDevices": "yes"}, {"other": "true"}, None], ids=["yes", "absent", "empty"]
)
def test_a_setting_that_does_not_say_true_refuses(api: Client, set_to: SetTo, data: Json | None) -> None:
    set_to({"allowMemoryDevices": "true"})
    set_to(data)
    assert SETTING in refusal(api, including("/dev/mem"))
    assert not refusal(api, including("/dev/null"))


def test_without_settings_every_config_is_refused(api: Client) -> None:
    kept = api.get(*SETTINGS, namespace=NAMESPACE)
    api.delete(*SETTINGS, namespace=NAMESPACE)
    try:
        message = eventually(lambda: refusal(api, config()), "the policy misses its settings")
        assert "device-plugin-config-guard" in message
        assert "no params found" in message
    finally:
        api.create({**kept, "metadata": {"name": SETTINGS[2], "namespace": NAMESPACE}})
        eventually(lambda: not refusal(api, config()), "the policy has its settings again")


def test_a_config_from_before_the_setting_was_withdrawn_can_be_labelled_and_mended_but_not_extended(
    api: Client, set_to: SetTo
) -> None:
    set_to({"allowMemoryDevices": "true"})
    api.create(config("memory", **including("/dev/mem")["spec"]))
    try:
        set_to({"allowMemoryDevices": "false"})
        labelled = {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/a"]}}
        api.patch(API_VERSION, CONFIG, "memory", labelled)
        api.patch(API_VERSION, CONFIG, "memory", {"metadata": {"finalizers": None}})
        with pytest.raises(ApiError, match="allowMemoryDevices"):
            api.patch(API_VERSION, CONFIG, "memory", {"spec": {"nodeSelector": {"a": "b"}}})
        api.patch(API_VERSION, CONFIG, "memory", {"spec": including("/dev/null")["spec"]})
    finally:
        api.delete(API_VERSION, CONFIG, "memory")


def test_the_policy_can_afford_the_largest_legal_config(api: Client) -> None:
    item = largest_config()
    item["spec"]["resources"][-1]["source"]["paths"]["include"][-1] = "/dev/mem"
    assert "spec.resources[15].source.paths.include: /dev/mem is" in refusal(api, item)


def test_a_list_too_long_for_the_message_is_still_refused_naming_the_setting(api: Client) -> None:
    spellings = [f"/dev/{m}{e}{n}" for m in ("m", "[m]") for e in ("e", "[e]") for n in ("m", "[m]")]
    resources = [resource(f"a.com/a{i}", **source(*spellings)) for i in range(16)]
    assert SETTING in refusal(api, config(resources=resources))
