"""What is known of a resource's registration."""

import msgspec


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the kubelet has the resource now, and what it said when it has not."""

    now: bool = False
    message: str = "not registered yet"
    at: float | None = None
    """Unix time of the last success, in seconds."""
