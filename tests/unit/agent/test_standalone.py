"""The agent without Kubernetes' API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_plugin_agent import settings, standalone
from device_plugin_agent.clock import SystemClock

SAMPLES = [
    path
    for path in sorted((Path(__file__).parents[3] / "manifests/samples").glob("*.yaml"))
    if "kind: DevicePluginConfig" in path.read_text()
]

GOOD = """
apiVersion: deviceplugins.dev/v1alpha1
kind: DevicePluginConfig
metadata: {name: cameras}
spec:
  nodeSelector: {cameras: "true"}
  resources:
  - name: example.com/camera
    source: {paths: {include: ["/dev/video*"], exclude: ["/dev/video9"]}}
  - name: example.com/any
    source: {paths: {include: ["/dev/*"]}}
"""


def given(tmp_path: Path, text: str, *more: str) -> settings.Settings:
    file = tmp_path / "cameras.yaml"
    file.write_text(text)
    (tmp_path / "dev").mkdir(exist_ok=True)
    roots = ("--dev-root", str(tmp_path / "dev"), "--sys-root", str(tmp_path / "sys"))
    return settings.parse(["--config", str(file), *roots, *more], {})


def test_a_dry_run_tells_step_by_step_what_would_be_offered(tmp_path: Path) -> None:
    parsed = given(tmp_path, GOOD, "--dry-run")
    for number, name in enumerate(("video0", "video9", "audio0")):
        os.mknod(tmp_path / "dev" / name, 0o020600, os.makedev(81, number))
    assert parsed.config is not None
    spec = standalone.load(parsed.config, parsed, SystemClock())
    assert list(standalone.dry_run(spec, parsed.host, SystemClock())) == [
        "example.com/camera",
        "  matched by include: 2",
        "  not excluded: 1",
        "  device nodes: 1",
        "  offers 1:",
        "     video0  /dev/video0  device=81:0",
        "example.com/any",
        "  matched by include: 3",
        "  not excluded: 3",
        "  device nodes: 3",
        "  not offered by an earlier resource: 2",
        "    left out: /dev/video0: offered as example.com/camera",
        "  offers 2:",
        "     audio0  /dev/audio0  device=81:2",
        "     video9  /dev/video9  device=81:1",
    ]


def everything(root: Path) -> dict[Path, tuple[int, bytes | None]]:
    """What is below a directory: kind and content."""
    return {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else None) for path in sorted(root.rglob("*"))
    }


def test_a_dry_run_is_a_process_that_tells_makes_nothing_and_ends_well(tmp_path: Path) -> None:
    given(tmp_path, GOOD)
    os.mknod(tmp_path / "dev/video0", 0o020600, os.makedev(81, 0))
    flags = {
        "config": "cameras.yaml",
        "dev-root": "dev",
        "sys-root": "sys",
        "device-plugins-dir": "kubelet",
        "pod-resources-socket": "podresources.sock",
        "state-dir": "state",
        "cdi-dir": "cdi",
        "devinfo-dir": "devinfo",
        "heartbeat-dir": "run",
        "net-dir": "net",
    }
    for name in ("kubelet", "state", "cdi", "devinfo", "run"):
        (tmp_path / name).mkdir()
    before = everything(tmp_path)
    arguments = [f"--{flag}={tmp_path / place}" for flag, place in flags.items()]
    ended = run(sys.executable, "-m", "device_plugin_agent", *arguments, "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[:6] == [
        "example.com/camera",
        "  matched by include: 1",
        "  not excluded: 1",
        "  device nodes: 1",
        "  offers 1:",
        "     video0  /dev/video0  device=81:0",
    ]
    assert everything(tmp_path) == before


def test_a_dry_run_of_a_file_that_cannot_be_served_fails_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("resources: []\n")
    ended = run(sys.executable, "-m", "device_plugin_agent", f"--config={tmp_path / 'f.yaml'}", "--dry-run")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"device-plugin-agent: {tmp_path / 'f.yaml'}: resources: at least one is needed\n"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_dry_run_tells_of_every_configuration_in_a_file_and_passes_over_what_else_is_in_it(tmp_path: Path) -> None:
    parsed = given(tmp_path, f"{GOOD}---\nkind: Pod\n---\n{GOOD.replace('camera', 'viewer')}", "--dry-run")
    assert parsed.config is not None
    specs = standalone.load_all(parsed.config, parsed, SystemClock())
    names = [[resource.name for resource in spec.resources] for spec in specs]
    assert names == [["example.com/camera", "example.com/any"], ["example.com/viewer", "example.com/any"]]
    with pytest.raises(standalone.BadFile, match="has 2 configurations, and an agent serves one"):
        standalone.load(parsed.config, parsed, SystemClock())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_can_be_tried_without_a_cluster(tmp_path: Path, sample: Path) -> None:
    parsed = given(tmp_path, sample.read_text(), "--dry-run")
    assert parsed.config is not None
    for spec in standalone.load_all(parsed.config, parsed, SystemClock()):
        assert list(standalone.dry_run(spec, parsed.host, SystemClock()))


def test_the_mode_of_a_file_counts(tmp_path: Path) -> None:
    def mode(text: str) -> str:
        parsed = given(tmp_path, text)
        assert parsed.config is not None
        return standalone.load(parsed.config, parsed, SystemClock()).mode

    assert mode(GOOD) == "Serve"
    assert mode(GOOD.replace("spec:", "spec:\n  mode: Preview")) == "Preview"


NESTED = """
resources:
- name: example.com/rig
  source:
    groups:
      members:
      - {name: camera, paths: {include: [/dev/video0]}}
      - name: inner
        groups:
          members:
          - {name: line, paths: {include: [/dev/ttyUSB0]}}
          - {name: light, paths: {include: [/dev/light0]}}
