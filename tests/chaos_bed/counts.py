"""How many there may be of each: devices, slots, nodes. Pure."""

from collections.abc import Mapping

from chaos_bed.facts import Device, Mode, Node
from chaos_bed.findings import BELIEVED

COUNTS = ("total", "healthy", "unhealthy", "unknown", "cordoned", "allocated")
"""Of devices."""

DESIRED, READY, UPDATED = "nodes desired", "nodes ready", "nodes updated"

Bounds = tuple[int, int]
"""The least and the most that a count may be."""

NONE: Bounds = (0, 0)


def counted(node: Node) -> dict[str, Bounds]:
    """What may be said of a node, `<resource> <count>` where it is about one resource only."""
    found: dict[str, Bounds] = dict.fromkeys(COUNTS, NONE)
    for device in node.devices.values():
        of_device = _of_device(device, known=node.mode is Mode.KNOWN)
        for count in COUNTS:
            found[count] = plus(found[count], of_device[count])
        if device.resource:
            for count, some in of_device.items():
                key = f"{device.resource} {count}"
                found[key] = plus(found.get(key, NONE), some)
            key, offers = f"{device.resource} nodes", (of_device["healthy"][0], of_device["total"][1])
            found[key] = _any(found.get(key, NONE), offers)
    return found | {DESIRED: (1, 1), READY: (int(surely_ready(node)), 1), UPDATED: _updated(node)}


def plus(one: Bounds, other: Bounds) -> Bounds:
    """Both together."""
    return one[0] + other[0], one[1] + other[1]


def within(number: int, some: Bounds) -> bool:
    """Whether there may be so many."""
    return some[0] <= number <= some[1]


def surely_ready(node: Node) -> bool:
    """Whether nothing that makes a node ready can be missing, nor have been of late."""
    offered = {device.resource for device in node.devices.values() if device.offered}
    return node.steady >= BELIEVED and all(
        device.offered == device.works and (device.resource in offered or not device.selected)
        for device in node.devices.values()
    )


def surely_broken(device: Device) -> bool:
    """Whether it has to be told as one that does not work."""
    # One that is gone and free may have been forgotten when the config changed: it is no longer looked for.
    return device.selected and not device.cordoned and not device.present and (bool(device.held) or device.missed)


def _of_device(device: Device, *, known: bool) -> Mapping[str, Bounds]:
    if not known:
        return dict.fromkeys(COUNTS, (0, 1)) | {"slots": (0, device.replicas), "slots in use": (0, device.replicas)}
    held = (int(bool(device.held)), int(device.held is None or bool(device.held)))
    total = (int(device.works or bool(device.held) or device.missed), int(device.selected or bool(held[1])))
    return {
        "total": total,
        "healthy": (int(device.works and device.offered is True), int(device.works)),
        "unhealthy": (int(surely_broken(device)), int(_maybe_broken(device))),
        "unknown": NONE,
        "cordoned": (int(device.withheld and device.present), int(device.withheld)),
        "allocated": held,
        "slots": (total[0] * device.replicas, total[1] * device.replicas),
        # A container is given one slot.
        "slots in use": (0, device.replicas) if device.held is None else (len(device.held), len(device.held)),
    }


def _maybe_broken(device: Device) -> bool:
    if not device.selected:
        return device.held is None or bool(device.held)
    return not device.cordoned and not (device.present and device.offered is True)


def _updated(node: Node) -> Bounds:
    return int(node.updated is True), int(node.updated is not False)


def _any(one: Bounds, other: Bounds) -> Bounds:
    return max(one[0], other[0]), max(one[1], other[1])
