"""Devices for container runtimes by CDI: they open for users other than root, which the kubelet's own way cannot."""
