"""Which configs are gone from this node for good, so that what they owned passes on."""

from collections.abc import Collection

from device_plugin_agent.claims.ledger import Claimant, Named
from device_plugin_agent.entry import ALLOCATION_GRACE


class Departures:
    """Since when a config has neither an agent on this node nor an object that names it. Pure but for its memory.

    Its devices pass on only after podresources has been heard after that, and long enough unless its agent ended
    quietly: the last container it gave a device to is named there once the kubelet has admitted its pod.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._heard: tuple[float, frozenset[Named]] | None = None

    def heard(self, in_use: Collection[Named], *, monotonic: float) -> None:
        """What podresources just said."""
        self._heard = monotonic, frozenset(in_use)

    def asked_for(self, claimants: Collection[Claimant]) -> None:
        """Nobody looks whether others are here: when they are asked for again, it counts from then."""
        waited_for = {claimant.uid for claimant in claimants}
        self._since = {uid: since for uid, since in self._since.items() if uid in waited_for}

    def seen(self, claimant: Claimant, *, here: bool, quiet: bool, monotonic: float) -> frozenset[Named] | None:
        """Take in a look at it. When it is time to pass on what it owned: what is still in use of everything."""
        if here:
            self._since.pop(claimant.uid, None)
            return None
        since = self._since.setdefault(claimant.uid, monotonic)
        if self._heard is None or self._heard[0] < since + (0.0 if quiet else ALLOCATION_GRACE):
            return None
        return self._heard[1]
