"""Frames: what goes in comes out, of every type and shape; what is broken is refused and never believed."""

import socket
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from payoff.records.signature import Type
from payoff.runner.guest import frames

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too


def values_of(type_name: str, rows: int, shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Arrays of one type."""
    elements = {"text": TEXTS, "float32": st.floats(width=32), "float64": st.floats()}.get(type_name)
    return hnp.arrays(frames.TYPES[type_name], (rows, *shape), elements=elements)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, frames.Pair]:
    """Some columns of some rows."""
    rows = draw(st.integers(0, 5))
    columns: dict[str, frames.Pair] = {}
    for name in draw(st.lists(TEXTS, max_size=5, unique=True)):
        shape = draw(st.sampled_from([(), (), (), (3,), (2, 2), (0,), (1, 0, 2)]))
        values = draw(values_of(draw(st.sampled_from(sorted(frames.TYPES))), rows, shape))
        columns[name] = values, draw(st.none() | hnp.arrays(bool, (rows,)))
    return columns


@st.composite
def even_tables(draw: st.DrawFn) -> dict[str, frames.Pair]:
    """Columns of numbers of one type, as most models take them."""
    rows, type_name = draw(st.integers(0, 5)), draw(st.sampled_from(["float64", "int64", "timestamp"]))
    names = draw(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
    return {name: (draw(values_of(type_name, rows, ())), None) for name in names}


def crossed(pieces: list[frames.Piece]) -> frames.Frame:
    """The frame that comes out of a socket when these go in."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frames.send(ours, pieces)
        return frames.receive(theirs, frames.Incoming())


def same(left: Any, right: Any) -> bool:
    """Also where a value is not a number."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(left.tolist() == right.tolist()) if left.dtype == object else left.tobytes() == right.tobytes()


def test_the_types_are_those_of_a_signature() -> None:
    assert {name: dtype.str for name, dtype in frames.TYPES.items()} == {type_: type_.dtype.str for type_ in Type}


@settings(deadline=None)
@given(tables() | even_tables())
def test_columns_come_out_as_they_went_in(columns: dict[str, frames.Pair]) -> None:
    frame = crossed(frames.pack(frames.ASK, columns))
    assert frame.verb == frames.ASK
    came = frames.unpack(frame)
    assert list(came) == list(columns)
    for name, (values, valid) in columns.items():
        got, there = came[name]
        assert got.flags.writeable
        if valid is None:
            assert there is None
            assert same(got, values)
        else:
            assert there is not None
            assert there.tolist() == valid.tolist()
            assert same(got[valid], values[valid])
            assert got.dtype == values.dtype


@settings(deadline=None)
@given(tables() | even_tables(), st.integers(0, 400), st.integers(0, 255))
def test_a_byte_that_changes_on_its_way_breaks_nothing_but_the_frame(
    columns: dict[str, frames.Pair], place: int, byte: int
) -> None:
    whole = bytearray(b"".join(frames.pack(frames.ASK, columns)))
    whole[place % len(whole)] = byte
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(whole)
        ours.shutdown(socket.SHUT_WR)
        try:
            frames.unpack(frames.receive(theirs, frames.Incoming(1 << 16, 1 << 16)))
        except (frames.Garbled, EOFError):
            return


@given(tables())
def test_words_and_columns_share_a_frame(columns: dict[str, frames.Pair]) -> None:
    frame = crossed(frames.say(frames.TO_ONNX, {"target": "m.onnx", "sizes": np.arange(2)}, columns))
    words = frames.read_json(frame.head)
    assert words["target"] == "m.onnx"
    assert words["sizes"] == [0, 1]
    assert list(frames.unpack(frame, frames.read_layout(words["columns"]))) == list(columns)


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 3_000_000])
def test_a_frame_of_any_size_arrives_in_pieces_of_any_size(size: int) -> None:
    columns: dict[str, frames.Pair] = {"bytes": (np.arange(size, dtype=np.uint8), None)}
    whole = b"".join(frames.pack(frames.DONE, columns))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        incoming, frame, sent = frames.Incoming(), None, 0
        while frame is None:
            sent += ours.send(whole[sent : sent + 30_011]) if sent < len(whole) else 0
            frame = incoming.read(theirs)
    assert (frames.unpack(frame)["bytes"][0] == columns["bytes"][0]).all()


def test_what_stands_at_a_null_may_be_anything_in_text() -> None:
    columns = {"t": (np.array(["a", None, 3.5], object), np.array([True, False, False]))}
    values, valid = frames.unpack(crossed(frames.pack(frames.ASK, columns)))["t"]
    assert values.tolist() == ["a", "", ""]
    assert valid is not None
    assert columns["t"][0].tolist() == ["a", None, 3.5]


@pytest.mark.parametrize("rows", [1, 3])
def test_columns_of_different_lengths_do_not_cross(rows: int) -> None:
    with pytest.raises(TypeError, match="all need the same"):
        frames.pack(frames.ASK, {"x": (np.zeros(2), None), "y": (np.zeros(rows), None)})


@pytest.mark.parametrize(
    ("values", "valid", "says"),
    [
        pytest.param(np.array(["a", 3], object), None, "'x' must be text and holds a value of type int", id="mixed"),
        pytest.param(np.zeros(2, complex), None, "'x' is of NumPy's type complex128", id="type"),
        pytest.param(np.float64(1), None, "'x' is one value", id="no rows"),
        pytest.param(np.zeros(2), np.zeros(3, bool), "one bool for every row", id="mask"),
    ],
)
def test_what_cannot_cross_is_said(values: Any, valid: Any, says: str) -> None:
    frames.pack(frames.ASK, {"x": (np.zeros((2, 3)), None)})
    frames.pack(frames.ASK, {"x": (np.zeros(2, "datetime64[D]"), None)})
    frames.head_of({"x": (np.zeros(2), None)})  # what was sent before is no excuse
    with pytest.raises(TypeError, match=says):
        frames.pack(frames.ASK, {"x": (np.asarray(values), valid)})
