"""What a recording must not tell about the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.personal import in_name, without

BYTES = st.binary(min_size=6, max_size=6)
ADDRESSES = BYTES.map(lambda raw: raw.hex(":"))


@pytest.mark.parametrize(
    "attribute",
    [
        "serial",
        "serial_number",
        "address",
        "uniq",
        "unique_id",
        "nguid",
        "uuid",
        "wwid",
        "subsysnqn",
        "edid",
        "vpd_pg80",
        "node_desc",
        "ifalias",
    ],
)
def test_an_attribute_that_names_one_machine_is_left_out(attribute: str) -> None:
    assert without(attribute, b"A50285BI\n") == b"left-out\n"


@pytest.mark.parametrize("attribute", ["serial", "uniq"])
def test_one_that_is_empty_stays_empty(attribute: str) -> None:
    assert without(attribute, b"\n") == b"\n"


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("vendor", b"0x8086\n"),
        ("uevent", b"DRIVER=igb\nPCI_CLASS=20000\nPCI_SLOT_NAME=0000:01:00.0\nDEVNAME=bus/usb/001/002\n"),
        ("local_cpus", b"00000000,000000ff\n"),
        ("dev", b"189:1\n"),
        ("product", b"FT232R USB UART\n"),
    ],
)
def test_what_all_of_a_kind_have_stays(attribute: str, text: bytes) -> None:
    assert without(attribute, text) == text


def test_variables_of_a_uevent_are_left_out_line_by_line() -> None:
    text = b"HID_NAME=Pad\nHID_UNIQ=A50285BI\nPOWER_SUPPLY_SERIAL_NUMBER=77\nHID_ID=0003\n"
    left = b"HID_NAME=Pad\nHID_UNIQ=left-out\nPOWER_SUPPLY_SERIAL_NUMBER=left-out\nHID_ID=0003\n"
    assert without("uevent", text) == left


def test_an_identifier_of_infiniband_is_left_out() -> None:
    assert without("0", b"fe80:0000:0000:0000:5054:00ff:feaa:0001\n") == b"left-out\n"


@given(ADDRESSES, st.sampled_from(["uevent", "phys", "broadcast", "0"]), st.booleans())
def test_a_hardware_address_is_left_out_wherever_it_stands(address: str, attribute: str, upper: bool) -> None:
    written = address.upper() if upper else address
    assert written.encode() not in without(attribute, f"INTERFACE=eth0\nPHYS={written}/0\n".encode())


@given(BYTES, st.sampled_from(["enx", "wlx", "wwx"]))
def test_a_network_device_that_is_named_by_its_address_is_known_by_its_name(address: bytes, prefix: str) -> None:
    name = f"{prefix}{address.hex()}"
    assert in_name(name)
    assert in_name(f"upper_{name}")
    assert name.encode() not in without("uevent", f"INTERFACE={name}\n".encode())


@pytest.mark.parametrize("name", ["enp0s3", "eth0", "0000:01:00.0", "enxtra", "ttyUSB0"])
def test_other_names_are_harmless(name: str) -> None:
    assert not in_name(name)


@given(st.text(max_size=12), st.binary(max_size=400))
def test_whatever_stands_there_is_survived(attribute: str, text: bytes) -> None:
    without(attribute, text)
