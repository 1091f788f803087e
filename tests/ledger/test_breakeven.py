"""What a version must earn."""

from payoff.ledger.bill import HOUR_US, Cost, Entry, Payer, Use
from payoff.ledger.breakeven import day_micros, thousand_micros

WHO, OTHER = Payer("loan", "m", 1), Payer("loan", "m", 2)


def entry(hour: int, payer: Payer, up_us: int, **micros: int) -> Entry:
    return Entry(hour * HOUR_US, "one", payer, Use(), Cost(**micros), up_us)


def test_a_thousand_predictions_cost_their_part_of_everything() -> None:
    assert thousand_micros(Use(predictions=4_000), Cost(cpu=100, fees=100, idle=200)) == 100
    assert thousand_micros(Use(predictions=3), Cost(cpu=1)) == 333
    assert thousand_micros(Use(), Cost(cpu=1)) is None


def test_a_day_is_24_hours_of_being_up_at_the_pace_of_the_hours_there_were() -> None:
    entries = [
        entry(0, WHO, HOUR_US // 2, memory=10_000), entry(1, WHO, HOUR_US, idle=20_000),
        entry(2, WHO, 0, fixed=1_000_000), entry(1, OTHER, HOUR_US, cpu=50_000),
    ]  # fmt: skip
    assert day_micros(entries) == {WHO: 480_000, OTHER: 1_200_000}


def test_a_fixed_cost_is_of_the_whole_hour_however_short_payoff_was_up() -> None:
    assert day_micros([entry(0, WHO, HOUR_US // 60, fixed=50_000, memory=100)]) == {WHO: 24 * 50_000 + 24 * 60 * 100}
