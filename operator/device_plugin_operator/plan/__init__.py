"""From a snapshot to actions: pure functions, without I/O and without a clock of their own."""
