"""The slots that a device is offered as: one for the device itself, or several shares of it. Pure."""

_SEPARATOR = "::"


def slot_ids(device_id: str, replicas: int) -> tuple[str, ...]:
    """What the kubelet calls the slots of a device: itself when it is not shared, else `<id>::<n>` from 0."""
    if replicas == 1:
        return (device_id,)
    return tuple(f"{device_id}{_SEPARATOR}{number}" for number in range(replicas))


def device_of(slot_id: str) -> str:
    """The device of a slot. No device's own ID ends like a share's."""
    device_id, _, number = slot_id.rpartition(_SEPARATOR)
    return device_id if device_id and number.isdecimal() else slot_id
