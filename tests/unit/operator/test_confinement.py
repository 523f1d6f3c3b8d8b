"""No text of a config becomes a right of its agents: the pod is what plain words would make."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api.config import ConfigSpec
from device_plugin_operator.plan import daemonset
from operator_fixture import SETTINGS, config, spec

Json = dict[str, Any]

HOSTILE = ["/", "/etc", "../..", "/var/run/docker.sock", "; rm -rf /", "$(reboot)", "--allow-memory-devices", "\n- x"]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=20)

PLACEMENT = ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName")
"""What a config may choose, and none of it says what the pod may do. A runtime class is the cluster administrator's."""


def resource(text: str, other: str) -> Json:
    """As far as the types let it through: they know lengths, the API server's rules know the rest."""
    return {
        "name": f"abc{text}",
        "source": {"paths": {"include": [f"/{text}"], "exclude": [f"/{other}"]}},
        "allocation": {
            "containerPath": f"/{text}",
            "permissions": other[:2],
            "env": [{"name": f"x{text}", "value": other}],
            "mounts": [{"hostPath": f"/{text}", "containerPath": f"/{other}", "readOnly": False}],
            "annotations": {f"x{text}": other},
            "policy": text[:11],
        },
        "health": {
            "probes": [
                {"type": "SysfsAttribute", "path": f"/{text}", "matches": f"x{other}"},
                {"type": "HeartbeatFile", "name": f"x{other}", "maxAgeSeconds": 1},
            ]
        },
    }


def written(text: str, other: str) -> ConfigSpec:
    return spec(
        mode=text[:7],
        nodeSelector={f"x{text}": other},
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": f"x{text}", "operator": "In", "values": [other]}]}
                    ]
                }
            }
        },
        tolerations=[{"key": text, "value": other}],
        resources=[resource(text, other)],
        cordonedDevices=[{"node": f"x{text}", "resource": f"abc{text}", "device": f"x{other}", "reason": f"x{other}"}],
        rollout={"maxUnavailable": text[:4], "onRegression": other[:8]},
        agent={
            "logLevel": text[:7],
            "priorityClassName": f"x{other}",
            "runtimeClassName": f"x{text}",
            "resources": {"requests": {"cpu": text}, "limits": {"memory": other}},
        },
    )


def pod(of: ConfigSpec) -> Json:
    made: Json = daemonset.wanted(config(of), of, SETTINGS)["spec"]["template"]["spec"]
    return made


@given(TEXTS, TEXTS)
def test_no_text_of_a_config_gives_its_agents_a_path_an_image_or_a_right(text: str, other: str) -> None:
    plain, wild = pod(written("a", "b")), pod(written(text, other))
    (agent,) = wild["containers"]
    assert agent.pop("args") == [
        argument.replace("--log-level=a", f"--log-level={text[:7]}") for argument in arguments()
    ]
    assert agent.pop("resources") == {"requests": {"cpu": text}, "limits": {"memory": other}}
    plain["containers"][0].pop("args")
    plain["containers"][0].pop("resources")
    for key in PLACEMENT:
        plain.pop(key, None)
        wild.pop(key, None)
    assert wild == plain


def arguments() -> list[str]:
    args: list[str] = pod(written("a", "b"))["containers"][0]["args"]
    return args
