"""The CEL rules of both kinds: what the API server refuses, and what it then says."""

from device_plugin_api import hardware, hostpaths, patterns, templates
from device_plugin_api.names import MAX_CONFIG_NAME
from device_plugin_api.schema import Rule, rule

MAX_SLOTS = 32768
"""Of one resource on one node: a list of so many, each with the longest ID, stays below the kubelet's 4 MiB."""


def _cel_strings(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def _raw(pattern: str) -> str:
    """A pattern as a CEL string without escapes."""
    return f"r'{pattern}'"


def _within(subject: str, roots: tuple[str, ...]) -> str:
    return f"{_cel_strings(roots)}.exists(root, {subject} == root || {subject}.startsWith(root + '/'))"


_CLEAN = r"matches('^(/([^/\\pC\\pZ]| )+)+$')"
_NO_DOTS = r"matches('(^|/)[.][.]?(/|$)')"

_DNS_SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_QUALIFIED_NAME = f"^({_DNS_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"


def _qualified(subject: str) -> str:
    return f"{subject}.split('/')[0].size() <= 253 && {subject}.matches('{_QUALIFIED_NAME}')"


def _only_variables(*names: str) -> str:
    """Every `$(…)` is one of these and closed. A single match: findAll().all() is estimated as too dear."""
    return rf"self.matches('^([^$]|[$]+([^$(]|$)|[$]+[(]({'|'.join(names)})[)])*$')"


def _form(form: hardware.Form) -> tuple[Rule, ...]:
    return (rule(f"self.matches('{form.pattern}')", form.message),)


CONFIG_NAME = (
    rule(
        f"self.metadata.name.size() <= {MAX_CONFIG_NAME} && "
        "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        f"metadata.name must be a DNS label of at most {MAX_CONFIG_NAME} characters (a-z, 0-9, '-'): "
        "names of DaemonSets and NodeDevicePlugins are made from it",
    ),
)

RESOURCE_NAME = (
    rule("self.matches('^[^/]+/[^/]+$')", "must be <domain>/<name>, such as example.com/camera"),
    rule("!self.contains('kubernetes.io/')", "must not be in the kubernetes.io domain, which belongs to Kubernetes"),
    rule("!self.startsWith('requests.')", "must not start with 'requests.', which resource quotas use"),
    rule(
        "!self.contains('/') || (self.split('/')[0].size() <= 244 && self.split('/')[0]"
        ".matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
        "its domain (before '/') must be a lower-case DNS name of at most 244 characters",
    ),
    rule(
        "!self.contains('/') || (self.split('/')[1].size() <= 63 && self.split('/')[1]"
        ".matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))",
        "its name (behind '/') must be at most 63 letters, digits, '-', '_' or '.', "
        "with a letter or digit at both ends",
    ),
)

DEVICE_GLOB = (
    rule(
        f"self.startsWith('/dev/') && self.{_CLEAN}",
        "must be an absolute path below /dev without empty parts, such as /dev/video*",
    ),
    rule(f"!self.{_NO_DOTS}", "must not contain '.' or '..' as a part of the path"),
    rule("!self.contains('**')", "'**' is not supported: name each level, such as /dev/dri/render*"),
    rule(
        r"self.matches('^([^\\[\\]]|\\[[^\\[\\]/]+\\])*$')",
        "has an unbalanced, empty or divided '[]': a set of characters is written [abc] or [0-9], without '/'",
    ),
)

SIMULATED_FAILURE = (
    rule(
        "!has(self.everySeconds) || self.everySeconds == 0 || self.everySeconds > self.forSeconds",
        "everySeconds must be longer than forSeconds, or 0",
    ),
)

_SOURCES = (
    "paths",
    "usb",
    "pci",
    "network",
    "fpga",
    "nvidia",
    "groups",
    "custom",
    "simulated",
)
"""The members of `Source`."""

ONE_SOURCE = (
    rule(
        f"[{', '.join(f'has(self.{name})' for name in _SOURCES)}].filter(given, given).size() == 1",
        f"exactly one source must be given: {', '.join(_SOURCES)}",
    ),
)

HEX_ID = _form(hardware.HEX_ID)
PCI_CLASS = _form(hardware.PCI_CLASS)
PCI_ADDRESS = _form(hardware.PCI_ADDRESS)
KERNEL_NAME = _form(hardware.KERNEL_NAME)

_FORWARD = (
    rule(
        "!self.contains('#') || self.split('#')[1].split(',').all(range, "
        "range.split('-').size() != 2 || int(range.split('-')[0]) <= int(range.split('-')[1]))",
        "must not have a range that ends before it begins",
    ),
)
PF_FUNCTIONS = (*_form(hardware.PF_FUNCTIONS), *_FORWARD)
ROOT_FUNCTIONS = (*_form(hardware.ROOT_FUNCTIONS), *_FORWARD)
LINK_TYPE = _form(hardware.LINK_TYPE)
GPU_UUID = _form(hardware.GPU_UUID)
MIG_PROFILE = _form(hardware.MIG_PROFILE)

MIG = (
    rule(
        # Tried on the default {} too, before the default mode is in it.
        "!has(self.mode) ? !has(self.profiles) : has(self.profiles) ? self.mode != 'None' : self.mode != 'Mixed'",
        "profiles must be given with mode: Mixed, may be with mode: Single, and must not be with mode: None",
    ),
)

NVIDIA_SOURCE = (
    rule(
        "!has(self.minMemoryMiB) || !has(self.maxMemoryMiB) || self.minMemoryMiB <= self.maxMemoryMiB",
        "minMemoryMiB must not exceed maxMemoryMiB",
    ),
    rule(
        "!has(self.ignoredXids) || !has(self.criticalXids)",
        "ignoredXids and criticalXids must not both be given: with criticalXids all others are ignored",
    ),
)

FPGA_ID = (
    *_form(hardware.FPGA_ID),
    rule(f"!self.matches('{hardware.NO_FPGA_ID.pattern}')", hardware.NO_FPGA_ID.message),
)
FPGA_SOURCE = (
    rule(
        "self.mode == 'AcceleratorFunction' || (!has(self.afuIDs) && !has(self.ports))",
        "afuIDs and ports belong to mode: AcceleratorFunction; a region is reprogrammed, with all of its ports",
    ),
)

PCI_SOURCE = (
    rule(
        "has(self.vendors) || has(self.devices) || has(self.classes) || has(self.drivers) || has(self.addresses)",
        "at least one of vendors, devices, classes, drivers and addresses must be given",
    ),
)

MEMBER_NAME = _form(hardware.MEMBER_NAME)
GROUP_MEMBER = (
    rule(
        "[has(self.paths), has(self.usb), has(self.pci)].filter(given, given).size() == 1",
        "exactly one source must be given: paths, usb or pci",
    ),
    rule("!has(self.paths) || !has(self.paths.type) || self.paths.type != 'File'", "a plain file cannot be a member"),
)
GROUP_MEMBERS = (
    rule("!self.all(member, has(member.optional) && member.optional)", "at least one member must not be optional"),
)

SOURCE_NAME = _form(hardware.SOURCE_NAME)
PARAMETERS = (
    rule(
        "self.all(key, key.matches('^[A-Za-z][A-Za-z0-9_.-]{0,62}$'))",
        "each name must be at most 63 letters, digits, '_', '.' or '-', a letter first",
    ),
)

_ATTRIBUTE = f"{templates.ATTRIBUTE[:-1]}[.][A-Za-z][A-Za-z0-9]*"


def _template(names: tuple[str, ...]) -> dict[str, str]:
    known = ", ".join(f"$({name})" for name in (*names, f"{templates.ATTRIBUTE}<name>"))
    return rule(_only_variables(*names, _ATTRIBUTE), f"has an unknown variable or an unclosed $(; known are {known}")


TEMPLATE = (_template(templates.IN_VALUES),)

CONTAINER_DEVICE_PATH = (
    rule(
        f"self.startsWith('/dev/') && self.{_CLEAN}", "must be an absolute path below /dev, such as /dev/camera$(INDEX)"
    ),
    rule(f"!self.{_NO_DOTS}", "must not contain '.' or '..' as a part of the path"),
    rule(
        "self.contains('$(INDEX)') || self.contains('$(DEVICE_ID)')",
        "must contain $(INDEX) or $(DEVICE_ID), or a container's second device would land on the first",
    ),
    _template(templates.IN_PATHS),
)

ENV_NAME = (
    rule(
        "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
        "must be letters, digits and '_', not starting with a digit",
    ),
    rule(
        "!self.startsWith('LD_') && !(self in ['PATH', 'IFS', 'BASH_ENV', 'ENV'])",
        "must not steer how programs are loaded (LD_*, PATH, IFS, ENV, BASH_ENV)",
    ),
)

CONTAINER_MOUNT_PATH = (
    rule(f"self.{_CLEAN} && !self.{_NO_DOTS}", "must be an absolute path without '.', '..' or empty parts"),
    rule(
        "!" + _within("self", hostpaths.RUNTIME_ROOTS),
        "must not be in /dev, /proc or /sys, which the container runtime fills",
    ),
    _template(templates.IN_PATHS),
)

HOST_MOUNT_PATH = (
    rule(f"self.{_CLEAN} && !self.{_NO_DOTS}", "must be an absolute path without '.', '..' or empty parts"),
    rule(
        _within("self", hostpaths.READ_ONLY_MOUNTS),
        f"must be in one of {', '.join(hostpaths.READ_ONLY_MOUNTS)}",
    ),
    _template(templates.IN_PATHS),
)

MOUNT = (
    rule(
        f"self.readOnly || {_within('self.hostPath', hostpaths.WRITABLE_MOUNTS)}",
        f"readOnly: false is allowed only in {', '.join(hostpaths.WRITABLE_MOUNTS)}",
    ),
    rule(
        "!(self.hostPath + self.containerPath).contains('$(') || self.containerPath.contains('$(INDEX)') || "
        "self.containerPath.contains('$(DEVICE_ID)')",
        "containerPath must contain $(INDEX) or $(DEVICE_ID) when the mount differs by device",
    ),
)

FILE_MODE = (rule("self.matches('^0?[0-7]{3}$')", "must be three octal digits, such as 0660"),)

ALLOCATION = (
    rule(
        "!has(self.cdi) || self.cdi.mode == 'Never' || !has(self.containerPath) || "
        "!self.containerPath.contains('$(INDEX)')",
        "containerPath must not use $(INDEX) with cdi, where a device has the same path in every container: "
        "use $(DEVICE_ID)",
    ),
)

ANNOTATIONS = (
    rule(
        f"self.all(key, {_qualified('key')})",
        "each key must be a qualified name, such as example.com/lens",
    ),
    rule(
        "self.all(key, !['kubernetes.io', 'k8s.io', 'io.kubernetes', 'containerd.io', 'io.containerd', 'crio.io', "
        "'run.oci', 'io.katacontainers'].exists(owned, key.contains(owned)))",
        "keys of Kubernetes and of container runtimes are refused: they can change how a container is confined",
    ),
)

SYSFS_PATH = (
    rule(
        f"self.startsWith('/') ? self.{_CLEAN} : ('/' + self).{_CLEAN}",
        "must be a path without empty parts, such as device/health",
    ),
    rule(f"!self.{_NO_DOTS}", "must not contain '.' or '..' as a part of the path"),
    rule(
        f"!self.startsWith('/') || {_cel_strings(hostpaths.SYSFS_ROOTS)}.exists(root, self.startsWith(root + '/'))",
        f"must be relative to the device's directory, or in one of {', '.join(hostpaths.SYSFS_ROOTS)}",
    ),
)

HEARTBEAT_NAME = (
    rule(
        f"('/' + self).{_CLEAN} && !self.{_NO_DOTS}",
        f"must be relative to {hostpaths.HEARTBEATS}, without '.', '..' or empty parts",
    ),
    rule(_only_variables("DEVICE_ID"), "may only use the variable $(DEVICE_ID)"),
)

PATTERN = (
    rule(
        f"self.matches({_raw(patterns.GRAMMAR)})",
        "has something that is not allowed here: there are characters, sets such as [a-z], \\d \\w \\s, '|', and "
        "*, + or ? behind one of them; no groups and no {}",
    ),
    rule(f"self.matches({_raw(patterns.REPEATS)})", f"must have at most {patterns.MAX_REPEATS} of * + ?"),
    # Compiles it; a pattern that is none fails the rule with the server's own words.
    rule("''.matches(self) in [true, false]", "must be a regular expression"),
)

_SYSFS_MEMBERS = "has(self.path), has(self.equals), has(self.matches), has(self.min), has(self.max)"
_HEARTBEAT_MEMBERS = "has(self.name), has(self.maxAgeSeconds)"

PROBE = (
    rule(
        f"self.type == 'SysfsAttribute' || ![{_SYSFS_MEMBERS}].exists(given, given)",
        "path, equals, matches, min and max belong to type: SysfsAttribute",
    ),
    rule(
        f"self.type == 'HeartbeatFile' || ![{_HEARTBEAT_MEMBERS}].exists(given, given)",
        "name and maxAgeSeconds belong to type: HeartbeatFile",
    ),
    rule("self.type != 'SysfsAttribute' || has(self.path)", "path must be given with type: SysfsAttribute"),
    rule(
        "self.type != 'SysfsAttribute' || "
        "[has(self.equals), has(self.matches), has(self.min) || has(self.max)].filter(given, given).size() == 1",
        "exactly one comparison must be given with type: SysfsAttribute: equals, matches, or min and max",
    ),
    rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min must not exceed max"),
    rule(
        f"self.type != 'HeartbeatFile' || [{_HEARTBEAT_MEMBERS}].all(given, given)",
        "name and maxAgeSeconds must be given with type: HeartbeatFile",
    ),
)

NODE_NAME = (rule(f"self.matches('^{_DNS_SUBDOMAIN}$')", "must be the name of a node, a lower-case DNS name"),)

DEVICE_ID = (
    rule(
        "self.matches('^[A-Za-z0-9][A-Za-z0-9_.:-]*$')", "must be a device's ID, as `kubectl get ndp -o yaml` shows it"
    ),
)


def _variables(resource: str) -> str:
    """How the variables begin that tell a container what it got of a resource; names.env_prefix."""
    return (
        f"{resource}.name.substring({resource}.name.indexOf('/') + 1).upperAscii().replace('-', '_').replace('.', '_')"
    )


CONFIG_SPEC = (
    # Of two answers to one container the kubelet keeps what comes first, by chance (R13).
    rule(
        f"self.resources.all(one, self.resources.exists_one(other, {_variables('other')} == {_variables('one')}))",
        "resources must differ in what stands behind '/' by more than case, '-', '_' and '.': a container that has two "
        "of them could not tell their variables apart (example.com/gpu and example.org/gpu both set GPU_ID)",
    ),
    rule(
        "self.resources.filter(one, has(one.allocation) && has(one.allocation.containerPath)).all(one, "
        "self.resources.exists_one(other, has(other.allocation) && has(other.allocation.containerPath) && "
        "other.allocation.containerPath == one.allocation.containerPath))",
        "resources must differ in allocation.containerPath: in a container that has two of them, devices would land on "
        "each other",
    ),
    rule(
        "!has(self.cordonedDevices) || "
        "self.cordonedDevices.all(cordon, self.resources.exists(known, known.name == cordon.resource))",
        "cordonedDevices must name resources of this config",
    ),
)

LABELS = (
    rule(
        f"self.all(key, {_qualified('key')})",
        "each key must be a label name, such as cameras or example.com/rack",
    ),
    rule(
        "self.all(key, self[key].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
        "each value must be a label value: at most 63 letters, digits, '-', '_' or '.'",
    ),
)

LABEL_NAME = (rule(_qualified("self"), "must be a label name, such as cameras or example.com/rack"),)

TOLERATION = (
    rule(
        "self.operator == 'Exists' || (has(self.key) && self.key != '')",
        "key may be empty only with operator: Exists, which then tolerates every taint",
    ),
    rule(
        f"!has(self.key) || self.key == '' || ({_qualified('self.key')})",
        "key must be the name of a taint, such as example.com/reserved",
    ),
    rule(
        "self.operator != 'Exists' || !has(self.value) || self.value == ''",
        "value must be left out with operator: Exists",
    ),
    rule(
        "!has(self.value) || self.value.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
        "value must be at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
    ),
    rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "tolerationSeconds may be given only with effect: NoExecute",
    ),
)

