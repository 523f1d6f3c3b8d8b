"""The kind cluster as the end-to-end tests see it."""
