"""The machine's bill: all of it is booked to somebody, to the micro, for every hour."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger.bill import HOUR_US, NOBODY, Cost, Hour, Machine, Payer, Use, book, books, fixed_micros
from payoff.ledger.prices import GB, HOUR_NS, HOUR_S, Fixed, Prices, ShareBy

CASE = json.loads((Path(__file__).parent / "cases" / "C29_compute_cost_allocation.json").read_text())
NOVEMBER_US = 1_793_491_200_000_000  # 2026-11-01T00:00:00Z

amounts = st.integers(0, 10**16)
names = st.sampled_from(["loan", "card", "fraud"])
payers = st.builds(Payer, names, st.sampled_from([None, "a", "b"]), st.sampled_from([None, 1, 2]), st.booleans())
uses = st.builds(Use, amounts, amounts, amounts, st.integers(0, 10**12), st.integers(0, 10**9))
machines = st.builds(Machine, amounts, amounts, amounts, amounts, amounts, amounts, amounts)
hours = st.builds(
    Hour,
    st.integers(0, 2_000).map(lambda place: NOVEMBER_US + place * HOUR_US),
    st.sampled_from(["one", "two"]),
    machines,
    st.dictionaries(payers, uses, max_size=6),
)
fixed = st.lists(st.builds(Fixed, st.just("rent"), st.integers(0, 10**12), st.none() | names), max_size=3).map(tuple)
price = st.integers(0, 10**9)
prices = st.builds(
    lambda cpu, memory, gpu, fixed, key: Prices(cpu, "", memory, gpu, fixed=fixed, share_by=key),
    price, price, price, fixed, st.sampled_from(ShareBy),
)  # fmt: skip


@given(st.lists(hours, max_size=5, unique_by=lambda hour: (hour.at_us, hour.name)), prices)
def test_everything_booked_adds_up_to_the_bill_for_every_hour(found: list[Hour], prices: Prices) -> None:
    made = books(found, prices)
    assert made.cost().total == made.bill.total
    for at_us in {hour.at_us for hour in found}:
        one = books([hour for hour in found if hour.at_us == at_us], prices)
        booked = [entry.cost.total for entry in made.entries if entry.at_us == at_us]
        assert sum(booked) == one.bill.total
    assert all(amount >= 0 for entry in made.entries for amount in (entry.cost.direct, entry.cost.shared))


@given(hours, prices)
def test_the_bill_is_the_price_of_the_machine_or_of_what_was_used_if_that_is_more(hour: Hour, prices: Prices) -> None:
    _, bill = book(hour, prices)
    used = sum(use.cpu_ns for use in hour.uses.values())
    has = hour.machine
    assert bill.cpu == round(Fraction(max(has.core_ns, has.own_cpu_ns, used) * prices.cpu_core_hour_micros, HOUR_NS))
    used = sum(use.memory_byte_s for use in hour.uses.values())
    whole = max(has.memory_byte_s, has.own_memory_byte_s, used)
    assert bill.memory == round(Fraction(whole * prices.memory_gb_hour_micros, GB * HOUR_S))
    assert bill.fees == sum(use.fee_micros for use in hour.uses.values())


@given(hours, prices)
def test_a_direct_cost_is_within_one_micro_of_use_times_price(hour: Hour, prices: Prices) -> None:
    costs, _ = book(hour, prices)
    for who, use in hour.uses.items():
        assert abs(costs[who].cpu - Fraction(use.cpu_ns * prices.cpu_core_hour_micros, HOUR_NS)) <= 2
        assert costs[who].fees == use.fee_micros


def case_hour() -> Hour:
    """Case C29: what a workload holds is the larger of what it asked for and what it used (OpenCost v0.1)."""
    node, hours = CASE["input"]["node"], CASE["input"]["node"]["hours"]
    uses = {}
    for place, (name, load) in enumerate(CASE["input"]["workloads"].items()):
        cores = max(load["cpu_request"], load["cpu_used"])
        memory_gb = max(load["ram_request"], load["ram_used"])
        gpus = max(load["gpu_request"], load["gpu_used"])
        uses[Payer("e", name, place)] = Use(
            round(cores * hours * HOUR_NS), round(memory_gb * hours * HOUR_S * GB), round(gpus * hours * HOUR_NS),
            0, load["requests_served"],
        )  # fmt: skip
    whole = Machine(
        hours * HOUR_US, 0, node["cores"] * hours * HOUR_NS, node["ram_gb"] * hours * HOUR_S * GB,
        node["gpu"] * hours * HOUR_NS,
    )  # fmt: skip
    return Hour(NOVEMBER_US, "node", whole, uses)


def case_costs(unit: int) -> dict[str, Any]:
    """The books of the case with money counted in millionths of a `unit`-th."""
    listed = CASE["input"]["prices_per_hour"]
    cpu, memory, gpu = (round(listed[key] * 10**6) * unit for key in ("CPU", "RAM", "GPU"))
    month = round(CASE["input"]["overhead_per_hour"] * 30 * 24 * 24 * 10**6) * unit  # for its 24 hours as one
    rent = Fixed("cluster", month)
    costs, bill = book(case_hour(), Prices(cpu, "", memory, gpu), (rent,))
    return {"costs": {who.model: cost for who, cost in costs.items()}, "bill": bill}


@pytest.mark.parametrize(
    ("unit", "tolerance"),
    [
        pytest.param(1, 3e-6, id="in micros, to the rounding of three resources"),
        pytest.param(10**6, 1e-9, id="in millionths of a micro, to the tolerance of the case"),
    ],
)
def test_case_c29_compute_cost_allocation(unit: int, tolerance: float) -> None:
    found, expected = case_costs(unit), CASE["expected"]
    money = 10**6 * unit
    idle = sum(cost.idle for cost in found["costs"].values())
    assert idle / money == pytest.approx(expected["idle_cost"], abs=tolerance)
    assert 100 * idle / (found["bill"].total - found["bill"].fixed) == pytest.approx(
        expected["idle_percent_of_allocation_cost"], abs=100 * tolerance
    )
    for name, cost in found["costs"].items():
        direct = expected["workload_cost"][name]
        for mine, theirs in ((cost.cpu, "cpu"), (cost.memory, "ram"), (cost.gpu, "gpu"), (cost.direct, "total")):
            assert mine / money == pytest.approx(direct[theirs], abs=tolerance)
        assert cost.total / money == pytest.approx(expected["fully_loaded_cost"][name], abs=tolerance)
        per_1000 = cost.total / money / CASE["input"]["workloads"][name]["requests_served"] * 1000
        assert per_1000 == pytest.approx(expected["fully_loaded_cost_per_1000_predictions"][name], abs=tolerance)
    assert found["bill"].total == sum(cost.total for cost in found["costs"].values())
    assert found["bill"].total / money == pytest.approx(expected["check_total"], abs=tolerance)


def test_what_payoff_used_beyond_its_arms_is_overhead_and_the_rest_is_idle() -> None:
    who = Payer("loan", "a", 1)
    had = Machine(HOUR_US, 0, 2 * HOUR_NS, own_cpu_ns=HOUR_NS)
    costs, bill = book(Hour(NOVEMBER_US, "", had, {who: Use(HOUR_NS // 4)}), Prices(1_000_000))
    assert costs == {who: Cost(cpu=250_000, overhead=750_000, idle=1_000_000)}
    assert bill.total == 2_000_000


@pytest.mark.parametrize(
    ("key", "expected"), [(ShareBy.DIRECT_COST, [750_000, 250_000]), (ShareBy.DECISIONS, [100_000, 900_000])]
)
def test_idle_is_shared_by_the_stated_key(key: ShareBy, expected: list[int]) -> None:
    dear, busy = Payer("loan", "a", 1), Payer("loan", "b", 1)
    watcher = Payer("loan", "c", 1, shadow=True)
    used = {dear: Use(3 * HOUR_NS, predictions=1), busy: Use(HOUR_NS, predictions=9), watcher: Use(predictions=1_000)}
    costs, _ = book(Hour(NOVEMBER_US, "", Machine(core_ns=5 * HOUR_NS), used), Prices(1_000_000, share_by=key))
    assert [costs[dear].idle, costs[busy].idle, costs[watcher].idle] == [*expected, 0]


def test_a_machine_counts_as_having_what_is_said_of_it() -> None:
    had = Machine(HOUR_US // 2, core_ns=64 * HOUR_NS, memory_byte_s=64 * GB * HOUR_S)
    said = Prices(1_000_000, "", 1_000_000, 1_000_000, cores=4, memory_bytes=8 * GB, gpus=1)
    _, bill = book(Hour(NOVEMBER_US, "", had, {}), said)
    assert (bill.cpu, bill.memory, bill.gpu) == (2_000_000, 4_000_000, 500_000)


def test_an_hour_without_anybody_is_booked_to_nobody() -> None:
    costs, bill = book(Hour(NOVEMBER_US, "", Machine(core_ns=HOUR_NS), {}), Prices(1_000_000))
    assert costs == {NOBODY: Cost(idle=1_000_000)}
    assert bill.total == 1_000_000


def test_a_fixed_cost_of_an_endpoint_is_borne_by_that_endpoint_alone() -> None:
    one, other = Payer("loan", "a", 1), Payer("card", "b", 1)
    hour = Hour(NOVEMBER_US, "", Machine(), {one: Use(1), other: Use(1)})
    feed = Fixed("feed", 720_000_000, "card")
    costs, _ = book(hour, Prices(), (feed,))
    assert (costs[one].fixed, costs[other].fixed) == (0, 1_000_000)
    costs, _ = book(hour, Prices(), (replace(feed, endpoint="gone"),))
    assert costs[Payer("gone", "", None)] == Cost(fixed=1_000_000)


@given(st.integers(0, 10**13), st.sampled_from([(NOVEMBER_US, 720), (NOVEMBER_US - 31 * 24 * HOUR_US, 744)]))
def test_the_hours_of_a_month_add_up_to_its_fixed_cost(month_micros: int, month: tuple[int, int]) -> None:
    begins_us, hours = month
    rent = Fixed("rent", month_micros)
    parts = [fixed_micros(rent, begins_us + place * HOUR_US) for place in range(hours)]
    assert sum(parts) == month_micros
    assert max(parts) - min(parts) <= 1


def test_a_fixed_cost_comes_once_an_hour_however_many_machines_there_are() -> None:
    rent = Prices(fixed=(Fixed("rent", 720_000_000),))
    found = books([Hour(NOVEMBER_US, name, Machine(), {}) for name in ("one", "two")], rent)
    assert found.bill.fixed == 1_000_000


def test_without_any_cost_or_decision_all_bear_the_same() -> None:
    some = [Payer("loan", "a", place) for place in range(4)]
    costs, _ = book(Hour(NOVEMBER_US, "", Machine(core_ns=HOUR_NS), dict.fromkeys(some, Use())), Prices(1_000_000))
    assert [costs[who].idle for who in some] == [250_000] * 4


def test_idle_is_shared_by_use_even_where_use_costs_less_than_a_micro() -> None:
    """36 and 12 ms of computing at 0.03 an hour: 0.3 and 0.1 micros, which are booked as none."""
    more, less = Payer("loan", "a", 1), Payer("loan", "b", 1)
    used = {more: Use(36_000_000, predictions=1), less: Use(12_000_000, predictions=9)}
    costs, _ = book(Hour(NOVEMBER_US, "", Machine(core_ns=HOUR_NS), used), Prices(30_000))
    assert costs[more].idle == pytest.approx(3 * costs[less].idle, abs=4)
