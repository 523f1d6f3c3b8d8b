"""The agent's process."""

import asyncio
import logging
import random
import signal
import sys

from lightkube import AsyncClient

from device_plugin_agent import __version__, logs, settings
from device_plugin_agent.agent import Agent
from device_plugin_agent.clock import SystemClock
from device_plugin_agent.node_api import FIELD_MANAGER, NodeApi
from device_plugin_api.names import node_device_plugin_name

_log = logging.getLogger("device_plugin_agent")


def main() -> None:
    """Run until SIGTERM or SIGINT; any loop that fails ends the process with an error."""
    given = settings.parse(sys.argv[1:])
    logs.set_up(given.log_level)
    _log.info("Starting", extra={"version": __version__, "config": given.config_name, "node": given.node_name})
    asyncio.run(_run(given))
    _log.info("Stopped")


async def _run(given: settings.Settings) -> None:
    loop = asyncio.get_running_loop()
    client = AsyncClient(field_manager=FIELD_MANAGER)
    api = NodeApi(client, node_device_plugin_name(given.config_name, given.node_name))
    agent = Agent(given, clock=SystemClock(), jitter=random.random)
    running = loop.create_task(agent.run(api))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        pass
    finally:
        await client.close()


if __name__ == "__main__":
    main()
