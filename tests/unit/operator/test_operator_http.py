"""What probes and scrapes get."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from device_plugin_operator import health
from device_plugin_operator.metrics import Metrics


class Parts:
    """What is asked, and what it says."""

    def __init__(self) -> None:
        self.ready = (False, "the first list is not complete")
        self.url = ""

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()


@pytest_asyncio.fixture
async def parts() -> AsyncIterator[Parts]:
    made = Parts()
    answers = {"/healthz": lambda: (True, "alive"), "/readyz": lambda: made.ready}
    runner, port = await health.serve(0, answers, Metrics().registry)
    made.url = f"http://127.0.0.1:{port}"
    yield made
    await runner.cleanup()


async def test_an_operator_that_is_not_ready_lives_and_says_what_it_waits_for(parts: Parts) -> None:
    assert await parts.get("/healthz") == (200, "alive\n")
    assert await parts.get("/readyz") == (503, "the first list is not complete\n")
    parts.ready = (True, "watching")
    assert await parts.get("/readyz") == (200, "watching\n")


async def test_a_scrape_gets_the_metrics_and_any_other_path_nothing(parts: Parts) -> None:
    status, text = await parts.get("/metrics")
    assert status == 200
    assert 'controller_runtime_reconcile_total{controller="devicepluginconfig",result="success"} 0.0' in text
    assert (await parts.get("/debug"))[0] == 404
