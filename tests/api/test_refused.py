"""What was refused is counted for good, and only the latest of it is listed."""

from pathlib import Path

from payoff.api.refused import LATEST_MAX, Refused, refusal


def test_counts_outlive_the_process_and_the_list_is_bounded(tmp_path: Path) -> None:
    for n in range(3):
        some = [refusal(n, "unknown prediction", f"row {row}", row) for row in range(LATEST_MAX - 10)]
        Refused(tmp_path).add("calls", {"unknown prediction": 1_000}, some)
    tally = Refused(tmp_path).of("calls")
    assert (tally.total, len(tally.latest)) == (3_000, LATEST_MAX)
    assert (tally.latest[0].at_us, tally.latest[0].row) == (2, LATEST_MAX - 11)
    assert tally.words == "3,000 refused (unknown prediction 3,000)"


def test_endpoints_are_counted_apart(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    refused.add("a", {"says nothing": 1}, [])
    refused.add("b.c", {"says nothing": 2, "from the future": 1}, [])
    assert {name: tally.total for name, tally in refused.all().items()} == {"a": 1, "b.c": 3}
    assert refused.of("nobody").total == 0


def test_half_a_file_is_as_good_as_none(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    refused.add("calls", {"says nothing": 1}, [])
    (tmp_path / "refused" / "calls.json").write_text('{"counts": {"says')
    refused.add("calls", {"says nothing": 2}, [])
    assert refused.of("calls").total == 2


def test_words_are_short_and_can_be_written(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    refused.add("calls", {"cannot be read": 1}, [refusal(1, "cannot be read", "half a character \ud800" * 1_000)])
    assert len(refused.of("calls").latest[0].what) == 500
