"""A resource name that another config has on this node: it is let go of, and taken up when it is free."""

from msgspec.structs import replace

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.conditions import find
from device_plugin_api.node import NodeSpec, WithheldResource
from kubelet_double.pods import Pod

SECOND = "example.com/second"


def without(made: NodeSpec, *names: str) -> NodeSpec:
    withheld = (WithheldResource(name=name, config="others", since="2026-01-01T00:00:00Z") for name in names)
    return replace(made, withheld_resources=tuple(withheld))


def told(bench: Bench) -> str:
    registered = find(bench.api.reported().conditions, "Registered") if bench.api.status else None
    return f"{registered.reason}: {registered.message}" if registered is not None else ""


async def test_a_withheld_resource_is_not_registered_and_the_others_are(bench: Bench) -> None:
    bench.plug("video0", "other0")
    both = spec(resource(), resource(SECOND, "/dev/other*"))
    bench.api.put(without(both, CAMERA))
    async with bench.agent() as agent:
        await bench.offers(1, 1, SECOND)
        await bench.until(
            lambda: told(bench) == f"ResourceNameConflict: {CAMERA} belongs to config others on this node"
        )
        assert [each.name for each in bench.api.reported().resources] == [SECOND]
        assert agent.http.answers["/readyz"]().ok
        assert not any(received.resource == CAMERA for received in bench.kubelet.received)
        bench.api.put(both)
        await bench.offers(1, 1)
        await bench.until(lambda: told(bench).startswith("AllRegistered"))


async def test_one_that_is_served_is_let_go_of_once_no_container_has_it_and_the_saved_copy_knows(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.hand_out(pod, ago=ALLOCATION_GRACE)
        bench.api.put(without(spec(), CAMERA))
        await bench.offers(0, 1)
        assert [each.name for each in bench.api.reported().resources] == [CAMERA], "it still has the name"
        bench.kubelet.delete_pod(pod)
        await bench.offers(0, 0)
        await bench.until(lambda: bench.api.reported().resources == ())
    heard = len(bench.kubelet.received)
    bench.api.down = True
    async with bench.agent() as agent:
        await bench.until(lambda: "/readyz" in agent.http.answers and agent.http.answers["/readyz"]().ok)
    assert len(bench.kubelet.received) == heard
