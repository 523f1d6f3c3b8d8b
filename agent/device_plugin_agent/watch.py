"""Directory events from the kernel, as one wake-up for many directories."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from inotify_simple import INotify, flags

_EVENTS = (
    flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)


class DirectoryWatch:
    """Calls `wake` from the event loop when an entry comes or goes in one of the directories followed.

    The kernel may drop events when its queue is full and cannot watch what does not exist, so every user of
    this looks again by itself from time to time, and calls `follow` again then.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._inotify = INotify(nonblocking=True)
        self._loop = asyncio.get_running_loop()
        self._watches: dict[Path, int] = {}
        self._loop.add_reader(self._inotify.fileno(), self._read)

    def follow(self, directories: Iterable[Path]) -> None:
        """Watch exactly these; those that do not exist (yet) are left out."""
        wanted = set(directories)
        for directory in self._watches.keys() - wanted:
            self._drop(directory)
        for directory in wanted - self._watches.keys():
            try:
                self._watches[directory] = self._inotify.add_watch(directory, _EVENTS)
            except OSError:
                continue

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()

    def _read(self) -> None:
        events = self._inotify.read(timeout=0)
        gone = {event.wd for event in events if event.mask & (flags.IGNORED | flags.MOVE_SELF)}
        for directory, watch in list(self._watches.items()):
            if watch in gone:
                del self._watches[directory]
        if events:
            self._wake()

    def _drop(self, directory: Path) -> None:
        try:
            self._inotify.rm_watch(self._watches.pop(directory))
        except OSError:
            return  # the directory went away, and its watch with it
