"""Variables in a config's texts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api.sources import SOURCES
from device_plugin_api.templates import ATTRIBUTES, expand, unknown, used


def test_variables_are_replaced_wherever_they_stand() -> None:
    assert expand("<$(A)$(B)>$(A)", {"A": "1", "B": "$(A)"}) == "<1$(A)>1"


def test_a_dollar_without_parentheses_is_text() -> None:
    assert expand("$5 $$ $(A) $A", {"A": "b"}) == "$5 $$ b $A"


def test_an_unknown_variable_is_told_with_those_that_are_known() -> None:
    assert list(unknown("$(A)$(TYPO)", ("A", "B"))) == ["unknown variable $(TYPO); known are $(A), $(B)"]


@given(st.text(), st.dictionaries(st.sampled_from(["A", "B"]), st.text(st.characters(exclude_characters="$"))))
def test_what_is_replaced_is_gone_and_nothing_else(template: str, variables: dict[str, str]) -> None:
    expanded = expand(template, variables)
    assert not used(expanded)
    if not used(template):
        assert expanded == template


@pytest.mark.parametrize("source", ATTRIBUTES)
def test_the_attributes_of_every_source_are_listed(source: str) -> None:
    assert source in SOURCES
    sources = Path("agent/device_plugin_agent/sources")
    code = "".join(file.read_text() for file in (*sources.glob(f"{source}.py"), *sources.glob(f"{source}/*.py")))
    for attribute in ATTRIBUTES[source]:
        assert f'"{attribute}"' in code
