"""What a drill says of itself."""

from payoff.drill.alarms import Stop
from payoff.drill.report import Report


def report(plug: Stop | None, failed: int = 0, failure: str = "") -> Report:
    return Report(
        endpoint="loans", currency="EUR", injected="a model that loses 2.00 EUR per decision", rows=500, before=500,
        plug=plug, decided_by="guard: loses money" if plug else "", reason="It lost." if plug else "", kill_s=None,
        threshold=None, daily=None, lost_in_all=1_000.0, failed_requests=failed, failure=failure,
    )  # fmt: skip


def test_where_nothing_stopped_it_the_next_steps_are_said() -> None:
    told = "\n".join(report(None).lines())
    assert "Nothing stopped it within 500 decisions" in told
    assert "`payoff power loans` says how many" in told
    assert not report(None).passed


def test_a_stop_before_the_injection_is_not_taken_for_one_after_it() -> None:
    early = report(Stop(0, 0.0, 0.0))
    assert early.text == "drill on loans: stopped by guard: loses money before anything was injected"
    assert "the recorded decisions themselves lose money" in "\n".join(early.lines())
    assert "themselves" not in "\n".join(report(Stop(100, 60.0, 200.0)).lines())


def test_failed_requests_come_with_what_the_first_was_told() -> None:
    assert report(None, 70, "unknown column 'region'").lines()[-1] == (
        "70 failed requests, the first: unknown column 'region'."
    )
    assert report(None).lines()[-1] == "0 failed requests."
