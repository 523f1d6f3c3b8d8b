"""One device, one owner: what the agents of several configs on one node agree on through a file."""
