"""However much happens to a config, it gets a handful of Events."""

import json
from dataclasses import replace

from device_plugin_operator.client import JSON, ApiError
from device_plugin_operator.events import Budget, Recorder
from device_plugin_operator.plan.events import Event
from operator_fixture import config

STORM = 5000


class SetClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Posted:
    """Takes what is posted, or refuses it."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.bodies: list[dict[str, object]] = []
        self._refuses = refuses

    async def request(
        self, method: str, path: str, *, params: object = None, body: object = None, content_type: str = JSON
    ) -> bytes:
        self.bodies.append(json.loads(json.dumps(body)))
        if self._refuses:
            raise ApiError(500, "InternalError", "etcd is away")
        return b"{}"


def event(number: int) -> Event:
    return Event(type="Warning", reason="SomeUnhealthy", message=f"device {number}")


async def test_a_storm_is_a_handful_of_events_and_the_first_of_them() -> None:
    posted = Posted()
    recorder = Recorder(posted, SetClock(), "operator-1")
    for number in range(STORM):
        await recorder.post(config(), [event(number)])
    assert [body["note"] for body in posted.bodies] == [f"device {number}" for number in range(10)]
    names = {json.dumps(body["metadata"]) for body in posted.bodies}
    assert len(names) == len(posted.bodies)


async def test_each_config_has_a_budget_of_its_own() -> None:
    posted = Posted()
    recorder = Recorder(posted, SetClock(), "operator-1")
    for number in range(STORM):
        await recorder.post(config(), [event(number)])
    quiet = replace(config(), name="quiet")
    await recorder.post(quiet, [event(0)])
    assert posted.bodies[-1]["regarding"] == {
        "apiVersion": "deviceplugins.dev/v1alpha1",
        "kind": "DevicePluginConfig",
        "name": "quiet",
        "uid": quiet.uid,
    }


async def test_an_event_that_is_refused_fails_nothing() -> None:
    posted = Posted(refuses=True)
    await Recorder(posted, SetClock(), "operator-1").post(config(), [event(0), event(1)])
    assert len(posted.bodies) == 2


def test_a_spent_budget_comes_back_one_by_one() -> None:
    budget = Budget(0.0)
    assert sum(budget.take(0.0) for _ in range(STORM)) == 10
    assert not budget.take(29.0)
    assert budget.take(30.0)
    assert not budget.take(31.0)
    assert sum(budget.take(86_400.0) for _ in range(STORM)) == 10


async def test_a_note_in_any_script_is_as_long_as_the_api_server_takes() -> None:
    posted = Posted()
    recorder = Recorder(posted, SetClock(), "operator-1")
    await recorder.post(config(), [Event(type="Normal", reason="Preview", message="x" + "目" * 1000)])
    (body,) = posted.bodies
    note = str(body["note"])
    assert 1000 < len(note.encode()) <= 1024
    assert set(note) <= {"x", "目", "…"}
