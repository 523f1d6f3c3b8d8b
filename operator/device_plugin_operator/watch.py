"""Events of configs and DaemonSets in, keys out. The only file that knows kopf, and all that kopf does for us.

Kopf's other handlers keep their state in annotations and finalizers of the objects: none of them is used.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
from kopf._cogs.structs.references import Insights  # a parameter's type that kopf does not export

from device_plugin_api import group, names
from device_plugin_operator.access import Access
from device_plugin_operator.plan.daemonset import AGENT

PATIENCE: Sequence[float] = (1, 1, 2, 3, *([5] * 120))
"""Seconds between kopf's attempts at one request: it waits ten minutes, through an upgrade of the control plane too.

Only then the process ends and is started anew.
"""

_TOKEN_LIFE = timedelta(minutes=1)
"""Kubelets write a new token into the pod long before the old one ends; it is read as often as our own client does."""


class NotServed(Exception):
    """The API server did not name a kind, as one of several that has not heard of a new CRD: kopf asks only once."""


class _FirstFailure(logging.Handler):
    """Kopf ends with the error of any of its tasks, most often one that only came of its end; its log has the first."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of the record, if it is the first."""
        if self.error is None and record.exc_info is not None:
            self.error = record.exc_info[1]


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True  # it would watch all CRDs and namespaces
    settings.posting.enabled = False
    # Cut before its first bookmark, a streamed list loses the objects behind the cut for good (measured).
    settings.watching.initial_streaming = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 270
    settings.watching.label_selectors["apps", "daemonsets"] = f"app.kubernetes.io/name={AGENT}"
    settings.networking.error_backoffs = PATIENCE
    return settings


async def watch(
    access: Access, agents_namespace: str, changed: Callable[[str], None], *, stop: asyncio.Event, ready: asyncio.Event
) -> None:
    """Call `changed` with the name of each config that something has happened to, until `stop`. Raises when it fails.

    When it ends, kopf cancels all tasks that were made after its start: make your own before.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        scheme, token = (await access.authorization()).partition(" ")[::2]
        bearer = scheme == "Bearer"
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=access.ca_path,
            certificate_path=access.certificate_path,
            private_key_path=access.private_key_path,
            scheme=scheme if bearer else None,
            token=token if bearer else None,
            insecure=access.insecure,
            trust_env=True,
            expiration=datetime.now(UTC) + _TOKEN_LIFE if bearer else None,
        )

    @kopf.on.event(group.GROUP, group.VERSION, group.CONFIG_PLURAL, registry=registry)
    async def config_changed(name: str, **_: Any) -> None:
        changed(name)

    @kopf.on.event("apps", "v1", "daemonsets", registry=registry)
    async def daemonset_changed(name: str, **_: Any) -> None:
        # By its name: a label may be what somebody has just removed.
        if config := names.config_of_daemonset(name):
            changed(config)

    insights, missing = Insights(), set[str]()

    async def find() -> None:
        await insights.ready_resources.wait()
        missing.update({group.CONFIG_PLURAL, "daemonsets"} - {each.plural for each in insights.watched_resources})
        if missing:
            stop.set()

    # Made up by kopf otherwise, from a user name that a container's uid does not have.
    identity: Any = group.GROUP
    first = _FirstFailure()
    logger = logging.getLogger("kopf")
    logger.addHandler(first)
    finding = asyncio.create_task(find(), name="find")
    try:
        await kopf.operator(
            registry=registry,
            identity=identity,
            settings=_settings(),
            standalone=True,
            namespaces=[agents_namespace],
            insights=insights,
            stop_flag=stop,
            ready_flag=ready,
        )
    except Exception as error:
        raise first.error or error from None
    finally:
        finding.cancel()
        logger.removeHandler(first)
    if missing:
        raise NotServed(f"the API server did not name {', '.join(sorted(missing))}")
