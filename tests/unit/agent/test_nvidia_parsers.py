"""What a driver, or somebody who writes CDI specs, may say: whatever it is, nothing raises."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_plugin_agent.sources.nvidia import proc
from device_plugin_agent.sources.nvidia.cdi import Specs
from device_plugin_agent.sources.nvidia.gpu import Gpu, link_groups, pci_address
from device_plugin_api.hardware import GPU_UUID, PCI_ADDRESS

K80 = (
    "Model: \t\t Tesla K80\nIRQ:   \t\t 33\nGPU UUID: \t GPU-be0a1aaf-c92d-ce5e-6d53-1f064e6842f6\n"
    "Video BIOS: \t 80.21.25.00.01\nBus Type: \t PCI\nDMA Size: \t 40 bits\nDMA Mask: \t 0xffffffffff\n"
    "Bus Location: \t 0000:00:04.0\nDevice Minor: \t 0\nBlacklisted:\t No\n"
)
"""As published listings have it."""


def test_an_old_driver_is_understood_too() -> None:
    gpu = proc.parsed("0000:00:04.0", K80)
    assert gpu == Gpu(
        uuid="GPU-be0a1aaf-c92d-ce5e-6d53-1f064e6842f6", pci_address="0000:00:04.0", model="Tesla K80", minor=0
    )
    assert proc.parsed("0000:00:04.0", K80.replace("Blacklisted:\t No", "Blacklisted:\t Yes")) is None


@given(st.one_of(st.text(), st.lists(st.sampled_from([*K80.splitlines(), ":", "Device Minor: ²"])).map("\n".join)))
def test_any_information_makes_a_gpu_or_none(text: str) -> None:
    gpu = proc.parsed("0000:00:04.0", text)
    if gpu is not None:
        assert GPU_UUID.fits(gpu.uuid)
        assert gpu.minor is None or gpu.minor >= 0


@given(st.one_of(st.text(), st.from_regex("[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}[.][0-7]", fullmatch=True)))
def test_an_address_is_one_of_sysfs_or_left_as_it_is(text: str) -> None:
    address = pci_address(text)
    assert PCI_ADDRESS.fits(address) or address == text


@settings(max_examples=50, deadline=None)
@given(content=st.one_of(st.binary(), st.text().map(str.encode), st.lists(st.text()).map(msgspec.json.encode)))
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_a_file_that_is_no_spec_names_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    directory = tmp_path_factory.mktemp("cdi")
    (directory / name).write_bytes(content)
    assert Specs((directory, directory / "none")).names() == frozenset()


def test_a_spec_is_read_again_when_it_changed_and_only_then(tmp_path: Path) -> None:
    file = tmp_path / "nvidia.json"

    def write(*names: str) -> None:
        devices = [{"name": name} for name in names]
        file.write_bytes(msgspec.json.encode({"kind": "nvidia.com/gpu", "devices": devices}))

    specs = Specs((tmp_path,))
    write("GPU-1", "all")
    assert specs.names() == {"GPU-1", "all"}
    read = specs._read
    assert specs.names() == {"GPU-1", "all"}
    assert specs._read == read
    write("GPU-1", "GPU-22", "all")
    assert specs.names() == {"GPU-1", "GPU-22", "all"}
    file.unlink()
    assert specs.names() == frozenset()


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 12)), max_size=20))
def test_groups_are_what_links_reach(links: list[tuple[int, int]]) -> None:
    """Numbers from 8 on are switches."""
    gpus = [
        Gpu(
            uuid=f"GPU-{number}",
            pci_address=str(number),
            model="",
            links=frozenset(str(end) for begin, end in links if begin == number),
        )
        for number in range(8)
    ]
    reach = {str(number): {str(number)} for number in range(13)}
    for _ in range(13):
        for begin, end in links:
            joined = reach[str(begin)] | reach[str(end)]
            reach |= dict.fromkeys(joined, joined)
    expected = {}
    for gpu in gpus:
        others = {each for each in reach[gpu.pci_address] if int(each) < 8}
        if len(others) > 1:
            expected[gpu.pci_address] = min(others)
    assert link_groups(gpus) == expected
