"""Narrowing a list of devices step by step, so that "why is nothing here" answers itself."""

from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

from device_plugin_agent.sources.base import Unfit
from device_plugin_api.node import SelectionStep

MAX_DROPPED_SHOWN = 8
"""Candidates of one step; what the API server takes."""

_MAX_LINE = 256

_Item = TypeVar("_Item")


class Selection(Generic[_Item]):
    """What is left, and what each step kept and dropped."""

    def __init__(self, step: str, items: Iterable[_Item], name: Callable[[_Item], str]) -> None:
        self.items = list(items)
        self.steps = [SelectionStep(step=printable(step), kept=len(self.items))]
        self.unfit: dict[str, Unfit] = {}
        """Those that were dropped with `told_as`, by name."""
        self._name = name

    def narrow(self, what: str, values: Collection[str], fits: Callable[[_Item], bool]) -> None:
        """Keep those that fit one of the values, if any are given."""
        if values:
            self.keep(f"{what} {' or '.join(values)}", lambda item: None if fits(item) else "")

    def expand(self, step: str, parts: Callable[[_Item], Iterable[_Item]]) -> None:
        """Go on with the parts of each."""
        self.items = [part for item in self.items for part in parts(item)]
        self.steps.append(SelectionStep(step=printable(step), kept=len(self.items)))

    def keep(
        self, step: str, dropped_because: Callable[[_Item], str | None], *, told_as: str = "", leaves: bool = False
    ) -> None:
        """Drop those for which there is a reason; an empty reason needs no words.

        `told_as`: the one word for it, of a device that was offered before; `leaves`: as Unfit has it.
        """
        judged = [(item, dropped_because(item)) for item in self.items]
        if told_as:
            self.unfit |= {
                self._name(item): Unfit(reason=told_as, why=why, leaves=leaves) for item, why in judged if why
            }
        self.items = [item for item, why in judged if why is None]
        dropped = [printable(f"{self._name(item)}: {why}") for item, why in judged if why]
        self.steps.append(
            SelectionStep(step=printable(step), kept=len(self.items), dropped=tuple(dropped[:MAX_DROPPED_SHOWN]))
        )


def printable(text: str) -> str:
    """A line for a status: printable, and not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _MAX_LINE else f"{shown[: _MAX_LINE - 1]}…"
