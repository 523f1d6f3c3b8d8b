"""Sources from somebody else's packages: found, used, and fenced in."""

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from device_plugin_agent.serving import Rejected, prepare
from device_plugin_agent.sources import Candidate, Discovery, HostView, Source, Uevent, Unfit, custom, source_for
from device_plugin_api.node import SelectionStep
from device_plugin_api.resource import Allocation, EnvVar, Resource
from device_plugin_api.sources import CustomSource
from device_plugin_api.sources import Source as SourceSpec
from manual_clock import ManualClock

EVENT = Uevent(action="add", devpath="/devices/x", subsystem="x")


class Scripted:
    """A package's source: it answers what a test says, or raises it."""

    answer: Any

    def __init__(self, parameters: Mapping[str, str], host: HostView) -> None:
        if "weight" in parameters:
            raise ValueError("weight is no parameter")
        if "broken" in parameters:
            raise KeyError("gram")

    def discover(self) -> Discovery:
        self._raise()
        found: Discovery = self.answer
        return found

    def watched(self) -> frozenset[Path]:
        self._raise()
        return frozenset((Path("/dev"),))

    def concerns(self, event: Uevent) -> bool:
        self._raise()
        return event.subsystem == "scales"

    def _raise(self) -> None:
        if isinstance(self.answer, Exception):
            raise self.answer


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [("scales", f"{__name__}:Scripted"), ("gone", "no_such_package:Source")]
    found = EntryPoints(EntryPoint(name=name, value=value, group=custom.ENTRY_POINTS) for name, value in here)
    monkeypatch.setattr(custom, "entry_points", lambda *, group: found.select(group=group))


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    for name in ("dev", "sys"):
        (tmp_path / name).mkdir()
    os.mknod(tmp_path / "dev/scale0", 0o020666, os.makedev(240, 0))
    os.mknod(tmp_path / "dev/disk", 0o060666, os.makedev(7, 200))
    os.mknod(tmp_path / "dev/mem", 0o020666, os.makedev(1, 1))
    return HostView(dev_root=tmp_path / "dev", sys_root=tmp_path / "sys")


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(Scripted, "answer", answer, raising=False)


def scales(host: HostView) -> Source:
    return source_for(resource(), host, ManualClock())


def looked(monkeypatch: pytest.MonkeyPatch, host: HostView, *candidates: Candidate, **more: Any) -> Discovery:
    answering(monkeypatch, Discovery(candidates=candidates, **{"steps": ()} | more))
    return scales(host).discover()


def scale(id_: str = "scale0", *nodes: str, **more: Any) -> Candidate:
    return Candidate(id=id_, nodes=nodes or ("/dev/scale0",), **more)


def resource(name: str = "scales", env: str = "$(attributes.grams)", **parameters: str) -> Resource:
    return Resource(
        name="example.com/scale",
        source=SourceSpec(custom=CustomSource(name=name, parameters=parameters)),
        allocation=Allocation(env=(EnvVar(name="GRAMS", value=env),)),
    )


def test_a_package_is_found_by_its_entry_point_and_serves_a_resource(
    monkeypatch: pytest.MonkeyPatch, host: HostView
) -> None:
    answering(monkeypatch, Discovery(candidates=(scale(attributes={"grams": "5"}),), steps=()))
    source = prepare(resource(), host, ManualClock()).source
    (found,) = source.discover().candidates
    assert (found.id, found.path, found.attributes) == ("scale0", "/dev/scale0", {"grams": "5"})
    assert source.watched() == {Path("/dev")}
    assert not source.concerns(EVENT)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (resource("iio"), "this agent's image has no source iio; it has gone, scales"),
        (resource("gone"), "source.custom: gone: ModuleNotFoundError: No module named 'no_such_package'"),
        (resource(weight="1"), "source.custom: scales: weight is no parameter"),
        (resource(broken="1"), "source.custom: scales: KeyError: 'gram'"),
        (resource(env="$(TYPO)"), r"allocation.env\[GRAMS\]: unknown variable \$\(TYPO\)"),
    ],
)
def test_what_cannot_be_served_rejects_the_configuration_with_the_reason(
    host: HostView, wanted: Resource, why: str
) -> None:
    with pytest.raises(Rejected, match=why):
        prepare(wanted, host, ManualClock())


