"""Fixtures of this rung: the agent on this very machine, with its driver, and a kubelet double."""

from pathlib import Path

import pynvml
import pytest
from msgspec import structs

from contract.agent_bench import Bench
from gpu import child
from gpu.machine import DEV, DRIVER, SYS, Listed, listed
from kubelet_double.double import KubeletDouble
from kubelet_double.fixture import kubelet, kubelet_clock, kubelet_root, stopped_kubelet

__all__ = ["bench", "cuda", "gpus", "kubelet", "kubelet_clock", "kubelet_root", "nvml", "stopped_kubelet"]


@pytest.fixture(scope="session", autouse=True)
def nvml() -> None:
    """The driver's library; without it nothing here can be shown."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA GPU here: nvmlInit says: {error}")
    pynvml.nvmlShutdown()


@pytest.fixture(scope="session")
def gpus(nvml: None) -> list[Listed]:
    """Those that can be offered whole, as nvidia-smi lists them."""
    found = [gpu for gpu in listed() if not gpu.mig]
    if not found:
        pytest.skip("every GPU of this machine is in MIG mode, and this rung looks at whole ones")
    return found


@pytest.fixture(scope="session")
def cuda(nvml: None) -> None:
    """CUDA works here without the agent. The driver has made its device nodes then, as at anybody's first program."""
    done = child.cuda("compute")
    if done.code != 0:
        pytest.skip(f"CUDA does not work on this machine, even without the agent: {done}")


@pytest.fixture
def bench(tmp_path: Path, kubelet: KubeletDouble) -> Bench:
    """This machine, with a running kubelet."""
    made = Bench(tmp_path, kubelet)
    made.settings = structs.replace(made.settings, dev_root=DEV, sys_root=SYS, driver_dir=DRIVER)
    return made
