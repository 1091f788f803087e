"""Files of rows are cut into requests at row ends, and answers are written in the format asked for."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.cli import answers, rows
from payoff.client import frames
from payoff.codecs import formats, samples
from payoff.errors import BadInput, Conflict, Unavailable

TEXT = st.text(alphabet='ab"\n, ;x', max_size=12)


@given(table=st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=40), size=st.integers(1, 200))
def test_a_csv_is_never_cut_inside_a_quoted_field(table: list[list[str]], size: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["a", "b"], *table])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "PIECE_BYTES_MAX", size)
        for body in rows.by_lines(io.BytesIO(text.getvalue().encode()), header=True):
            head, *part = csv.reader(io.StringIO(body.decode(), newline=""))
            assert head == ["a", "b"]
            found += part
    assert [row for row in found if row] == table


def test_json_lines_have_no_header_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PIECE_BYTES_MAX", 5)
    lines = [b'{"a": 1}\n', b'{"a": 2}\n']
    assert list(rows.by_lines(io.BytesIO(b"".join(lines)), header=False)) == lines


def test_an_empty_file_is_still_sent_so_that_the_server_can_say_what_is_missing() -> None:
    assert list(rows.by_lines(io.BytesIO(b""), header=True)) == [b""]
    assert list(rows.by_lines(io.BytesIO(b"a,b\n"), header=True)) == [b"a,b\n"]


@pytest.mark.parametrize(("path", "form", "otherwise", "expected"), [
    ("x.CSV", None, None, ".csv"), ("x.csv", "parquet", None, ".parquet"), ("-", None, ".jsonl", ".jsonl"),
    ("-", None, None, ".csv"), ("x.ndjson", None, ".csv", ".ndjson"),
])  # fmt: skip
def test_the_format_is_the_one_asked_for_or_the_suffix(
    path: str, form: str | None, otherwise: str | None, expected: str
) -> None:
    assert rows.kind(path, form, otherwise) == expected


@pytest.mark.parametrize("path", ["rows", "rows.xlsx"])
def test_a_suffix_nobody_knows_is_refused_with_the_ones_there_are(path: str) -> None:
    with pytest.raises(BadInput, match=r"\.csv, \.json"):
        rows.kind(path, None)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_binary_files_go_as_arrow(tmp_path: Path, suffix: str) -> None:
    table, path = pa.table({"a": [1, 2]}), tmp_path / f"x{suffix}"
    if suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        path.write_bytes(frames.stream(table))
    ((kind, body),) = rows.pieces(path, suffix)
    assert kind == "application/vnd.apache.arrow.stream"
    assert frames.read(body).equals(table)


def test_half_a_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1....")
    with pytest.raises(BadInput, match=r"x.parquet is not a whole .parquet file"):
        list(rows.pieces(tmp_path / "x.parquet", ".parquet"))


ANSWER = pa.table({"prediction_id": ["i"], "probabilities": [[0.25, 0.75]], "decision": [True]})
SAID = {"prediction_id": "i", "probabilities": [0.25, 0.75], "decision": True}


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet", ".arrow"])
def test_answers_are_written_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    answers.write(iter([ANSWER, ANSWER.slice(1)]), suffix, str(path))
    if suffix == ".csv":
        assert next(csv.DictReader(path.open()))["probabilities"] == "[0.25, 0.75]"
    elif suffix == ".parquet":
        assert pyarrow.parquet.read_table(path).to_pylist() == [SAID]
    elif suffix == ".arrow":
        assert frames.read(path.read_bytes()).to_pylist() == [SAID]
    else:
        said = json.loads(path.read_text())
        assert said == ([SAID] if suffix == ".json" else SAID)


@pytest.mark.parametrize("suffix", answers.WRITERS)
def test_answers_that_come_in_parts_are_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    parts = [pa.table({"prediction_id": [str(i)], "y": [float(i)]}) for i in range(3)]
    answers.write(iter(parts), suffix, str(path))
    said = samples.table(path.read_bytes(), formats.by_suffix(path).name).to_pylist()
    assert [(str(row["prediction_id"]), row["y"]) for row in said] == [("0", 0.0), ("1", 1.0), ("2", 2.0)]


def test_what_was_answered_before_an_error_is_written_and_counted(tmp_path: Path) -> None:
    def some() -> Iterator[pa.Table]:
        yield ANSWER
        raise Unavailable("nobody is there")

    with pytest.raises(Unavailable, match="the first 1 rows were answered and written; of those after them, nobody"):
        answers.write(some(), ".parquet", str(tmp_path / "out.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist() == [SAID]


def test_answers_with_other_columns_end_the_file(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="another revision"):
        answers.write(iter([ANSWER, pa.table({"other": [1]})]), ".csv", str(tmp_path / "out.csv"))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_a_large_binary_file_is_read_some_rows_at_a_time(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PIECE_ROWS_MAX", 100)
    table, path = pa.table({"i": range(1_000)}), tmp_path / f"x{suffix}"
    if suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with (pa.ipc.new_file if suffix == ".feather" else pa.ipc.new_stream)(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    parts = [frames.read(body) for _, body in rows.pieces(path, suffix)]
    assert len(parts) == 10
    assert pa.concat_tables(parts)["i"].to_pylist() == list(range(1_000))
