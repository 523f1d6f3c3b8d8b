"""Which statements about a device fit which facts. Pure; each function is about one kind of statement."""

from chaos_bed.counts import surely_broken
from chaos_bed.facts import Device, Mode, Node
from chaos_bed.samples import Complaint, Told


def state_fits(device: str, told: Told | None, node: Node) -> bool:
    """What a NodeDevicePlugin says of a device's state; None when it does not list it."""
    return node.mode is not Mode.KNOWN or _state_fits(node.devices[device], told)


def _state_fits(device: Device, told: Told | None) -> bool:
    if told is None:
        return not device.held and not device.works and not device.missed
    match told.state, told.reason:
        case "Healthy", _:
            return device.works
        case "Cordoned", _:
            return device.withheld
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


def silence_fits(device: str, node: Node) -> bool:
    """That a config names no problem with a device."""
    return node.mode is not Mode.KNOWN or not surely_broken(node.devices[device])
