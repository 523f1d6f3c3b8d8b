"""Probes: what they say of a made-up /sys and /run."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.health.attribute import Attribute
from device_plugin_agent.health.heartbeat import Heartbeat, beat
from device_plugin_agent.health.link import Link, link
from device_plugin_agent.health.probes import LINK_PERIOD, polled
from device_plugin_agent.health.tracker import Look
from device_plugin_agent.sources import Candidate, HostView
from device_plugin_api import patterns
from device_plugin_api.resource import Health, Probe
from manual_clock import ManualClock

PCI = "devices/pci0000:00/0000:00:02.0"
CARD = Candidate(id="card0", path="/dev/card0", sysfs=f"/sys/{PCI}/drm/card0")


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    card = tmp_path / "sys" / PCI / "drm/card0"
    card.mkdir(parents=True)
    (card / "device").symlink_to("../..")
    (tmp_path / "run").mkdir()
    return HostView(dev_root=tmp_path / "dev", sys_root=tmp_path / "sys", heartbeat_dir=tmp_path / "run")


def write(host: HostView, path: str, text: str) -> None:
    file = host.sys_root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def look(host: HostView, candidate: Candidate = CARD, *, path: str = "device/health", **comparison: Any) -> Look:
    probe = Probe(type="SysfsAttribute", path=path, **comparison)
    return Attribute(probe, host)(candidate).look


def test_an_attribute_is_compared_without_the_white_space_at_its_ends(host: HostView) -> None:
    write(host, f"{PCI}/health", "ok\n")
    assert look(host, equals=("fine", "ok")) is Look.GOOD
    assert look(host, equals=("fine",)) is Look.BAD


def test_what_is_wrong_with_an_attribute_is_said(host: HostView) -> None:
    write(host, f"{PCI}/health", "on\x07fire\n")
    seen = Attribute(Probe(type="SysfsAttribute", path="device/health", equals=("ok",)), host)(CARD)
    assert (seen.reason, seen.message) == ("AttributeBad", "device/health is 'on?fire', not ok")


def test_a_pattern_has_to_match_the_whole_value(host: HostView) -> None:
    write(host, f"{PCI}/health", "8.0 GT/s PCIe")
    assert look(host, matches=r"\d+\.\d GT/s.*") is Look.GOOD
    assert look(host, matches=r"\d+\.\d") is Look.BAD


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        ("50000\n", {"max": 90000}, Look.GOOD),
        ("95000", {"max": 90000}, Look.BAD),
        ("-3", {"min": -5, "max": 5}, Look.GOOD),
        ("-6", {"min": -5}, Look.BAD),
        ("0x10", {"min": 16, "max": 16}, Look.GOOD),
        ("warm", {"max": 5}, Look.BAD),
        ("", {"max": 5}, Look.BAD),
    ],
)
def test_a_number_has_to_be_within_its_bounds(
    host: HostView, value: str, bounds: dict[str, Any], expected: Look
) -> None:
    write(host, f"{PCI}/health", value)
    assert look(host, CARD, **bounds) is expected


def test_an_attribute_may_be_named_absolutely(host: HostView) -> None:
    write(host, "class/thermal/thermal_zone0/temp", "50000")
    assert look(host, path="/sys/class/thermal/thermal_zone0/temp", max=60000) is Look.GOOD


@pytest.mark.parametrize("trap", ["missing", "directory", "pipe", "out", "kernel", "nowhere"])
def test_an_attribute_that_cannot_be_read_or_leads_elsewhere_is_a_failed_look(host: HostView, trap: str) -> None:
    place = host.sys_root / PCI
    write(host, "kernel/secret", "ok")
    (host.sys_root.parent / "secret").write_text("ok")
    match trap:
        case "directory":
            (place / "health").mkdir()
        case "pipe":
            os.mkfifo(place / "health")
        case "out":
            (place / "health").symlink_to(host.sys_root.parent / "secret")
        case "kernel":
            (place / "health").symlink_to(host.sys_root / "kernel/secret")
    candidate = Candidate(id="none") if trap == "nowhere" else CARD
    assert look(host, candidate, equals=("ok",)) is Look.FAILED


def test_no_more_of_an_attribute_is_read_than_the_kernel_gives(host: HostView) -> None:
    write(host, f"{PCI}/health", "a" * 10_000)
    assert look(host, equals=("a" * 4096,)) is Look.GOOD
    assert look(host, matches="a*") is Look.BAD, "a text that long is not matched at all"


@pytest.mark.parametrize("pattern", ["(a+)+", "a*b*c*d*", "[z-a]", "a{9}", r"\1", "(?=a)", "[[:alpha:]]", "a**", "\\"])
def test_a_pattern_that_could_keep_the_agent_busy_or_means_two_things_is_refused(host: HostView, pattern: str) -> None:
    health = Health(probes=(Probe(type="SysfsAttribute", path="a", matches=pattern),))
    with pytest.raises(ValueError, match=r"expression|groups"):
        polled(health, host, ManualClock())


@given(
    st.from_regex(patterns.GRAMMAR.replace(")+$", "){1,40}$"), fullmatch=True),
    st.text("ab ", max_size=256),
)
def test_every_pattern_of_the_grammar_that_compiles_answers(pattern: str, text: str) -> None:
    try:
        compiled = patterns.compiled(pattern)
    except ValueError:
        return
    assert patterns.fits(compiled, text) in (True, False)


def test_a_network_device_without_carrier_is_a_bad_link(host: HostView) -> None:
    write(host, f"{PCI}/net/eth0/operstate", "down\n")
    seen = link(host, CARD)
    assert (seen.look, seen.reason, seen.message) == (Look.ABSENT, "LinkDown", "eth0 is down")
    write(host, f"{PCI}/net/eth0/operstate", "up\n")
    assert link(host, CARD).look is Look.GOOD


def test_every_network_device_of_a_device_needs_a_link(host: HostView) -> None:
    write(host, f"{PCI}/net/eth0/operstate", "up")
    write(host, f"{PCI}/net/eth1/operstate", "lowerlayerdown")
    assert link(host, CARD).message == "eth1 is lowerlayerdown"


def test_a_driver_that_tells_no_state_is_judged_by_its_carrier(host: HostView) -> None:
    write(host, f"{PCI}/net/eth0/operstate", "unknown")
    write(host, f"{PCI}/net/eth0/carrier", "1")
    assert link(host, CARD).look is Look.GOOD
    write(host, f"{PCI}/net/eth0/carrier", "0")
    assert link(host, CARD).look is Look.ABSENT


def test_a_function_has_the_link_of_what_it_reaches_its_network_through(host: HostView) -> None:
    write(host, f"{PCI}/net/own/operstate", "down")
    write(host, "devices/pci0000:00/0000:00:01.0/net/port/operstate", "up")
    uplink = "/sys/devices/pci0000:00/0000:00:01.0"
    assert link(host, Candidate(id="function", sysfs=f"/sys/{PCI}", uplink=uplink)).look is Look.GOOD


def test_the_functions_of_a_card_are_one_look_at_its_link_and_the_next_second_is_another(host: HostView) -> None:
    clock = ManualClock()
    probe = Link(host, clock)
    functions = [Candidate(id=str(number), sysfs=f"/sys/{PCI}/vf{number}", uplink=f"/sys/{PCI}") for number in (0, 1)]
    write(host, f"{PCI}/net/port/operstate", "up")
    assert probe(functions[0]).look is Look.GOOD
    write(host, f"{PCI}/net/port/operstate", "down")
    assert probe(functions[1]).look is Look.GOOD
    clock.advance(LINK_PERIOD)
    assert [probe(each).look for each in functions] == [Look.ABSENT, Look.ABSENT]


def test_what_stands_for_others_ports_says_nothing_of_a_cards_link(host: HostView) -> None:
    write(host, f"{PCI}/net/port/operstate", "up")
    write(host, f"{PCI}/net/port/phys_port_name", "p0")
    write(host, f"{PCI}/net/port_1/operstate", "down")
    write(host, f"{PCI}/net/port_1/phys_port_name", "pf0vf1")
    assert link(host, CARD).look is Look.GOOD


def test_the_link_of_a_network_device_itself(host: HostView) -> None:
    write(host, "devices/virtual/net/veth0/operstate", "up")
    write(host, "devices/virtual/net/veth0/ifindex", "7")
    assert link(host, Candidate(id="veth0", sysfs="/sys/devices/virtual/net/veth0")).look is Look.GOOD


def test_the_link_of_a_device_without_network_device_cannot_be_looked_at(host: HostView) -> None:
    assert link(host, CARD).look is Look.FAILED
    assert link(host, Candidate(id="a")).look is Look.FAILED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Watched:
    """A heartbeat file of 30 s."""

    def __init__(self, host: HostView, clock: ManualClock) -> None:
        self.file = host.heartbeat_dir / "cameras-card0"
        self.clock = clock
        self.probe = Heartbeat(
            Probe(type="HeartbeatFile", name="cameras-$(DEVICE_ID)", max_age_seconds=30), host, clock
        )

    def touch(self) -> None:
        self.file.touch()
        os.utime(self.file, (self.clock.unix, self.clock.unix))

    def look(self) -> Look:
        return self.probe(CARD).look


@pytest.fixture
def watched(host: HostView, clock: ManualClock) -> Watched:
    return Watched(host, clock)


def test_a_heartbeat_is_good_until_it_is_too_old(watched: Watched) -> None:
    watched.touch()
    watched.clock.advance(30)
    assert watched.look() is Look.GOOD
    watched.clock.advance(1)
    assert watched.look() is Look.BAD
    watched.touch()
    assert watched.look() is Look.GOOD


def test_a_heartbeat_that_is_missing_or_no_plain_file_is_bad(watched: Watched) -> None:
    assert watched.look() is Look.BAD
    watched.file.symlink_to("/etc/hostname")
    assert watched.look() is Look.BAD


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_that_is_set_makes_no_device_look_dead(watched: Watched, step: float) -> None:
    watched.touch()
    assert watched.look() is Look.GOOD
    watched.clock.unix += step
    assert watched.look() is Look.GOOD
    watched.clock.advance(10)
    watched.touch()
    assert watched.look() is Look.GOOD


def test_a_clock_that_is_set_back_makes_no_dead_device_look_alive(watched: Watched) -> None:
    watched.touch()
    assert watched.look() is Look.GOOD
    watched.clock.unix -= 86400
    watched.clock.advance(31)
    assert watched.look() is Look.BAD


def test_a_heartbeat_from_the_future_ages_from_when_it_was_first_seen(watched: Watched) -> None:
    watched.touch()
    watched.clock.unix -= 86400
    assert watched.look() is Look.GOOD
    watched.clock.advance(31)
    assert watched.look() is Look.BAD


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 20), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_whatever_the_clock_does_a_beat_lies_between_the_looks_before_and_after_it(
    looks: list[tuple[bool, float, float]],
) -> None:
    monotonic, ahead, stamp = 0.0, 1e9, 1e9
    known = beat(None, stamp, now=stamp, monotonic=monotonic)
    for touched, after, jump in looks:
        before, earlier = monotonic, known.at
        monotonic += after
        if touched:
            stamp = ahead + monotonic - after / 2
        ahead += jump
        known = beat(known, stamp, now=ahead + monotonic, monotonic=monotonic)
        assert before - 1e-6 <= known.at <= monotonic if touched else known.at == earlier


def test_a_probe_of_a_newer_operator_is_refused_by_name(host: HostView) -> None:
    with pytest.raises(ValueError, match="knows no probe Telepathy"):
        polled(Health(probes=(Probe(type="Telepathy"),)), host, ManualClock())


def test_the_grammar_of_patterns_is_the_same_for_both_sides() -> None:
    assert re.compile(patterns.GRAMMAR)
    assert "(?" not in patterns.GRAMMAR
