"""The agent's process."""

import asyncio
import logging
import random
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from lightkube import AsyncClient

from device_plugin_agent import __version__, logs, record, settings, standalone
from device_plugin_agent.agent import Agent
from device_plugin_agent.clock import Clock, SystemClock
from device_plugin_agent.node_api import FIELD_MANAGER, NodeApi
from device_plugin_api.names import node_device_plugin_name
from device_plugin_api.node import NodeSpec

_log = logging.getLogger("device_plugin_agent")


def main() -> None:
    """Run until SIGTERM or SIGINT; any loop that fails ends the process with an error."""
    if sys.argv[1:2] in (["record"], ["replay"]):
        record.main(sys.argv[1:])
        return
    given = settings.parse(sys.argv[1:])
    clock = SystemClock()
    try:
        spec = standalone.load(given.config, given, clock) if given.config is not None else None
        if spec is not None and given.dry_run:
            sys.stdout.writelines(f"{line}\n" for line in standalone.dry_run(spec, given.host, clock))
            return
        logs.set_up(given.log_level)
        _log.info("Starting", extra={"version": __version__, "config": given.config_name, "node": given.node_name})
        asyncio.run(_run(given, clock, spec))
    except standalone.BadFile as error:
        sys.exit(f"device-plugin-agent: {error}")
    _log.info("Stopped")


async def _run(given: settings.Settings, clock: Clock, spec: NodeSpec | None) -> None:
    agent = Agent(given, clock=clock, jitter=random.random)
    if spec is not None:
        await _until_told(agent.run(None, spec))
        return
    client = AsyncClient(field_manager=FIELD_MANAGER)
    try:
        name = node_device_plugin_name(given.config_name, given.node_name)
        await _until_told(agent.run(NodeApi(client, name)))
    finally:
        await client.close()


async def _until_told(running: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(running)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


if __name__ == "__main__":
    main()
