"""What a scrape of the operator says of its queue and its workers."""

import asyncio

from device_plugin_api.conditions import Condition
from device_plugin_api.config import ConfigStatus, DeviceCounts, NodeCounts, ResourceSummary
from device_plugin_operator.census import Census
from device_plugin_operator.client import Unreachable
from device_plugin_operator.controller import Controller
from device_plugin_operator.metrics import Metrics
from device_plugin_operator.queue import Request, Result, WorkQueue


class SetClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Script:
    """A reconciler that does as each name says."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self.seen = asyncio.Event()

    async def reconcile(self, request: Request) -> Result:
        self._clock.time += 2
        if request.name == "last":
            self.seen.set()
        if request.name == "unreachable":
            raise Unreachable("gone")
        if request.name == "mistake":
            raise KeyError("oops")
        return Result(600.0 if request.name == "later" else None)


def value(metrics: Metrics, metric: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(metric, labels)


async def test_looks_are_counted_by_how_they_ended() -> None:
    clock, metrics = SetClock(), Metrics()
    queue = WorkQueue(clock, lambda: 0.0, metrics, first=60)
    script = Script(clock)
    worker = asyncio.create_task(Controller(queue, script, metrics).work())
    for name in ("good", "later", "unreachable", "mistake", "last"):
        queue.add(Request(name))
    await script.seen.wait()
    worker.cancel()
    name, controller = "devicepluginconfig", "devicepluginconfig"
    total = "controller_runtime_reconcile_total"
    assert value(metrics, total, controller=controller, result="success") == 2
    assert value(metrics, total, controller=controller, result="requeue_after") == 1
    assert value(metrics, total, controller=controller, result="error") == 2
    assert value(metrics, "controller_runtime_reconcile_panics_total", controller=controller) == 1
    assert value(metrics, "workqueue_retries_total", name=name) == 2
    assert value(metrics, "workqueue_work_duration_seconds_sum", name=name) == 5 * 2
    assert value(metrics, "workqueue_queue_duration_seconds_sum", name=name) == 0 + 2 + 4 + 6 + 8


async def test_a_key_that_is_due_later_is_not_in_the_depth_and_one_at_work_is_unfinished() -> None:
    clock, metrics = SetClock(), Metrics()
    queue = WorkQueue(clock, lambda: 0.0, metrics)
    metrics.registry.register(Census(queue=queue, leads=lambda: False, statuses=dict))
    queue.add(Request("a"))
    queue.add(Request("b"))
    queue.add(Request("c"), 60.0)
    await queue.get()
    clock.time += 3
    assert value(metrics, "workqueue_depth", name="devicepluginconfig") == 1
    assert value(metrics, "workqueue_longest_running_processor_seconds", name="devicepluginconfig") == 3
    assert value(metrics, "leader_election_master_status", name="device-plugin-operator") == 0


def test_a_config_is_told_as_its_status_says() -> None:
    metrics = Metrics()
    queue = WorkQueue(SetClock(), lambda: 0.0, metrics)
    devices = DeviceCounts(total=5, healthy=3, unhealthy=2, allocated=1)
    condition = Condition(type="Ready", status="False", reason="Starting", message="", last_transition_time="")
    status = ConfigStatus(
        nodes=NodeCounts(desired=4, ready=3, updated=2),
        resources=(ResourceSummary(name="example.com/a", nodes=1, devices=devices),),
        conditions=(condition,),
    )
    metrics.registry.register(Census(queue=queue, leads=lambda: True, statuses=lambda: {"cameras": status}))
    about = {"config": "cameras", "resource": "example.com/a"}
    assert value(metrics, "device_plugin_config_devices", **about, state="unhealthy") == 2
    assert value(metrics, "device_plugin_config_devices_allocated", **about) == 1
    assert value(metrics, "device_plugin_config_nodes", config="cameras", state="desired") == 4
    assert value(metrics, "device_plugin_config_condition", config="cameras", condition="Ready", reason="Starting") == 0


def test_a_request_without_an_answer_is_counted_as_an_error() -> None:
    metrics = Metrics()
    metrics.answered("GET", "/x", 0)
    metrics.answered("GET", "/y", 200)
    assert value(metrics, "rest_client_requests_total", code="<error>", method="GET") == 1
    assert value(metrics, "rest_client_requests_total", code="200", method="GET") == 1