SELECTOR_REQUIREMENT = (
    rule(
        "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
        "values must be given with operator: In or NotIn",
    ),
    rule(
        "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",
        "values must be left out with operator: Exists or DoesNotExist",
    ),
    rule(
        "!(self.operator in ['Gt', 'Lt']) || "
        "(has(self.values) && self.values.size() == 1 && self.values[0].matches('^-?[0-9]+$'))",
        "values must be one integer with operator: Gt or Lt",
    ),
)

FIELD_REQUIREMENTS = (
    rule(
        "self.all(f, f.key == 'metadata.name' && f.operator in ['In', 'NotIn'] && has(f.values) && "
        "f.values.size() == 1)",
        "only the field metadata.name can be compared, by operator: In or NotIn with one value",
    ),
)

QUANTITY = (
    rule(
        "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('0')) >= 0",
        "must be a quantity of at least 0, such as 50m or 64Mi",
    ),
)

AGENT_RESOURCES = tuple(
    rule(
        # The rule is tried on the default {} too, before the members' own defaults are in it.
        f"!has(self.requests) || !has(self.limits) || !has(self.requests.{what}) || !has(self.limits.{what}) || "
        f"!quantity(string(self.requests.{what})).isGreaterThan(quantity(string(self.limits.{what})))",
        f"requests.{what} (defaults count) must not exceed limits.{what}",
    )
    for what in ("cpu", "memory")
)

