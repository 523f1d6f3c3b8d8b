#!/usr/bin/env python3
"""The machine in this container: starts it, runs commands in it, plugs and pulls its devices.

machine start | guest COMMAND... | plug ADAPTER | unplug ADAPTER | link up|down | qmp REQUEST
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import channel
import hardware

_DISK = "/disk.qcow2"
_WRITTEN = "/run/written.qcow2"


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit status."""
    match arguments:
        case ["start"]:
            start()
        case ["guest", *command] if command:
            return guest(command)
        case ["plug", name] if name in hardware.ADAPTERS:
            channel.qmp({"execute": "device_add", "arguments": hardware.ADAPTERS[name]})
        case ["unplug", name]:
            channel.qmp({"execute": "device_del", "arguments": {"id": name}})
        case ["link", "up" | "down" as state]:
            channel.qmp({"execute": "set_link", "arguments": {"name": hardware.PF, "up": state == "up"}})
        case ["qmp", request]:
            print(json.dumps(channel.qmp(json.loads(request))))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def start() -> None:
    """Become QEMU. The guest takes over this container's address; what it writes is gone with the container."""
    (address,) = _ip("-4", "address", "show", "eth0")[0]["addr_info"]
    (route,) = _ip("route", "show", "default")
    for words in (
        "link add br0 type bridge",
        "tuntap add tap0 mode tap",
        "link set eth0 master br0",
        "link set tap0 master br0",
        "address flush dev eth0",
        "link set tap0 up",
        "link set br0 up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    Path(_WRITTEN).unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", _DISK, "-F", "qcow2", _WRITTEN], check=True)
    command = hardware.arguments(_WRITTEN, f"{address['local']}/{address['prefixlen']}", route["gateway"])
    os.execvp(command[0], command)


def guest(command: list[str]) -> int:
    """Run a command in the guest, with our input and output; its exit status."""
    status, output, complaints = channel.run_in_guest(command, sys.stdin.buffer.read())
    sys.stdout.buffer.write(output)
    sys.stderr.buffer.write(complaints)
    return status


def _ip(*words: str) -> Any:
    return json.loads(subprocess.run(["ip", "-j", *words], check=True, capture_output=True).stdout)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, channel.Refused) as error:
        sys.exit(f"machine: {error}")
