"""What comes out of the client is the kind of frame that went in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from payoff.client import frames
from payoff.errors import BadInput

ROWS: list[dict[str, object]] = [{"age": 33, "job": "admin."}, {"age": 41, "job": None}]


@pytest.mark.parametrize("frame", [
    pytest.param(pd.DataFrame(ROWS, index=[7, 3]), id="pandas"),
    pytest.param(pa.Table.from_pylist(ROWS), id="arrow table"),
    pytest.param(pa.RecordBatch.from_pylist(ROWS), id="arrow batch"),
    pytest.param(ROWS, id="list of dicts"),
])  # fmt: skip
def test_every_kind_of_frame_becomes_the_same_table(frame: object) -> None:
    assert frames.take(frame).table.to_pylist() == ROWS


def test_pandas_keeps_its_index_and_order() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 3])
    answer = frames.take(frame).back(pa.table({"probability": [0.1, 0.2]}))
    assert list(answer.index) == [7, 3]
    assert list(answer["probability"]) == [0.1, 0.2]


def test_one_dict_in_one_dict_out() -> None:
    assert frames.take(ROWS[0]).back(pa.table({"probability": [0.1]})) == {"probability": 0.1}


def test_a_column_that_only_a_later_row_names_is_kept() -> None:
    assert frames.take([{"a": 1}, {"a": 2, "b": 3}]).table.to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": 3}]


def test_a_dict_of_lists_is_columns_not_one_row() -> None:
    assert frames.take({"a": [1, 2], "b": ["x", "y"]}).table.num_rows == 2


@pytest.mark.parametrize(("frame", "words"), [
    pytest.param(5, "builtins.int", id="no frame at all"),
    pytest.param([], "no row", id="no rows"),
    pytest.param(pd.DataFrame({"a": [1, "x"]}), "mixes types", id="a column of two types"),
    pytest.param([{"a": 1}, {"a": "x"}], "mixes types", id="the same in records"),
])  # fmt: skip
def test_what_is_no_frame_is_refused_with_the_reason(frame: object, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        frames.take(frame)


def test_a_large_table_goes_in_pieces_that_keep_every_row_in_order() -> None:
    table = pa.table({"i": range(50_001), "text": ["x" * 300] * 50_001})
    pieces = list(frames.pieces(table))
    assert max(piece.nbytes for piece in pieces) <= frames.REQUEST_BYTES_MAX
    assert max(piece.num_rows for piece in pieces) <= frames.REQUEST_ROWS_MAX
    assert pa.concat_tables(pieces)["i"].to_pylist() == list(range(50_001))
    assert [piece.num_rows for piece in frames.pieces(table.select(["i"]), 20_000)] == [20_000, 20_000, 10_001]


def test_no_rows_are_still_one_piece_so_that_the_server_can_say_what_is_missing() -> None:
    assert [piece.num_rows for piece in frames.pieces(pa.table({"i": pa.array([], pa.int64())}))] == [0]


def test_a_piece_survives_the_wire() -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"]}).slice(1, 1)
    assert frames.read(frames.stream(table)).to_pylist() == [{"a": None, "b": "y"}]


def test_arrays_are_columns_and_their_shapes_lists() -> None:
    matrix = frames.take(np.arange(6.0).reshape(3, 2)).table
    assert matrix.to_pylist()[1] == {"x0": 2.0, "x1": 3.0}
    images = frames.take(np.zeros((4, 2, 3), np.float32)).table
    assert (images.column_names, images.num_rows) == (["x"], 4)
    assert images["x"][0].as_py() == [[0.0] * 3] * 2
    both = frames.take({"age": np.array([1, 2]), "pixels": np.ones((2, 2))}).table
    assert both.to_pylist()[0] == {"age": 1, "pixels": [1.0, 1.0]}
