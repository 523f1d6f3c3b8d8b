"""The kernel's events, and whatever else may be in their place."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.uevents import Uevent, Uevents, parse

ADD = b"add@/devices/usb1/1-1\0ACTION=add\0DEVPATH=/devices/usb1/1-1\0SUBSYSTEM=usb\0SEQNUM=7\0"


def test_an_event_of_the_kernel_is_understood() -> None:
    assert parse(ADD) == Uevent(action="add", devpath="/devices/usb1/1-1", subsystem="usb")


def test_udevs_own_messages_are_none() -> None:
    assert parse(b"libudev\0\xfe\xed\xca\xfe" + ADD) is None


@given(st.binary(max_size=300))
def test_whatever_arrives_is_an_event_or_none(message: bytes) -> None:
    assert parse(message) is None or b"@" in message


@given(st.binary(max_size=50), st.integers(0, len(ADD)))
def test_a_mutilated_event_never_raises(rubbish: bytes, where: int) -> None:
    parse(ADD[:where] + rubbish + ADD[where:])


def test_only_the_kernel_is_believed() -> None:
    told: list[Uevent | None] = []
    uevents = Uevents(told.append)
    uevents.take(ADD, 4711)
    assert told == []
    uevents.take(ADD, 0)
    assert len(told) == 1


async def test_it_listens_to_this_machines_kernel_or_says_that_it_cannot() -> None:
    uevents = Uevents(lambda event: None)
    uevents.open()
    await asyncio.sleep(0)
    uevents.close()
    uevents.close()
