"""Groups: from their members' nodes to what the kubelet and containers get."""

from contract.agent_bench import Bench, resource, spec
from device_plugin_api.resource import Health, Resource
from device_plugin_api.sources import GroupMember, GroupsSource, PathsSource, Source
from kubelet_double.pods import Pod

RIG = "example.com/rig"


def member(name: str, include: str, *, optional: bool = False) -> GroupMember:
    return GroupMember(name=name, optional=optional, paths=PathsSource(include=(include,)))


def rigs(*members: GroupMember) -> Resource:
    source = Source(groups=GroupsSource(members=members, pair_by="Number"))
    return Resource(name=RIG, source=source, health=Health(success_threshold=1))


async def test_a_group_that_loses_a_member_is_told_with_its_name_and_is_good_again_with_it(bench: Bench) -> None:
    bench.plug("video0", "other0")
    bench.api.put(spec(rigs(member("camera", "/dev/video*"), member("light", "/dev/other*"))))
    async with bench.agent():
        await bench.offers(1, 1, RIG)
        bench.pull("other0")
        await bench.offers(0, 1, RIG)
        await bench.until(lambda: set(bench.states(RIG).values()) == {"GroupIncomplete"})
        (device,) = bench.resource_status(RIG).devices
        assert device.message == "/dev/video0: light missing"
        bench.plug("other0")
        await bench.offers(1, 1, RIG)


async def test_a_container_gets_every_node_of_its_group_and_learns_which_is_which(bench: Bench) -> None:
    bench.plug("video0", "other0")
    bench.api.put(spec(rigs(member("camera", "/dev/video*"), member("light", "/dev/other*", optional=True))))
    async with bench.agent():
        await bench.offers(1, 1, RIG)
        pod = Pod("p")
        await bench.kubelet.admit(pod, "c", {RIG: 1})
        given = await bench.kubelet.start_container(pod, "c")
        assert sorted(given.devices) == ["/dev/other0", "/dev/video0"]
        paths = {"RIG_PATH": "/dev/video0", "RIG_CAMERA_PATH": "/dev/video0", "RIG_LIGHT_PATH": "/dev/other0"}
        assert given.envs.items() >= paths.items()


async def test_an_incomplete_group_leaves_its_members_to_other_resources(bench: Bench) -> None:
    bench.plug("video0", "video1", "other0")
    cameras = resource(health=Health(success_threshold=1))
    bench.api.put(spec(rigs(member("camera", "/dev/video*"), member("light", "/dev/other*")), cameras))
    async with bench.agent():
        await bench.offers(1, 1, RIG)
        await bench.offers(1, 1)
        assert bench.states() == {"video1": "Works"}
        steps = bench.resource_status(RIG).candidates
        assert [(step.step, step.kept) for step in steps][-2:] == [("groups", 2), ("complete", 1)]
        assert "light missing" in steps[-1].dropped[0]
