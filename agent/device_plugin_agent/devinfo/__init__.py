"""Device information files: what Multus and CNI plugins read about a device that a pod was given."""
