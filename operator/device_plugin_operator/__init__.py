"""The operator: turns DevicePluginConfigs into agents and their reports into status."""
