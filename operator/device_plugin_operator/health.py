"""What the kubelet's probes ask over HTTP. Metrics will join them here."""

from collections.abc import Callable

from aiohttp import web

Answer = tuple[bool, str]


async def serve(port: int, answers: dict[str, Callable[[], Answer]]) -> tuple[web.AppRunner, int]:
    """Start to answer these paths; port 0 takes any. Says which port it is."""

    def handler(ask: Callable[[], Answer]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            good, text = ask()
            return web.Response(status=200 if good else 503, text=f"{text}\n")

        return handle

    application = web.Application()
    application.add_routes([web.get(path, handler(ask)) for path, ask in answers.items()])  # type: ignore[arg-type]
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, port=port)
    await site.start()
    return runner, runner.addresses[0][1]
