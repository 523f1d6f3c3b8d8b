"""Directory events from the kernel, as one wake-up for many directories."""

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from inotify_simple import INotify, flags

from device_plugin_agent.trouble import Trouble

_EVENTS = (
    flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)

_log = logging.getLogger(__name__)


class DirectoryWatch:
    """Calls `wake` from the event loop when an entry comes or goes in one of the directories followed.

    The kernel may drop events when its queue is full and cannot watch what does not exist, so every user of
    this looks again by itself from time to time, and calls `follow` again then.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._watches: dict[Path, int] = {}
        self._trouble = Trouble(_log, "Cannot watch a directory; changes in it are found by looks alone")
        self._inotify: INotify | None = None
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            # The node's limit of them is reached (fs.inotify.max_user_instances): slower, and no reason to end.
            _log.warning("Without directory events; changes are found by looks alone", extra={"err": str(error)})
            return
        self._loop.add_reader(self._inotify.fileno(), self._read, self._inotify)

    def follow(self, directories: Iterable[Path]) -> bool:
        """Watch exactly these; whether all of them are: those that do not exist (yet) are left out."""
        inotify = self._inotify
        if inotify is None:
            return False
        wanted = set(directories)
        if wanted == self._watches.keys():
            return True
        for directory in self._watches.keys() - wanted:
            self._drop(inotify, directory)
        for directory in wanted - self._watches.keys():
            try:
                self._watches[directory] = inotify.add_watch(directory, _EVENTS)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    # ENOSPC says that fs.inotify.max_user_watches is reached.
                    self._trouble.failed(str(error.strerror))
        return wanted == self._watches.keys()

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()

    def _read(self, inotify: INotify) -> None:
        events = inotify.read(timeout=0)
        gone = {event.wd for event in events if event.mask & (flags.IGNORED | flags.MOVE_SELF)}
        for directory, watch in list(self._watches.items()):
            if watch in gone:
                del self._watches[directory]
        if events:
            self._wake()

    def _drop(self, inotify: INotify, directory: Path) -> None:
        try:
            inotify.rm_watch(self._watches.pop(directory))
        except OSError:
            return  # the directory went away, and its watch with it
