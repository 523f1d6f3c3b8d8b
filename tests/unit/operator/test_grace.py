"""The pod's grace: a leader that is told to end releases its Lease before it is killed."""

from pathlib import Path

import yaml

from device_plugin_operator.runtime import LONGEST_END

MANIFEST = Path(__file__).parents[3] / "manifests/base/operator.yaml"


def test_a_leader_has_the_time_to_release_its_lease() -> None:
    (deployment,) = (item for item in yaml.safe_load_all(MANIFEST.read_text()) if item["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > LONGEST_END
