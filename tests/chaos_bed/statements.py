"""Which statements fit which facts. Pure; each function is about one kind of statement."""

from collections.abc import Iterable, Mapping

from chaos_bed.facts import Device, Mode, Node
from chaos_bed.samples import Complaint, Told

COUNTS = ("total", "healthy", "unhealthy", "unknown", "cordoned", "allocated")

Bounds = tuple[int, int]
"""The least and the most that a count may be."""


def state_fits(device: str, told: Told | None, node: Node) -> bool:
    """What a NodeDevicePlugin says of a device's state; None when it does not list it."""
    return node.mode is not Mode.KNOWN or _state_fits(node.devices[device], told)


def _state_fits(device: Device, told: Told | None) -> bool:
    if told is None:
        return not device.held and not device.works
    match told.state, told.reason:
        case "Healthy", _:
            return device.works
        case "Cordoned", _:
            return device.selected and device.cordoned
        case "Unhealthy", "DeviceMissing":
            return not device.present
        case "Unhealthy", "NotSelected":
            return not device.selected
        case "Unhealthy", _:
            # On its way back: that it does not stay so, the kubelet's view shows.
            return device.selected and not device.cordoned
        case _:
            return True


def use_fits(device: str, told: Told, node: Node) -> bool:
    """What a NodeDevicePlugin says of who has a device, against podresources."""
    held = node.devices[device].held
    return node.mode is not Mode.KNOWN or held is None or told.holders == held


def runs_fit(device: str, told: Told | None, node: Node) -> bool:
    """The same against the processes that run: each has to be named."""
    named = told.holders if told is not None else frozenset()
    return node.mode is not Mode.KNOWN or node.devices[device].running <= named


def complaint_fits(complaint: Complaint, node: Node) -> bool:
    """What a config says is wrong, with a device or with a node as a whole."""
    if node.mode is not Mode.KNOWN:
        return True
    if not complaint.device:
        return False
    told = Told(state=complaint.state, reason=complaint.reason)
    return complaint.device in node.devices and _state_fits(node.devices[complaint.device], told)


def bounds(node: Node, count: str) -> Bounds:
    """How many devices of a node may be counted so."""
    devices = node.devices.values()
    if node.mode is not Mode.KNOWN:
        return 0, len(devices)
    match count:
        case "total":
            return _between((each.works or bool(each.held), each.selected or _maybe_held(each)) for each in devices)
        case "healthy":
            return _between((each.works and each.offered is True, each.works) for each in devices)
        case "unhealthy":
            return _between((_surely_broken(each), _maybe_broken(each)) for each in devices)
        case "cordoned":
            cordoned = [each for each in devices if each.cordoned and each.selected]
            return sum(each.present for each in cordoned), len(cordoned)
        case "allocated":
            return _between((bool(each.held), _maybe_held(each)) for each in devices)
        case _:
            return 0, 0


def _maybe_held(device: Device) -> bool:
    return device.held is None or bool(device.held)


def _surely_broken(device: Device) -> bool:
    # One that is gone and free may have been forgotten when the config changed: it is no longer looked for.
    return device.selected and not device.cordoned and not device.present and bool(device.held)


def _maybe_broken(device: Device) -> bool:
    if not device.selected:
        return _maybe_held(device)
    return not device.cordoned and not (device.present and device.offered is True)


def _between(devices: Iterable[tuple[bool, bool]]) -> Bounds:
    least = most = 0
    for surely, maybe in devices:
        least += surely
        most += maybe
    return least, most


def count_fits(count: str, number: int, counts: Mapping[str, Bounds]) -> bool:
    """A count of a config's status."""
    least, most = counts[count]
    return least <= number <= most


def status_fits(reason: str, counts: Mapping[str, Bounds]) -> bool:
    """The word in STATUS."""
    match reason:
        case "AllNodesReady":
            return counts["unhealthy"][0] == 0
        case "SomeUnhealthy":
            return counts["unhealthy"][1] + counts["unknown"][1] > 0
        case "AgentsUnavailable":
            # Some node is not known, and then none of its devices has to be.
            return counts["unknown"][1] > 0
        case "Starting" | "RolloutInProgress" | "RolloutPaused" | "KubeletDisagrees":
            # Steps on the way, not facts of this moment: that they do not stay is seen at the end.
            return True
        case _:
            return False
