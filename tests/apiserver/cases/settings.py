"""A config as a whole: its resources' number, mode, rollout, agents."""

from typing import Any

from apiserver.cases.parts import bad, good
from apiserver.objects import API_VERSION, CONFIG, Json, config, resource


def quantities(**members: Any) -> Json:
    return config(agent={"resources": members})


BAD = [
    bad("no spec", {"apiVersion": API_VERSION, "kind": CONFIG, "metadata": {"name": "a"}}, "spec", "Required value"),
    bad("no resources", config(resources=[]), "spec.resources", "should have at least 1 items"),
    bad(
        "17 resources",
        config(resources=[resource(f"example.com/a{i}") for i in range(17)]),
        "spec.resources",
        "must have at most 16 items",
    ),
    bad(
        "an unknown log level", config(agent={"logLevel": "loud"}), "spec.agent.logLevel", '"debug", "info", "warning"'
    ),
    *(
        bad(
            f"{most!r} nodes at a time",
            config(rollout={"maxUnavailable": most}),
            "spec.rollout.maxUnavailable",
            "must be a number of nodes of at least 1, or a percentage from 1% to 100%",
        )
        for most in (0, -1, "0%", "101%", "5", "%")
    ),
    bad("another mode", config(mode="Try"), "spec.mode", '"Serve", "Preview"'),
    bad(
        "another answer to a regression",
        config(rollout={"onRegression": "Rollback"}),
        "spec.rollout.onRegression",
        '"Pause", "Continue"',
    ),
    bad(
        "a priority class with capitals",
        config(agent={"priorityClassName": "High"}),
        "spec.agent.priorityClassName",
        "must be the name of a PriorityClass",
    ),
    bad(
        "a runtime class with capitals",
        config(agent={"runtimeClassName": "NVIDIA"}),
        "spec.agent.runtimeClassName",
        "must be the name of a RuntimeClass",
    ),
    bad(
        "no priority class", config(agent={"priorityClassName": ""}), "spec.agent.priorityClassName", "at least 1 chars"
    ),
    bad(
        "memory in words",
        quantities(limits={"memory": "much"}),
        "spec.agent.resources.limits.memory",
        "must be a quantity of at least 0, such as 50m or 64Mi",
    ),
    bad(
        "less CPU than none",
        quantities(requests={"cpu": -1}),
        "spec.agent.resources.requests.cpu",
        "must be a quantity of at least 0",
    ),
    bad(
        "more CPU reserved than allowed",
        quantities(requests={"cpu": "2"}, limits={"cpu": "1500m"}),
        "spec.agent.resources",
        "requests.cpu (defaults count) must not exceed limits.cpu",
    ),
    bad(
        "less memory allowed than is reserved by default",
        quantities(limits={"memory": "32Mi"}),
        "spec.agent.resources",
        "requests.memory (defaults count) must not exceed limits.memory",
    ),
]

GOOD = [
    good("a runtime class", config(agent={"runtimeClassName": "nvidia"})),
    good("quantities in every way", quantities(requests={"cpu": 1, "memory": "1e6"}, limits={"cpu": "1000m"})),
    good("as much reserved as allowed", quantities(requests={"memory": "1Gi"}, limits={"memory": 1073741824})),
    good("no limits", quantities(limits={})),
    good("a preview", config(mode="Preview")),
    good("so many nodes at a time", config(rollout={"maxUnavailable": 5, "paused": True})),
    good("a share of the nodes at a time", config(rollout={"maxUnavailable": "100%", "onRegression": "Continue"})),
    good("another priority class", config(agent={"priorityClassName": "devices.high"})),
]
