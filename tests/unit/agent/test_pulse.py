"""Alive is an agent whose loops turn."""

from device_plugin_agent.pulse import Pulse
from manual_clock import ManualClock


def test_an_agent_is_alive_while_every_loop_turns_within_its_period() -> None:
    clock = ManualClock()
    pulse = Pulse(clock)
    assert pulse.alive().ok
    for _ in range(20):
        pulse.turned("host", 3600.0)
        pulse.turned("kubelet", 1.0)
        clock.advance(10.0)
        assert pulse.alive().ok


def test_one_loop_that_stands_still_is_told_by_name_whatever_the_others_do() -> None:
    clock = ManualClock()
    pulse = Pulse(clock)
    pulse.turned("host", 10.0)
    for _ in range(10):
        pulse.turned("kubelet", 1.0)
        clock.advance(5.0)
    answer = pulse.alive()
    assert (answer.ok, answer.text) == (False, "host is 40 s late")
    pulse.turned("host", 10.0)
    assert pulse.alive().ok


def test_an_agent_of_which_a_loop_never_begins_is_not_alive_for_long() -> None:
    clock = ManualClock()
    pulse = Pulse(clock, "host", "kubelet")
    clock.advance(20.0)
    assert pulse.alive().ok
    pulse.turned("kubelet", 60.0)
    clock.advance(20.0)
    answer = pulse.alive()
    assert (answer.ok, answer.text) == (False, "host is 40 s late")


def test_a_loop_that_has_ended_or_sleeps_until_there_is_work_is_not_late() -> None:
    clock = ManualClock()
    pulse = Pulse(clock)
    pulse.turned("host", 3600.0)
    for loop in ("ended", "asleep"):
        pulse.turned(loop, 1.0)
    pulse.ended("ended")
    pulse.turned("asleep", None)
    clock.advance(600.0)
    assert pulse.alive().text == "turning: host"
