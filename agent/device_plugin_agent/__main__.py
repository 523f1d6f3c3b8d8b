"""The agent's process."""

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from device_plugin_agent import logs, settings
from device_plugin_agent.agent import Agent
from device_plugin_agent.api_server import ApiServer
from device_plugin_agent.clock import Clock, SystemClock
from device_plugin_agent.node_api import FIELD_MANAGER, NodeApi
from device_plugin_api import __version__
from device_plugin_api.names import node_device_plugin_name
from device_plugin_api.node import NodeSpec
from device_plugin_api.service_account import NotInCluster, in_cluster

_log = logging.getLogger("device_plugin_agent")


def main() -> None:
    """Run until SIGTERM or SIGINT; any loop that fails ends the process with an error."""
    if sys.argv[1:2] in (["record"], ["replay"]):
        from device_plugin_agent import record

        record.main(sys.argv[1:])
        return
    given = settings.parse(sys.argv[1:])
    clock = SystemClock()
    spec = _from_file(given, given.config, clock) if given.config is not None else None
    if given.dry_run:
        return
    logs.set_up(given.log_level)
    _log.info("Starting", extra={"version": __version__, "config": given.config_name, "node": given.node_name})
    try:
        asyncio.run(_run(given, clock, spec))
    except NotInCluster as error:
        sys.exit(f"device-plugin-agent: {error}; give --config for a machine on its own")
    except Exception:
        # A line like all others: a traceback of its own would be twenty to what collects logs.
        _log.exception("Failed")
        sys.exit(1)
    _log.info("Stopped")


def _from_file(given: settings.Settings, path: Path, clock: Clock) -> NodeSpec | None:
    """The spec of a machine on its own; None after a dry run, which tells what would come of each in the file."""
    # Imported by those who need it alone: what checks a file takes 1 MB.
    from device_plugin_agent import standalone

    try:
        if not given.dry_run:
            return standalone.load(path, given, clock)
        specs = standalone.load_all(path, given, clock)
    except standalone.BadFile as error:
        sys.exit(f"device-plugin-agent: {error}")
    for spec in specs:
        sys.stdout.writelines(f"{line}\n" for line in standalone.dry_run(spec, given.host, clock))
    return None


async def _run(given: settings.Settings, clock: Clock, spec: NodeSpec | None) -> None:
    agent = Agent(given, clock=clock, jitter=random.random)
    if spec is not None:
        await _until_told(agent.run(None, spec))
        return
    async with ApiServer(in_cluster(os.environ), agent=f"{FIELD_MANAGER}/{__version__}") as server:
        name = node_device_plugin_name(given.config_name, given.node_name)
        await _until_told(agent.run(NodeApi(server, name)))


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
