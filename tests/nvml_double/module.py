"""In the place of `pynvml` in the agents' test image: the double, over the GPUs that a test put into the node.

A machine without the file has no NVML. Lines that a test appends to `xids` happen: minor number, Xid, and the GPU
instance that it is about, if any.
"""

import importlib.util
import json
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

MACHINE = Path("/var/lib/deviceplugins.dev/recorded/nvml.json")
XIDS = MACHINE.with_name("xids")

_STEP = 50
"""Milliseconds between two looks at what happens."""


def _binding() -> ModuleType:
    """The real one, for its constants and errors."""
    spec = importlib.util.spec_from_file_location("pynvml", Path(sysconfig.get_path("purelib"), "pynvml.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.modules["pynvml"] = pynvml = _binding()

from nvml_double import Card, Instance, NvmlDouble  # noqa: E402


def _card(*, instances: list[dict[str, Any]], **card: Any) -> Card:
    return Card(instances=[Instance(**each) for each in instances], **card)


class Recorded(NvmlDouble):
    """Its GPUs are in a file."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = 0

    def nvmlInit(self) -> None:  # noqa: N802
        """Start, where there are GPUs."""
        try:
            self.cards = [_card(**each) for each in json.loads(MACHINE.read_text())]
        except FileNotFoundError:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND) from None
        super().nvmlInit()

    def nvmlEventSetWait_v2(self, eventSet: object, timeoutms: int) -> Any:  # noqa: N802, N803
        """The next event of the file, or of nobody."""
        for left in range(timeoutms, -1, -_STEP):
            self._hear()
            try:
                return super().nvmlEventSetWait_v2(eventSet, min(left, _STEP))
            except pynvml.NVMLError as error:
                if error.value != pynvml.NVML_ERROR_TIMEOUT:
                    raise
        raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)

    def _hear(self) -> None:
        try:
            lines = XIDS.read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines[self._heard :]:
            minor, number, *about = map(int, line.split())
            card = next(each for each in self.cards if each.minor == minor)
            self.xid(card, number, next((each for each in card.instances if [each.gpu_instance] == about), None))
        self._heard = len(lines)


sys.modules["pynvml"] = Recorded()  # type: ignore[assignment]
