"""Waiting for what the API server does a moment later (informers, policies, controllers)."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, *, within: float = 20.0, every: float = 0.05) -> T:
    """What `look` returns as soon as that is true; it is asked again and again until then."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(every)
