"""The agent: finds one node's devices, watches their health and serves them to the kubelet."""
