"""A flush is in the journal, all of it, or it says so and nothing is."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from payoff.errors import Unavailable
from payoff.journal import segment
from payoff.journal.frame import Stream
from payoff.journal.ids import time_us
from payoff.journal.reader import Held, Tail
from payoff.journal.writer import Writer
from tests.journal.conftest import ENDPOINT, House

KIND = ("predictions", ENDPOINT)


def _ids(tail: Tail) -> list[str]:
    return [each for held in tail.look() for each in _ids_of(held)]


def _ids_of(held: Held) -> list[str]:
    return [str(each) for table in held.tables.get(KIND, []) for each in table["id"].to_pylist()]


def test_what_is_flushed_is_read_at_once_and_only_what_is_new_is_read_again(house: House) -> None:
    tail, writer = Tail(house.home / "journal"), house.writer()
    first = house.answer(writer, [30, 31])
    assert _ids(tail) == first
    before = tail.look()[0].tables[KIND][0]
    second = house.answer(writer, [40])
    assert sorted(_ids(tail)) == first + second
    assert tail.look()[0].tables[KIND][0] is before


def test_what_is_noted_and_not_flushed_is_not_there(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [30], flush=False)
    assert writer.waiting == 1
    assert _ids(Tail(house.home / "journal")) == []
    writer.flush()
    assert (writer.waiting, writer.flushed) == (0, 1)


def test_a_tear_at_any_byte_of_the_last_write_loses_only_that_write(house: House, tmp_path: Path) -> None:
    writer = house.writer()
    kept = [*house.answer(writer, [30]), *house.answer(writer, [31, 32])]
    whole = segment.segments(house.home / "journal")[0].size
    house.answer(writer, [33, 34])
    raw = segment.segments(house.home / "journal")[0].path.read_bytes()
    torn = tmp_path / "torn"
    torn.mkdir()
    for length in range(whole, len(raw)):
        (torn / f"{length:017d}-worker-1.seg").write_bytes(raw[:length])
    for held in Tail(torn).look():
        assert sorted(_ids_of(held)) == kept
        assert held.torn_bytes == int(held.path.name[:17]) - whole
        assert held.damage is None


def test_a_wrong_byte_in_the_middle_is_reported_not_skipped(house: House) -> None:
    writer = house.writer()
    kept = house.answer(writer, [30])
    good = segment.segments(house.home / "journal")[0].size
    house.answer(writer, [31])
    house.answer(writer, [32])
    writer.close()
    path = segment.segments(house.home / "journal")[0].path
    raw = bytearray(path.read_bytes())
    raw[good + 40] ^= 1
    path.write_bytes(raw)
    (held,) = Tail(house.home / "journal").look()
    assert _ids_of(held) == kept
    assert held.damage is not None
    assert (held.damage.offset, held.damage.length) == (good, len(raw) - good)


def test_a_wrong_length_in_the_middle_is_not_taken_for_a_tear(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [30])
    good = segment.segments(house.home / "journal")[0].size
    house.answer(writer, [31])
    house.answer(writer, [32])
    writer.close()
    path = segment.segments(house.home / "journal")[0].path
    raw = bytearray(path.read_bytes())
    raw[good + 6] ^= 0xFF  # the block now claims to be longer than the file
    path.write_bytes(raw)
    (held,) = Tail(house.home / "journal").look()
    assert held.damage is not None


def test_an_open_segment_whose_last_write_was_taken_back_goes_on(house: House) -> None:
    """The writer truncates after a failed write; a reader that saw half of it must not stumble over what follows."""
    writer, tail = house.writer(), Tail(house.home / "journal")
    first = house.answer(writer, [30])
    path = segment.segments(house.home / "journal")[0].path
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(path.read_bytes()[:100])
    assert _ids(tail) == first
    os.truncate(path, size)
    second = house.answer(writer, [31, 32, 33])
    assert _ids(tail) == first + second


def test_a_new_process_never_appends_to_an_old_segment(house: House) -> None:
    one = house.writer()
    house.answer(one, [30])
    one.close()
    house.answer(house.writer(), [31])
    old, new = segment.segments(house.home / "journal")
    assert segment.is_closed(old.path)
    assert not segment.is_closed(new.path)


def test_segments_turn_over_when_full_or_old(house: House) -> None:
    by_size = house.writer("full", segment_bytes_max=2_000)
    for age in range(40):
        house.answer(by_size, [age])
    assert all(segment.is_closed(each.path) for each in segment.segments(house.home / "journal")[:-1])
    assert len(segment.segments(house.home / "journal")) > 2
    by_age = house.writer("old", segment_age_s_max=0.0)
    house.answer(by_age, [30])
    old = [each for each in segment.segments(house.home / "journal") if each.writer == "old"]
    assert all(segment.is_closed(each.path) for each in old)


def test_an_idle_writer_lets_go_of_an_old_segment_when_told_the_time(house: House) -> None:
    writer = house.writer(segment_age_s_max=3_600.0)
    house.answer(writer, [30])
    writer.rotate_if_due()
    path = segment.segments(house.home / "journal")[0].path
    assert not segment.is_closed(path)
    writer.segment_age_s_max = 0.0
    writer.rotate_if_due()
    assert segment.is_closed(path)


def fill(house: House, writer: Writer) -> None:
    for _ in range(20):
        house.answer(writer, [30])


def test_what_belongs_to_replaced_revisions_goes_with_their_segment(house: House) -> None:
    writer, before = house.writer(segment_age_s_max=1e9), _kept()
    for version in range(200):
        house.answer(writer, [30], version=version)
    assert _kept() == before + 200
    writer.close()
    assert _kept() == before


def _kept() -> int:
    """Streams that somebody keeps; what others in this process left behind is gone before they are counted."""
    gc.collect()
    return sum(isinstance(one, Stream) for one in gc.get_objects())


def test_a_journal_that_nobody_compacts_refuses_at_its_limit_and_counts_it(house: House) -> None:
    writer = house.writer(segment_bytes_max=500, journal_bytes_max=1_500)
    with pytest.raises(Unavailable, match=r"holds its limit of 1,500 bytes"):
        fill(house, writer)
    assert 1_500 <= sum(each.size for each in segment.segments(house.home / "journal")) < 1_500 + 2 * 500
    assert writer.refused == 1
    assert writer.flushed == len(house.rows("select id from predictions"))


def test_a_column_that_does_not_fit_notes_nothing(house: House) -> None:
    writer = house.writer()
    with pytest.raises(ValueError, match=r"inputs\.job|rows"):
        house.answer(writer, [1, 2], of=house.answer(writer, [1], flush=False))
    writer.flush()
    assert len(house.rows("select id from predictions")) == 1


FULL = """
import resource, sys
from pathlib import Path
from payoff.errors import Unavailable
from tests.journal.conftest import House
house = House(Path(sys.argv[1]))
writer = house.writer(sync=True)
told = house.answer(writer, [1, 2, 3])
size = next((house.home / "journal").glob("*.seg")).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 250, resource.RLIM_INFINITY))
refused = 0
for age in range(20):
    try:
        told += house.answer(writer, [age] * 40)
    except Unavailable as error:
        refused += 40
        assert "could not be written" in str(error) and str(house.home) in str(error), error
