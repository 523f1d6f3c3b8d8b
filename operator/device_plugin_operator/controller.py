"""The workers: keys from the queue, to the reconciler, and back to the queue for later."""

import asyncio
import logging

from device_plugin_operator.client import RequestFailed
from device_plugin_operator.metrics import Metrics
from device_plugin_operator.queue import Reconciler, Request, WorkQueue

_log = logging.getLogger(__name__)


class Controller:
    """A fixed number of workers on one queue."""

    def __init__(self, queue: WorkQueue, reconciler: Reconciler, metrics: Metrics) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics
        self._stopping = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def work(self) -> None:
        """One worker, until cancelled."""
        while True:
            request = await self._queue.get()
            if not self._stopping:
                await self._process(request)
            self._queue.done(request)

    async def drain(self) -> None:
        """Take up nothing new and wait for what is under way."""
        self._stopping = True
        await self._idle.wait()

    async def _process(self, request: Request) -> None:
        self._busy += 1
        self._idle.clear()
        try:
            with self._metrics.active_workers.track_inprogress(), self._metrics.reconcile_time.time():
                result = await self._reconciler.reconcile(request)
        except RequestFailed as error:
            self._failed()
            pause = self._queue.add_failed(request, error.retry_after)
            _log.warning("Will try again", extra={"config": request.name, "err": str(error), "after": round(pause, 2)})
        except Exception:
            # Whatever is wrong with one config, the others go on.
            self._failed()
            self._metrics.panics.inc()
            pause = self._queue.add_failed(request)
            _log.exception("Reconciling failed", extra={"config": request.name, "after": round(pause, 2)})
        else:
            self._queue.succeeded(request)
            if result.requeue_after is None:
                self._metrics.reconciles["success"].inc()
            else:
                self._metrics.reconciles["requeue_after"].inc()
                self._queue.add(request, result.requeue_after)
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    def _failed(self) -> None:
        self._metrics.reconciles["error"].inc()
        self._metrics.errors.inc()
