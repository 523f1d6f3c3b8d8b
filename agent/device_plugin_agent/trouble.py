"""Trouble that lasts is a line in the log when it begins, when its reason changes and when it is over."""

import logging


class Trouble:
    """One thing that is tried again and again. `about` are the keys of every line."""

    def __init__(self, log: logging.Logger, what: str, **about: str) -> None:
        self._log = log
        self._what = what
        self._about = about
        self._why: str | None = None

    def failed(self, why: str) -> None:
        """It failed; again for the same reason is told to those who debug."""
        level = logging.DEBUG if why == self._why else logging.WARNING
        self._why = why
        self._log.log(level, self._what, extra={**self._about, "err": why})

    def worked(self) -> None:
        """It worked."""
        if self._why is not None:
            self._why = None
            self._log.info("%s: over", self._what, extra=self._about)
