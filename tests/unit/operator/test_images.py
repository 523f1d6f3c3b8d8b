"""The image that a config's agents run."""

from dataclasses import replace
from typing import Any

import pytest

from device_plugin_api.config import ConfigSpec
from device_plugin_operator.plan import daemonset, validation
from operator_fixture import SETTINGS, config, spec

IMAGES = {"iio": "agent-iio:1", "hwmon": "agent-iio:1", "scales": "agent-scales:1"}


def using(*sources: str) -> ConfigSpec:
    made: list[Any] = [{"name": "example.com/a", "source": {"simulated": {"count": 1}}}]
    made += [{"name": f"example.com/{name}", "source": {"custom": {"name": name}}} for name in sources]
    return spec(resources=made)


@pytest.mark.parametrize(
    ("sources", "image"), [((), "agent:1"), (("iio",), "agent-iio:1"), (("iio", "hwmon"), "agent-iio:1")]
)
def test_agents_run_the_image_that_the_operator_has_for_their_source(sources: tuple[str, ...], image: str) -> None:
    made = using(*sources)
    assert validation.error(made, IMAGES) is None
    wanted = daemonset.wanted(config(made), made, replace(SETTINGS, source_images=IMAGES))
    assert wanted["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_a_source_without_an_image_is_told_with_those_that_have_one() -> None:
    assert validation.error(using("thermo"), IMAGES) == (
        "spec.resources[1].source.custom.name 'thermo' has no image: the operator's setting sourceImages has "
        "hwmon, iio, scales"
    )
    assert str(validation.error(using("iio"), {})).endswith("sourceImages has none")


def test_sources_of_two_images_do_not_fit_into_one_config() -> None:
    assert validation.error(using("iio", "scales"), IMAGES) == (
        "spec.resources: the sources iio and scales are in different images, and a config's agents run one: put them "
        "into configs of their own"
    )
