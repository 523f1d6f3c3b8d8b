"""How a case is written down."""

from typing import Any

import pytest

from apiserver.objects import Json

FIRST = "spec.resources[0]"
"""The only resource of most configs."""


def bad(sentence: str, item: Json, field: str, allowed: str) -> Any:
    """A refused object: its field, and what the API server says is allowed there."""
    return pytest.param(item, field, allowed, id=sentence)


def good(sentence: str, item: Json) -> Any:
    """An accepted object."""
    return pytest.param(item, id=sentence)
