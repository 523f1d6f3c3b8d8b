"""Narrowing a list of devices step by step, so that "why is nothing here" answers itself."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from device_plugin_api.node import SelectionStep

_MAX_DROPPED_SHOWN = 8
_MAX_LINE = 256

_Item = TypeVar("_Item")


class Selection(Generic[_Item]):
    """What is left, and what each step kept and dropped."""

    def __init__(self, step: str, items: Iterable[_Item], name: Callable[[_Item], str]) -> None:
        self.items = list(items)
        self.steps = [SelectionStep(step=step, kept=len(self.items))]
        self._name = name

    def keep(self, step: str, dropped_because: Callable[[_Item], str | None]) -> None:
        """Drop those for which there is a reason; an empty reason needs no words."""
        judged = [(item, dropped_because(item)) for item in self.items]
        self.items = [item for item, why in judged if why is None]
        dropped = [printable(f"{self._name(item)}: {why}") for item, why in judged if why]
        self.steps.append(
            SelectionStep(step=printable(step), kept=len(self.items), dropped=tuple(dropped[:_MAX_DROPPED_SHOWN]))
        )


def printable(text: str) -> str:
    """A line for a status: printable, and not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _MAX_LINE else f"{shown[: _MAX_LINE - 1]}…"
