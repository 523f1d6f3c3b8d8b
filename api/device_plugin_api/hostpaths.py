"""Which host paths a config may name. The API server enforces these by CEL (`rules`), the agent once more."""

DEVICE_ROOT = "/dev"

MEMORY_DEVICES = ("/dev/mem", "/dev/kmem", "/dev/port")
"""Physical memory and I/O ports: whoever opens one owns the machine. Refused unless the operator allows them."""

READ_ONLY_MOUNTS = ("/opt", "/srv", "/usr/share", "/usr/local", "/usr/lib", "/run/deviceplugins.dev")
"""Where vendors put libraries, firmware and calibration; a user's container may see these read-only."""

WRITABLE_MOUNTS = ("/srv", "/run/deviceplugins.dev")
"""Data and sockets. Nothing the host executes as root lives here, so a container may write."""


RUNTIME_ROOTS = ("/dev", "/proc", "/sys")
"""What the container runtime fills in a container."""

SYSFS_ROOTS = ("/sys/block", "/sys/bus", "/sys/class", "/sys/dev", "/sys/devices")
"""Where hardware is described. The rest of sysfs is about the kernel, and what a probe reads is shown in a status."""

DEVICE_INFO = "/var/run/k8s.cni.cncf.io/devinfo/dp"
"""Where device plugins leave device information for Multus; Device Information Specification 1.1.0, 4.1."""

HEARTBEATS = "/run/deviceplugins.dev"
"""Where those who watch over a device leave its heartbeat files."""


def is_clean_absolute(path: str) -> bool:
    """Absolute, without `..`, `.`, empty parts or control characters."""
    parts = path.split("/")
    return (
        path.startswith("/")
        and len(path) > 1
        and path.isprintable()
        and not any(part in ("", ".", "..") for part in parts[1:])
    )


def is_below(path: str, root: str) -> bool:
    """Whether `path` lies inside `root` (not `root` itself)."""
    return path.startswith(root.rstrip("/") + "/")


def container_path_error(path: str) -> str | None:
    """Why nothing may be mounted onto `path` in a container, or None."""
    if not is_clean_absolute(path):
        return "must be an absolute path without '..', '.' or empty parts"
    if any(path == root or is_below(path, root) for root in RUNTIME_ROOTS):
        return f"must not be in {', '.join(RUNTIME_ROOTS)}"
    return None


def device_path_error(path: str) -> str | None:
    """Why `path` is no place for a device, on the host or in a container; or None."""
    if is_clean_absolute(path) and is_below(path, DEVICE_ROOT):
        return None
    return f"must be a path below {DEVICE_ROOT} without '..'"


def mount_error(path: str, *, read_only: bool) -> str | None:
    """Why `path` may not be mounted into a user's container, or None."""
    if not is_clean_absolute(path):
        return "must be an absolute path without '..', '.' or empty parts"
    allowed = READ_ONLY_MOUNTS if read_only else WRITABLE_MOUNTS
    if not any(path == root or is_below(path, root) for root in allowed):
        return f"must be in one of {', '.join(allowed)}"
    return None
