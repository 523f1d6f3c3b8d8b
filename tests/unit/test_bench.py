"""What the operator's bench works out from what it saw."""

from bench.operator.counters import moved, parse
from bench.operator.delays import Change, Seen, delays


def change(version: int, at: float) -> Change:
    return Change(version=version, at=at, stored=at)


def test_a_status_includes_changes_in_the_order_of_their_versions() -> None:
    changes = [change(12, at=1.0), change(11, at=2.0), change(13, at=3.0)]
    seen = [Seen(included=0, at=2.5), Seen(included=1, at=4.0), Seen(included=3, at=6.0)]
    assert delays(changes, seen) == [2.0, 3.0, 5.0]


def test_a_change_that_was_never_told_has_no_delay() -> None:
    assert delays([change(1, at=0.0), change(2, at=0.0)], [Seen(included=1, at=1.0)]) == [1.0]


PAGE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{verb="GET",resource="pods",code="200"} %d
requests_total{verb="GET",resource="pods",code="404"} 2
requests_total{verb="PUT",resource="leases",code="200"} 9
# TYPE another_total counter
another_total 7
"""


def test_counters_are_added_up_over_the_other_labels_and_the_most_comes_first() -> None:
    before, after = (parse(PAGE % count, ["requests_total"]) for count in (10, 14))
    assert moved(before, after, "requests_total", ("verb", "resource")) == {"GET pods": 4.0}
    assert list(moved({}, after, "requests_total", ("verb",)).items()) == [("GET", 16.0), ("PUT", 9.0)]
