"""Prometheus counters, and how far they have moved."""

from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]

Counters = Mapping[tuple[str, Labels], float]
"""By name and labels."""


def parse(page: str, names: Iterable[str]) -> Counters:
    """Those of that name. An API server's page has megabytes: the others are not even looked at."""
    wanted = tuple(names)
    lines = "\n".join(line for line in page.splitlines() if line.startswith(wanted))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(f"{lines}\n")
        for sample in family.samples
    }


def moved(before: Counters, after: Counters, name: str, by: Iterable[str]) -> dict[str, float]:
    """How far counters of that name moved, added up for each combination of the labels `by`; most first."""
    wanted = tuple(by)
    found: dict[str, float] = {}
    for (counter, labels), value in after.items():
        change = value - before.get((counter, labels), 0.0)
        if counter == name and change > 0:
            values = dict(labels)
            key = " ".join(values[label] for label in wanted if values.get(label))
            found[key] = found.get(key, 0.0) + change
    return dict(sorted(found.items(), key=lambda item: -item[1]))
