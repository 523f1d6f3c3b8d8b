"""What the kubelet's probes and Prometheus ask over HTTP."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Answer = tuple[bool, str]


async def serve(
    port: int, answers: dict[str, Callable[[], Answer]], metrics: CollectorRegistry
) -> tuple[web.AppRunner, int]:
    """Start to answer these paths, and /metrics; port 0 takes any. Says which port it is."""

    def handler(ask: Callable[[], Answer]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            good, text = ask()
            return web.Response(status=200 if good else 503, text=f"{text}\n")

        return handle

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    application = web.Application()
    application.add_routes([web.get(path, handler(ask)) for path, ask in answers.items()])  # type: ignore[arg-type]
    application.add_routes([web.get("/metrics", scrape)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, port=port)
    await site.start()
    # Any port is another one for IPv4 (address and port) than for IPv6 (two more members): the former is told.
    return runner, min(runner.addresses, key=len)[1]
