"""A machine with what hangs on a desk, made from the kernel's documented ABI: see README.md."""

import os
from pathlib import Path

from device_plugin_agent.sources import HostView

CAMERA = "devices/pci0000:00/0000:00:14.0/usb1/1-1"
LINE = "devices/pci0000:00/0000:00:14.0/usb1/1-2"


class Desk:
    """A /sys and a /dev to be changed."""

    def __init__(self, root: Path) -> None:
        self.sys, self.dev = root / "sys", root / "dev"
        self._write("devices/pci0000:00/0000:00:14.0/usb1", version=" 2.00", idVendor="1d6b", idProduct="0002")
        (self.sys / "bus/usb/devices").mkdir(parents=True)
        self.node("net/tun", (10, 200))
        self.node("fuse", (10, 229))
        self.node("kvm", (10, 232))

    @property
    def host(self) -> HostView:
        return HostView(dev_root=self.dev, sys_root=self.sys)

    def camera(self) -> None:
        """A USB camera: one node for pictures, one for metadata."""
        self._usb(CAMERA, "046d", "0825", 2)
        for number in (0, 1):
            inside = f"{CAMERA}/1-1:1.0/video4linux/video{number}"
            self.node(f"video{number}", (81, number), inside, "video4linux")

    def line(self) -> None:
        """A USB serial adapter."""
        self._usb(LINE, "0403", "6001", 3)
        self.node("ttyUSB0", (188, 0), f"{LINE}/1-2:1.0/ttyUSB0/tty/ttyUSB0", "tty")

    def microphone(self) -> None:
        """A sound card that records."""
        self.node("snd/pcmC0D0c", (116, 24))

    def render(self) -> None:
        """A graphics card's node without a screen."""
        self.node("dri/renderD128", (226, 128))

    def meter(self, number: int, state: str) -> None:
        """A home-made device whose driver tells its state."""
        self.node(f"meter-{number}", (240, number), f"devices/virtual/meter/meter-{number}", "meter")
        self._write(f"devices/virtual/meter/meter-{number}", state=state)

    def node(self, name: str, number: tuple[int, int], inside: str = "", subsystem: str = "") -> None:
        """A device node, and its directory in /sys."""
        path = self.dev / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(path, 0o020600, os.makedev(*number))
        if inside:
            major, minor = number
            self._write(inside, dev=f"{major}:{minor}", uevent=f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}")
            (self.sys / inside / "subsystem").symlink_to(self.sys / "class" / subsystem)
            link = self.sys / f"dev/char/{major}:{minor}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self.sys / inside)

    def _usb(self, directory: str, vendor: str, product: str, address: int) -> None:
        self._write(directory, idVendor=vendor, idProduct=product, dev=f"189:{address - 1}")
        name = f"bus/usb/001/{address:03}"
        self._write(directory, uevent=f"DEVNAME={name}\nDEVTYPE=usb_device")
        (self.sys / directory / "subsystem").symlink_to(self.sys / "bus/usb")
        os.makedirs((self.dev / name).parent, exist_ok=True)
        os.mknod(self.dev / name, 0o020664, os.makedev(189, address - 1))
        (self.sys / "bus/usb/devices" / os.path.basename(directory)).symlink_to(self.sys / directory)

    def _write(self, directory: str, **attributes: str) -> None:
        place = self.sys / directory
        place.mkdir(parents=True, exist_ok=True)
        for name, value in attributes.items():
            (place / name).write_text(f"{value}\n")