"""


def test_a_group_within_a_group_is_refused_with_the_field_and_what_a_member_may_be(tmp_path: Path) -> None:
    parsed = given(tmp_path, NESTED)
    assert parsed.config is not None
    with pytest.raises(standalone.BadFile) as refused:
        standalone.load(parsed.config, parsed, SystemClock())
    place = "resources[0].source.groups.members[1]"
    told = f"{place}.groups: unknown field; {place} knows name, optional, paths, usb, pci"
    assert str(refused.value) == f"{parsed.config}: {told}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no YAML"),
        ("", "must be a DevicePluginConfig, or"),
        ("kind: Pod", "must be a DevicePluginConfig, or"),
        ("kind: DevicePluginConfig", "spec: must be a mapping with `resources`"),
        ("[]", "must be a DevicePluginConfig, or a mapping with `resources`"),
        ("kind: DevicePluginConfig", "spec: must be a mapping with `resources`"),
        ("{kind: DevicePluginConfig, spec: [a]}", "spec: must be a mapping with `resources`"),
        ("resources: []", "at least one is needed"),
        (GOOD.replace("include:", "path:"), "source.paths.path: unknown field; .* knows include, exclude"),
        (GOOD.replace("example.com/any", "example.com/camera"), "each name may stand only once"),
        (GOOD.replace("example.com/any", "example.org/Camera"), "both set CAMERA_ID in a container"),
        (GOOD.replace("spec:", "spec:\n  mode: Try"), "mode: must be one of Serve, Preview"),
        (GOOD.replace("/dev/video*", "/etc/*"), "source.paths.include: '/etc/\\*' must be a path below /dev"),
        (GOOD.replace("example.com/any", "any"), "name: must be <domain>/<name>"),
        ("resources: [{name: example.com/a, source: {simulated: {count: -1}}}]", "int` >= 0"),
        (
            "resources: [{name: example.com/a, source: {simulated: {count: 1}}, allocation: {permissions: x}}]",
            "allocation.permissions: must be one of r, w, rw",
        ),
    ],
)
def test_a_file_that_cannot_be_served_is_refused_with_the_field(tmp_path: Path, text: str, message: str) -> None:
    parsed = given(tmp_path, text)
    assert parsed.config is not None
    with pytest.raises(standalone.BadFile, match=message):
        standalone.load(parsed.config, parsed, SystemClock())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config-name", "a"],
        ["--config-name", "a", "--config-uid", "u", "--config", "f.yaml"],
        ["--config-name", "a", "--config-uid", "u", "--node-name", "n", "--dry-run"],
        ["--config-name", "a", "--config-uid", "u"],
    ],
)
def test_contradicting_flags_end_with_a_usage_message(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse(arguments, {})
    assert "usage: device-plugin-agent" in capsys.readouterr().err


def test_in_the_cluster_the_hosts_trees_are_where_the_daemonset_mounts_them() -> None:
    parsed = settings.parse(["--config-name", "a", "--config-uid", "u"], {"NODE_NAME": "n"})
    assert (parsed.dev_root, parsed.sys_root, parsed.node_name) == (Path("/host/dev"), Path("/host/sys"), "n")