RESOURCE = (
    rule(
        "!has(self.source.simulated) || !has(self.sharing) || !has(self.sharing.replicas) || "
        f"self.source.simulated.count * self.sharing.replicas <= {MAX_SLOTS}",
        f"source.simulated.count times sharing.replicas must be at most {MAX_SLOTS}, "
        "which is what the kubelet takes of one resource",
    ),
)

MAX_UNAVAILABLE = (
    rule(
        "type(self) == int ? self >= 1 && self <= 10000 : self.matches('^([1-9][0-9]?|100)%$')",
        "must be a number of nodes of at least 1, or a percentage from 1% to 100%",
    ),
)

PRIORITY_CLASS = (
    rule(f"self.matches('^{_DNS_SUBDOMAIN}$')", "must be the name of a PriorityClass, a lower-case DNS name"),
)

RUNTIME_CLASS = (
    rule(f"self.matches('^{_DNS_SUBDOMAIN}$')", "must be the name of a RuntimeClass, a lower-case DNS name"),
)

NODE_OBJECT = (
    rule(
        "self.metadata.name == self.spec.configName + '.' + self.spec.nodeName || "
        "(self.spec.configName.size() + 1 + self.spec.nodeName.size() > 253 && "
        "self.metadata.name.startsWith(self.spec.configName + '.'))",
        "metadata.name must be <spec.configName>.<spec.nodeName>: there is one object for each config and node",
    ),
)

NODE_SPEC = (
    rule("self.configName == oldSelf.configName", "configName is immutable"),
    rule("self.configUID == oldSelf.configUID", "configUID is immutable"),
    rule("self.nodeName == oldSelf.nodeName", "nodeName is immutable"),
    rule("self.nodeUID == oldSelf.nodeUID", "nodeUID is immutable"),
)
