"""Figures of the operator with a fleet of simulated agents: python -m bench.operator --help."""
