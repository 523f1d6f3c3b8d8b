"""The vocabulary the operator and the agent share: both kinds' types, their rules, their names."""
