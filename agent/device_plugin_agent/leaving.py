"""What an agent leaves on its node when it ends: everything, but when its config is gone from the node."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from device_plugin_agent.claims.claims import Claims
from device_plugin_agent.desired import LastGood
from device_plugin_agent.node_api import Unavailable
from device_plugin_agent.podresources import Use
from device_plugin_agent.report import describe
from device_plugin_agent.slots import device_of
from device_plugin_agent.supervisor import Supervisor

_LONGEST = 1.2
"""Seconds to find out whether it is: whoever stops a pod waits for this process."""

_log = logging.getLogger(__name__)


class InDoubt(Exception):
    """Whether the config is gone, or who needs what of it, is not known; the text says why."""


async def leave(
    *,
    gone: Callable[[], Awaitable[bool]],
    use: Callable[[], Awaitable[Use | None]],
    supervisor: Supervisor,
    claims: Claims,
    saved: LastGood,
) -> None:
    """End. Of a config that is gone nobody else would remove the files, so what no container needs goes with us.

    `gone` may raise Unavailable; `use` tells who has what now, None when that cannot be learnt. In doubt all stays.
    """
    needed = None
    try:
        needed = await _needed(gone, use, supervisor)
    except InDoubt as doubt:
        _log.info("All that was written on this node stays", extra={"err": str(doubt)})
    if needed is None:
        claims.close(quiet=supervisor.quiet())
        return
    supervisor.withdraw(needed)
    claims.leave({(resource, device_of(slot)) for resource, slots in needed.items() for slot in slots})
    saved.remove()
    _log.info("Removed what nobody needs any more: the config is gone from this node")


async def _needed(
    gone: Callable[[], Awaitable[bool]], use: Callable[[], Awaitable[Use | None]], supervisor: Supervisor
) -> Use | None:
    """What containers have, if the config is gone from this node; raises InDoubt."""
    try:
        async with asyncio.timeout(_LONGEST):
            if not await gone():
                return None
            needed = await use()
    except (TimeoutError, *Unavailable) as error:
        raise InDoubt(describe(error)) from None
    if needed is None:
        raise InDoubt("podresources does not tell who has what")
    if not supervisor.quiet():
        raise InDoubt("what was handed out lately, podresources may not name yet")
    return needed
