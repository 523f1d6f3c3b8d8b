"""Chaos on the cluster, and an oracle that knows the truth without asking the product: see docs/truth.md."""
