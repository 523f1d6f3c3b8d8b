"""The operator: turns DevicePluginConfigs into agents and their reports into status."""

from importlib.metadata import version

__version__ = version("device-plugin-operator")
