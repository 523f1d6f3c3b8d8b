"""Objects that the API server refuses, with the field and its words, and such that it takes; by subject."""

from apiserver.cases import allocation, hardware, health, names, node, placement, settings, sources

_SUBJECTS = (names, sources, hardware, allocation, health, placement, settings, node)

BAD = [case for subject in _SUBJECTS for case in subject.BAD]
GOOD = [case for subject in _SUBJECTS for case in subject.GOOD]
