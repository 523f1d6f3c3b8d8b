"""The kernel's events, and whatever else may be in their place."""

import asyncio
import errno
import logging
import socket

import pytest
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


class Netlink:
    """A netlink socket that answers what the test wants; a real one underneath keeps the event loop awake."""

    def __init__(self, *answers: tuple[bytes, int] | OSError) -> None:
        self.answers = list(answers)
        self.closed = False
        self._near, self._far = socket.socketpair()
        self._far.send(b"!")

    def __call__(self, *kind: int) -> "Netlink":
        return self

    def bind(self, address: tuple[int, int]) -> None:
        assert address == (0, 1)

    def fileno(self) -> int:
        return self._near.fileno()

    def recvfrom(self, most: int) -> tuple[bytes, tuple[int, int]]:
        if not self.answers:
            raise BlockingIOError
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        message, sender = answer
        return message, (sender, 1)

    def close(self) -> None:
        self.closed = True
        self._near.close()
        self._far.close()


async def listen(netlink: Netlink, monkeypatch: pytest.MonkeyPatch) -> list[Uevent | None]:
    told: list[Uevent | None] = []
    uevents = Uevents(told.append)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", netlink)
        uevents.open()
    while netlink.answers:
        await asyncio.sleep(0)
    uevents.close()
    assert netlink.closed
    return told


async def test_lost_events_are_told_as_such_and_the_next_ones_still_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    netlink = Netlink(OSError(errno.ENOBUFS, "No buffer space available"), (ADD, 0))
    assert await listen(netlink, monkeypatch) == [None, parse(ADD)]


async def test_what_other_programs_send_is_read_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await listen(Netlink((ADD, 4711), (b"\xff" * 100, 0), (ADD, 0)), monkeypatch) == [parse(ADD)]


async def test_a_socket_that_fails_is_closed_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    netlink = Netlink((ADD, 0), OSError(errno.EBADF, "Bad file descriptor"))
    assert await listen(netlink, monkeypatch) == [parse(ADD)]
    assert [record.message for record in caplog.records] == ["Kernel events ended"]


async def test_a_socket_that_is_not_allowed_is_said_once_and_nothing_else_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*kind: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    uevents = Uevents(lambda event: None)
    with caplog.at_level(logging.INFO), monkeypatch.context() as patched:
        patched.setattr(socket, "socket", refuse)
        uevents.open()
    uevents.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_it_listens_to_this_machines_kernel_or_says_that_it_cannot() -> None:
    uevents = Uevents(lambda event: None)
    uevents.open()
    await asyncio.sleep(0)
    uevents.close()
    uevents.close()
