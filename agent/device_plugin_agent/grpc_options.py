"""How gRPC is used on this node's sockets."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc.aio

_SLACK = 25_000_000
"""Nanoseconds by which gRPC's threads may oversleep. At rest they take a dozen ever longer naps a second, of 15 ms and
more: fewer with this, a third of what they cost. Whom there is work for is woken as soon as ever."""

_SLACK_FILE = Path("/proc/self/timerslack_ns")
"""Of the process' first thread: proc_pid_timerslack_ns(5). New threads have their maker's, and 0 restores it."""

_UNHURRIED = (
    # The kubelet's limits are what counts.
    ("grpc.max_receive_message_length", -1),
    # gRPC measures the bandwidth of each connection by pings, after which its threads stay awake for seconds. There is
    # nothing to be gained by it between two processes of a machine, and this halves what an idle agent costs.
    ("grpc.http2.bdp_probe", 0),
)


def server(address: str) -> grpc.aio.Server:
    """A server that listens there. Raises OSError."""
    with _sleepers():
        made = grpc.aio.server(options=_UNHURRIED)
        try:
            made.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(str(error)) from None
        return made


def channel(address: str, *options: tuple[str, int]) -> grpc.aio.Channel:
    """A channel to a service of the kubelet's, with more options."""
    with _sleepers():
        return grpc.aio.insecure_channel(
            address, options=(*_UNHURRIED, ("grpc.default_authority", "localhost"), *options)
        )


@contextmanager
def _sleepers() -> Iterator[None]:
    """Threads that are made meanwhile may oversleep: gRPC makes its own when it is used first."""
    _set_slack(_SLACK)
    try:
        yield
    finally:
        _set_slack(0)


def _set_slack(nanoseconds: int) -> None:
    # Not every kernel has it. Without it the threads are as punctual as they are at others'.
    with suppress(OSError):
        _SLACK_FILE.write_text(str(nanoseconds))
