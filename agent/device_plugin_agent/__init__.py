"""The agent: finds one node's devices, watches their health and serves them to the kubelet."""

from importlib.metadata import version

__version__ = version("device-plugin-operator")
