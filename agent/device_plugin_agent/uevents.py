"""The kernel's own events about devices. They arrive in a pod without privileges or the host's network namespace."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable

import msgspec

_KOBJECT_UEVENT = 15
"""NETLINK_KOBJECT_UEVENT of linux/netlink.h; group 1 is the kernel's, group 2 is udev's."""
_KERNEL_GROUP = 1
_KERNEL = 0
"""The sender's port: anybody else's is another program."""
_MOST = 65536

_log = logging.getLogger(__name__)


class Uevent(msgspec.Struct, frozen=True, kw_only=True):
    """One event; lib/kobject_uevent.c."""

    action: str
    devpath: str
    """Below /sys, with a slash in front."""
    subsystem: str


def parse(message: bytes) -> Uevent | None:
    """An event; None for anything else."""
    head, *lines = message.split(b"\0")
    fields = dict(line.split(b"=", 1) for line in lines if b"=" in line)
    action, devpath = fields.get(b"ACTION", b""), fields.get(b"DEVPATH", b"")
    if not action or head != action + b"@" + devpath:
        return None
    subsystem = fields.get(b"SUBSYSTEM", b"")
    return Uevent(
        action=action.decode(errors="replace"),
        devpath=devpath.decode(errors="replace"),
        subsystem=subsystem.decode(errors="replace"),
    )


class Uevents:
    """Calls `tell` from the event loop; with None when events were lost, so that somebody looks."""

    def __init__(self, tell: Callable[[Uevent | None], None]) -> None:
        self._tell = tell
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Where that is not allowed, looks from time to time must do."""
        try:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT)
        except OSError as error:
            _log.warning("No kernel events: changes of USB and PCI show a period later", extra={"err": str(error)})
            return
        try:
            opened.bind((0, _KERNEL_GROUP))
        except OSError as error:
            opened.close()
            _log.warning("No kernel events: changes of USB and PCI show a period later", extra={"err": str(error)})
            return
        self._socket = opened
        asyncio.get_running_loop().add_reader(opened.fileno(), self._read, opened)

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self, opened: socket.socket) -> None:
        while True:
            try:
                message, sender = opened.recvfrom(_MOST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._tell(None)
                    continue
                _log.warning("Kernel events ended", extra={"err": os.strerror(error.errno or 0)})
                self.close()
                return
            self.take(message, sender[0])

    def take(self, message: bytes, sender: int) -> None:
        """One message and the port of who sent it."""
        event = parse(message) if sender == _KERNEL else None
        if event is not None:
            self._tell(event)
