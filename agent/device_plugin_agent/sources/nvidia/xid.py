"""Which errors make a GPU Unhealthy, and for how long. Pure.

Source of the words: NVIDIA's page "XID Errors".
"""

from collections.abc import Mapping

from device_plugin_agent.sources.base import Unfit
from device_plugin_agent.sources.nvidia.gpu import DOUBLE_BIT_ECC
from device_plugin_api.nvidia import Xids

_WORDS = {
    13: "graphics engine exception",
    31: "memory page fault",
    43: "a program's channel stopped",
    45: "a program's channels were cleaned up",
    48: "double-bit ECC error",
    61: "internal microcontroller breakpoint",
    62: "internal microcontroller halt",
    63: "a row was remapped, or a page retired",
    64: "a row could not be remapped, or a page retired",
    68: "video processor exception",
    74: "NVLink error",
    79: "it has fallen off the bus",
    92: "many single-bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    109: "context switch timed out",
    119: "its system processor does not answer",
    120: "error of its system processor",
}


def trouble(
    happened: Mapping[int, float], xids: Xids, quiet: float, now: float
) -> tuple[Unfit | None, float]:
    """What of it counts still, and in how many seconds that ends by itself.

    `happened`: Xid → monotonic time of the last one. `quiet`: seconds without another after which it is over.
    """
    counts = {
        number: at + quiet - now
        for number, at in happened.items()
        if at + quiet > now and (number == DOUBLE_BIT_ECC or xids.count(number))
    }
    if not counts:
        return None, 0.0
    numbers = sorted(counts)
    reason = "DoubleBitEcc" if numbers[0] == DOUBLE_BIT_ECC else f"Xid{numbers[0]}"
    return Unfit(reason=reason, why=", ".join(map(_words, numbers))), max(counts.values())


def _words(number: int) -> str:
    if number == DOUBLE_BIT_ECC:
        return "a double-bit ECC error"
    return f"Xid {number} ({_WORDS[number]})" if number in _WORDS else f"Xid {number}"
