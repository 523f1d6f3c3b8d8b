from device_plugin_api.conditions import FALSE, TRUE, Condition, find, merge

EARLIER, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def condition(
    type_: str, status: str = TRUE, since: str = NOW, *, reason: str = "Because", message: str = "", generation: int = 1
) -> Condition:
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )


def test_a_condition_whose_status_stays_keeps_its_time() -> None:
    (merged,) = merge([condition("Ready", since=EARLIER)], [condition("Ready")])
    assert merged.last_transition_time == EARLIER


def test_another_reason_or_message_alone_moves_no_time_but_is_taken_over() -> None:
    wanted = condition("Ready", reason="Other", message="more", generation=2)
    (merged,) = merge([condition("Ready", since=EARLIER)], [wanted])
    assert merged == condition("Ready", since=EARLIER, reason="Other", message="more", generation=2)


def test_a_condition_whose_status_changes_gets_the_new_time() -> None:
    (merged,) = merge([condition("Ready", since=EARLIER)], [condition("Ready", FALSE)])
    assert (merged.status, merged.last_transition_time) == (FALSE, NOW)


def test_a_new_condition_gets_the_new_time() -> None:
    assert merge([], [condition("Ready")]) == (condition("Ready"),)


def test_a_condition_no_longer_wanted_goes() -> None:
    assert merge([condition("Stalled")], []) == ()


def test_the_order_is_by_type_whatever_the_order_of_what_was_known() -> None:
    wanted = [condition("Ready"), condition("Degraded"), condition("Progressing")]
    assert [each.type for each in merge(wanted, wanted)] == ["Degraded", "Progressing", "Ready"]


def test_merging_again_changes_nothing() -> None:
    once = merge([condition("Ready", FALSE, EARLIER)], [condition("Ready"), condition("Degraded", FALSE)])
    assert merge(once, once) == once


def test_a_condition_is_found_by_its_type_or_is_none() -> None:
    conditions = [condition("Ready"), condition("Degraded", FALSE)]
    assert find(conditions, "Degraded") == condition("Degraded", FALSE)
    assert find(conditions, "Stalled") is None