def test_what_a_package_raises_makes_its_devices_unknown_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, host: HostView
) -> None:
    good = Discovery(candidates=(scale(),), steps=())
    source = scales(host)
    answering(monkeypatch, good)
    seen = source.discover()
    answering(monkeypatch, RuntimeError("out of paper"))
    found = source.discover()
    (known,) = found.candidates
    assert known.failure == "cannot be looked at: source scales failed: RuntimeError: out of paper"
    assert found.steps[-1].dropped == ("failed: RuntimeError: out of paper",)
    assert source.watched() == frozenset()
    assert source.concerns(EVENT)
    answering(monkeypatch, good)
    assert source.discover() == seen


@pytest.mark.parametrize("answer", [None, Discovery(candidates=("scale0",), steps=())])  # type: ignore[arg-type]
def test_an_answer_of_another_kind_is_a_failure(monkeypatch: pytest.MonkeyPatch, host: HostView, answer: Any) -> None:
    answering(monkeypatch, answer)
    found = scales(host).discover()
    assert found.candidates == ()
    assert "failed: AttributeError" in found.steps[-1].dropped[0]


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (scale("scale 0"), "its ID 'scale 0' is none: letters, digits, '_', '.', ':' and '-'"),
        (scale("s" * 59), f"its ID {'s' * 59!r} is none: letters, digits, '_', '.', ':' and '-'"),
        (scale("a::0"), "its ID 'a::0' is none: letters, digits, '_', '.', ':' and '-'"),
        (scale("a", "/etc/shadow"), "/etc/shadow is not below /dev"),
        (scale("a", "/dev/../etc/shadow"), "/dev/../etc/shadow: its name is none of a device node"),
        (scale("a", "/dev/disk"), "/dev/disk: it is a block device, which the operator does not allow"),
        (scale("a", "/dev/mem"), "/dev/mem: it is the machine's memory or I/O ports, which the operator does not"),
        (scale("a", "/dev/scale0", "/dev/none"), "/dev/none: cannot be looked at: No such file or directory"),
        (scale("a", file="/etc/shadow"), "/etc/shadow: plain files are offered by paths alone"),
        (scale("a", shared_nodes=("/dev/disk",)), "/dev/disk: it is a block device, which the operator does not allow"),
    ],
)
def test_what_a_config_could_not_select_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, host: HostView, candidate: Candidate, why: str
) -> None:
    found = looked(monkeypatch, host, candidate)
    assert found.candidates == ()
    assert why in found.steps[-1].dropped[0]


def test_of_two_devices_with_one_id_the_first_counts(monkeypatch: pytest.MonkeyPatch, host: HostView) -> None:
    found = looked(monkeypatch, host, scale(), scale())
    assert len(found.candidates) == 1
    assert found.steps[-1].dropped == ("scale0: another one has the ID scale0",)


def test_what_is_told_of_a_device_keeps_within_the_bounds_of_a_status(
    monkeypatch: pytest.MonkeyPatch, host: HostView
) -> None:
    attributes = {f"a{number:02}": "x\n" * 300 for number in range(20)} | {"not-one": "x"}
    steps = tuple(SelectionStep(step="s" * 300, kept=1, dropped=("d" * 300,) * 20) for _ in range(20))
    unfit = {"b": Unfit(reason="R" * 100, why="w" * 300)}
    wrong = Unfit(reason="R" * 100, why="\x07" * 300)
    scales = scale(attributes=attributes, numa_node=64, trouble=wrong)
    found = looked(monkeypatch, host, scales, steps=steps, unfit=unfit)
    (device,) = found.candidates
    assert len(device.attributes) == 16
    assert all(name.startswith("a") and len(value) <= 256 for name, value in device.attributes.items())
    assert device.numa_node is None
    assert len(found.steps) <= 16
    assert all(len(text) <= 256 for text in texts(found.steps))
    assert device.trouble is not None
    assert device.trouble.why.isprintable()
    assert {(len(each.reason), len(each.why)) for each in (found.unfit["b"], device.trouble)} == {(64, 256)}


@pytest.mark.parametrize("more", [{"changes_in": "soon"}, {"steps": (SelectionStep(step="s", kept="few"),)}])  # type: ignore[arg-type]
def test_what_is_no_number_is_a_failure_of_the_package(
    monkeypatch: pytest.MonkeyPatch, host: HostView, more: Any
) -> None:
    assert "failed: " in looked(monkeypatch, host, scale(), **more).steps[-1].dropped[0]


def texts(steps: Iterable[SelectionStep]) -> Iterator[str]:
    for step in steps:
        assert len(step.dropped) <= 8
        yield from (step.step, *step.dropped)