assert writer.refused == refused == 800, (writer.refused, refused)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
told += house.answer(writer, [7])
print(*told)
"""


def test_a_full_disk_refuses_whole_flushes_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """The limit on the file's size stops a write in the middle, as a full disk does."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    (held,) = Tail(tmp_path / "journal").look()
    assert sorted(_ids(Tail(tmp_path / "journal"))) == sorted(done.stdout.split())
    assert (held.damage, held.torn_bytes) == (None, 0)


def test_the_newest_id_is_known_before_and_after_the_segments_are_gone(house: House) -> None:
    from payoff.journal.compact import compact

    assert segment.newest_us(house.home / "journal") == 0
    writer = house.writer()
    newest = house.answer(writer, [1, 2, 3])[-1]
    assert segment.newest_us(house.home / "journal") == time_us(newest)
    writer.close()
    compact(house.home)
    assert segment.segments(house.home / "journal") == []
    assert segment.newest_us(house.home / "journal") == time_us(newest)


def test_a_writer_whose_clock_went_back_gets_a_segment_of_its_own(tmp_path: Path) -> None:
    for _ in range(3):
        descriptor, _ = segment.create(tmp_path, "w", 1_000)
        os.close(descriptor)
    assert [each.opened_us for each in segment.segments(tmp_path)] == [1_000, 1_001, 1_002]
    assert all(each.writer == "w" for each in segment.segments(tmp_path))


def test_a_failed_sync_refuses_the_rows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = house.writer(sync=True)
    kept = house.answer(writer, [1])

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(Unavailable, match="Input/output error"):
            house.answer(writer, [2])
    kept += house.answer(writer, [3])
    assert sorted(_ids(Tail(house.home / "journal"))) == kept


def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot name a journal writer"):
        Writer(tmp_path, "../x")
