"""What operator and agents asked of the API server while all tests of this rung ran, against their roles: equal."""

from pathlib import Path

import pytest

from apiserver_fixture.audit import AGENT_USER, OPERATOR_USER, Permission, difference
from e2e_bed.audit import Audit

pytestmark = [pytest.mark.e2e, pytest.mark.last]

RARE = frozenset(
    {
        # The Lease is made once in a cluster's life, by whoever leads there first.
        Permission("device-plugin-system", "coordination.k8s.io", "leases", "create"),
        # A DaemonSet of a config's former life, which the garbage collector has not removed yet when the next is made.
        Permission("device-plugin-agents", "apps", "daemonsets", "delete"),
    }
)
"""Granted, and not sure to be used in a run of this rung; tests/apiserver/test_permissions.py uses all."""


def test_operator_and_agents_used_all_that_they_are_granted_and_nothing_else(
    audit: Audit, request: pytest.FixtureRequest
) -> None:
    files = {item.path for item in request.session.items}
    if files < set(Path(__file__).parent.glob("test_*.py")):
        pytest.skip("part of the rung does part of what the roles are for")
    asked = audit.asked()
    for user in (OPERATOR_USER, AGENT_USER):
        assert difference(asked, user, RARE) == "", user


def test_operator_and_agents_were_refused_nothing(audit: Audit) -> None:
    refused = [event for event in audit.asked() if event["responseStatus"]["code"] in (401, 403)]
    assert [(event["user"]["username"], event["verb"], event["requestURI"]) for event in refused] == []
