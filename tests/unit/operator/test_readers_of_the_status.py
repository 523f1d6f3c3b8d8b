"""What kubectl wait, kstatus and Argo CD make of each row of the truth table, by their published rules.

kstatus: pkg/kstatus/status in kubernetes-sigs/cli-utils, for kinds that it does not know. kubectl: pkg/cmd/wait.
Argo CD runs the Lua of docs/gitops.md; its interpreter speaks Lua 5.1.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from lupa import lua51

from device_plugin_api import conditions
from device_plugin_operator.facts import Snapshot
from device_plugin_operator.plan import status
from operator_fixture import NOW, config
from operator_fixture.truth_table import ROWS

Json = dict[str, Any]

PAGE = Path(__file__).parents[3] / "docs/gitops.md"

FINE, WAITS, PAUSED, TROUBLED, FAILED = range(5)
MEANING = {
    "InvalidSpec": FAILED,
    "ResourceNameConflict": FAILED,
    "ConfigRejected": FAILED,
    "RolloutPaused": PAUSED,
    "AgentsUnavailable": TROUBLED,
    "RolloutInProgress": WAITS,
    "Starting": WAITS,
    "KubeletDisagrees": TROUBLED,
    "Preview": FINE,
    "SomeUnhealthy": FINE,
    "NoMatchingNodes": FINE,
    "NoDevicesFound": FINE,
    "AllNodesReady": FINE,
}
KSTATUS = {FINE: "Current", WAITS: "InProgress", PAUSED: "InProgress", TROUBLED: "InProgress", FAILED: "Failed"}
ARGO_CD = {FINE: "Healthy", WAITS: "Progressing", PAUSED: "Suspended", TROUBLED: "Degraded", FAILED: "Degraded"}


def kstatus(item: Json) -> str:
    """In the order of kstatus' own checks."""
    if "deletionTimestamp" in item["metadata"]:
        return "Terminating"
    told = item.get("status", {})
    if told.get("observedGeneration", item["metadata"]["generation"]) != item["metadata"]["generation"]:
        return "InProgress"
    found = {each["type"]: each["status"] for each in told.get("conditions", [])}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    if "Ready" in found:
        return "Current" if found["Ready"] == "True" else "InProgress"
    return "Current"


def kubectl_waits(item: Json) -> bool:
    """Whether `kubectl wait --for=condition=Ready` waits on."""
    for each in item.get("status", {}).get("conditions", []):
        if each["type"] == "Ready":
            observed = each.get("observedGeneration", item["status"].get("observedGeneration"))
            stale = observed is not None and observed < item["metadata"]["generation"]
            return bool(stale or each["status"] != "True")
    return True


def argo_cd(item: Json) -> tuple[str, str]:
    """Status and message by the rule on the page."""
    text = PAGE.read_text()
    config_map = yaml.safe_load(text[text.index("apiVersion: v1") : text.rindex("```")])
    (rule,) = config_map["data"].values()
    runtime = lua51.LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    runtime.globals().obj = runtime.table_from(item, recursive=True)
    health = runtime.execute(rule)
    return str(health["status"]), str(health["message"])


def seen(snapshot: Snapshot, *, generation: int = 2) -> Json:
    made = msgspec.to_builtins(status.status(snapshot, "agents"))
    return {"metadata": {"name": "cameras", "generation": generation}, "status": made}


@pytest.mark.parametrize(("snapshot", "reason", "holds"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_row_means_to_them_what_the_page_says(snapshot: Snapshot, reason: str, holds: str) -> None:
    item = seen(snapshot)
    meaning = FAILED if holds[3] == "T" else MEANING[reason]
    told, message = argo_cd(item)
    assert (kstatus(item), told, kubectl_waits(item)) == (KSTATUS[meaning], ARGO_CD[meaning], meaning != FINE)
    assert message.startswith(f"{reason}: ")


@pytest.mark.parametrize("snapshot", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_about_an_older_generation_is_waited_for(snapshot: Snapshot) -> None:
    item = seen(snapshot, generation=3)
    assert (kstatus(item), argo_cd(item)[0], kubectl_waits(item)) == ("InProgress", "Progressing", True)


def test_the_first_status_is_waited_for_and_so_is_none_by_those_that_know_the_kind() -> None:
    first = {"metadata": {"generation": 2}, "status": msgspec.to_builtins(status.first(config(), NOW))}
    assert (kstatus(first), argo_cd(first)[0], kubectl_waits(first)) == ("InProgress", "Progressing", True)
    empty: Json = {"metadata": {"generation": 1}}
    assert (argo_cd(empty)[0], kubectl_waits(empty)) == ("Progressing", True)


def test_one_that_is_being_deleted_is_terminating() -> None:
    item = seen(ROWS[-1][1])
    item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kstatus(item) == "Terminating"


@pytest.mark.parametrize("holds", ["True", "False"])
def test_a_node_object_is_waited_for_by_nobody(holds: str) -> None:
    types = (conditions.REGISTERED, conditions.CONFIG_ACCEPTED, conditions.KUBELET_AGREES)
    told = {"conditions": [{"type": each, "status": holds} for each in types]}
    assert kstatus({"metadata": {"generation": 3}, "status": told}) == "Current"


def test_the_page_has_each_reason_in_the_row_of_its_meaning() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")][2:-1]
    for _, reasons, kubectl, by_kstatus, by_argo_cd, _ in rows:
        for reason in reasons.split(", "):
            name, _, more = reason.strip().partition(" ")
            meaning = FAILED if more == "by a regression" else MEANING[name]
            assert by_kstatus.strip() == KSTATUS[meaning], name
            assert by_argo_cd.strip() == ARGO_CD[meaning], name
            assert kubectl.strip() == ("met" if meaning == FINE else "waits"), name
    assert {reason.strip().split(" ")[0] for row in rows for reason in row[1].split(", ")} == MEANING.keys()
