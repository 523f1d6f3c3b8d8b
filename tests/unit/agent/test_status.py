"""The report."""

import json
import os

import msgspec
from msgspec.structs import replace

from device_plugin_agent.agreement import Agreement
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.registered import Registered
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_agent.status import MAX_BYTES, Offer, node_status
from device_plugin_api.conditions import Condition, find
from device_plugin_api.node import MAX_LISTED_DEVICES, Holder, NodeStatus
from device_plugin_api.resource import Health


def offer(
    count: int = 1,
    *,
    registration: Registered | None = None,
    draining: bool = False,
    preview: bool = False,
    name: str = "example.com/a",
) -> Offer:
    inventory = Inventory(Health())
    found = tuple(Candidate(id=f"d{number:04}", path=f"/dev/d{number}") for number in range(count))
    inventory.observe(Discovery(candidates=found, steps=()), now=1e9, monotonic=0)
    return Offer(
        name=name,
        inventory=inventory,
        registration=registration or Registered(now=True, message="", at=1e9),
        draining=draining,
        preview=preview,
        cdi=False,
    )


def status(
    *offers: Offer,
    rejection: str | None = None,
    known: tuple[Condition, ...] = (),
    agreement: Agreement | None = None,
    withheld: dict[str, str] | None = None,
    now: float = 2e9,
) -> NodeStatus:
    return node_status(
        offers,
        (),
        agreement or Agreement(),
        withheld=withheld or {},
        revision="r",
        rejection=rejection,
        agent_version="1",
        known=known,
        now=now,
    )


def test_the_same_facts_make_the_same_status_at_another_time() -> None:
    first = status(offer())
    assert status(offer(), known=first.conditions, now=3e9) == first


def test_whether_the_kubelet_agrees_is_told_once_it_was_asked() -> None:
    agreement = Agreement()
    assert find(status(offer(), agreement=agreement).conditions, "KubeletAgrees") is None
    for now in (0.0, 100.0):
        agreement.compare({"example.com/a": frozenset({"d0000"})}, {}, monotonic=now)
    told = find(status(offer(), agreement=agreement).conditions, "KubeletAgrees")
    assert told is not None
    assert (told.status, told.reason) == ("False", "Disagrees")
    assert told.message == "example.com/a: the kubelet has 0 of 1, misses d0000"


def test_a_resource_that_is_not_registered_is_named_with_the_kubelets_words() -> None:
    registered = find(
        status(offer(registration=Registered(message="the kubelet refused it: no"))).conditions, "Registered"
    )
    assert registered is not None
    assert (registered.status, registered.reason) == ("False", "NotRegistered")
    assert registered.message == "example.com/a: the kubelet refused it: no"


def test_a_cdi_spec_that_could_not_be_written_is_told() -> None:
    made = replace(offer(), cdi=True, cdi_trouble="/var/run/cdi/x.json: No space left on device")
    registered = find(status(made).conditions, "Registered")
    assert registered is not None
    assert (registered.status, registered.reason) == ("False", "CDISpecNotWritten")
    assert "No space left on device" in registered.message


def test_a_draining_resource_does_not_need_to_be_registered() -> None:
    registered = find(status(offer(registration=Registered(), draining=True)).conditions, "Registered")
    assert registered is not None
    assert registered.status == "True"


def test_in_preview_nothing_has_to_be_registered_and_the_status_says_that_nothing_is() -> None:
    made = status(offer(registration=Registered(), preview=True), offer(name="example.com/b", draining=True))
    registered = find(made.conditions, "Registered")
    assert registered is not None
    assert (registered.status, registered.reason) == ("False", "Preview")
    assert [(each.registered, each.message) for each in made.resources] == [
        (False, "not to be registered: the mode is Preview"),
        (True, ""),
    ]


def test_a_name_that_another_config_has_is_told_with_the_config() -> None:
    registered = find(status(offer(), withheld={"example.com/b": "others"}).conditions, "Registered")
    assert registered is not None
    assert (registered.status, registered.reason) == ("False", "ResourceNameConflict")
    assert registered.message == "example.com/b belongs to config others on this node"


def test_a_rejected_configuration_says_that_the_last_one_goes_on() -> None:
    accepted = find(status(offer(), rejection="example.com/a: no such source").conditions, "ConfigAccepted")
    assert accepted is not None
    assert (accepted.status, accepted.reason) == ("False", "ConfigRejected")
    assert accepted.message == "example.com/a: no such source; the last accepted configuration goes on"


def test_counts_are_exact_and_troubled_and_used_devices_are_listed_first_when_there_are_too_many() -> None:
    many = offer(MAX_LISTED_DEVICES + 100)
    holder = Holder(namespace="n", pod="p", container="c")
    many.inventory.use({"d0599": (holder,)}, now=1e9, monotonic=1, asked=1)
    present = tuple(Candidate(id=f"d{number:04}") for number in range(MAX_LISTED_DEVICES + 100) if number != 555)
    many.inventory.observe(Discovery(candidates=present, steps=()), now=1e9, monotonic=2)
    resource = status(many).resources[0]
    assert resource.counts.total == MAX_LISTED_DEVICES + 100
    assert resource.counts.allocated == resource.counts.unhealthy == 1
    assert len(resource.devices) == MAX_LISTED_DEVICES
    assert resource.devices_truncated
    listed = {device.id for device in resource.devices}
    assert {"d0599", "d0555"} <= listed
    assert [device.id for device in resource.devices] == sorted(listed)


def test_what_a_host_calls_things_never_makes_a_status_that_cannot_be_written() -> None:
    inventory = Inventory(Health())
    device = Candidate(id="d0", attributes={"name": os.fsdecode(b"eth\xff")}, failure=os.fsdecode(b"is \xfe"))
    inventory.observe(Discovery(candidates=(device,), steps=()), now=1e9, monotonic=0)
    (told,) = status(replace(offer(), inventory=inventory)).resources[0].devices
    assert json.loads(msgspec.json.encode(told))["attributes"] == {"name": "eth?"}


def test_a_node_with_very_much_to_tell_tells_what_the_api_server_takes_and_counts_all() -> None:
    offers = [offer(600, name=f"example.com/r{number}") for number in range(16)]
    for each in offers:
        holders = tuple(Holder(namespace="n" * 63, pod=f"{'p' * 60}-{number}", container="c") for number in range(8))
        use = dict.fromkeys(each.inventory.entries, holders)
        each.inventory.use(use, now=1e9, monotonic=0, asked=0)
    told = status(*offers)
    assert len(msgspec.json.encode(told)) <= MAX_BYTES
    assert {len(resource.devices) for resource in told.resources} == {31}
    assert all(resource.devices_truncated and resource.counts.allocated == 600 for resource in told.resources)
