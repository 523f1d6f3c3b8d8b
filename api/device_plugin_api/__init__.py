"""The vocabulary the operator and the agent share: both kinds' types, their rules, their names."""

__version__ = "0.1.0"
"""Of all three packages: they are built and released as one."""
