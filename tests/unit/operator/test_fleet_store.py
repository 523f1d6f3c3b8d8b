"""The store of the fleet: complete after the first list, deaf to late news, telling each config of its changes."""

from typing import cast

import msgspec
from msgspec.structs import replace

from device_plugin_api.node import WithheldResource
from device_plugin_operator.client import Client
from device_plugin_operator.facts import NO_RIVALS, NodeObject
from device_plugin_operator.fleet import Fleet, Store
from operator_fixture import RESOURCE, SETTINGS, node, pod


def filled(*items: NodeObject) -> tuple[Store[NodeObject], list[str]]:
    told: list[str] = []
    store: Store[NodeObject] = Store(told.append)
    store.replace(list(items))
    return store, told


def test_it_is_complete_only_after_a_whole_list() -> None:
    store: Store[NodeObject] = Store(lambda _: None)
    store.put(node("a"))
    assert not store.complete
    store.replace([])
    assert store.complete
    assert len(store) == 0


def test_a_second_list_tells_only_of_what_has_changed() -> None:
    store, told = filled(node("a"), node("b", config="others"), node("c", config="gone"))
    assert told == ["cameras", "gone", "others"]
    told.clear()
    store.replace([node("a", version=2), node("b", config="others")])
    assert told == ["cameras", "gone"]
    assert not store.nodes("gone")


def test_late_news_of_what_we_wrote_ourselves_changes_nothing() -> None:
    store, told = filled(node("a", version=5))
    told.clear()
    store.put(node("a", version=4, revision="old"))
    store.put(node("a", version=5))
    assert told == []
    store.put(node("a", version=6, revision="new"))
    assert told == ["cameras"]
    assert [found.revision for found in store.on("cameras", "a")] == ["new"]


def test_a_list_that_began_before_a_write_of_ours_does_not_undo_it() -> None:
    store, told = filled(node("a", version=5))
    store.put(node("a", version=9, revision="new"))
    told.clear()
    store.replace([node("a", version=5)])
    assert told == []
    assert [found.revision for found in store.on("cameras", "a")] == ["new"]
    store.replace([node("a", version=3, uid="successor")])
    assert [found.uid for found in store.on("cameras", "a")] == ["successor"]


def test_the_end_of_an_earlier_object_does_not_remove_its_successor() -> None:
    store, _ = filled(node("a"))
    store.put(node("a", uid="successor", version=2))
    store.drop("cameras.a", "ndp-a")
    assert [found.uid for found in store.on("cameras", "a")] == ["successor"]
    store.drop("cameras.a", "successor")
    assert not store.nodes("cameras")


def test_it_tells_once_on_which_nodes_something_has_changed() -> None:
    store, _ = filled(node("a"), node("b"), node("c", config="others"))
    assert store.touched("cameras") == {"a", "b"}
    assert store.touched("cameras") == set()
    store.put(node("a", version=2))
    store.drop("cameras.b", "ndp-b")
    store.put(node("a", version=1))
    assert store.touched("cameras") == {"a", "b"}
    store.replace([node("a", version=2), node("d")])
    assert store.touched("cameras") == {"d"}
    assert store.touched("others") == {"c"}


def test_two_of_one_node_are_told_in_the_order_of_their_names() -> None:
    store, _ = filled(msgspec.structs.replace(node("a"), name="z", uid="z"), node("a"))
    assert [found.name for found in store.on("cameras", "a")] == ["cameras.a", "z"]
    store.drop("cameras.a", "ndp-a")
    assert [found.name for found in store.on("cameras", "a")] == ["z"]


def test_a_config_is_told_when_another_ones_object_or_pod_may_free_a_name_on_its_node() -> None:
    told: list[str] = []
    fleet = Fleet(cast("Client", None), SETTINGS, told.append, lambda: 0.0)
    rival = {"name": "others", "uid": "others", "config": "others"}
    fleet.nodes.put(node("a"))
    fleet.nodes.put(node("b"))
    fleet.touched("cameras")

    def concerned() -> set[str]:
        return {"cameras"} & set(told) and set(fleet.touched("cameras"))

    told.clear()
    fleet.nodes.put(replace(node("a"), **rival, resources=("example.com/another",), offers=()))
    assert concerned() == set(), "another name"
    fleet.nodes.put(replace(node("a"), **rival, version=2))
    assert concerned() == {"a"}
    assert [found.config for found in fleet.rivals("cameras", "a").objects] == ["others"]
    assert fleet.rivals("cameras", "b") == NO_RIVALS
    fleet.pods.put(pod("b", name="waits", config="others", bound=False))
    assert fleet.rivals("cameras", "b") == NO_RIVALS, "a pod that was never bound holds nothing"
    fleet.nodes.drop("others", "others")
    assert concerned() == {"a"}
    withheld = (WithheldResource(name=RESOURCE, config="others", since=""),)
    fleet.nodes.put(replace(node("a"), version=3, withheld=withheld))
    fleet.pods.put(replace(pod("a"), **rival))
    concerned()
    told.clear()
    fleet.pods.drop("others", "others")
    assert concerned() == {"a"}


def test_a_node_takes_little_memory() -> None:
    assert len(msgspec.json.encode(node("a"))) < 900
