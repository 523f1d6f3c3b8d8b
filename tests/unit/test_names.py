import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device_plugin_api.names import (
    MAX_CONFIG_NAME,
    MAX_OBJECT_NAME,
    config_of_daemonset,
    daemonset_name,
    env_prefix,
    node_device_plugin_name,
    resource_name_error,
)

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

configs = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,43}[a-z0-9])?", fullmatch=True)
nodes = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?){0,3}", fullmatch=True)
nodes = nodes.filter(lambda name: len(name) <= MAX_OBJECT_NAME)
resources = st.from_regex(
    r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?\.[a-z]{2,8}/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True
)


@pytest.mark.parametrize(
    "name",
    [
        "example.com/camera",
        "localhost/a",
        "1.2/3",
        "example.com/Camera_1.5-hd",
        f"{'a' * 244}/{'b' * 63}",
        "requests/camera",
        "k8s.io/camera",
        "kubernetes.io.example.com/camera",
    ],
)
def test_a_name_that_the_kubelet_takes_is_taken(name: str) -> None:
    assert resource_name_error(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "must be <domain>/<name>"),
        ("camera", "must be <domain>/<name>"),
        ("example.com/a/b", "must be <domain>/<name>"),
        ("kubernetes.io/camera", "must not be in the kubernetes.io domain"),
        ("devices.kubernetes.io/camera", "must not be in the kubernetes.io domain"),
        ("notkubernetes.io/camera", "must not be in the kubernetes.io domain"),
        ("requests.example.com/camera", "must not start with 'requests.'"),
        ("/camera", "its domain must be a lower-case DNS name of at most 244 characters"),
        ("Example.com/camera", "its domain must be a lower-case DNS name"),
        ("example..com/camera", "its domain must be a lower-case DNS name"),
        ("-example.com/camera", "its domain must be a lower-case DNS name"),
        ("example.com./camera", "its domain must be a lower-case DNS name"),
        ("exam_ple.com/camera", "its domain must be a lower-case DNS name"),
        (f"{'a' * 245}/camera", "its domain must be a lower-case DNS name of at most 244 characters"),
        ("example.com/", "the part behind '/' must be at most 63 letters"),
        ("example.com/-camera", "with a letter or digit at both ends"),
        ("example.com/camera.", "with a letter or digit at both ends"),
        ("example.com/cam era", "the part behind '/' must be"),
        ("example.com/kamerä", "the part behind '/' must be"),
        ("example.com/camera\n", "the part behind '/' must be"),
        (f"example.com/{'a' * 64}", "must be at most 63 letters"),
    ],
)
def test_a_name_that_the_kubelet_refuses_is_refused_with_the_reason(name: str, why: str) -> None:
    assert why in (resource_name_error(name) or "")


@given(resources)
@example("example.com/custom-device")
def test_the_start_of_a_variable_is_a_legal_name_of_one(resource: str) -> None:
    assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", env_prefix(resource))


@pytest.mark.parametrize(
    ("resource", "prefix"),
    [
        ("example.com/custom-device", "CUSTOM_DEVICE"),
        ("example.com/camera", "CAMERA"),
        ("example.com/Camera.v2_hd", "CAMERA_V2_HD"),
        ("example.com/3d-printer", "_3D_PRINTER"),
    ],
)
def test_the_start_of_a_variable_is_the_base_name_in_upper_snake_case(resource: str, prefix: str) -> None:
    assert env_prefix(resource) == prefix


def test_an_object_is_named_by_config_and_node() -> None:
    assert node_device_plugin_name("cameras", "worker-1.example.com") == "cameras.worker-1.example.com"


@given(configs, nodes)
@example("c" * MAX_CONFIG_NAME, "n" * MAX_OBJECT_NAME)
@example("c" * MAX_CONFIG_NAME, ("n" * 194) + "." + "n" * 58)
def test_the_name_of_any_node_object_is_one_that_the_api_server_takes(config: str, node: str) -> None:
    name = node_device_plugin_name(config, node)
    assert len(name) <= MAX_OBJECT_NAME
    assert SUBDOMAIN.fullmatch(name)
    assert name.startswith(f"{config}.")


@given(st.tuples(configs, nodes), st.tuples(configs, nodes))
def test_no_two_pairs_of_config_and_node_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (node_device_plugin_name(*one) == node_device_plugin_name(*other)) == (one == other)


def test_long_names_that_differ_at_the_end_only_stay_apart() -> None:
    long = "n" * (MAX_OBJECT_NAME - 1)
    assert node_device_plugin_name("cameras", f"{long}1") != node_device_plugin_name("cameras", f"{long}2")


@given(configs)
def test_a_daemonset_name_fits_a_label_with_room_for_its_hash(config: str) -> None:
    # The controller puts "-<10 characters>" behind it for ControllerRevisions and pods.
    assert len(daemonset_name(config)) <= 63 - 11
    assert SUBDOMAIN.fullmatch(daemonset_name(config))
    assert config_of_daemonset(daemonset_name(config)) == config


def test_a_daemonset_of_another_name_is_no_configs() -> None:
    assert config_of_daemonset("cameras-agents") == ""
