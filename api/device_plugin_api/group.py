"""The API group and what is named after it."""

GROUP = "deviceplugins.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CONFIG_KIND = "DevicePluginConfig"
CONFIG_PLURAL = "devicepluginconfigs"
NODE_KIND = "NodeDevicePlugin"
NODE_PLURAL = "nodedeviceplugins"

TRIAL_ANNOTATION = "deviceplugins.dev/trial"
"""On a NodeDevicePlugin whose node got a new revision: what worked on it before."""

CONFIG_LABEL = f"{GROUP}/config"
"""Label with a config's name on everything the operator makes for it."""
