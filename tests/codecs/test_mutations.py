"""Bodies that were changed on their way: columns or a refusal, within memory, and the process lives."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import arrow, ndjson
from payoff.codecs.pieces import Ask, Batches, Fault, Lines, Source
from payoff.records import Column, concat
from tests.codecs.frames import Frame, answer, check_same, frames, patient
from tests.codecs.mutations import DECODERS

ROOT = Path(__file__).parents[2]


def lives(bodies: int, seed: int) -> None:
    command = [sys.executable, "-m", "tests.codecs.mutations", str(bodies), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1_800)
    assert done.returncode == 0, f"seed {seed}, through: {done.stdout}\n{done.stderr[-4_000:]}"
    assert done.stdout.splitlines() == [*DECODERS]


def test_no_changed_body_ends_the_process_or_fills_the_memory() -> None:
    lives(300, 5)


@pytest.mark.slow
def test_nor_does_one_of_many_more() -> None:
    lives(1_500, 6)


# -- in parts


def taken(source: Source, body: bytes, frame: Frame, cuts: list[int]) -> dict[str, Column]:
    """What a source gives of a body that comes in parts."""
    fields, _, _ = frame
    asks: list[Ask | Fault] = []
    ends = sorted(min(cut, len(body)) for cut in cuts)
    for start, end in zip([0, *ends], [*ends, len(body)], strict=True):
        source.feed(body[start:end])
        asks += source.next(fields, 2)
    source.end()
    while found := source.next(fields, 2):
        asks += found
    assert source.held == 0
    assert not source.ready
    rows = [one.rows for one in asks if isinstance(one, Ask)]
    assert len(rows) == len(asks)
    return concat(rows) if rows else ndjson.decode(b"", fields)


@patient
@given(frames(), st.lists(st.integers(0, 400), max_size=4))
def test_lines_are_the_same_however_they_are_cut(frame: Frame, cuts: list[int]) -> None:
    fields, columns, _ = frame
    if {"endpoint", "revision"} & {field.name for field in fields}:
        return
    said = ndjson.encode(answer(frame)).replace(b'"endpoint":"term-deposit","revision":3,', b"")
    check_same(taken(Lines(), said, frame, cuts), columns, fields)


@patient
@given(frames(finite=False), st.lists(st.integers(0, 2_000), max_size=4))
def test_batches_are_the_same_however_they_are_cut(frame: Frame, cuts: list[int]) -> None:
    fields, columns, _ = frame
    check_same(taken(Batches(), arrow.encode(answer(frame)), frame, cuts), columns, fields)


def test_a_bad_line_spoils_no_other_whatever_it_is() -> None:
    from payoff.records import Field, Type

    fields, good, chance = (Field("a", Type.INT64),), b'{"a": 1}', np.random.default_rng(3)
    bad = [b"{", b"[1]", b'{"a": 1.5}', b'{"a": null}', b'{"a": 9223372036854775808}', b'{"a": "\\ud800"}', b"\x00"]
    for _ in range(50):
        lines = [good if chance.random() < 0.8 else bad[chance.integers(len(bad))] for _ in range(40)]
        source = Lines()
        source.feed(b"\n".join(lines))
        source.end()
        found = source.next(fields, 100)
        places = [place for one in found for place in (one.places if isinstance(one, Ask) else [one.place])]
        assert places == [*range(1, 41)]
        faults = [one.place for one in found if isinstance(one, Fault)]
        assert faults == [place for place, line in enumerate(lines, 1) if line is not good]
