"""What the operator and the agents ask of the API server, as it records that itself: hack/audit-policy.yaml."""

from datetime import UTC, datetime

from apiserver_fixture import client
from apiserver_fixture.audit import events
from e2e_bed.cluster import CONTROL_PLANE, Json, on_node


class Audit:
    """From now on. The nodes' clock is this machine's."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def asked(self) -> list[Json]:
        """Each request, but those that tests made with an agent's token."""
        return [
            event
            # The older part of a long log lies beside it, with its date in its name.
            for event in events(on_node(CONTROL_PLANE, "cat /var/log/kubernetes/audit*.log"))
            if event["requestReceivedTimestamp"] >= self._since and event.get("userAgent") != client.USER_AGENT
        ]
