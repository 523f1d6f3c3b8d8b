"""Which errors make a GPU Unhealthy, and in which words. Pure.

Source of the words: NVIDIA's page "XID Errors".
"""

from collections.abc import Iterable

from device_plugin_agent.sources.base import Unfit
from device_plugin_agent.sources.nvidia.gpu import DOUBLE_BIT_ECC

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


def trouble(numbers: Iterable[int]) -> Unfit | None:
    """What is wrong with a GPU to which these happened; the lowest names it, so that a storm tells one thing."""
    happened = sorted(numbers)
    if not happened:
        return None
    reason = "DoubleBitEcc" if happened[0] == DOUBLE_BIT_ECC else f"Xid{happened[0]}"
    return Unfit(reason=reason, why=", ".join(map(_words, happened)))


def _words(number: int) -> str:
    if number == DOUBLE_BIT_ECC:
        return "a double-bit ECC error"
    return f"Xid {number} ({_WORDS[number]})" if number in _WORDS else f"Xid {number}"
