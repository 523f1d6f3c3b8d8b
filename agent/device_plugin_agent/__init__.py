"""The agent: finds one node's devices and serves them to its kubelet."""
