"""A wake-up that cannot be missed between a look and a wait."""

import asyncio


class Signal:
    """Counts what happened; waiters name the last count they have seen."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def after(self, seen: int, timeout: float | None = None) -> int:
        """Wait until more than `seen` things happened, or `timeout` seconds passed; returns the count."""
        if self.count <= seen:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await asyncio.wait((waiter,), timeout=timeout)
            finally:
                self._waiting.discard(waiter)
        return self.count
