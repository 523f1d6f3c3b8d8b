"""When CDI specs are written, and when what they hold is no longer needed."""

from collections.abc import Callable, Collection
from pathlib import Path

from device_plugin_agent.cdi.files import CdiFile, remove_leftovers
from device_plugin_agent.cdi.spec import device
from device_plugin_agent.inventory import Inventory
from device_plugin_api.resource import Allocation

_State = tuple[int, Allocation | None, bool]


class Upkeep:
    """The CDI specs of one config on one node.

    `handed_over` tells whether podresources names by now what the process before this one handed out last.
    """

    def __init__(self, directory: Path, config_uid: str, handed_over: Callable[[], bool]) -> None:
        self._directory = directory
        self._config_uid = config_uid
        self._handed_over = handed_over
        self._heard = False
        self._settled: dict[Path, _State] = {}

    @property
    def possible(self) -> bool:
        """Whether the directory is there: an agent's pod may be older than the wish for it."""
        return self._directory.is_dir()

    def file(self, resource_name: str) -> CdiFile:
        """The file of a resource."""
        return CdiFile(self._directory, self._config_uid, resource_name)

    def settle(self, file: CdiFile, inventory: Inventory, settings: Allocation | None) -> None:
        """Bring a file up to date. `settings` None: containers do not get these devices by CDI, or no longer do."""
        state = inventory.version, settings, self._use_known
        if file.intact and self._settled.get(file.path) == state:
            return
        self._settled[file.path] = state
        found = [] if settings is None else [device(entry.device, settings) for entry in inventory.entries.values()]
        used = {device_id for device_id, entry in inventory.entries.items() if entry.taken}
        file.settle([each for each in found if each is not None], used if self._use_known else None)

    def heard(self, in_use: Collection[str], served: Collection[str]) -> None:
        """Which resources are in use, by podresources: files of resources that are neither in use nor served go."""
        self._heard = True
        if self._use_known:
            remove_leftovers(self._directory, self._config_uid, {*in_use, *served})

    @property
    def _use_known(self) -> bool:
        return self._heard and self._handed_over()
