"""Sources: paths, simulated devices, groups, packages of somebody's own."""

from typing import Any

from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import Json, config, including, of

INCLUDE = f"{FIRST}.source.paths.include"

VIDEO: Json = {"name": "camera", "paths": {"include": ["/dev/video*"]}}

LIGHT: Json = {"name": "light", "usb": {"vendorID": "0403"}}


def rig(*members: Json, **more: Any) -> Json:
    return of(source={"groups": {"members": list(members)} | more})


MEMBERS = f"{FIRST}.source.groups.members"

BAD = [
    bad("a source of no kind", of(source={}), f"{FIRST}.source", "exactly one source must be given"),
    bad(
        "a source of two kinds",
        of(source={"paths": {"include": ["/dev/video*"]}, "simulated": {"count": 1}}),
        f"{FIRST}.source",
        "exactly one source must be given: paths, usb, pci, network, fpga, nvidia, groups, custom, simulated",
    ),
    bad("a resource without source", config(resources=[{"name": "a.com/b"}]), f"{FIRST}.source", "Required value"),
    bad("no globs", including(), INCLUDE, "should have at least 1 items"),
    bad("33 globs", including(*(f"/dev/{i}" for i in range(33))), INCLUDE, "must have at most 32 items"),
    bad("a relative path", including("video0"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a path outside /dev", including("/etc/passwd"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a path beside /dev", including("/devices/a"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("/dev itself", including("/dev/"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("an empty part", including("/dev//video0"), f"{INCLUDE}[0]", "without empty parts"),
    bad("a control character", including("/dev/video\t0"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("an unprintable space", including("/dev/video\u00a00"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a way out by ..", including("/dev/a", "/dev/../etc/shadow"), f"{INCLUDE}[1]", "must not contain '.' or '..'"),
    bad("a dot as a part", including("/dev/./video0"), f"{INCLUDE}[0]", "must not contain '.' or '..'"),
    bad("a .. at the end", including("/dev/dri/.."), f"{INCLUDE}[0]", "must not contain '.' or '..'"),
    bad("a double star", including("/dev/**/render*"), f"{INCLUDE}[0]", "'**' is not supported: name each level"),
    bad("an unclosed set", including("/dev/video[0-9"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("an unopened set", including("/dev/video0-9]"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("an empty set", including("/dev/video[]"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("a set over two levels", including("/dev/[a/b]"), f"{INCLUDE}[0]", "without '/'"),
    bad("a glob over 256 characters", including("/dev/" + "a" * 252), f"{INCLUDE}[0]", "may not be more than 256"),
    bad(
        "an exclude outside /dev",
        of(source={"paths": {"include": ["/dev/a*"], "exclude": ["a9"]}}),
        f"{FIRST}.source.paths.exclude[0]",
        "must be an absolute path below /dev",
    ),
    bad(
        "33 excludes",
        of(source={"paths": {"include": ["/dev/a*"], "exclude": [f"/dev/a{i}" for i in range(33)]}}),
        f"{FIRST}.source.paths.exclude",
        "must have at most 32 items",
    ),
    bad(
        "an unknown type of paths",
        of(source={"paths": {"include": ["/dev/a*"], "type": "Socket"}}),
        f"{FIRST}.source.paths.type",
        '"Device", "Directory", "File"',
    ),
    bad(
        "a negative number of simulated devices",
        of(source={"simulated": {"count": -1}}),
        f"{FIRST}.source.simulated.count",
        "greater than or equal to 0",
    ),
    bad(
        "10001 simulated devices",
        of(source={"simulated": {"count": 10001}}),
        f"{FIRST}.source.simulated.count",
        "less than or equal to 10000",
    ),
    bad(
        "more slots than the kubelet takes",
        of(source={"simulated": {"count": 10000}}, sharing={"replicas": 4}),
        FIRST,
        "source.simulated.count times sharing.replicas must be at most 32768",
    ),
    bad(
        "a simulated failure that does not end before the next",
        of(source={"simulated": {"count": 1, "failures": [{"device": 0, "forSeconds": 9, "everySeconds": 9}]}}),
        f"{FIRST}.source.simulated.failures[0]",
        "everySeconds must be longer than forSeconds, or 0",
    ),
    bad(
        "a simulated failure of an unknown kind",
        of(source={"simulated": {"count": 1, "failures": [{"device": 0, "forSeconds": 9, "how": "Loud"}]}}),
        f"{FIRST}.source.simulated.failures[0].how",
        'supported values: "Missing", "Unknown"',
    ),
    bad("simulated, but how many", of(source={"simulated": {}}), f"{FIRST}.source.simulated.count", "Required value"),
    bad(
        "nine simulated NUMA nodes",
        of(source={"simulated": {"count": 1, "numaNodes": 9}}),
        f"{FIRST}.source.simulated.numaNodes",
        "less than or equal to 8",
    ),
    bad("a group of one", rig(VIDEO), MEMBERS, "should have at least 2 items"),
    bad("a group of nine", rig(*(VIDEO | {"name": f"a{i}"} for i in range(9))), MEMBERS, "must have at most 8 items"),
    bad("two members of one name", rig(VIDEO, VIDEO), f"{MEMBERS}[1]", "Duplicate value"),
    bad("a member with capitals", rig(VIDEO, LIGHT | {"name": "Li"}), f"{MEMBERS}[1].name", "must be lower-case"),
    bad("a member with a long name", rig(VIDEO, LIGHT | {"name": "l" * 17}), f"{MEMBERS}[1].name", "more than 16"),
    bad(
        "a member of no kind",
        rig(VIDEO, {"name": "light"}),
        f"{MEMBERS}[1]",
        "exactly one source must be given: paths, usb or pci",
    ),
    bad("a member of two kinds", rig(VIDEO, VIDEO | LIGHT), f"{MEMBERS}[1]", "exactly one source must be given: paths"),
    bad(
        "a group of which nothing has to be there",
        rig(VIDEO | {"optional": True}, LIGHT | {"optional": True}),
        MEMBERS,
        "at least one member must not be optional",
    ),
    bad(
        "a member outside /dev",
        rig(VIDEO, {"name": "a", "paths": {"include": ["/etc/a"]}}),
        f"{MEMBERS}[1].paths.include[0]",
        "must be an absolute path below /dev",
    ),
    bad(
        "a member that is a plain file",
        rig(VIDEO, {"name": "a", "paths": {"include": ["/dev/a"], "type": "File"}}),
        f"{MEMBERS}[1]",
        "a plain file cannot be a member",
    ),
    bad(
        "a package with capitals",
        of(source={"custom": {"name": "Scales"}}),
        f"{FIRST}.source.custom.name",
        "must be lower-case letters, digits and '-'",
    ),
    bad(
        "a parameter with a space",
        of(source={"custom": {"name": "scales", "parameters": {"a b": ""}}}),
        f"{FIRST}.source.custom.parameters",
        "each name must be at most 63 letters, digits",
    ),
    bad(
        "17 parameters",
        of(source={"custom": {"name": "scales", "parameters": {f"a{i}": "" for i in range(17)}}}),
        f"{FIRST}.source.custom.parameters",
        "must have at most 16 items",
    ),
    bad("groups by luck", rig(VIDEO, LIGHT, pairBy="Luck"), f"{FIRST}.source.groups.pairBy", '"Single", "Number"'),
]

GOOD = [
    good("every wildcard", including("/dev/video?", "/dev/snd/pcm*", "/dev/tty[A-Z][!0]", "/dev/bus/usb/001/*")),
    good("a name with dots and a space", including("/dev/.hidden", "/dev/a..b", "/dev/a b")),
    good("everything in /dev", including("/dev/*")),
    good("directories", of(source={"paths": {"include": ["/dev/dvb/adapter*"], "type": "Directory"}})),
    good("plain files", of(source={"paths": {"include": ["/dev/keys/*"], "type": "File"}})),
    good("excludes", of(source={"paths": {"include": ["/dev/a*"], "exclude": ["/dev/a9", "/dev/mem"]}})),
    good(
        "a package of somebody's", of(source={"custom": {"name": "my-scales", "parameters": {"min.Grams_1-a": "5 kg"}}})
    ),
    good(
        "groups of every kind of member",
        rig(VIDEO, LIGHT | {"optional": True}, {"name": "card0", "pci": {"vendors": ["1234"]}}, pairBy="Number"),
    ),
    good("simulated devices", of(source={"simulated": {"count": 10000, "numaNodes": 8}})),
    good("no simulated devices", of(source={"simulated": {"count": 0}})),
]
