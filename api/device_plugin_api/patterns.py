"""Regular expressions that cost little, whoever wrote them: one grammar for the API server (RE2) and for Python.

Python tries alternatives one after the other: nested or many repetitions could keep it busy for ever. Without groups,
with few repetitions and on a short text they cannot.
"""

import re

MAX_TEXT = 256
"""Characters of a text that are looked at."""

MAX_REPEATS = 3

_ESCAPE = r"\\[dDwWsS]|\\[^A-Za-z0-9]"
_SET = rf"\[\^?([^\[\]\\]|{_ESCAPE})+\]"
_ATOM = rf"[^\[\](){{}}*+?\\]|{_ESCAPE}|{_SET}"
GRAMMAR = f"^(({_ATOM})[*+?]?)+$"
REPEATS = f"^[^*+?]*([*+?][^*+?]*){{0,{MAX_REPEATS}}}$"


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern; raises ValueError, worded for people."""
    if not re.fullmatch(GRAMMAR, pattern) or not re.fullmatch(REPEATS, pattern):
        raise ValueError(
            f"{pattern!r} has groups, more than {MAX_REPEATS} repetitions, or what no pattern here may have"
        )
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def fits(pattern: re.Pattern[str], text: str) -> bool:
    """Whether the whole text matches. One that is too long does not."""
    return len(text) <= MAX_TEXT and pattern.fullmatch(text) is not None
