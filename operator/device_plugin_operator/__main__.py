"""`device-plugin-operator`: settings, a client, the operator, and an honest exit code."""

import asyncio
import logging
import os
import sys

from device_plugin_operator import access, logs
from device_plugin_operator.client import Client
from device_plugin_operator.metrics import Metrics
from device_plugin_operator.runtime import Failed, Operator
from device_plugin_operator.settings import Settings, parse

_log = logging.getLogger("device_plugin_operator")


async def run(settings: Settings) -> int:
    """The exit code: 0 after a wished end, 1 otherwise."""
    metrics = Metrics()
    try:
        found = await access.find(settings.kubeconfig, os.environ)
    except access.NoAccess as error:
        _log.error("Found no way to the API server: run in a pod, or give --kubeconfig", extra={"err": str(error)})
        return 1
    client = Client(found, on_answer=metrics.answered)
    operator = Operator(settings, client, metrics=metrics)
    operator.handle_signals()
    _log.info("Starting", extra={"agents_namespace": settings.agents_namespace, "agent_image": settings.agent_image})
    try:
        await operator.run()
    except Failed as error:
        # Kopf stops at what it cannot handle. Starting anew costs a second and begins from what is, so we let it.
        _log.error("Ending, to be started anew", extra={"err": str(error)})
        return 1
    finally:
        await client.close()
    _log.info("Stopped")
    return 0


def main() -> None:
    """Run until told to stop."""
    settings = parse(sys.argv[1:])
    logs.set_up(settings.log_level)
    sys.exit(asyncio.run(run(settings)))


if __name__ == "__main__":
    main()
