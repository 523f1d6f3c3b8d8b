"""Figures of one agent, or of any other device plugin's socket: python -m bench.agent --help."""
