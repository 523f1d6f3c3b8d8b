"""The one thread that speaks to NVML. Whoever asks what it saw never waits for it."""

import logging
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

if TYPE_CHECKING:  # what only machines with GPUs need is loaded at the first look
    from device_plugin_agent.clock import Clock
    from device_plugin_agent.sources.nvidia.gpu import Fault, Gpu, Seen
    from device_plugin_agent.sources.nvidia.session import Session

PERIOD = 5.0
"""Seconds between two looks at the GPUs, and between two attempts to start NVML."""

DEADLINE = 10.0
"""Seconds that one call may take before NVML counts as hung. Its start takes some seconds for each GPU at worst."""

_WAIT = 1.0
"""Seconds of one wait for events at most: a hang is told from a wait by it."""

_BATCH = 256
"""Events that are told at once, when they come thick and fast."""

_log = logging.getLogger(__name__)


def binding() -> Any:
    """The package nvidia-ml-py, an extra of ours."""
    import pynvml

    return pynvml


class Nvml:
    """What was seen last. Until `begin` there is no thread, and each question is a look of its own."""

    def __init__(self, load: Callable[[], Any] = binding, period: float = PERIOD) -> None:
        self._load = load
        self._period = period
        self._seen: Seen | None = None
        self._facts: dict[str, Gpu] = {}
        self._faults: dict[Fault, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._clock: Clock | None = None
        self._turned = float("inf")
        self._news: Callable[[], None] = lambda: None

    def begin(self, clock: "Clock", news: Callable[[], None]) -> None:
        """Look in a thread from now on; `news` is called there when something changed."""
        self._news = news
        if self._thread is None:
            self._clock = clock
            self._turn()
            # A daemon: a call that hangs does not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name="nvml", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Ask the thread to end; it may be in a call that hangs, so nobody waits for it."""
        self._ended.set()

    def seen(self) -> "Seen":
        """What is known now."""
        from device_plugin_agent.sources.base import Unfit
        from device_plugin_agent.sources.nvidia.gpu import Seen

        if self._clock is None:
            self._attempt(once=True)
        seen = self._seen or Seen(pending=True)
        if self._clock is not None and self._clock.monotonic() - self._turned > DEADLINE:
            hangs = f"NVML does not answer within {DEADLINE:g} s: the driver or a GPU hangs"
            seen = replace(seen, problem=Unfit(reason="NvmlHangs", why=hangs, seen=False), pending=False)
        with self._lock:
            return replace(seen, faults=dict(self._faults))

    def pardon(self, faults: "Collection[Fault]") -> None:
        """Forget that these happened."""
        with self._lock:
            for fault in faults:
                self._faults.pop(fault, None)

    def _run(self) -> None:
        while not self._ended.is_set():
            if not self._attempt():
                self._turned = float("inf")  # nobody is waited for
                self._ended.wait(self._period)
                self._turn()

    def _turn(self) -> None:
        if self._clock is not None:
            self._turned = self._clock.monotonic()

    def _attempt(self, *, once: bool = False) -> bool:
        """A session until it has to be started anew; whether it worked. Whatever a driver may do, the thread lives."""
        from device_plugin_agent.sources.base import Unfit
        from device_plugin_agent.sources.nvidia.session import Session

        try:
            nvml = self._load()
        except ImportError as error:
            self._tell(absent=f"the package nvidia-ml-py is not installed ({error})")
            return False
        try:
            session = Session(nvml, self._turn, self._facts)
            try:
                self._follow(session, once=once)
                return True
            finally:
                session.close()
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
                self._tell(absent=f"NVML: {error}")
            else:
                self._tell(problem=Unfit(reason="NvmlFailed", why=f"NVML: {error}", seen=False))
        except Exception as error:
            _log.exception("NVML could not be asked")
            why = f"NVML could not be asked: {type(error).__name__}: {error}"
            self._tell(problem=Unfit(reason="NvmlFailed", why=why, seen=False))
        return False

    def _follow(self, session: "Session", *, once: bool) -> None:
        from device_plugin_agent.sources.nvidia.gpu import with_lost

        while not self._ended.is_set():
            found, whole = session.look()
            known = self._seen.gpus if self._seen is not None and not whole else ()
            self._tell(gpus=with_lost(known, found))
            if once:
                return
            wait = min(_WAIT, self._period)
            for _ in range(round(self._period / wait)):
                if not self._ended.is_set():
                    self._listen(session, milliseconds=round(wait * 1000))
            if not whole:
                return

    def _listen(self, session: "Session", milliseconds: int) -> None:
        batch: set[Fault] = set()
        for number in range(_BATCH):
            fault = session.wait(0 if number else milliseconds)
            if fault is None:
                break
            batch.add(fault)
        if batch and self._clock is not None:
            now = self._clock.monotonic()
            with self._lock:
                self._faults |= dict.fromkeys(batch, now)
            self._news()

    def _tell(self, *, gpus: "tuple[Gpu, ...] | None" = None, **why: Any) -> None:
        from device_plugin_agent.sources.nvidia.gpu import Seen

        known = () if self._seen is None else self._seen.gpus
        seen = Seen(gpus=known if gpus is None else gpus, **why)
        if seen != self._seen:
            self._seen = seen
            self._news()
