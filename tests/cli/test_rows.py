"""Files of rows are cut into requests at row ends, and answers are written in the format asked for."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.cli import rows
from payoff.client import frames
from payoff.errors import BadInput

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
    rows.write(ANSWER, suffix, str(path))
    if suffix == ".csv":
        assert next(csv.DictReader(path.open()))["probabilities"] == "[0.25, 0.75]"
    elif suffix == ".parquet":
        assert pyarrow.parquet.read_table(path).to_pylist() == [SAID]
    elif suffix == ".arrow":
        assert frames.read(path.read_bytes()).to_pylist() == [SAID]
    else:
        said = json.loads(path.read_text())
        assert said == ([SAID] if suffix == ".json" else SAID)
