"""Flags and environment."""

import pytest

from device_plugin_operator.settings import Settings, parse

IMAGE = {"DEVICE_PLUGIN_AGENT_IMAGE": "agent:1"}


def test_everything_but_the_image_has_a_default() -> None:
    assert parse([], IMAGE) == Settings(agent_image="agent:1")


def test_a_flag_beats_its_variable() -> None:
    assert parse(["--agent-image=b", "--http-port=0"], IMAGE | {"DEVICE_PLUGIN_HTTP_PORT": "9"}) == Settings(
        agent_image="b", http_port=0
    )


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_a_variable_can_allow_or_refuse(value: str, expected: bool) -> None:
    assert parse([], IMAGE | {"DEVICE_PLUGIN_ALLOW_BLOCK_DEVICES": value}).allow_block_devices is expected


def test_a_flag_without_a_value_allows() -> None:
    made = parse(["--allow-memory-devices"], IMAGE)
    assert (made.allow_memory_devices, made.allow_block_devices) == (True, False)
    assert not parse(["--allow-memory-devices=false"], IMAGE).allow_memory_devices


def test_the_usual_kubeconfig_variable_counts() -> None:
    assert parse([], IMAGE | {"KUBECONFIG": "/k"}).kubeconfig == "/k"


def test_images_of_sources_may_stand_on_lines_of_their_own() -> None:
    made = parse([], IMAGE | {"DEVICE_PLUGIN_SOURCE_IMAGES": "\n iio=r.example.com:5000/a:1,\n scales=b@sha256:0=\n"})
    assert made.source_images == {"iio": "r.example.com:5000/a:1", "scales": "b@sha256:0="}


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ([], {}, "--agent-image is needed"),
        (["--http-port=many"], IMAGE, "--http-port must be a port"),
        (["--kubelet-root=data"], IMAGE, "must be an absolute path"),
        ([], IMAGE | {"DEVICE_PLUGIN_ALLOW_BLOCK_DEVICES": "perhaps"}, "must be true or false"),
        (["--log-level=loud"], IMAGE, "invalid choice"),
        (["--source-images=iio"], IMAGE, "--source-images must be <source>=<image> each, not 'iio'"),
        (["--source-images=iio="], IMAGE, "must be <source>=<image> each, not 'iio='"),
        (["--source-images=../a=x"], IMAGE, "must be <source>=<image> each, not '../a=x'"),
        (["--source-images=a=x,a=y"], IMAGE, "names a twice"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], environ: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments, environ)
    assert message in capsys.readouterr().err
