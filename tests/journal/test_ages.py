"""Journals of all ages are read as one: rows from before a column was there mean what they meant."""

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.journal import segment, tables
from payoff.journal.compact import compact
from payoff.journal.decode import Decoder
from payoff.journal.frame import (
    AMOUNT,
    CURRENCY,
    HAPPENED,
    PART,
    PROPENSITY,
    STREAM,
    VALUE,
    Learned,
    Noted,
    Stream,
    block,
    encode,
    encode_stream,
    layout,
)
from payoff.journal.frame import FRAME as HEAD
from payoff.journal.ids import Ids, text
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
from tests.journal.conftest import House

X, TRUTH = ("inputs", Field("x", Type.INT64)), ("outcome", Field("subscribed", Type.BOOL))
LATER = {"predictions": ("choice", "share", "instead_of", "propensity"),
         "outcomes": ("happened", "part", "amount", "currency")}  # fmt: skip
WAYS = "SELECT choice, share, instead_of, propensity FROM {} ORDER BY id"


def old_frame(number: int, stream: Stream) -> bytes:
    """The frame that introduces a stream, as it was before streams knew how their rows came to their arm."""
    facts = {name: fact for name, fact in orjson.loads(stream.descriptor).items() if name not in LATER["predictions"]}
    raw = orjson.dumps(facts)
    return HEAD.pack(STREAM, 0, number, 0, len(raw)) + raw


def noted(ids: Ids, n: int, propensity: list[float] | None = None) -> Noted:
    nothing = np.zeros(n, np.int64)
    chances = None if propensity is None else np.array(propensity)
    rows = {"x": Column(np.arange(n))}
    return Noted(n, *ids.take(n), nothing, nothing, nothing, None, "", rows, {}, propensity=chances)


def learned(ids: Ids, n: int) -> Learned:
    high, low = ids.take(n)
    return Learned(n, high, low, np.zeros(n, np.int64), high, low, {"subscribed": Column(np.ones(n, bool))})


def read(raw: bytes) -> pa.Table:
    ((_, table),) = Decoder().tables(raw, segment.scan(raw).bodies)
    return table


def of(kind: str, batch: Noted | Learned, *columns: tuple[str, Field], old: bool = False, **facts: object) -> bytes:
    """A segment with one batch."""
    own = X if kind == "predictions" else TRUTH
    stream = Stream(kind, "e", columns=(own, *columns), **facts)  # type: ignore[arg-type]
    introduced = old_frame(0, stream) if old else encode_stream(0, stream)
    return block([introduced, *encode(0, layout(stream), batch)], int(batch.id_hi[-1]))


def test_a_prediction_says_how_it_came_to_its_arm_and_how_likely_its_decision_was() -> None:
    raw = of("predictions", noted(Ids(), 2, [0.99, 0.01]), PROPENSITY, choice="rule", share=0.85, instead_of="v7")
    rows = read(raw).select(LATER["predictions"]).to_pylist()
    assert rows == [
        {"choice": "rule", "share": 0.85, "instead_of": "v7", "propensity": chance} for chance in (0.99, 0.01)
    ]


def test_an_outcome_says_when_it_happened_of_which_part_it_tells_and_what_was_sent() -> None:
    batch = learned(Ids(), 2)._replace(
        value=Column(np.array([9.0, 0.0]), np.array([True, False])),
        happened_us=Column(np.array([1_000_000, 0]), np.array([True, False])),
        part=Column(np.array(["fee", None], object)),
        amount=Column(np.array([10.0, -3.5])),
        currency=Column(np.array(["USD", None], object)),
    )
    table = read(of("outcomes", batch, VALUE, HAPPENED, PART, AMOUNT, CURRENCY))
    assert table["happened"].cast(pa.int64()).to_pylist() == [1_000_000, None]
    assert table["value"].to_pylist() == [9.0, None]
    assert table["part"].to_pylist() == ["fee", None]
    assert table["amount"].to_pylist() == [10.0, -3.5]
    assert table["currency"].to_pylist() == ["USD", None]


def test_a_segment_in_the_old_layout_is_read_as_rows_that_came_by_their_share() -> None:
    ids = Ids()
    table = read(of("predictions", batch := noted(ids, 3), old=True))
    assert table["id"].to_pylist() == text(batch.id_hi, batch.id_lo)
    assert table["inputs"].to_pylist() == [{"x": 0}, {"x": 1}, {"x": 2}]
    usual = {"choice": "", "share": 1.0, "instead_of": "", "propensity": 1.0}
    assert table.select(LATER["predictions"]).to_pylist() == [usual] * 3
    told = read(of("outcomes", learned(ids, 2), old=True))
    assert told["outcome"].to_pylist() == [{"subscribed": True}] * 2
    assert told.select(LATER["outcomes"]).to_pylist() == [dict.fromkeys(LATER["outcomes"])] * 2


def test_a_table_in_the_old_layout_takes_new_rows_and_all_are_found(house: House) -> None:
    ids = Ids()
    for kind, batch in (("predictions", noted(ids, 3)), ("outcomes", learned(ids, 3))):
        old = read(of(kind, batch, old=True)).drop_columns(list(LATER[kind]))
        tables.Table(house.home / "tables", (kind, "e")).append([old], 1)
    writer = house.writer()
    stream = Stream("predictions", "e", share=0.5, choice="explore", columns=(X, PROPENSITY))
    writer.note(stream, noted(ids, 2, [0.25, 0.75]))
    happened = Column(np.array([5, 6]))
    writer.note(Stream("outcomes", "e", columns=(TRUTH, HAPPENED)), learned(ids, 2)._replace(happened_us=happened))
    writer.close()
    expected = [(None,) * 4] * 3 + [("explore", 0.5, "", 0.25), ("explore", 0.5, "", 0.75)]
    assert house.rows(WAYS.format("predictions")) == expected  # tables and segments
    compact(house.home)
    assert house.rows(WAYS.format("predictions")) == expected  # tables alone
    assert house.rows("SELECT epoch_us(happened) FROM outcome_log ORDER BY id") == [(None,)] * 3 + [(5,), (6,)]


def test_an_old_segment_and_a_new_one_go_into_one_table(house: House) -> None:
    ids, root = Ids(), house.home / "journal"
    root.mkdir()
    (root / "00000000000000001-worker-0.seg").write_bytes(of("predictions", noted(ids, 2), old=True))
    raw = of("predictions", noted(ids, 1, [0.5]), PROPENSITY, choice="explore")
    (root / "00000000000000002-worker-0.seg").write_bytes(raw)
    compact(house.home)
    assert house.rows(WAYS.format("predictions")) == [("", 1.0, "", 1.0)] * 2 + [("explore", 1.0, "", 0.5)]


@given(st.lists(st.floats(0.0, 1.0, exclude_min=True), min_size=1, max_size=5), st.floats(0.0, 1.0))
def test_shares_and_propensities_come_back_as_they_were(chances: list[float], share: float) -> None:
    table = read(of("predictions", noted(Ids(), len(chances), chances), PROPENSITY, share=share))
    assert table["propensity"].to_pylist() == chances
    assert set(table["share"].to_pylist()) == {share}


def test_a_batch_that_does_not_bring_what_its_stream_declares_is_refused() -> None:
    with pytest.raises(ValueError, match="the stream declares a column 'propensity' and the batch does not bring it"):
        of("predictions", noted(Ids(), 1), PROPENSITY)
