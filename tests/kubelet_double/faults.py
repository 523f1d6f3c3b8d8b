"""What a test can make go wrong on the kubelet's side."""

import asyncio
from dataclasses import dataclass

import grpc


@dataclass
class Faults:
    """All off to begin with; a test sets them and unsets them while the double runs."""

    reject_register: str | None = None
    """Refuse Register with this text before any check."""
    hold_register: asyncio.Event | None = None
    """Answer Register only after this is set; the dial back waits too."""
    hold_list: asyncio.Event | None = None
    """Ask a plugin that registers now for its devices only after this is set."""
    options_error: str | None = None
    """Treat GetDevicePluginOptions as failed with this text, without asking the plugin."""
    refuse_podresources: grpc.StatusCode | None = None
    """Answer every podresources call with this status."""
    hold_podresources: asyncio.Event | None = None
    """Answer podresources calls only after this is set."""
