"""Names of ports and numbers of their functions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api import hardware
from device_plugin_api.functions import FunctionRange

NAMES = st.from_regex(r"[A-Za-z0-9_.@-]{1,15}", fullmatch=True)
NUMBERS = st.integers(0, 9999)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda ends: (min(ends), max(ends))), max_size=6)


def written(name: str, ranges: list[tuple[int, int]]) -> str:
    parts = [str(low) if low == high else f"{low}-{high}" for low, high in ranges]
    return f"{name}#{','.join(parts)}" if parts else name


@given(NAMES, RANGES, NUMBERS)
def test_a_function_is_held_when_its_number_is_in_one_of_the_ranges(
    name: str, ranges: list[tuple[int, int]], number: int
) -> None:
    parsed = FunctionRange.parse(written(name, ranges))
    assert parsed.holds(name, number) is (not ranges or any(number in range(low, high + 1) for low, high in ranges))
    assert not parsed.holds(f"{name}x", number)


@given(NAMES, RANGES)
def test_the_port_itself_is_held_only_without_numbers(name: str, ranges: list[tuple[int, int]]) -> None:
    assert FunctionRange.parse(written(name, ranges)).holds(name, None) is (not ranges)


@given(st.text(alphabet="eth0#,-9 ٣x", max_size=12))
def test_any_text_is_parsed_or_refused_and_the_api_server_refuses_all_that_the_agent_does_but_backward_ranges(
    text: str,
) -> None:
    try:
        FunctionRange.parse(text)
    except ValueError as error:
        assert not hardware.PF_FUNCTIONS.fits(text) or "ends before it begins" in str(error)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("eth0#", "'' is neither a number nor a range"),
        ("eth0#1,", "'' is neither a number nor a range"),
        ("eth0#-3", "'-3' is neither a number nor a range"),
        ("eth0#1-2-3", "'1-2-3' is neither a number nor a range"),
        ("eth0#٣", "'٣' is neither a number nor a range"),
        ("eth0#7-2", "the range 7-2 ends before it begins"),
        ("#1", "'#1' names nothing before '#'"),
    ],
)
def test_what_is_no_range_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        FunctionRange.parse(text)


@pytest.mark.parametrize("text", ["enp2s0f0#0,2-7", "enp2s0f0", "ens1f0np0#0-127", "eth0.5"])
def test_the_api_server_takes_what_people_write(text: str) -> None:
    assert hardware.PF_FUNCTIONS.fits(text)


@pytest.mark.parametrize("text", ["", "eth0#", "eth0#a", "eth0#1-", "a/b", "a b", "a" * 16, "eth0#1,,2"])
def test_the_api_server_refuses_what_is_no_name_of_a_port(text: str) -> None:
    assert not hardware.PF_FUNCTIONS.fits(text)


def test_a_port_by_address_may_have_numbers_too() -> None:
    assert hardware.ROOT_FUNCTIONS.fits("0000:86:00.0#0-3")
    assert not hardware.ROOT_FUNCTIONS.fits("86:00.0")
