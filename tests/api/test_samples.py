"""Sample rows are read as their file's name says, and what cannot be read is named."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from payoff.api import samples
from payoff.client import frames
from payoff.errors import BadInput, PayoffError, TooLarge

TABLE = pa.table({"age": [33, 41], "job": ["admin.", None]})


def feather(path: Path) -> None:
    pyarrow.feather.write_feather(TABLE, path, compression="uncompressed")


WRITERS: dict[str, Callable[[Path], object]] = {
    "s.csv": lambda path: path.write_text('age,job\n33,"admin."\n41,\n'),
    "s.json": lambda path: path.write_text('[{"age": 33, "job": "admin."}, {"age": 41, "job": null}]'),
    "rows.json": lambda path: path.write_text('{"rows": [{"age": 33, "job": "admin."}, {"age": 41}]}'),
    "columns.json": lambda path: path.write_text('{"age": [33, 41], "job": ["admin.", null]}'),
    "s.jsonl": lambda path: path.write_text('{"age": 33, "job": "admin."}\n\n{"age": 41}\n'),
    "s.parquet": lambda path: pyarrow.parquet.write_table(TABLE, path),
    "S.ARROW": lambda path: path.write_bytes(frames.stream(TABLE)),
    "s.feather": feather,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_in_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "part-0"
    WRITERS[name](path)
    found = samples.read(path, name)
    assert found.column_names == ["age", "job"]
    assert found["age"].to_pylist() == [33, 41]
    assert found["job"].to_pylist()[0] == "admin."


@pytest.mark.parametrize(("name", "content", "words"), [
    pytest.param("s.xlsx", b"PK", "no format for '.xlsx'; there are: .csv", id="a format nobody reads"),
    pytest.param("s.csv", b"", "is empty", id="empty"),
    pytest.param("s.parquet", b"PAR1 cut", "cannot be read as parquet", id="cut off"),
    pytest.param("s.json", b'[{"a": 1', "cannot be read as json", id="truncated JSON"),
    pytest.param("s.json", b"[1, 2]", "expected an object with a value per column", id="JSON of another shape"),
    pytest.param("s.jsonl", b'{"a": 1}\nnope', "cannot be read as ndjson: line 2", id="a line that is no JSON"),
    pytest.param("s.json", b'[{"a": 1}, {"a": "x"}]', "cannot be read as json", id="two types in one column"),
    pytest.param("s.arrow", b"ARROW1 but not", "cannot be read as arrow", id="no Arrow"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / "part-0"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        samples.read(path, name)


def test_a_whole_data_set_is_more_than_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "BYTES_MAX", 3)
    (tmp_path / "s").write_bytes(b"a\n1\n")
    error: type[PayoffError] = TooLarge
    with pytest.raises(error, match="100 rows are enough"):
        samples.read(tmp_path / "s", "s.csv")
