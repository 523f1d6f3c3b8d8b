"""Whether a device works: what was seen, apart from what is concluded from it."""
